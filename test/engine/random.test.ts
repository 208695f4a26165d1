import { describe, expect, it } from "vitest";
import { pcg4d, pcg4dInto, permutation, Purpose, Random, uniform } from "../../engine/random.ts";

/** pcg4d as the paper writes it, in exact integers. */
function reference(input: readonly number[]): number[] {
  const mask = 0xffffffffn;
  let [x, y, z, w] = input.map((value) => (BigInt(value) * 1664525n + 1013904223n) & mask);
  const round = (): void => {
    x = (x + y * w) & mask;
    y = (y + z * x) & mask;
    z = (z + x * y) & mask;
    w = (w + y * z) & mask;
  };
  round();
  [x, y, z, w] = [x, y, z, w].map((value) => value ^ (value >> 16n));
  round();
  return [x, y, z, w].map(Number);
}

describe("pcg4d", () => {
  it("is the paper's hash, to the bit, at the corners of u32 and between", () => {
    const corners = [0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];
    const inputs = corners.flatMap((a) => corners.map((b) => [a, b, a ^ 5, (b * 3) >>> 0]));
    for (let i = 0; i < 200; i++) inputs.push([i * 7919, i, (i * 0x9e3779b9) >>> 0, 0xdeadbeef]);
    for (const [a, b, c, d] of inputs) expect(pcg4d(a, b, c, d)).toEqual(reference([a, b, c, d]));
  });

  it("writes the same at an offset", () => {
    const out = new Uint32Array(6);
    pcg4dInto(out, 2, 1, 2, 3, 4);
    expect([...out]).toEqual([0, 0, ...pcg4d(1, 2, 3, 4)]);
  });
});

describe("uniform", () => {
  it("keeps the upper 24 bits: f32 holds the value exactly and it never reaches 1", () => {
    expect(uniform(0)).toBe(0);
    expect(uniform(255)).toBe(0);
    expect(uniform(256)).toBe(2 ** -24);
    expect(uniform(0xffffffff)).toBe(1 - 2 ** -24);
    expect(Math.fround(uniform(0x89abcdef))).toBe(uniform(0x89abcdef));
  });
});

describe("Random", () => {
  const draw = (random: Random, n: number): number[] => Array.from({ length: n }, () => random.u32());

  it("is a function of its key: block k is pcg4d(seed, epoch, index, purpose + 256 k)", () => {
    const got = draw(new Random(7, 3, 11, Purpose.augment), 9);
    const blocks = [0, 1, 2].flatMap((k) => pcg4d(7, 3, 11, Purpose.augment + 256 * k));
    expect(got).toEqual(blocks.slice(0, 9));
  });

  it("rewinds to another key as if new", () => {
    const random = new Random(7, 3, 11, Purpose.augment);
    random.normal();
    const again = draw(random.rewind(4, 2, Purpose.mix), 6);
    expect(again).toEqual(draw(new Random(7, 4, 2, Purpose.mix), 6));
  });

  it("differs in every part of the key", () => {
    const first = (seed: number, epoch: number, index: number, purpose: Purpose): string =>
      draw(new Random(seed, epoch, index, purpose), 4).join();
    const streams = [first(1, 1, 1, 1), first(2, 1, 1, 1), first(1, 2, 1, 1), first(1, 1, 2, 1), first(1, 1, 1, 2)];
    expect(new Set(streams).size).toBe(5);
  });

  it("draws every integer below n about equally often", () => {
    const random = new Random(5, 0, 0, Purpose.init);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 20_000; i++) counts[random.below(10)] += 1;
    // 2,000 expected each, with a standard deviation of 42.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(5 * 43);
  });

  it("draws normal numbers of mean 0 and variance 1", () => {
    const random = new Random(5, 0, 1, Purpose.init);
    const n = 40_000;
    const values = Array.from({ length: n }, () => random.normal());
    const mean = values.reduce((sum, value) => sum + value, 0) / n;
    const variance = values.reduce((sum, value) => sum + value * value, 0) / n;
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(values.filter((value) => Math.abs(value) > 1.96).length / n).toBeCloseTo(0.05, 2);
  });
});

describe("permutation", () => {
  it("holds every index once, moves them, and replays by (seed, epoch)", () => {
    const order = permutation(1000, 3, 5);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect([...order].filter((value, i) => value === i).length).toBeLessThan(10);
    expect(permutation(1000, 3, 5)).toEqual(order);
    expect(permutation(1000, 3, 6)).not.toEqual(order);
    expect(permutation(1000, 4, 5)).not.toEqual(order);
  });

  it("is fair: each of the 6 orders of 3 things comes up about equally often", () => {
    const counts = new Map<string, number>();
    for (let epoch = 0; epoch < 6000; epoch++) {
      const key = permutation(3, 1, epoch).join("");
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(5 * 29);
  });

  it("takes 0 and 1 things", () => {
    expect([...permutation(0, 1, 1)]).toEqual([]);
    expect([...permutation(1, 1, 1)]).toEqual([0]);
  });
});
