import { beforeAll, expect, it } from "vitest";
import { resizeBilinear, scope } from "../../engine/index.ts";
import * as reference from "../reference/resize.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { numericGradient } from "../support/gradient.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

const cases: [number[], number, number][] = [
  [[1, 1, 1, 1], 1, 1],
  [[1, 1, 1, 4], 3, 5],
  [[2, 4, 4, 4], 8, 8],
  [[1, 8, 8, 3], 4, 4],
  [[1, 5, 7, 3], 5, 7], // nothing changes
  [[2, 5, 7, 3], 11, 4],
  [[1, 3, 4, 8], 13, 17],
  [[1, 13, 11, 2], 3, 1],
  [[1, 2, 9, 5], 1, 30],
];

it.each(cases)("%j to %d x %d", async (shape, height, width) => {
  const x = randomArr(shape, 1);
  const input = toGpu(x, { requiresGrad: true });
  const y = resizeBilinear(input, height, width);
  const want = reference.resizeBilinear(x, height, width);
  const how = { op: "resizeBilinear", shapes: { x: shape }, options: { height, width } };
  expectClose({ data: await y.data(), shape: y.shape }, want, { ...how, terms: 4 });
  const dy = randomArr(want.shape, 2);
  y.backward(toGpu(dy));
  const dx = numericGradient(([v]) => reference.resizeBilinear(v, height, width), [x], 0, dy);
  const readers = 4 * Math.ceil((height * width) / (shape[1] * shape[2]));
  expectClose(await input.grad!.data(), dx, { ...how, op: "resizeBilinear dx", terms: readers });
});

it("reproduces an image at its own size to the bit", async () => {
  const x = randomArr([1, 6, 5, 4], 3);
  expect([...(await resizeBilinear(toGpu(x), 6, 5).data())]).toEqual([...x.data]);
});

it("runs more than 65,535 workgroups", async () => {
  const [images, size] = [65, 2 * 32_768];
  const { data } = randomArr([1, 1, 2, 1], 4);
  const x = { shape: [images, 1, 2, 1], data: Array.from({ length: images }, () => [...data]).flat() };
  const y = await scope(() => resizeBilinear(toGpu(x), 2, 32_768)).data();
  expect([y[0], y[size - 1]]).toEqual([...data]);
  expect(y.findIndex((value, i) => value !== y[i % size])).toBe(-1);
});

it("names what does not fit", () => {
  const x = toGpu(randomArr([1, 2, 2, 1], 1));
  expect(() => resizeBilinear(x, 0, 4)).toThrow("resizeBilinear: sides must be 1 to 32768 pixels: 2 x 2 to 0 x 4");
  expect(() => resizeBilinear(x.view([2, 2]), 4, 4)).toThrow("resizeBilinear: x must be f32 [N,H,W,C]");
});
