import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { noGrad, scope, type Device, type Tensor } from "../../engine/index.ts";
import {
  Counter,
  loadStateDict,
  probe,
  resnet8,
  createModel,
  modelNames,
  resnet18,
  resnet20,
  resnet50,
  type ResNet,
  type SafeTensor,
  type StateDict,
} from "../../nn/index.ts";
import { imagesChannelsLast, logitsBatch, stateValues } from "../pytorch/formula.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

/** The names of torchvision's state dicts, by their rule. */
function torchvisionNames(blocks: readonly number[], kind: "basic" | "bottleneck"): string[] {
  const norm = (name: string): string[] =>
    ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"].map((entry) => `${name}.${entry}`);
  const convolutions = kind === "basic" ? [1, 2] : [1, 2, 3];
  const names = ["conv1.weight", ...norm("bn1")];
  blocks.forEach((count, stage) => {
    for (let block = 0; block < count; block++) {
      const prefix = `layer${stage + 1}.${block}`;
      for (const i of convolutions) names.push(`${prefix}.conv${i}.weight`, ...norm(`${prefix}.bn${i}`));
      const reshapes = block === 0 && (stage > 0 || kind === "bottleneck");
      if (reshapes) names.push(`${prefix}.downsample.0.weight`, ...norm(`${prefix}.downsample.1`));
    }
  });
  return [...names, "fc.weight", "fc.bias"];
}

const entryNames = (model: ResNet): string[] => model.namedEntries().map(([name]) => name);

describe("parameter counts", () => {
  // ImageNet: torchvision's published counts. CIFAR stems with 10 classes: those of the common PyTorch implementations. The small
  // nets: 16, 32 and 64 channels with projections, which add 2,752 to the paper's 269,722 (resnet20) with padded shortcuts.
  it.each([
    ["resnet18", 11_173_962],
    ["resnet34", 21_282_122],
    ["resnet50", 23_520_842],
    ["resnet8", 75_290 + 2_752],
    ["resnet20", 269_722 + 2_752],
    ["resnet32", 464_154 + 2_752],
    ["resnet44", 658_586 + 2_752],
    ["resnet56", 853_018 + 2_752],
  ])("%s has %i with 10 classes", (name, count) => {
    expect(createModel(name).parameterCount()).toBe(count);
  });

  it.each([
    ["resnet18", 11_689_512],
    ["resnet34", 21_797_672],
    ["resnet50", 25_557_032],
  ])("%s has %i with ImageNet's stem and 1000 classes", (name, count) => {
    expect(createModel(name, { stem: "imagenet", classes: 1000 }).parameterCount()).toBe(count);
  });
});

describe("names", () => {
  it.each([
    ["resnet18", [2, 2, 2, 2], "basic", 122],
    ["resnet34", [3, 4, 6, 3], "basic", 218],
    ["resnet50", [3, 4, 6, 3], "bottleneck", 320],
  ] as const)("%s has torchvision's, in its order", (name, blocks, kind, count) => {
    const names = entryNames(createModel(name, { stem: "imagenet" }) as ResNet);
    expect(names).toEqual(torchvisionNames(blocks, kind));
    expect(names).toHaveLength(count);
  });

  it.each([[8], [20], [32], [44], [56]])("resnet%i has three stages of them", (depth) => {
    const count = (depth - 2) / 6;
    expect(entryNames(createModel(`resnet${depth}`) as ResNet)).toEqual(
      torchvisionNames([count, count, count], "basic"),
    );
  });

  it("file shapes are PyTorch's", () => {
    const shapes = new Map(
      resnet18({ classes: 7 })
        .namedParameters()
        .map(([name, p]) => [name, p.diskShape]),
    );
    expect(shapes.get("conv1.weight")).toEqual([64, 3, 3, 3]);
    expect(shapes.get("layer2.0.conv1.weight")).toEqual([128, 64, 3, 3]);
    expect(shapes.get("layer4.0.downsample.0.weight")).toEqual([512, 256, 1, 1]);
    expect(shapes.get("fc.weight")).toEqual([7, 512]);
  });
});

describe("models", () => {
  it("the bottleneck's stride is on the 3x3 convolution", () => {
    const block = resnet50().module("layer2.0") as unknown as Record<string, { stride: number[] }>;
    expect([block.conv1, block.conv2, block.conv3].map(({ stride }) => stride[0])).toEqual([1, 2, 1]);
  });

  it("the seed decides the weights", () => {
    const weights = (seed: number): Float32Array => resnet20({ seed }).layer2.namedParameters()[0][1].initialValues();
    expect(weights(3)).toEqual(weights(3));
    expect(weights(3)).not.toEqual(weights(4));
  });

  it("refuses what it cannot build, saying what it can", () => {
    expect(() => createModel("resnet19")).toThrow(`unknown model "resnet19"; known are ${modelNames.join(", ")}`);
    expect(() => createModel("toString")).toThrow("unknown model");
    expect(() => resnet20({ stem: "imagenet" })).toThrow('resnet20: has no stem "imagenet"');
    expect(() => resnet18({ stem: "vgg" as "cifar" })).toThrow(
      "resnet18: stem must be cifar, padded, imagenet, not vgg",
    );
    expect(() => resnet18({ classes: 0 })).toThrow("resnet18: classes must be a whole number from 1, not 0");
  });
});

describe("on a device", () => {
  let device: Device;
  beforeAll(async () => {
    device = await testDevice();
  });

  type Logits = { eval: number[][]; train: number[][] };
  const path = new URL("../pytorch/reference.json", import.meta.url);
  const stored = JSON.parse(readFileSync(path, "utf8")) as {
    models: { resnet20: { logits: { f32: Logits; f64: Logits } } };
  };

  /** The largest difference, relative to the largest value. */
  const worst = (got: ArrayLike<number>, want: ArrayLike<number>): number => {
    const largest = Math.max(...Array.from(want, Math.abs));
    return Math.max(...Array.from(want, (value, i) => Math.abs(got[i] - value))) / largest;
  };

  it.each(["eval", "train"] as const)("resnet20 computes PyTorch's logits: %s", async (mode) => {
    using model = resnet20().train(mode === "train");
    loadStateDict(model, pytorchState(model));
    const [n, c, h, w] = logitsBatch.shape;
    const x = { shape: [n, h, w, c], data: imagesChannelsLast(logitsBatch, 0) };
    const logits = scope(() => noGrad(() => model.forward(toGpu(x))));
    const want = stored.models.resnet20.logits.f64[mode].flat();
    // PyTorch's own float32 differs from its float64 by rounding in another order; ours may by a few times that.
    const yardstick = worst(stored.models.resnet20.logits.f32[mode].flat(), want);
    expect(worst(await logits.data(), want)).toBeLessThan(4 * yardstick);
    logits.dispose();
  });

  it("resnet8 trains every parameter, counts batches, and frees everything", async () => {
    const before = device.memory().tensors;
    {
      using model = resnet8({ classes: 5 });
      const x = toGpu(randomArr([4, 16, 16, 3], 1));
      const dy = toGpu(randomArr([4, 5], 2));
      scope(() => void model.forward(x).backward(dy));
      for (const [name, parameter] of model.namedParameters()) {
        const gradient = await parameter.grad?.data();
        expect(
          gradient?.some((value) => value !== 0 && Number.isFinite(value)),
          name,
        ).toBe(true);
      }
      expect(model.namedCounters().map(([, counter]) => counter.value)).toEqual(new Array(9).fill(1));
      [x, dy].forEach((tensor: Tensor) => tensor.dispose());
    }
    expect(device.memory().tensors).toBe(before);
  });

  it("shows the maps of its stages", () => {
    using model = resnet8({ classes: 5 }).eval();
    const x = toGpu(randomArr([2, 16, 16, 3], 3));
    const shapes = scope(() => {
      const { taps } = noGrad(() => probe(model, [...model.stages, "layer2.0.bn2"], () => model.forward(x)));
      return Object.entries(taps).map(([name, tap]) => [name, tap.shape, tap.disposed]);
    });
    expect(shapes.sort()).toEqual(
      [
        ["layer1", [2, 16, 16, 16], false],
        ["layer2", [2, 8, 8, 32], false],
        ["layer3", [2, 4, 4, 64], false],
        ["layer2.0.bn2", [2, 8, 8, 32], false],
      ].sort(),
    );
    x.dispose();
  });

  it("refuses images of another shape", () => {
    using model = resnet8();
    const x = toGpu(randomArr([2, 8, 8, 1], 4));
    expect(() => model.forward(x)).toThrow("resnet8: needs images [N,H,W,3], x is [2,8,8,1]");
    x.dispose();
  });
});

/** The formula's values for every tensor of a model. */
function pytorchState(model: ResNet): StateDict {
  return new Map(
    model.namedEntries().map(([name, entry]): [string, SafeTensor] => {
      if (entry instanceof Counter) return [name, { dtype: "I64", shape: [], data: BigInt64Array.of(0n) }];
      const shape = entry.diskShape;
      return [name, { dtype: "F32", shape, data: Float32Array.from(stateValues(name, shape, "plain")) }];
    }),
  );
}
