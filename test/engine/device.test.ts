// The device and launch(): what must fail loudly, what must keep its order, what must not grow.
import { beforeAll, describe, expect, it } from "vitest";
import { add, currentDevice, empty, fromData, openDevice, relu, scope, type Device } from "../../engine/index.ts";
import { setCurrentDevice } from "../../engine/current.ts";
import { sizeClass } from "../../engine/gpu/buffers.ts";
import { KernelCache } from "../../engine/gpu/kernel.ts";
import { foldWorkgroups, launch } from "../../engine/launch.ts";
import { kernels } from "../../shaders/kernels.ts";
import { testDevice } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

describe("launch", () => {
  it("refuses a binding above the adapter's limit, naming kernel, tensor and what would fit", () => {
    const limit = device.limits.maxStorageBufferBindingSize;
    scope(() => {
      const x = empty([4, limit / 8]); // twice the limit
      expect(() => relu(x)).toThrow(
        `elementwise/unary: x [4,${limit / 8}] needs a binding of ${2 * limit} bytes, this adapter allows ${limit} (a first dimension of 2 fits)`,
      );
    });
    device.trim();
  });

  it("folds more workgroups than one dimension holds, and refuses more than two hold", () => {
    expect(foldWorkgroups("k", 65_535, 65_535)).toEqual([65_535, 1]);
    expect(foldWorkgroups("k", 65_536, 65_535)).toEqual([32_768, 2]);
    expect(() => foldWorkgroups("k", 65_535 ** 2 + 1, 65_535)).toThrow("k: 4294836226 workgroups are more than");
    expect(() => foldWorkgroups("k", 0, 65_535)).toThrow("k: 0 workgroups");
  });

  it("names missing and unknown Params, and unknown constants", () => {
    scope(() => {
      const [x, y] = [fromData([1, 2], [2]), empty([2])];
      const run = (params: object, constants = {}) =>
        launch(kernels.elementwise.unary, { bindings: { x, y }, params: params as never, constants, workgroups: 1 });
      expect(() => run({ vectors: 1 })).toThrow("elementwise/unary: Params field a is missing");
      expect(() => run({ vectors: 1, a: 0, b: 1 })).toThrow("elementwise/unary: Params has no field b");
      expect(() => run({ vectors: 1, a: 0 }, { TILE: 2 })).toThrow(
        "no declaration named TILE to replace (it has VECTORS, apply)",
      );
    });
  });

  it("reports a kernel that does not compile, with its name and line", async () => {
    const broken = { ...kernels.copy.fill, wgsl: `${kernels.copy.fill.wgsl}\nfn broken() -> u32 { return 1.5; }` };
    new KernelCache(device.gpu).get(broken, {});
    await expect(device.idle()).rejects.toThrow(/copy\/fill/);
    await expect(device.idle()).resolves.toBeUndefined();
  });
});

describe("order", () => {
  it("an upload into a buffer that recorded work still reads waits for it", async () => {
    const x = fromData([1, 2, 3, 4], [4]);
    const y = relu(x);
    x.write([-5, -6, 7, 8]);
    const z = relu(x);
    expect([...(await y.data())]).toEqual([1, 2, 3, 4]);
    expect([...(await z.data())]).toEqual([0, 0, 7, 8]);
    for (const tensor of [x, y, z]) tensor.dispose();
  });

  it("a freed buffer is reused in order within one submit", async () => {
    const values = randomArr([64], 1);
    const x = fromData(values.data, [64]);
    const sum = scope(() => {
      let total = relu(x);
      for (let i = 0; i < 5; i++) {
        const before = total;
        total = add(total, x);
        before.dispose();
      }
      return total;
    });
    const got = await sum.data();
    values.data.forEach((v, i) => expect(got[i]).toBeCloseTo(Math.max(v, 0) + 5 * v, 5));
    for (const tensor of [x, sum]) tensor.dispose();
  });
});

describe("memory", () => {
  it("does not grow over repeated work, and the same steps find the same bind groups", () => {
    const step = () => scope(() => void relu(add(empty([1000]), empty([1000]))));
    step();
    const before = device.memory();
    for (let i = 0; i < 10; i++) step();
    expect(device.memory()).toEqual(before);
  });

  it("wastes at most a quarter by size classes", () => {
    for (const bytes of [1, 255, 257, 1000, 5000, 123_457, 5e6, 1e8]) {
      expect(sizeClass(bytes)).toBeGreaterThanOrEqual(bytes);
      expect(sizeClass(bytes)).toBeLessThanOrEqual(Math.max(256, bytes * 1.25 + 256));
      expect(sizeClass(sizeClass(bytes))).toBe(sizeClass(bytes));
    }
  });
});

describe("a second device", () => {
  it("works beside the first, and its tensors are unusable after dispose", async () => {
    const shared = currentDevice();
    try {
      const second = await openDevice();
      const x = fromData([1, -1], [2]);
      expect([...(await relu(x).data())]).toEqual([1, 0]);
      second.dispose();
      expect(() => currentDevice()).toThrow("no device is open: call `using device = await openDevice()` first");
      await expect(x.data()).rejects.toThrow("device: it has been disposed");
    } finally {
      setCurrentDevice(shared);
    }
  });
});
