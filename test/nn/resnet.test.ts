import { describe, expect, it } from "vitest";
import { createModel, modelNames, resnet18, resnet20, resnet50, type ResNet } from "../../nn/index.ts";

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
    const names = entryNames(createModel(name, { stem: "imagenet" }));
    expect(names).toEqual(torchvisionNames(blocks, kind));
    expect(names).toHaveLength(count);
  });

  it.each([[8], [20], [32], [44], [56]])("resnet%i has three stages of them", (depth) => {
    const count = (depth - 2) / 6;
    expect(entryNames(createModel(`resnet${depth}`))).toEqual(torchvisionNames([count, count, count], "basic"));
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
    expect(() => resnet20({ stem: "imagenet" })).toThrow('resnet20: has only the stem "cifar"');
    expect(() => resnet18({ stem: "vgg" as "cifar" })).toThrow("resnet18: stem must be cifar or imagenet, not vgg");
    expect(() => resnet18({ classes: 0 })).toThrow("resnet18: classes must be a whole number from 1, not 0");
  });
});
