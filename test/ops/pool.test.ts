import { beforeAll, describe, expect, it } from "vitest";
import { avgPool2d, fromData, globalAvgPool, maxPool2d } from "../../engine/index.ts";
import * as reference from "../reference/pooling.ts";
import { checkOp } from "../support/check-op.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { numericGradient, randomAwayFromKinks } from "../support/gradient.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

type Pair = number | [number, number];
const cases: { shape: number[]; options: { kernel: Pair; stride?: Pair; padding?: Pair } }[] = [
  { shape: [1, 1, 1, 1], options: { kernel: 1 } },
  { shape: [2, 4, 4, 4], options: { kernel: 2 } },
  { shape: [2, 5, 7, 3], options: { kernel: 2 } }, // the last row and column are in no window
  { shape: [1, 7, 6, 8], options: { kernel: 3, stride: 2, padding: 1 } }, // ResNet's stem
  { shape: [2, 6, 5, 5], options: { kernel: 3, stride: 1, padding: 1 } },
  { shape: [1, 5, 6, 4], options: { kernel: [1, 4], stride: [2, 1], padding: [0, 2] } },
  { shape: [1, 9, 8, 2], options: { kernel: 2, stride: 3 } }, // gaps between the windows
  { shape: [1, 3, 3, 4], options: { kernel: 5, padding: 2, stride: 1 } }, // windows larger than the image
];

describe.each(cases)("$shape $options", ({ shape, options }) => {
  const terms = [options.kernel]
    .flat()
    .reduce((product, n) => product * n, typeof options.kernel === "number" ? options.kernel : 1);
  const shapes = { x: shape };

  it("maxPool2d", async () => {
    const x = randomAwayFromKinks(shape, 1);
    const input = toGpu(x, { requiresGrad: true });
    const y = maxPool2d(input, options);
    const want = reference.maxPool2d(x, options);
    expectClose({ data: await y.data(), shape: y.shape }, want, { op: "maxPool2d", shapes, options, kind: "exact" });
    const dy = randomArr(want.shape, 2);
    y.backward(toGpu(dy));
    const dx = numericGradient(([v]) => reference.maxPool2d(v, options), [x], 0, dy);
    expectClose(await input.grad!.data(), dx, { op: "maxPool2d dx", shapes, options, terms });
  });

  it.each([true, false])("avgPool2d, countIncludePad %s", async (countIncludePad) => {
    const x = randomArr(shape, 3);
    const input = toGpu(x, { requiresGrad: true });
    const all = { ...options, countIncludePad };
    const y = avgPool2d(input, all);
    const want = reference.avgPool2d(x, all);
    expectClose({ data: await y.data(), shape: y.shape }, want, {
      op: "avgPool2d",
      shapes,
      options: all,
      kind: ["sum", "div"],
      terms,
    });
    const dy = randomArr(want.shape, 4);
    y.backward(toGpu(dy));
    const dx = numericGradient(([v]) => reference.avgPool2d(v, all), [x], 0, dy);
    expectClose(await input.grad!.data(), dx, {
      op: "avgPool2d dx",
      shapes,
      options: all,
      kind: ["sum", "div"],
      terms,
    });
  });
});

it.each([[[1, 1, 1, 1]], [[2, 4, 4, 64]], [[3, 7, 5, 6]], [[65, 1, 2, 4]]])("globalAvgPool %j", async (shape) => {
  const x = randomArr(shape, 5);
  const input = toGpu(x, { requiresGrad: true });
  const y = globalAvgPool(input);
  const want = reference.globalAveragePool(x);
  const how = { op: "globalAvgPool", shapes: { x: shape }, kind: ["sum", "div"] as const, terms: shape[1] * shape[2] };
  expectClose({ data: await y.data(), shape: y.shape }, want, how);
  const dy = randomArr(want.shape, 6);
  y.backward(toGpu(dy));
  const pixels = shape[1] * shape[2];
  const dx = Float64Array.from(
    x.data,
    (_, i) => dy.data[Math.floor(i / (pixels * shape[3])) * shape[3] + (i % shape[3])] / pixels,
  );
  expectClose(await input.grad!.data(), dx, { ...how, op: "globalAvgPool dx" });
});

it.each([
  { shape: [1, 7, 6, 8], options: { kernel: 3, stride: 2, padding: 1 } },
  { shape: [2, 4, 5, 3], options: { kernel: 2 } }, // channels that do not come in fours
])("pools f16 $shape $options", async ({ shape, options }) => {
  const sum = { kind: ["sum", "div"] as const, terms: options.kernel ** 2 };
  const check = { inputs: { x: randomAwayFromKinks(shape, 1) }, dtype: "f16" as const, forward: sum, gradient: sum };
  await checkOp({
    ...check,
    op: "maxPool2d",
    run: (x) => maxPool2d(x, options),
    reference: (x) => reference.maxPool2d(x, options),
    forward: { kind: "exact" },
  });
  await checkOp({
    ...check,
    op: "avgPool2d",
    run: (x) => avgPool2d(x, options),
    reference: (x) => reference.avgPool2d(x, options),
  });
  const whole = { ...sum, terms: shape[1] * shape[2] };
  await checkOp({
    ...check,
    op: "globalAvgPool",
    run: globalAvgPool,
    reference: (x) => reference.globalAveragePool(x),
    forward: whole,
    gradient: whole,
  });
  expect(globalAvgPool(toGpu(randomArr(shape, 1), { dtype: "f16" })).dtype).toBe("f32");
});

it("gives the gradient of equal maxima to the first", async () => {
  const x = toGpu({ shape: [1, 3, 3, 1], data: [1, 7, 7, 2, 7, 3, 4, 5, 6] }, { requiresGrad: true });
  const y = maxPool2d(x, { kernel: 2, stride: 1 });
  y.backward(toGpu({ shape: y.shape, data: [10, 20, 30, 40] }));
  expect([...(await y.data())]).toEqual([7, 7, 7, 7]);
  expect([...(await x.grad!.data())]).toEqual([0, 30, 0, 0, 70, 0, 0, 0, 0]);
});

it("keeps negative maxima beside the padding", async () => {
  const x = toGpu({ shape: [1, 2, 2, 1], data: [-5, -6, -7, -8] });
  expect([...(await maxPool2d(x, { kernel: 3, stride: 2, padding: 1 }).data())]).toEqual([-5]);
});

it("runs more than 65,535 workgroups", async () => {
  const shape = [1, 2, 65_536 * 64 + 5, 1];
  const data = new Float32Array(shape[2] * 2).map((_, i) => (i % 1000) - 3);
  const y = await maxPool2d(toGpu({ shape, data }), { kernel: [2, 1] }).data();
  for (const w of [0, 64 * 65_535, shape[2] - 1]) expect(y[w]).toBe(Math.max(data[w], data[shape[2] + w]));
});

it("names what does not fit", () => {
  const x = toGpu(randomArr([1, 4, 4, 2], 1));
  expect(() => maxPool2d(x, { kernel: 5 })).toThrow("maxPool2d: a window of 5 does not fit into 4 pixels");
  expect(() => avgPool2d(x, { kernel: 2, padding: 2 })).toThrow(
    "avgPool2d: padding [2,2] is more than half of the window [2,2]",
  );
  expect(() => avgPool2d(x, { kernel: 2, stride: 0 })).toThrow("avgPool2d: stride must be whole numbers from 1");
  expect(() => globalAvgPool(x.view([4, 4, 2]))).toThrow("globalAvgPool: x must be f32 or f16 [N,H,W,C]");
});

it.each([1, 4])("maxPool2d keeps NaN, in %i channels", async (C) => {
  const image = [1, NaN, 2, 0, 5, -3, 4, 1]; // 2 x 4 pixels
  const x = fromData(image.flatMap((v) => new Array<number>(C).fill(v)), [1, 2, 4, C]); // prettier-ignore
  const y = await maxPool2d(x, { kernel: 2 }).data();
  expect([...y]).toEqual([...new Array<number>(C).fill(NaN), ...new Array<number>(C).fill(4)]);
});
