// Whole models as captured steps: the bits of the same program without capture(, and which kernels a step consists of.
import { beforeAll, describe, expect, it, vi } from "vitest";
import { capture, currentDevice, fromData, scope, type KernelFamily, type Tensor } from "../../engine/index.ts";
import { resnet8, stateDict } from "../../nn/index.ts";
import { crossEntropy, LossScaler, SGD, type Precision } from "../../training/index.ts";
import { needsSubgroupTiles, testDevice, toGpu, withFamily, withWinograd } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

beforeAll(testDevice);

const BATCH = 4;
const images = (seed: number): Tensor => toGpu(randomArr([BATCH, 16, 16, 3], seed));
const labels = (seed: number): Tensor => fromData(Uint32Array.from({ length: BATCH }, (_, i) => (7 * i + seed) % 10), [BATCH], "u32"); // prettier-ignore

/** A training step of ResNet-8, to be captured or not. */
function resnetStep(precision: Precision) {
  const model = resnet8({ classes: 10, seed: 3 });
  const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 1e-3 });
  const scaler = precision === "mixed" ? new LossScaler(optimizer, { initial: 1024 }) : null;
  const lossOf = crossEntropy();
  const step = (x: Tensor, y: Tensor): Tensor => {
    optimizer.zeroGrad();
    const loss = lossOf(model.forward(scaler ? x.to("f16") : x).to("f32"), y);
    (scaler?.scale(loss) ?? loss).backward();
    scaler?.unscale();
    optimizer.step();
    return loss;
  };
  const dispose = (): void => [scaler, optimizer, model].forEach((owner) => owner?.dispose());
  return { model, optimizer, step, [Symbol.dispose]: dispose };
}

/** Five steps of changing rate and images; losses, weights, running statistics and momentum afterwards. */
async function train(precision: Precision, captured: boolean) {
  using resnet = resnetStep(precision);
  using replayed = capture(resnet.step);
  const losses: number[] = [];
  for (let i = 0; i < 5; i++) {
    resnet.optimizer.setLr(0.1 / (i + 1));
    const loss = scope(() => (captured ? replayed : resnet.step)(images(i), labels(i)));
    losses.push(await loss.item());
    loss.dispose();
  }
  const after = [await stateDict(resnet.model), await resnet.optimizer.state()];
  return { results: { losses, after }, kernels: replayed.toString() };
}

describe("ResNet-8 as a captured step", () => {
  it.for<Precision>(["f32", "mixed"])(
    "gives the bits of the eager program, by Winograd in %s",
    (precision, context) => {
      needsSubgroupTiles(context);
      return withWinograd(4, async () => {
        const eager = await train(precision, false);
        const replayed = await train(precision, true);
        expect(replayed.results).toEqual(eager.results);
        expect(new Set(eager.results.losses).size).toBe(5);
        // What the toy net of capture.test.ts has not: transforms that are kept for the gradients, and gradients added in place.
        const lines = replayed.kernels.split("\n");
        const transforms = lines.filter((line) => line.includes("winograd/input"));
        expect(transforms.length).toBeGreaterThan(0);
        expect(transforms).toHaveLength(
          2 * lines.filter((line) => line.includes("winograd/weight-gradient")).length - 1,
        );
        const sums = lines.filter((line) => /elementwise\/binary .*apply=a \+ b/.test(line));
        expect(sums).toHaveLength(1); // the last layer's bias
      });
    },
  );
});

describe("the kernels of ResNet-8's step", () => {
  /** How often each runs, of the second step: those of the convolutions by what they do. */
  async function countKernels(family: KernelFamily): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    const count = (name: string): void => void (counts[name] = (counts[name] ?? 0) + 1);
    await withFamily(family, () => {
      using resnet = resnetStep("f32");
      // Counted instead of run: no kernel is compiled.
      const encode = vi.spyOn(currentDevice(), "encode").mockImplementation(() => undefined);
      try {
        scope(() => void resnet.step(images(1), labels(1)));
        encode.mockImplementation(({ kernel }) => count(kernel.source.name.replace(/(-row)?-(subgroup|workgroup|portable)$|(?<=matmul\/)(subgroup|workgroup|portable)$/, ""))); // prettier-ignore
        scope(() => void resnet.step(images(2), labels(2)));
      } finally {
        encode.mockRestore();
      }
    });
    return counts;
  }

  // Nine convolutions with a batch norm each, three of them at the ends of blocks; two blocks have a stride, whose gradients come in four phases.
  const others = {
    "view/pad-rows": 3,
    "view/strided": 1,
    "conv2d/gather": 9 + 6 + 2 * 4,
    "conv2d/turn-weights": 8,
    "conv2d/weight-gradient": 9,
    "conv2d/sum-splits": expect.any(Number) as number,
    // The convolutions' own partial sums; then one pass that adds the shortcut and applies relu, and two backwards.
    "batch-norm/statistics": 9,
    "batch-norm/apply": 9,
    "batch-norm/gradient-sums": 9,
    "batch-norm/gradient-statistics": 9,
    "batch-norm/gradient-apply": 9,
    "pool/average": 1,
    "pool/average-gradient": 1,
    "matmul/": 3,
    "matmul/pack": 5,
    "elementwise/binary": 1, // the last layer's bias
    "cross-entropy/rows": 1,
    "cross-entropy/mean": 1,
    "cross-entropy/gradient": 1,
    "copy/fill": 1,
    "reduce/reduce": 1,
    "optimizer-step/accumulate": 3,
    "optimizer-step/sgd-momentum": 1, // of all parameters at once
  };

  it.each<[KernelFamily, object]>([
    ["workgroup", {}],
    ["subgroup", {}],
    ["portable", { "batch-norm/sums": 9 }],
  ])("are no more than these, in the %s family", async (family, more) => {
    expect(await countKernels(family)).toEqual({ ...others, ...more });
  });
});

describe("a captured step's text", () => {
  it("has the bytes that each dispatch binds, and its operations", () => {
    using step = capture((a: Tensor, b: Tensor) => a.matmul(b).relu());
    scope(() => void step(toGpu(randomArr([50, 96], 1)), toGpu(randomArr([96, 31], 2))));
    const rows = step.toString().split("\n").slice(2).map((line) => line.split(/ {2,}/)); // prettier-ignore
    const product = rows.find((row) => row.at(-1) !== "0")!;
    expect(product.at(-1)).toBe((2 * 50 * 96 * 31).toLocaleString("en"));
    const relu = rows.at(-1)!;
    expect(relu[1]).toMatch(/^elementwise\/unary /);
    // A multiple of 16 each.
    expect(relu.slice(-2)).toEqual([(2 * 16 * Math.ceil((50 * 31 * 4) / 16)).toLocaleString("en"), "0"]);
  });
});
