import { beforeAll, describe, expect, it, vi } from "vitest";
import { openGpu, settle } from "#open-gpu";
import type { Device } from "../../engine/index.ts";
import { Compilers } from "../../engine/gpu/compilers.ts";
import { KernelCache, type CompiledKernel } from "../../engine/gpu/kernel.ts";
import { kernels } from "../../shaders/kernels.ts";
import { testDevice } from "../support/gpu.ts";

let device: Device;
beforeAll(async () => void (device = await testDevice()));

/** With and without Params, with one that is read from a texture. */
function someKernels(): CompiledKernel[] {
  const cache = new KernelCache(device.gpu);
  return [
    cache.get(kernels.copy.fill, {}),
    cache.get(kernels.copy.into, {}),
    cache.get(kernels.winograd.input, { TILE: 2 }, ["x"]),
    cache.get(kernels.winograd.weight, { TILE: 2 }),
    cache.get(kernels.crossEntropy.mean, {}),
    cache.get(kernels.crossEntropy.gradient, { LANES: 1 }),
  ];
}

/** Another device, what is said to be wrong on it, and a spy on its submits. */
async function anotherDevice() {
  const access = await openGpu();
  const other = await access.quietly(() => settle(access.adapter!.requestDevice()));
  const errors: string[] = [];
  other.addEventListener("uncapturederror", ({ error }) => errors.push(error.message));
  return { gpu: other, errors, submit: vi.spyOn(other.queue, "submit"), access };
}

async function compiled(compilers: Compilers): Promise<number> {
  const list = someKernels();
  await device.idle(); // what other tests have left
  const submit = vi.spyOn(device.gpu.queue, "submit");
  try {
    await Promise.all(list.map((kernel) => kernel.compile()));
    await Promise.all([compilers.compile(list.slice(0, 3)), compilers.compile(list)]);
    await compilers.compile(list);
    await device.idle(); // throws what went wrong
    return submit.mock.calls.length;
  } finally {
    submit.mockRestore();
  }
}

describe("kernels are compiled before their first dispatch", () => {
  it("each once, by this device and its helpers", async () => {
    const helpers = await Promise.all([anotherDevice(), anotherDevice()]);
    const left = [...helpers];
    const slow = () => new Promise<undefined>((done) => setTimeout(done, 100));
    const wait = vi.spyOn(device.gpu.queue, "onSubmittedWorkDone").mockImplementationOnce(slow); // else the cache may leave them nothing
    const open = vi.fn(() => Promise.resolve(left.pop()!.gpu));
    const own = await compiled(new Compilers(device.gpu, 3, open, 0));
    wait.mockRestore();
    const theirs = helpers.map(({ submit }) => submit.mock.calls.length);
    expect(open).toHaveBeenCalledTimes(2);
    expect(own + theirs[0] + theirs[1]).toBe(6);
    expect(Math.max(...theirs)).toBeGreaterThan(0);
    expect(helpers.flatMap(({ errors }) => errors)).toEqual([]);
  });

  it("by this device alone where that is quick, or no other opens", async () => {
    const none = vi.fn(() => Promise.reject(new Error("no more devices")));
    expect(await compiled(new Compilers(device.gpu, 3, none, 60_000))).toBe(6);
    expect(none).not.toHaveBeenCalled();
    expect(await compiled(new Compilers(device.gpu, 3, none, 0))).toBe(6);
    expect(none).toHaveBeenCalledTimes(2);
  });

  it("ends where a helper is lost, which leaves what it took to the first dispatch", async () => {
    const helper = await anotherDevice();
    helper.gpu.destroy();
    const own = await compiled(new Compilers(device.gpu, 2, () => Promise.resolve(helper.gpu), 0));
    expect(own).toBeGreaterThan(0);
  });
});
