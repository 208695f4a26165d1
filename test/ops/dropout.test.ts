import { beforeAll, describe, expect, it } from "vitest";
import { dropout, pcg4d, Purpose } from "../../engine/index.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

/** 1 where the documentation says that element i is kept, computed with the host's generator. */
function maskOf(size: number, p: number, seed: number, step: number): number[] {
  return Array.from({ length: size }, (_, i) => {
    const random = pcg4d(seed, step, Math.floor(i / 4), Purpose.dropout)[i % 4];
    return random >>> 8 >= Math.round(p * 2 ** 24) ? 1 : 0;
  });
}

const cases = [
  { shape: [1], p: 0.5, seed: 7, step: 0 },
  { shape: [1023], p: 0.2, seed: 1, step: 3 },
  { shape: [16, 64], p: 0.5, seed: 2 ** 32 - 1, step: 123_456 },
  { shape: [5, 41, 5], p: 0.9, seed: 0, step: 2 ** 31 },
];

describe.each(cases)("$shape, p $p, seed $seed, step $step", ({ shape, p, seed, step }) => {
  it("keeps what the host's generator keeps, in y and in dx", async () => {
    const x = randomArr(shape, 1);
    const input = toGpu(x, { requiresGrad: true });
    const y = dropout(input, p, { seed, step });
    const mask = maskOf(x.data.length, p, seed, step);
    const scaled = (values: Float64Array): number[] => mask.map((kept, i) => (kept * values[i]) / (1 - p));
    const got = await y.data();
    expect([...got].map((value) => (value === 0 ? 0 : 1))).toEqual(mask);
    const how = { op: "dropout", shapes: { x: shape }, options: { p, seed, step }, kind: ["add", "add"] as const };
    expectClose(got, scaled(x.data), how);
    const dy = randomArr(shape, 2);
    y.backward(toGpu(dy));
    expectClose(await input.grad!.data(), scaled(dy.data), how);
  });
});

it.each([0.1, 0.5, 0.75])("drops the share p = %s, evenly", async (p) => {
  const size = 1 << 18;
  const ones = { shape: [size], data: new Float64Array(size).fill(1) };
  const y = await dropout(toGpu(ones), p, { seed: 5, step: 9 }).data();
  const deviation = Math.sqrt((p * (1 - p)) / size); // of the share dropped, were the draws independent
  for (const lane of [0, 1, 2, 3]) {
    const dropped = y.filter((value, i) => i % 4 === lane && value === 0).length / (size / 4);
    expect(Math.abs(dropped - p)).toBeLessThan(5 * 2 * deviation);
  }
  const mean = [...y].reduce((sum, value) => sum + value, 0) / size;
  expect(Math.abs(mean - 1)).toBeLessThan((5 * deviation) / (1 - p));
});

it("draws another mask for another step or seed, and the same again", async () => {
  const x = toGpu(randomArr([256], 1));
  const draw = async (seed: number, step: number): Promise<string> =>
    (await dropout(x, 0.5, { seed, step }).data()).join();
  expect(await draw(1, 2)).toBe(await draw(1, 2));
  expect(new Set([await draw(1, 2), await draw(1, 3), await draw(2, 2), await draw(2, 1)]).size).toBe(4);
});

it("keeps everything with p = 0 or without training, nothing with p = 1", async () => {
  const x = randomArr([9], 1);
  for (const options of [
    { p: 0, training: true },
    { p: 0.7, training: false },
    { p: 1, training: true },
  ]) {
    const input = toGpu(x, { requiresGrad: true });
    const y = dropout(input, options.p, { training: options.training });
    const want = options.p === 1 ? new Array<number>(9).fill(0) : [...x.data];
    expect([...(await y.data())]).toEqual(want);
    y.backward(toGpu(x));
    expect([...(await input.grad!.data())]).toEqual(want);
    // A result of its own: freeing it leaves x alone.
    y.dispose();
    expect(input.disposed).toBe(false);
  }
});

it("refuses a probability that is none", () => {
  const x = toGpu(randomArr([2], 1));
  expect(() => dropout(x, -0.1)).toThrow("dropout: p must be 0 to 1, got -0.1");
  expect(() => dropout(x, NaN)).toThrow("dropout: p must be 0 to 1, got NaN");
});
