import { describe, expect, it } from "vitest";
import {
  BatchNorm2d,
  Conv2d,
  init,
  Linear,
  type Module,
  type Parameter,
  ReLU,
  Sequential,
  type State,
} from "../../nn/index.ts";

describe("initial values", () => {
  const values = (module: Module, name: string): Float32Array =>
    new Map(module.namedParameters()).get(name)!.initialValues();

  it("fanInUniform: bounds, spread and mean of 1/sqrt(fan in)", () => {
    const conv = new Conv2d(32, 64, { kernel: 3 }).initialize(1);
    const fanIn = 32 * 9;
    for (const [name, count] of [
      ["weight", 64 * fanIn],
      ["bias", 64],
    ] as const) {
      const drawn = values(conv, name);
      const bound = 1 / Math.sqrt(fanIn);
      expect(drawn).toHaveLength(count);
      expect(Math.max(...drawn.map(Math.abs))).toBeLessThanOrEqual(bound);
      expect(Math.max(...drawn)).toBeGreaterThan(bound * (1 - 8 / count));
      const mean = drawn.reduce((a, b) => a + b, 0) / count;
      const std = Math.sqrt(drawn.reduce((a, b) => a + (b - mean) ** 2, 0) / count);
      const expected = bound / Math.sqrt(3);
      // Four standard errors: of the mean std/sqrt(n), of the standard deviation of a uniform number about std*0.45/sqrt(n).
      expect(Math.abs(mean)).toBeLessThan((4 * expected) / Math.sqrt(count));
      expect(Math.abs(std - expected)).toBeLessThan((4 * 0.45 * expected) / Math.sqrt(count));
    }
  });

  it("counts channels per group for the fan in", () => {
    const depthwise = values(new Conv2d(64, 64, { kernel: 3, groups: 64 }), "weight");
    const largest = Math.max(...depthwise.map(Math.abs));
    expect(largest).toBeLessThanOrEqual(1 / 3);
    expect(largest).toBeGreaterThan(0.3);
  });

  it("normal(std) has that spread", () => {
    const drawn = init.normal(0.5)(20_000, init.randomForName(3, "weight"));
    const std = Math.sqrt(drawn.reduce((a, b) => a + b * b, 0) / drawn.length);
    expect(Math.abs(std - 0.5)).toBeLessThan((4 * 0.5) / Math.sqrt(2 * drawn.length));
  });

  it("depends on seed and name alone", () => {
    const net = (seed: number): Module => new Sequential(new Linear(8, 8), new Linear(8, 8)).initialize(seed);
    expect(values(net(5), "1.weight")).toEqual(values(net(5), "1.weight"));
    expect(values(net(5), "1.weight")).not.toEqual(values(net(6), "1.weight"));
    expect(values(net(5), "1.weight")).not.toEqual(values(net(5), "0.weight"));
    const deeper = new Sequential(new ReLU(), new Linear(8, 8), new Linear(3, 3)).initialize(5);
    expect(values(deeper, "1.weight")).toEqual(values(net(5), "1.weight"));
  });

  it("differs between layers that were given no seed", () => {
    expect(values(new Linear(8, 8), "weight")).not.toEqual(values(new Linear(8, 8), "weight"));
  });

  it("batch norm starts as the identity", () => {
    const entries = new Map(new BatchNorm2d(3).namedEntries());
    expect([...(entries.get("weight") as Parameter).initialValues()]).toEqual([1, 1, 1]);
    expect([...(entries.get("bias") as Parameter).initialValues()]).toEqual([0, 0, 0]);
    expect([...(entries.get("running_mean") as State).initialValues()]).toEqual([0, 0, 0]);
    expect([...(entries.get("running_var") as State).initialValues()]).toEqual([1, 1, 1]);
  });
});
