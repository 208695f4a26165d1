// device.profile(): what it says about each dispatch, by timestamps and by waiting.
import { beforeAll, describe, expect, it } from "vitest";
import { capture, scope, type Device, type ProfileOptions, type Tensor } from "../../engine/index.ts";
import { ownTimes } from "../../engine/gpu/profiler.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

describe.each(["timestamps", "waiting"] as const)("a profile by %s", (by) => {
  it("lists the dispatches of a captured step in order, with their times and texts", async (context) => {
    if (by === "timestamps" && !device.gpu.features.has("timestamp-query")) context.skip("no timestamps here");
    const [a, b] = [toGpu(randomArr([64, 96], 1)), toGpu(randomArr([96, 32], 2))];
    using step = capture((x: Tensor, y: Tensor) => x.matmul(y).relu().relu());
    const run = (): void => scope(() => void step(a, b));
    for (let i = 0; i < 3; i++) run();
    const before = device.dispatches;
    const times = await device.profile(run, { by });
    const files = times.map(({ variant }) => variant.source.name);
    expect(files.slice(-2)).toEqual(["elementwise/unary", "elementwise/unary"]);
    expect(files.filter((name) => name.startsWith("matmul/")).length).toBeGreaterThan(0);
    if (by === "timestamps") expect(device.dispatches - before).toBe(times.length);
    for (const { kernel, milliseconds, grid, workgroups, bound, bytes, variant } of times) {
      expect(milliseconds, kernel).toBeGreaterThan(0);
      expect(milliseconds, kernel).toBeLessThan(1000);
      expect(workgroups, kernel).toBe(grid[0] * grid[1]);
      expect(bytes, kernel).toBe(bound.reduce((sum, size) => sum + size, 0));
      expect(variant.wgsl, kernel).toContain("@workgroup_size");
    }
    expect(Math.max(...times.map(({ flops }) => flops))).toBe(2 * 64 * 96 * 32);
    expect(times.at(-1)!.bound).toEqual([64 * 32 * 4, 64 * 32 * 4]);
  });
});

it("counts no waiting for the pass before, also of another chunk", () => {
  // Begun at once with the one before, as some drivers say; inside of it; after a pause.
  const stamps = BigInt64Array.from([10, 30, 10, 50, 20, 40, 60, 70].map((ms) => BigInt(ms * 1e6)));
  expect(ownTimes(stamps, 0n)).toEqual({ milliseconds: [20, 20, 0, 10], ended: 70_000_000n });
  expect(ownTimes(stamps, 20_000_000n).milliseconds).toEqual([10, 20, 0, 10]);
});

describe("a profile by waiting", () => {
  const waiting = (options: ProfileOptions) => {
    const x = toGpu(randomArr([8, 8], 3));
    return device.profile(() => scope(() => void x.relu().exp().relu()), { by: "waiting", ...options });
  };

  it("times dispatches that are alike once, and tells how far it is", async () => {
    const told: number[] = [];
    const times = await waiting({ onProgress: (done, count) => told.push(done / count) });
    expect(told).toEqual([1 / 3, 2 / 3, 1]);
    expect(times[0].milliseconds).toBe(times[2].milliseconds);
  });

  it("ends where it is aborted", async () => {
    const controller = new AbortController();
    const onProgress = (): void => controller.abort();
    expect(await waiting({ signal: controller.signal, onProgress })).toHaveLength(1);
    expect(await waiting({ signal: AbortSignal.abort() })).toEqual([]);
  });
});
