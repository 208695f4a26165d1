// Every kernel file is compiled by Tint on Dawn's null backend, which validates and runs nothing.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openGpu, settle } from "#open-gpu";
import type { GpuAccess } from "../engine/gpu/access.ts";
import { KernelCache, specialize, type KernelSource } from "../engine/gpu/kernel.ts";
import { kernels } from "../shaders/kernels.ts";
import { ladder } from "../shaders/ladder.ts";

const sourcesOf = (families: Record<string, Record<string, KernelSource>>): KernelSource[] =>
  Object.values(families).flatMap((family) => Object.values(family));
const production = sourcesOf(kernels);
const rungs = sourcesOf(ladder);
const all = [...production, ...rungs];

describe("every kernel file", () => {
  let access: GpuAccess | null = null;
  let device: GPUDevice;
  beforeAll(async () => {
    access = await openGpu({ backend: "null" });
    const requiredFeatures = ["subgroups"] as GPUFeatureName[];
    device = await settle(access.adapter!.requestDevice({ requiredFeatures }));
  });
  afterAll(() => {
    device.destroy();
    access = null;
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

  it("finds a broken kernel", async () => {
    const broken = { ...kernels.copy.fill, wgsl: kernels.copy.fill.wgsl.replace("@compute", "@compute @nonsense") };
    device.pushErrorScope("validation");
    void new KernelCache(device).get(broken, {}).pipeline;
    expect((await settle(device.popErrorScope()))?.message).toContain("nonsense");
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
