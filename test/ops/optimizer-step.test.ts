import { beforeAll, expect, it } from "vitest";
import {
  adamStep,
  clipGradientNorm,
  empty,
  flattenParameters,
  scope,
  sgdStep,
  tensor,
  UNTOUCHED,
} from "../../engine/index.ts";
import { accumulate, splitWindows } from "../../engine/ops/optimizer-step.ts";
import {
  adamState,
  adamStep as adamReference,
  sgdStep as sgdReference,
  type SgdState,
} from "../reference/optimizers.ts";
import { type Arr } from "../reference/array.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose, type Kind } from "../support/tolerance.ts";

beforeAll(testDevice);

const zeroSkips = () => toGpu({ shape: [4], data: [0, 0, 0, 0] }, { dtype: "u32" });
const blocksOf = (size: number, group: (block: number) => number) =>
  toGpu({ shape: [size / 64], data: Array.from({ length: size / 64 }, (_, i) => group(i)) }, { dtype: "u32" });

/** A few roundings of the size of the weight in each step. */
const roundings = (steps: number, ...kinds: Kind[]): Kind[] => Array.from({ length: steps }, () => kinds).flat();

it.each([64, 1024, 1088, 4096 + 64])(
  "sgdStep of %i elements with momentum and decay equals the reference",
  async (size) => {
    let w: Arr = randomArr([size], 1);
    const flat = { weights: toGpu(w), gradients: empty([size]), blocks: blocksOf(size, () => 0), skips: zeroSkips() };
    const buffers = toGpu(randomArr([size], 2));
    let state: SgdState = {};
    for (let step = 1; step <= 3; step++) {
      const g = randomArr([size], 10 + step);
      const options = { lr: 0.1, weightDecay: 0.05, momentum: 0.9, dampening: 0.25 };
      flat.gradients.write(g.data);
      sgdStep(flat, buffers, { ...options, groups: [options], first: step === 1 });
      ({ w, state } = sgdReference(w, g, state, options));
    }
    const shapes = { w: [size] };
    const kind = roundings(3, "add", "add", "add", "add", "add");
    expectClose(await flat.weights.data(), w, { op: "sgdStep", shapes, kind, scale: 1 });
    expectClose(await buffers.data(), state.buffer!, { op: "sgdStep buffer", shapes, kind, scale: 3 });
  },
);

it("gives each group its own rate and decay, up to eight, and leaves 255 untouched", async () => {
  const size = 64 * 9;
  const w = randomArr([size], 3);
  const g = randomArr([size], 4);
  const groups = Array.from({ length: 8 }, (_, i) => ({ lr: 0.1 * (i + 1), weightDecay: 0.01 * i }));
  const groupOf = (block: number): number => (block === 4 ? UNTOUCHED : block < 4 ? block : block - 1);
  const flat = { weights: toGpu(w), gradients: toGpu(g), blocks: blocksOf(size, groupOf), skips: zeroSkips() };
  sgdStep(flat, null, { groups });
  const want = w.data.map((value, i) => {
    const group = groups[groupOf(Math.floor(i / 64))];
    return group ? value - group.lr * (g.data[i] + group.weightDecay * value) : value;
  });
  const got = await flat.weights.data();
  expectClose(got, want, { op: "sgdStep", shapes: { w: [size] }, kind: ["add", "add", "add"], scale: 1 });
  expect([...got.slice(256, 320)]).toEqual([...w.data.slice(256, 320)]);
  expect(() => sgdStep(flat, null, { groups: [...groups, groups[0]] })).toThrow("1 to 8 parameter groups fit, got 9");
});

it.each([false, true])("adamStep (decoupled: %s) with a cycled beta1 equals the reference", async (decoupled) => {
  const size = 1088;
  let w: Arr = randomArr([size], 5);
  const flat = { weights: toGpu(w), gradients: empty([size]), blocks: blocksOf(size, () => 0), skips: zeroSkips() };
  const zeros = new Float32Array(size);
  const moments = [toGpu({ shape: [size], data: zeros }), toGpu({ shape: [size], data: zeros })] as const;
  let state = adamState(w);
  for (let step = 1; step <= 4; step++) {
    const g = randomArr([size], 20 + step);
    const options = { lr: 0.02, weightDecay: 0.1, betas: [0.95 - 0.02 * step, 0.999] as [number, number], eps: 1e-6 };
    flat.gradients.write(g.data);
    adamStep(flat, moments, { ...options, groups: [options], step, decoupled });
    ({ w, state } = adamReference(w, g, state, { ...options, decoupled }));
  }
  const how = { shapes: { w: [size] }, options: { decoupled } };
  expectClose(await flat.weights.data(), w, {
    op: "adamStep",
    ...how,
    kind: roundings(4, "add", "add", "add", "sqrt", "div"),
    scale: 1,
  });
  expectClose(await moments[0].data(), state.m, {
    op: "adamStep m",
    ...how,
    kind: roundings(4, "add", "add", "add"),
    scale: 1,
  });
  expectClose(await moments[1].data(), state.v, {
    op: "adamStep v",
    ...how,
    kind: roundings(4, "add", "add", "add"),
    scale: 1,
  });
});

it("accumulate overwrites, adds, and clears the padding after the last element", async () => {
  for (const size of [1, 3, 4, 65, 1023, 1024, 1025]) {
    const padded = Math.ceil(size / 64) * 64;
    const flat = toGpu(randomArr([padded], 6));
    const before = await flat.data();
    const source = toGpu(randomArr([size], size));
    const values = await source.data();
    scope(() => accumulate(source, flat.range(0, [size]), "overwrite"));
    scope(() => accumulate(source, flat.range(0, [size]), "add"));
    const end = Math.ceil(size / 4) * 4;
    const want = Array.from(before, (value, i) => (i < size ? 2 * values[i] : i < end ? 0 : value));
    expect([...(await flat.data())]).toEqual(want);
  }
});

it.each([64, 64 * 257, 64 * 4099])("clipGradientNorm over %i elements, whole and in windows", async (size) => {
  const g = randomArr([size], 7);
  const groupOf = (block: number): number => (block % 5 === 3 ? UNTOUCHED : 0);
  const norm = Math.sqrt(
    g.data.reduce((sum, value, i) => sum + (groupOf(Math.floor(i / 64)) === 0 ? value * value : 0), 0),
  );
  for (const windowSize of [1 << 25, 4096]) {
    for (const maxNorm of [norm / 3, norm * 2]) {
      const flat = { gradients: toGpu(g), blocks: blocksOf(size, groupOf) };
      const result = empty([2]);
      clipGradientNorm(flat, maxNorm, result, windowSize);
      const factor = Math.min(1, maxNorm / (norm + 1e-6));
      const how = { shapes: { g: [size] }, options: { windowSize, maxNorm }, terms: size };
      expectClose(await result.data(), [norm, factor], { op: "clipGradientNorm", ...how });
      expectClose(
        await flat.gradients.data(),
        g.data.map((value) => value * factor),
        { op: "clipped gradients", ...how },
      );
      for (const tensor of [flat.gradients, flat.blocks, result]) tensor.dispose();
    }
  }
});

it("splits buffers that exceed a binding into windows that cover everything once", () => {
  expect(splitWindows(64, 4096)).toEqual([{ offset: 0, size: 64 }]);
  expect(splitWindows(8192 + 128, 4096)).toEqual([
    { offset: 0, size: 4096 },
    { offset: 4096, size: 4096 },
    { offset: 8192, size: 128 },
  ]);
  expect(() => splitWindows(65, 4096)).toThrow("65 elements are not whole blocks of 64");
});

it("flattening frees the gradients of before", async () => {
  const device = await testDevice();
  const before = device.memory().tensors;
  const x = toGpu(randomArr([3], 1), { requiresGrad: true });
  scope(() => x.square().sum().backward());
  const flat = flattenParameters([x]);
  expect(x.grad).toBeNull();
  flat.dispose();
  x.dispose();
  expect(device.memory().tensors).toBe(before);
});

it("names what is wrong with parameters", () => {
  const x = toGpu(randomArr([3], 1));
  expect(() => flattenParameters([])).toThrow("there are no parameters");
  expect(() => flattenParameters([x, x])).toThrow("is given twice");
  expect(() => flattenParameters([toGpu({ shape: [1], data: [1] }, { dtype: "u32" })])).toThrow("is not f32");
});

it("clipGradientNorm makes all NaN where one gradient is: clipped to nothing, they would hide it", async () => {
  const flat = flattenParameters([toGpu(randomArr([5], 31), { requiresGrad: true })]);
  flat.tensors[0]
    .mul(tensor([1, NaN, 1, 1, 1]))
    .sum()
    .backward();
  const result = flat.clipGradNorm(1);
  expect([...(await result.data())]).toEqual([NaN, NaN]);
  expect([...(await flat.tensors[0].grad!.data())]).toEqual(new Array(5).fill(NaN));
});
