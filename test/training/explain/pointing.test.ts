import { describe, expect, it } from "vitest";
import { pointing } from "../../../training/explain/pointing.ts";
import { randomArr } from "../../support/random.ts";

/** Two images with two maps each, 3 high and 4 wide. */
const shape = [2, 2, 3, 4];
const blank = (): number[] => new Array<number>(12).fill(0);
const heat = (places: Record<number, number>): number[] => Object.assign(blank(), places);
/** Columns 1 and 2 of rows 0 and 1; column 3 of row 2. */
const boxes = Int16Array.of(1, 0, 3, 2, 3, 2, 4, 3);

describe("pointing", () => {
  it("finds the hottest pixel and the heat inside the box, and what chance gives", () => {
    const maps = [
      heat({ 1: 0.5, 6: 1, 7: 0.5 }), // 1 (1,0) and 6 (2,1) lie inside, 7 (3,1) does not
      heat({ 3: 1, 2: 0.25 }), // hottest beside the box
      heat({ 11: 1 }),
      heat({ 7: 1, 10: 0.5, 11: 0.5 }), // the pixels around the box
    ];
    const result = pointing({ shape, data: Float32Array.from(maps.flat()) }, boxes);
    const chances = [4 / 12, 4 / 12, 1 / 12, 1 / 12];
    expect(result.maps).toEqual([
      { hit: 1, heatInside: 0.75, chance: chances[0] },
      { hit: 0, heatInside: 0.2, chance: chances[1] },
      { hit: 1, heatInside: 1, chance: chances[2] },
      { hit: 0, heatInside: 0.25, chance: chances[3] },
    ]);
    expect(result).toMatchObject({ count: 4, accuracy: 0.5, empty: 0 });
    expect(result.heatInside).toBeCloseTo(0.55, 12);
    expect(result.chance).toBeCloseTo((4 + 4 + 1 + 1) / 48, 12);
  });

  it("gives a map without heat, a uniform one, and random ones what chance gives", () => {
    const uniform = new Array<number>(12).fill(0.7);
    const data = Float32Array.from([...blank(), ...uniform, ...blank(), ...uniform]);
    const result = pointing({ shape, data }, boxes);
    for (const { hit, heatInside, chance } of result.maps) {
      expect(hit).toBeCloseTo(chance, 12);
      expect(heatInside).toBeCloseTo(chance, 6);
    }
    expect(result.empty).toBe(2);

    const many = 4000;
    const random = Float32Array.from(randomArr([many * 12], 5, { min: 0, max: 1 }).data);
    const sameBox = Int16Array.from({ length: many * 4 }, (_, i) => boxes[i % 4]);
    const drawn = pointing({ shape: [many, 1, 3, 4], data: random }, sameBox);
    // Four standard deviations of a mean of 4,000 draws.
    expect(Math.abs(drawn.accuracy - 1 / 3)).toBeLessThan(4 * Math.sqrt(2 / 9 / many));
    expect(Math.abs(drawn.heatInside - 1 / 3)).toBeLessThan(0.01);
  });

  it("counts its part of a tie", () => {
    const data = Float32Array.from(heat({ 1: 1, 3: 1, 6: 1, 0: 1 }));
    expect(pointing({ shape: [1, 1, 3, 4], data }, boxes.subarray(0, 4)).accuracy).toBe(0.5);
  });

  it("refuses boxes that do not fit the maps", () => {
    const data = new Float32Array(48);
    expect(() => pointing({ shape, data }, boxes.subarray(0, 4))).toThrow("1 boxes for 2 images");
    const outside = Int16Array.of(1, 0, 3, 2, 3, 2, 5, 3);
    expect(() => pointing({ shape, data }, outside)).toThrow(
      "box [3, 2, 5, 3) of image 1 does not lie in its map of 4 x 3",
    );
  });
});
