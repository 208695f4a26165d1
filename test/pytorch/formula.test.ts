import { describe, expect, it } from "vitest";
import {
  hash,
  images,
  imagesChannelsLast,
  labels,
  logitsBatch,
  sampleIndices,
  stateValues,
  trainingBatch,
} from "./formula.ts";
import reference from "./reference.json" with { type: "json" };

const { formula, models } = reference;

describe("the formula that PyTorch's script and the parity tests share", () => {
  it("gives the same numbers in both languages", () => {
    expect([0, 1, 2, 3].map((i) => hash("conv1.weight", i))).toEqual(formula.hashes);
    expect(images(logitsBatch, 0).slice(0, 4)).toEqual(Float32Array.from(formula.values));
    expect(stateValues("fc.weight", [10, 512], "plain").slice(-4)).toEqual(Float32Array.from(formula.plain));
    expect(stateValues("layer1.0.bn1.bias", [64], "calm").slice(-4)).toEqual(Float32Array.from(formula.calm));
    expect(sampleIndices("conv1.weight", 1728)).toEqual(formula.samples);
  });

  it("puts channels last without mixing pixels", () => {
    const [n, c, h, w] = trainingBatch.shape;
    const planes = images(trainingBatch, 2);
    const pixels = imagesChannelsLast(trainingBatch, 2);
    expect(pixels).toHaveLength(planes.length);
    expect(pixels[((1 * h + 5) * w + 9) * c + 2]).toBe(planes[((1 * c + 2) * h + 5) * w + 9]);
    expect(pixels.at(-1)).toBe(planes[n * c * h * w - 1]);
    expect(labels(trainingBatch, 1)).toEqual([1, 4, 7, 0]);
  });
});

describe("the stored training runs", () => {
  // Where float32 and float64 disagree, nobody's kernels can be judged by the values.
  it.each(["sgd", "adam"] as const)("are ones on which PyTorch's float32 and float64 agree (%s)", (optimizer) => {
    const { f32, f64 } = models.resnet18[optimizer];
    f64.steps.forEach(({ loss, state }, step) => {
      expect(Math.abs(f32.steps[step].loss - loss)).toBeLessThan(1e-5 * loss);
      for (const [name, wide] of Object.entries(state)) {
        const narrow = f32.steps[step].state[name as keyof typeof state];
        expect(Math.abs(narrow.l2 - wide.l2), `${name} after step ${step}`).toBeLessThan(1e-5 * wide.l2);
      }
    });
  });
});
