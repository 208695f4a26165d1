// A kernel that is left out by a compiler is infinitely fast, so the results are checked.
import { beforeAll, describe, expect, it } from "vitest";
import { scope, type Tensor } from "../../engine/index.ts";
import { CHAIN, runArithmetic, runCopy, runLoads, TABLE, type Work } from "../../engine/ops/ceilings.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

const read = async (run: () => Work): Promise<Work & { values: Float32Array }> => {
  let work: Work | undefined;
  const y: Tensor = scope(() => (work = run()).y);
  try {
    return { ...work!, values: (await y.data()) as Float32Array };
  } finally {
    y.dispose();
  }
};

beforeAll(testDevice);

describe("the kernels that measure ceilings", () => {
  it("multiply and add as often as they say", async () => {
    const x = randomArr([68], 1);
    const rounds = 2;
    const { values, flops, bytes } = await read(() => runArithmetic(toGpu(x), rounds));
    const steps = rounds * CHAIN.perRound;
    const chain = (value: number): number => {
      for (let i = 0; i < steps; i++) value = value * CHAIN.factor + CHAIN.offset;
      return value;
    };
    const want = Array.from(x.data, (value) => chain(value) + chain(value + 0.25));
    expectClose(values, want, { op: "arithmetic", shapes: { x: x.shape }, kind: "sum", terms: 2 * steps });
    expect(flops).toBe(68 * 2 * steps * 2);
    expect(bytes).toBe(2 * 4 * 68);
  });

  it.each([4, 1020, 1024, 1028])("copy all of %i elements", async (n) => {
    const x = randomArr([n], 2);
    const { values, bytes } = await read(() => runCopy(toGpu(x)));
    expect([...values]).toEqual([...Float32Array.from(x.data)]);
    expect(bytes).toBe(2 * 4 * n);
  });

  it("copy in both orders of their loads", async () => {
    const device = await testDevice();
    const x = randomArr([4 * 300], 3);
    const { info } = device;
    for (const software of [true, false]) {
      Object.defineProperty(device, "info", { value: { ...info, software }, configurable: true, writable: true });
      const { values } = await read(() => runCopy(toGpu(x))).finally(() =>
        Object.defineProperty(device, "info", { value: info, configurable: true, writable: true }),
      );
      expect([...values]).toEqual([...Float32Array.from(x.data)]);
    }
  });

  it("load what they say, around the end of the table", async () => {
    const x = randomArr([TABLE.elements], 4);
    const [n, rounds] = [4 * 300, 3];
    const { values, bytes } = await read(() => runLoads(toGpu(x), n, rounds));
    const loads = rounds * TABLE.perRound;
    const want = Array.from({ length: n }, (_, i) => {
      let sum = 0;
      for (let j = 0; j < loads; j++) sum += x.data[(4 * (Math.floor(i / 4) + j) + (i % 4)) % TABLE.elements];
      return sum;
    });
    expectClose(values, want, { op: "load", shapes: { x: x.shape }, kind: "sum", terms: loads });
    expect(bytes).toBe(300 * loads * 16 + 4 * n);
  });

  it("refuse what their vec4s would not cover", async () => {
    await testDevice();
    expect(() => runCopy(toGpu(randomArr([5], 5)))).toThrow("runCopy: x must be f32 with a multiple of 4 elements");
    expect(() => runLoads(toGpu(randomArr([8], 6)), 4, 1)).toThrow("runLoads: x must be f32 with 1024 elements");
  });
});
