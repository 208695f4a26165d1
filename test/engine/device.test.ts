// The device and launch(): what must fail loudly, what must keep its order, what must not grow.
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { settle } from "#open-gpu";
import { beforeAll, describe, expect, it } from "vitest";
import {
  add,
  currentDevice,
  empty,
  fromData,
  openDevice,
  relu,
  scope,
  tensor,
  type Device,
  type NestedNumbers,
  type Tensor,
} from "../../engine/index.ts";
import { setCurrentDevice } from "../../engine/current.ts";
import { BufferPool, largestBuffer, sizeClass } from "../../engine/gpu/buffers.ts";
import { KernelCache } from "../../engine/gpu/kernel.ts";
import { foldWorkgroups, launch } from "../../engine/launch.ts";
import { kernels } from "../../shaders/kernels.ts";
import { testDevice } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { temporaryFolder } from "../training/data/fixtures.ts";

const root = join(import.meta.dirname, "../..");
let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

describe("launch", () => {
  it("refuses a binding above the adapter's limit, naming kernel, tensor and what would fit", (context) => {
    const limit = device.limits.maxStorageBufferBindingSize;
    if (device.limits.maxBufferSize < 2 * limit) context.skip("the adapter binds its largest buffer whole");
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
    for (const count of [65_537, 131_071, 200_003, 4_000_000_007]) {
      const [x, y] = foldWorkgroups("k", count, 65_535);
      expect(Math.max(x, y)).toBeLessThanOrEqual(65_535);
      expect(x * y).toBeGreaterThanOrEqual(count);
      expect(x * y - count).toBeLessThan(y);
    }
    expect(() => foldWorkgroups("k", 65_535 ** 2 + 1, 65_535)).toThrow("k: 4294836226 workgroups are more than");
    expect(() => foldWorkgroups("k", 0, 65_535)).toThrow("k: 0 workgroups");
  });

  it("refuses to write a buffer that the kernel also reads, naming both", () => {
    scope(() => {
      const x = empty([128]);
      const run = (source: Tensor, target: Tensor) =>
        launch(kernels.copy.into, { bindings: { x: source, y: target }, params: { vectors: 16 }, workgroups: 1 });
      expect(() => run(x, x.view([2, 64]))).toThrow(
        "copy/into: y is written and shares a buffer with x; copy one first",
      );
      expect(() => run(x.range(0, [64]), x.range(64, [64]))).toThrow("shares a buffer");
    });
  });

  it("names missing and unknown Params, and unknown constants", () => {
    scope(() => {
      const [x, y] = [fromData([1, 2], [2]), empty([2])];
      const run = (params: object, constants = {}) =>
        launch(kernels.elementwise.unary, { bindings: { x, y }, params: params as never, constants, workgroups: 1 });
      expect(() => run({ vectors: 1 })).toThrow("elementwise/unary: Params field a is missing");
      expect(() => run({ vectors: 1, a: 0, b: 1 })).toThrow("elementwise/unary: Params has no field b");
      expect(() => run({ vectors: 1, a: 0 }, { TILE: 2 })).toThrow(
        /no declaration named TILE to replace \(it has VECTORS, .*apply\)/,
      );
    });
  });

  it("reports a kernel that does not compile, with its name and line", async () => {
    const broken = { ...kernels.copy.fill, wgsl: `${kernels.copy.fill.wgsl}\nfn broken() -> u32 { return 1.5; }` };
    const kernel = new KernelCache(device.gpu).get(broken, {});
    await expect(kernel.compile()).rejects.toThrow(/copy\/fill/);
    void kernel.pipeline;
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
    const want = values.data.map((v) => Math.max(v, 0) + 5 * v);
    const kind = new Array<"add">(5).fill("add");
    expectClose(await sum.data(), want, { op: "reuse", shapes: { x: [64] }, kind, scale: 6 });
    for (const tensor of [x, sum]) tensor.dispose();
  });
});

it("waiting leaves the core to others", async () => {
  const [before, start] = [process.cpuUsage(), performance.now()];
  await settle(new Promise((resolve) => setTimeout(resolve, 300)));
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan((performance.now() - start) / 2);
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

describe("the largest buffer", () => {
  it("is the adapter's limit, though that is no size class", () => {
    const sizes: number[] = [];
    const createBuffer = ({ size }: { size: number }) => (sizes.push(size), {});
    const gpu = { limits: { maxBufferSize: 2 ** 31 - 4 }, createBuffer } as unknown as GPUDevice;
    const pool = new BufferPool(gpu, () => undefined);
    pool.allocate(2 ** 31 - 1000);
    expect(sizes).toEqual([2 ** 31 - 16]);
  });

  it("names a tensor that is larger, and what fits", () => {
    const most = largestBuffer(currentDevice().limits);
    const rows = Math.floor(most / 2 ** 20) + 1;
    expect(() => empty([rows, 2 ** 18])).toThrow(
      `a tensor f32[${rows},262144] has ${rows * 2 ** 20} bytes, this adapter's largest buffer ${most} (a first dimension of ${rows - 1} fits)`,
    );
  });
});

describe("a second device", () => {
  it("works beside the first, and its tensors are unusable after dispose", async () => {
    const shared = currentDevice();
    const first = fromData([1], [1]);
    try {
      const second = await openDevice();
      expect(() => relu(first)).toThrow("elementwise/unary: x [1] lies on another device than the current one");
      const x = fromData([1, -1], [2]);
      expect([...(await relu(x).data())]).toEqual([1, 0]);
      const pending = x.data();
      second.dispose();
      await expect(pending).rejects.toThrow("device: it was disposed while data was being read back");
      expect(() => currentDevice()).toThrow("no device is open: call `using device = await openDevice()` first");
      await expect(x.data()).rejects.toThrow("device: it has been disposed");
    } finally {
      setCurrentDevice(shared);
      first.dispose();
    }
  });

  it("is not opened with kernels that it cannot run", async () => {
    const shared = currentDevice();
    try {
      // The null backend runs nothing, so its subgroups fail their check.
      const opening = openDevice({ backend: "null", family: "subgroup" });
      await expect(opening).rejects.toThrow('openDevice: family "subgroup" needs subgroups of 4 or 8 lanes');
      expect(() => currentDevice()).toThrow("no device is open");
    } finally {
      setCurrentDevice(shared);
    }
  });

  it("opened at the same time as the first leaves stderr as it was", () => {
    const errors = join(temporaryFolder(), "stderr");
    const file = openSync(errors, "a");
    const script = `import { openDevice } from ${JSON.stringify(join(root, "dist/engine/index.js"))};
      const open = () => openDevice({ backend: "null" });
      const devices = await Promise.all([open(), open()]);
      console.error("still heard");
      for (const device of devices) device.dispose();`;
    const { status } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "ignore", file],
    });
    closeSync(file);
    expect([status, readFileSync(errors, "utf8")]).toEqual([0, "still heard\n"]);
  });

  it("loses no line where stdout and stderr share a file", () => {
    const log = join(temporaryFolder(), "log");
    const file = openSync(log, "w");
    const script = `import { openDevice } from ${JSON.stringify(join(root, "dist/engine/index.js"))};
      console.log("one");
      const device = await openDevice({ backend: "null" });
      for (let i = 0; i < 3; i++) { console.error("error " + i); console.log("result " + i); }
      device.dispose();`;
    spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", file, file],
      timeout: 20_000,
    });
    closeSync(file);
    const lines = readFileSync(log, "utf8").split("\n");
    const ours = lines.filter((line) => /^(one|error \d|result \d)$/.test(line));
    expect(ours).toEqual(["one", "error 0", "result 0", "error 1", "result 1", "error 2", "result 2"]);
  });
});

it.each<[NestedNumbers, string]>([
  [[[1, 2], [3], [4, 5, 6]], "an array of 1 where others are [2]"], // 6 numbers, as [3,2] has
  [[[1, 2], 3], "a number where others are [2]"],
  [[1, [2, 3]], "an array of 2 where others are []"],
])("tensor() refuses the ragged %j", (values, what) => {
  expect(() => tensor(values)).toThrow(`tensor: the nested arrays are ragged (${what})`);
});
