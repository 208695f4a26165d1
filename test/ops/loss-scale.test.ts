import { beforeAll, expect, it } from "vitest";
import { UNTOUCHED } from "../../engine/ops/index.ts";
import { unscaleGradients } from "../../engine/ops/loss-scale.ts";
import { fromData, type Tensor } from "../../engine/index.ts";
import { testDevice } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

beforeAll(testDevice);

const BLOCKS = 300; // more than one workgroup's, and not a whole number of them
const SIZE = BLOCKS * 64;
const RULES = { growth: 2, backoff: 0.25, interval: 3 };

/** A pass over random gradients with one value put in. */
async function pass(
  at: number,
  value: number,
): Promise<{ gradients: number[]; active: number[]; state: number[]; skips: number[] }> {
  const values = randomArr([SIZE], 1).data.slice();
  values[at] = value;
  const table = Uint32Array.from({ length: BLOCKS }, (_, i) => (i === 7 ? UNTOUCHED : i % 3));
  const u32 = (list: ArrayLike<number>): Tensor => fromData(list, [list.length], "u32");
  const [gradients, blocks, active] = [fromData(values, [SIZE]), u32(table), u32(new Uint32Array(BLOCKS))];
  const [state, skips] = [fromData([8, 1 / 8, 1, 0], [4]), u32([5, 0, 0, 0])];
  unscaleGradients({ gradients, blocks }, { state, skips }, active, RULES);
  const [g, a, s, k] = await Promise.all([gradients, active, state, skips].map((t) => t.data()));
  expect([...g].filter((v, i) => i !== at && v !== Math.fround(values[i] / 8))).toEqual([]);
  return { gradients: [...g], active: [...a], state: [...s].slice(0, 3), skips: [...k].slice(0, 2) };
}

const table = Array.from({ length: BLOCKS }, (_, i) => (i === 7 ? UNTOUCHED : i % 3));

it.each([0, 63, 64 * 100 + 5, SIZE - 1])(
  "finds an overflow at element %i, and lets the step touch nothing",
  async (at) => {
    for (const bad of [Infinity, -Infinity, NaN]) {
      const { active, state, skips } = await pass(at, bad);
      expect(active).toEqual(table.map(() => UNTOUCHED));
      expect(state).toEqual([2, 1 / 8, 0]);
      expect(skips).toEqual([6, 1]);
    }
  },
);

it("divides finite gradients, the largest too, and hands the table on", async () => {
  const { gradients, active, state, skips } = await pass(11, 3.4028234663852886e38);
  expect(gradients[11]).toBe(3.4028234663852886e38 / 8);
  expect(active).toEqual(table);
  expect(state).toEqual([8, 1 / 8, 2]);
  expect(skips).toEqual([5, 0]);
});

it("does not look at padding and frozen parameters", async () => {
  expect((await pass(7 * 64 + 3, NaN)).skips).toEqual([5, 0]);
});

it("refuses a table of another size", () => {
  const [gradients, blocks] = [fromData(new Float32Array(128), [128]), fromData([0, 0], [2], "u32")];
  const [state, skips] = [fromData([1, 1, 0, 0], [4]), fromData([0, 0, 0, 0], [4], "u32")];
  const active = fromData([0], [1], "u32");
  expect(() => unscaleGradients({ gradients, blocks }, { state, skips }, active, RULES)).toThrow("1 blocks for 2");
});
