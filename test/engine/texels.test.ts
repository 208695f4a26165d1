// Operands that kernels load through textures.
import { beforeAll, describe, expect, it } from "vitest";
import { capture, cast, currentDevice, type Tensor } from "../../engine/index.ts";
import { loadTexels, mostTexelBytes, ROW } from "../../engine/gpu/texels.ts";
import { conv2d } from "../../engine/ops/conv2d.ts";
import { needsSubgroupTiles, testDevice, toGpu, withFamily, withWinograd } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

beforeAll(testDevice);

const KERNEL = `alias Stored = vec2u;
@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> at: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
fn load_x(i: u32) -> Stored { return x[i]; }
fn load_at(i: u32) -> u32 { return at[i]; }
fn f(i: u32, box: Box) -> vec4f { return unpack(load_x(load_at(i))) * box.x[0] + max[1]; }
`;

describe("the text of a kernel", () => {
  it("has a texture in place of an array", () => {
    expect(loadTexels(KERNEL, "x")).toBe(`alias Stored = vec2u;
@group(0) @binding(0) var x: texture_storage_2d<rg32uint, read>;
@group(0) @binding(1) var<storage, read> at: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
fn load_x(i: u32) -> Stored { return textureLoad(x, vec2u(i & 4095u, i >> 12u)).xy; }
fn load_at(i: u32) -> u32 { return at[i]; }
fn f(i: u32, box: Box) -> vec4f { return unpack(load_x(load_at(i))) * box.x[0] + max[1]; }
`);
    expect(loadTexels(KERNEL, "at")).toContain(
      "fn load_at(i: u32) -> u32 { return textureLoad(at, vec2u(i & 4095u, i >> 12u)).x; }",
    );
  });

  it("is refused where a binding is written, or no array of a type that textures have", () => {
    expect(() => loadTexels(KERNEL, "y")).toThrow("y is not read as an array of vec4f, vec2f, vec2u, u32: no texels");
    expect(() => loadTexels(KERNEL.replace("vec2u", "vec3f"), "x")).toThrow("x is not read as an array");
  });

  it("is refused where something else is read, or has the binding's name", () => {
    const refusal = "x is read otherwise than by load_x(): no texels";
    expect(() => loadTexels(KERNEL.replace("max[1]", "x[1]"), "x")).toThrow(refusal);
    expect(() => loadTexels(KERNEL.replace("fn load_x", "fn load"), "x")).toThrow(refusal);
    expect(() => loadTexels(`${KERNEL}fn sum(x: Line) -> f32 { return x[0] + x[1]; }`, "x")).toThrow(refusal);
  });
});

/** The results of `work` with and without textures, and the kernels that used them. */
async function both(work: () => Tensor[]): Promise<{ got: Float32Array[]; want: Float32Array[]; used: string }> {
  const device = currentDevice();
  const run = async (texels: boolean) => {
    device.texels = texels;
    const tensors: Tensor[] = [];
    const times = await device.profile(() => void tensors.push(...work()));
    const data = await Promise.all(tensors.map((tensor) => cast(tensor, "f32").data()));
    return { data, used: times.map(({ kernel }) => kernel).filter((kernel) => kernel.includes("texels=")) };
  };
  const before = device.texels;
  try {
    const [want, got] = [await run(false), await run(true)];
    expect(want.used).toEqual([]);
    return { got: got.data as Float32Array[], want: want.data as Float32Array[], used: got.used.join("\n") };
  } finally {
    device.texels = before;
  }
}

/** How many numbers differ. (`toEqual` of so many would print for minutes.) */
const differing = (a: Float32Array, b: Float32Array): number => a.filter((value, i) => value !== b[i]).length;

type Size = readonly number[];

/** y and both gradients. */
function passes(x: Size, weight: Size, stride: number, dtype: "f32" | "f16"): Tensor[] {
  const [a, b] = [x, weight].map((size, i) => toGpu(randomArr([...size], i + 1), { requiresGrad: true }));
  const y = conv2d(cast(a, dtype), b, { padding: 1, stride });
  y.backward(cast(toGpu(randomArr([...y.shape], 3)), dtype));
  return [y, a.grad!, b.grad!];
}

describe.each(["f32", "f16"] as const)("results are the same, bit for bit, in %s", (dtype) => {
  it.for<[kernel: string, bindings: string, x: Size, weight: Size, stride: number, winograd: false | 4]>([
    ["gather-row-subgroup", "x+weight", [2, 5, 16, 16], [3, 3, 16, 16], 1, false],
    ["gather-row-subgroup", "x+weight", [3, 23, 32, 32], [3, 3, 32, 16], 1, false], // more than one row of texels, and the last one not full
    ["gather-row-subgroup", "x", [1, 4, 8, 16], [3, 3, 16, 16], 1, false], // a tile, so that the weights are loaded once
    ["gather-subgroup", "x+weight", [4, 9, 8, 8], [3, 3, 8, 160], 2, false],
    ["weight-gradient-row-subgroup", "x+dy", [2, 5, 16, 16], [3, 3, 16, 16], 1, false],
    ["weight-gradient-row-subgroup", "x", [1, 5, 8, 4], [3, 3, 4, 16], 1, false],
    ["weight-gradient-subgroup", "x+dy", [2, 7, 6, 8], [3, 3, 8, 160], 2, false],
    ["winograd/input", "x", [2, 5, 6, 8], [3, 3, 8, 8], 1, 4],
    ["winograd/multiply", "a", [1, 5, 4, 8], [3, 3, 8, 256], 1, 4],
    ["winograd/multiply", "b", [4, 32, 32, 8], [3, 3, 8, 12], 1, 4],
    ["winograd/multiply", "a+b", [4, 32, 32, 4], [3, 3, 4, 256], 1, 4],
  ])("%s: %s of x %j, weight %j /%i", async ([kernel, bindings, x, weight, stride, winograd], context) => {
    needsSubgroupTiles(context);
    const { got, want, used } = await withWinograd(winograd, () => both(() => passes(x, weight, stride, dtype)));
    expect(used).toMatch(new RegExp(`${kernel} {.*texels=${bindings.replace("+", "\\+")}}`));
    expect(got.map((values, i) => differing(values, want[i]))).toEqual([0, 0, 0]);
  });
});

it("a matrix product is the same, bit for bit", async (context) => {
  needsSubgroupTiles(context);
  const [a, b] = [toGpu(randomArr([2, 70, 170], 1)), toGpu(randomArr([170, 133], 2))];
  const { got, want, used } = await both(() => [a.matmul(b)]);
  expect(used).toContain("texels=a+b");
  expect(differing(got[0], want[0])).toBe(0);
});

it("a larger operand gets a larger texture, and steps that were recorded before keep theirs", async (context) => {
  needsSubgroupTiles(context);
  await withWinograd(false, async () => {
    const device = currentDevice();
    const before = device.texels;
    const weight = toGpu(randomArr([3, 3, 16, 16], 1));
    const [small, large] = [
      [1, 4, 8, 16],
      [2, 64, 64, 16],
    ].map((size) => toGpu(randomArr(size, 2)));
    using step = capture((x: Tensor) => conv2d(x, weight, { padding: 1 }));
    const of = async (x: Tensor): Promise<Float32Array> => {
      const y = step(x);
      const data = (await y.data()) as Float32Array;
      y.dispose();
      return data;
    };
    try {
      device.texels = false;
      const want = [await of(small), await of(large)];
      device.texels = true;
      for (let i = 0; i < 4; i++) {
        expect(differing(await of(small), want[0])).toBe(0);
        expect(differing(await of(large), want[1])).toBe(0);
      }
      expect(step.toString()).toContain("texels=x");
    } finally {
      device.texels = before;
    }
  });
});

it("counts its textures as memory that is kept, and leaves operands in buffers that none can hold", async (context) => {
  needsSubgroupTiles(context);
  await withWinograd(false, async () => {
    const device = currentDevice();
    const rows = device.limits.maxTextureDimension2D;
    expect(mostTexelBytes(device.limits)).toBe(4 * ROW * rows);
    const x: Size = [1, 8, 8, 16];
    const { used } = await both(() => passes(x, [3, 3, 16, 16], 1, "f32"));
    expect(used).not.toBe("");
    expect(device.memory().pooled).toBeGreaterThanOrEqual(ROW * 8);
    device.trim();
    expect(device.memory().pooled).toBe(0);
    const { limits } = device;
    const without = new Proxy(limits, {
      get: (_, name: keyof GPUSupportedLimits) => (name === "maxTextureDimension2D" ? 0 : limits[name]),
    });
    const replaced = Object.assign(device, { limits: without });
    try {
      expect((await both(() => passes(x, [3, 3, 16, 16], 1, "f32"))).used).toBe("");
    } finally {
      Object.assign(replaced, { limits });
    }
  });
});

it("is for the kernels of software GPUs", async () => {
  const device = currentDevice();
  expect(device.texels).toBe(device.info.name.includes("llvmpipe"));
  await withFamily("portable", async () => {
    expect((await both(() => passes([1, 8, 8, 16], [3, 3, 16, 16], 1, "f32"))).used).toBe("");
  });
});
