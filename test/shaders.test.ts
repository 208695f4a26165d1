// Every kernel file is compiled by Tint on Dawn's null backend, which validates and runs nothing.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openGpu, settle } from "#open-gpu";
import type { GpuAccess } from "../engine/gpu/access.ts";
import { MATRIX_TILE_BYTES } from "../engine/ops/matmul-matrix.ts";
import { KernelCache, specialize, type KernelSource } from "../engine/gpu/kernel.ts";
import { kernels } from "../shaders/kernels.ts";
import { ladder } from "../shaders/ladder.ts";

const sourcesOf = (families: Record<string, Record<string, KernelSource>>): KernelSource[] =>
  Object.values(families).flatMap((family) => Object.values(family));
const production = sourcesOf(kernels);
const rungs = sourcesOf(ladder);
const all = [...production, ...rungs];

describe("every kernel file", () => {
  const features = ["subgroups", "shader-f16", "chromium-experimental-subgroup-matrix"];
  let access: GpuAccess[] = [];
  let device: GPUDevice;
  /** The other one's adapter says that its subgroups have several sizes. */
  let several: GPUDevice;
  async function open(features: readonly string[]): Promise<GPUDevice> {
    const opened = await openGpu({ backend: "null" });
    access.push(opened);
    return settle(opened.adapter!.requestDevice({ requiredFeatures: features as GPUFeatureName[] }));
  }
  beforeAll(async () => {
    device = await open(features);
    several = await open([...features, "subgroup-size-control"]);
  });
  afterAll(() => {
    device.destroy();
    several.destroy();
    access = [];
  });

  it("is in one of the generated lists: rungs of the kernel tour, whose names begin with a digit, in their own", () => {
    const root = join(import.meta.dirname, "../shaders");
    const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const files = folders.flatMap(({ name }) => readdirSync(join(root, name)).map((file) => `${name}/${file}`));
    expect(all.map(({ name }) => `${name}.wgsl`).sort()).toEqual(files.sort());
    const numbered = (kernel: KernelSource): boolean => /\/\d/.test(kernel.name);
    expect(production.filter(numbered)).toEqual([]);
    expect(rungs.filter(numbered)).toEqual(rungs);
    for (const kernel of all) expect(kernel.wgsl).toBe(readFileSync(join(root, `${kernel.name}.wgsl`), "utf8"));
  });

  it.each(all.map((kernel) => [kernel.name, kernel] as const))(
    "%s compiles within WebGPU's default limits",
    async (_name, kernel) => {
      // The device above was opened without asking for limits: 16 KB of workgroup memory, 256 invocations, 8 storage buffers.
      expect(kernel.bindings.length).toBeLessThanOrEqual(8);
      device.pushErrorScope("validation");
      void new KernelCache(device).get(kernel, {}).pipeline;
      const error = await settle(device.popErrorScope());
      expect(error?.message).toBeUndefined();
    },
  );

  // The null backend has no more than 16 KB of workgroup memory, which most tiles of matrices exceed: Dawn refuses those when all
  // else has been found right.
  const matrices = production.filter((kernel) => kernel.matrices);
  const shapes = [[16, 16], [8, 16], [8, 8]] as const; // prettier-ignore
  const tiles = [[64, 64], [64, 128], [128, 64], [128, 128], [256, 64]] as const; // prettier-ignore
  const variants = matrices.flatMap((kernel) =>
    shapes.flatMap((shape) => tiles.map((tile) => ({ kernel, shape, tile }))),
  );

  it("are kernels of subgroup matrices", () => {
    const names = matrices.map(({ name }) => name);
    expect(names).toEqual(["conv2d/gather-matrix", "conv2d/weight-gradient-matrix", "matmul/matrix"]);
    // A driver of NVIDIA's crashes when it compiles a module of both.
    const arithmetic =
      /\bsubgroup(Add|Mul|Min|Max|And|Or|Xor|Inclusive|Exclusive|Shuffle|Broadcast|All|Any|Ballot|Elect)|\bquad[A-Z]/;
    for (const { wgsl } of matrices) expect(wgsl.replace(/\/\/.*/g, "")).not.toMatch(arithmetic);
  });

  it.each(variants)(
    "$kernel.name compiles with matrices of $shape in tiles of $tile",
    async ({ kernel, shape, tile }) => {
      const [TILE_ROWS, TILE_COLUMNS] = tile;
      const [MATRIX_COLUMNS, MATRIX_DEPTH] = shape;
      const constants = { TILE_ROWS, TILE_COLUMNS, MATRIX_COLUMNS, MATRIX_DEPTH, SUM_STRIDE: 9 };
      device.pushErrorScope("validation");
      void new KernelCache(device).get(kernel, constants).pipeline;
      const { message } = (await settle(device.popErrorScope()))!;
      const bytes = Number(/total use of workgroup storage \((\d+) bytes\)/.exec(message)?.[1]);
      expect(bytes, message).toBeGreaterThan(16 * 1024);
      expect(bytes).toBeLessThanOrEqual(MATRIX_TILE_BYTES);
    },
  );

  it.each(matrices)("$name asks for subgroups of 32 where an adapter has several sizes", async (kernel) => {
    several.pushErrorScope("validation");
    const compiled = new KernelCache(several).get(kernel, {});
    void compiled.pipeline;
    expect((await settle(several.popErrorScope()))?.message).toBeUndefined();
    expect(compiled.wgsl).toMatch(/^@compute @subgroup_size\(32\) @workgroup_size\(/m);
    expect(new KernelCache(device).get(kernel, {}).wgsl).toBe(kernel.wgsl);
  });

  it("finds a broken kernel", async () => {
    const broken = { ...kernels.copy.fill, wgsl: kernels.copy.fill.wgsl.replace("@compute", "@compute @nonsense") };
    device.pushErrorScope("validation");
    void new KernelCache(device).get(broken, {}).pipeline;
    expect((await settle(device.popErrorScope()))?.message).toContain("nonsense");
  });
});

describe("the grid", () => {
  /** Always a single workgroup. */
  const single = [
    "cross-entropy/accumulate-metrics",
    "cross-entropy/mean",
    "loss-scale/update",
    "optimizer-step/norm-coefficient",
    "self-test/subgroups",
  ];
  /** At most so many workgroups that share the work, in strides. */
  const few = ["loss-scale/find", "optimizer-step/norm-partials"];
  const inEngine = join(import.meta.dirname, "../engine/ops");
  const engine = readdirSync(inEngine).map((file) => readFileSync(join(inEngine, file), "utf8")).join("\n"); // prettier-ignore

  it("has two dimensions in each kernel of production, but for those of one workgroup or a few", () => {
    const index = "workgroup.x + workgroup.y * workgroups.x";
    const others = production.filter(({ wgsl }) => wgsl.split(index).length !== 2 || wgsl.replace(index, "").includes("workgroup.x")); // prettier-ignore
    expect(others.map(({ name }) => name).sort()).toEqual([...single, ...few].sort());
  });

  it.each(single)("of %s is launched with a single workgroup", (name) => {
    const key = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()).replace("/", "\\.");
    const launches = engine.match(new RegExp(`launch\\(kernels\\.${key},[^;]*;`, "g")) ?? [];
    expect(launches).toHaveLength(1);
    expect(launches[0]).toMatch(/\bworkgroups: 1\b/);
  });

  it.each(few)("of %s is walked in strides of all workgroups", (name) => {
    const { wgsl } = production.find((kernel) => kernel.name === name)!;
    expect(wgsl).toMatch(/= workgroup\.x \* 64u \+ local; .*\+= workgroups\.x \* 64u\)/);
  });
});

describe("specialize", () => {
  const kernel = kernels.elementwise.unary;
  it("replaces constants and one-line functions by name", () => {
    const text = specialize(kernel, { VECTORS: 2, apply: "-x" });
    expect(text).toContain("const VECTORS: u32 = 2u;");
    expect(text).toContain("fn apply(x: vec4f) -> vec4f { return -x; }");
  });
  it("throws on a name that the file does not declare", () => {
    expect(() => specialize(kernel, { VECTOR: 2 })).toThrow(
      "elementwise/unary: no declaration named VECTOR to replace",
    );
  });
});
