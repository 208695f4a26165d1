// f16 storage: conversions to the bit, and ops on f16 against their definition at the rounded inputs.
import { beforeAll, describe, expect, it } from "vitest";
import { fromData, scope, type Tensor } from "../../engine/index.ts";
import { halfToNumber, numberToHalf } from "../../engine/half-floats.ts";
import { testDevice } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

beforeAll(testDevice);

/** Neighbours, ties, subnormals, the largest, what overflows. */
const CORNERS = [
  0, -0, 1, -1, 0.1, 1 / 3, 2048, 2049, 2050, 2051, 65_504, 65_519, 65_520, -65_520, 1e6, 6.1e-5, 6.0e-5, 5.96e-8, 2.98e-8,
  2.9e-8, -1e-9, 1 + 2 ** -11, 1 + 3 * 2 ** -11, Infinity, -Infinity,
]; // prettier-ignore

describe("half floats on the host", () => {
  it("round trip every finite number, and infinity", () => {
    for (let bits = 0; bits <= 0x7c00; bits++) {
      expect(numberToHalf(halfToNumber(bits))).toBe(bits);
      expect(numberToHalf(halfToNumber(bits | 0x8000))).toBe(bits | 0x8000);
    }
    expect(halfToNumber(numberToHalf(NaN))).toBeNaN();
  });

  it("round to the nearest, and to even between two", () => {
    const rounded = (x: number): number => halfToNumber(numberToHalf(x));
    expect([2049, 2051, 1 + 2 ** -11, 1 + 3 * 2 ** -11].map(rounded)).toEqual([2048, 2052, 1, 1 + 2 ** -9]);
    expect([65_519, 65_520, -1e9, 2 ** -25, 2 ** -24 * 0.51].map(rounded)).toEqual([
      65_504,
      Infinity,
      -Infinity,
      0,
      2 ** -24,
    ]);
  });
});

describe("cast", () => {
  it("rounds on the device as on the host, but for the direction of the last place", async () => {
    const values = [...CORNERS, ...randomArr([997], 1, { min: -100, max: 100 }).data];
    const x = fromData(values, [values.length]);
    const y = x.to("f16");
    expect([y.dtype, y.location().byteLength]).toEqual(["f16", 4 * Math.ceil(values.length / 2)]);
    const [got, back] = [await y.data(), await y.to("f32").data()];
    expect(back).toEqual(got);
    values.forEach((value, i) => {
      const want = numberToHalf(Math.fround(value));
      // Vulkan leaves the rounding to the driver.
      const towardsZero = Math.abs(numberToHalf(got[i]) - want) === 1 && Math.abs(got[i]) <= Math.abs(value);
      if (!towardsZero) expect([value, got[i]]).toEqual([value, halfToNumber(want)]);
    });
  });

  it("uploads and reads back what the host rounds", async () => {
    using x = fromData(CORNERS, [5, 5], "f16");
    expect([...(await x.data())]).toEqual(CORNERS.map((value) => halfToNumber(numberToHalf(value))));
  });

  it("casts gradients back, and is nothing where the type stays", async () => {
    const x = fromData([1, 2, 3, 4, 5], [5]);
    x.requiresGrad = true;
    const half = x.to("f16");
    expect(half.to("f16")).toBe(half);
    half
      .add(half)
      .to("f32")
      .mul(fromData([1, 2, 4, 8, 16], [5]))
      .sum()
      .backward();
    expect([x.grad!.dtype, ...(await x.grad!.data())]).toEqual(["f32", 2, 4, 8, 16, 32]);
  });

  it("refuses whole numbers, mixtures and views of another size", () => {
    const half = fromData([1, 2], [2], "f16");
    expect(() => fromData([1], [1], "u32").to("f16")).toThrow("cast: needs a float tensor, got Tensor u32[1]");
    expect(() => half.add(fromData([1, 2], [2]))).toThrow(/add: needs two f32 or two f16 tensors, got Tensor f16\[2\]/);
    expect(() => half.view([2], "f32")).toThrow("Tensor f16[2] has elements of another size than f32; use cast()");
  });
});

/** An op on f16 tensors, and the same on the same numbers as f32: they differ by the rounding of results. */
async function compare(
  op: (x: Tensor, other: Tensor) => Tensor,
  shape: number[],
  resultIs: "f16" | "f32" = "f16",
): Promise<void> {
  const run = async (dtype: "f16" | "f32"): Promise<{ y: ArrayLike<number>; dx: ArrayLike<number> }> => {
    const [x, other] = [1, 2].map((seed) => fromData(randomArr(shape, seed).data, shape, "f16").to(dtype));
    x.requiresGrad = true;
    const y = scope(() => {
      const y = op(x, other);
      if (dtype === "f16") expect(y.dtype).toBe(resultIs);
      y.backward(fromData(randomArr(y.shape, 3).data, y.shape, "f16").to(y.dtype as "f16"));
      return y;
    });
    return { y: await y.data(), dx: await x.grad!.data() };
  };
  const [half, whole] = [await run("f16"), await run("f32")];
  for (const part of ["y", "dx"] as const) {
    const largest = Math.max(...Array.from(whole[part], Math.abs));
    expect(largest).toBeGreaterThan(0);
    // A few values are rounded one after the other: what an op hands on, and what its gradient does.
    const allowed = 4 * 2 ** -10 * largest;
    const worst = Math.max(...Array.from(whole[part], (value, i) => Math.abs(value - half[part][i])));
    expect(worst).toBeLessThanOrEqual(allowed);
  }
}

describe("ops on f16 tensors", () => {
  it.each<[string, (x: Tensor, other: Tensor) => Tensor, number[], ("f16" | "f32")?]>([
    ["add", (x, other) => x.add(other), [3, 5, 7]],
    ["mul, broadcast", (x, other) => x.mul(other.slice([{ end: 1 }])), [3, 4, 4]],
    ["relu, scale and gelu", (x) => x.relu().scale(3).gelu(), [5, 8]],
    ["maxPool2d", (x) => x.maxPool2d({ kernel: 2 }), [2, 4, 6, 8]],
    ["globalAvgPool", (x) => x.globalAvgPool(), [2, 4, 6, 8], "f32"],
    ["permute and pad", (x) => x.permute([1, 0]).pad([[1, 1]]), [4, 6]],
    ["pad channels", (x) => x.pad([[0, 0], [0, 0], [0, 1]], 1.5), [3, 5, 3]], // prettier-ignore
    ["sum and broadcast", (x, other) => other.add(x.sum({ axes: 0 }).broadcastTo([4, 6])), [4, 6]],
    ["dropout", (x) => x.dropout(0.4, { seed: 3 }), [9, 9]],
  ])("%s", (_, op, shape, resultIs) => compare(op, shape, resultIs));

  it.each<[string, (x: Tensor) => Tensor]>([
    ["add", (x) => x.add(x)],
    ["scale", (x) => x.scale(2)],
    ["maxPool2d of what is infinite", (x) => x.scale(2).maxPool2d({ kernel: 1 })],
    [
      "conv2d",
      (x) =>
        x.conv2d(
          fromData(
            Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 2 : 0)),
            [1, 1, 4, 4],
          ),
        ),
    ],
  ])("what overflows becomes infinite on every driver, as loss scaling wants: %s", async (_, op) => {
    const x = fromData([40_000, -40_000, 32_752, 3], [1, 1, 1, 4], "f16");
    expect([...(await op(x).data())]).toEqual([Infinity, -Infinity, 65_504, 6]);
  });

  it("variance does not overflow where it fits", async () => {
    const x = fromData(new Float32Array(1000).fill(400, 5, 6), [1000], "f16");
    expect(await x.variance().item()).toBe(160);
  });

  it.each([
    ["direct, stride 2", [2, 7, 6, 12], [3, 3, 12, 16], { stride: 2, padding: 1 }],
    ["rows", [1, 8, 8, 16], [3, 3, 16, 16], { padding: 1 }],
    ["channels that are no multiple of 4", [2, 5, 5, 3], [3, 3, 3, 10], {}],
    ["groups", [2, 5, 5, 8], [3, 3, 4, 8], { groups: 2 }],
    ["Winograd", [1, 16, 16, 64], [3, 3, 64, 64], { padding: 1 }],
  ] as const)("conv2d: %s", (_, shape, weightShape, options) => {
    const weight = fromData(randomArr(weightShape, 4).data, weightShape);
    return compare((x) => x.conv2d(weight, options), [...shape]);
  });

  it("a convolution's weight gradient is f32, and near that of f32", async () => {
    const gradient = async (dtype: "f16" | "f32"): Promise<ArrayLike<number>> => {
      const x = fromData(randomArr([2, 8, 8, 16], 1).data, [2, 8, 8, 16], "f16").to(dtype);
      const weight = fromData(randomArr([3, 3, 16, 16], 2).data, [3, 3, 16, 16]);
      weight.requiresGrad = true;
      const y = x.conv2d(weight, { padding: 1 });
      y.backward(fromData(randomArr(y.shape, 3).data, y.shape, "f16").to(dtype));
      expect(weight.grad!.dtype).toBe("f32");
      return weight.grad!.data();
    };
    // The inputs are the same numbers, and sums are taken in f32: nothing is lost.
    expect(await gradient("f16")).toEqual(await gradient("f32"));
  });

  it.each([8, 6])("batchNorm of %i channels, with addition and relu", (channels) => {
    const vector = (seed: number): Tensor =>
      fromData(randomArr([channels], seed, { min: 0.5, max: 1.5 }).data, [channels]);
    const [weight, bias, runningMean, runningVar] = [5, 6, 7, 8].map(vector);
    const options = { weight, bias, runningMean, runningVar, training: true, relu: true };
    return compare((x, add) => x.batchNorm({ ...options, add }), [2, 5, 5, channels]);
  });
});
