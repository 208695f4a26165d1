// Single operations against PyTorch's float64 results. Its optimizer steps are compared in test/training/optimizers.test.ts.
import { beforeAll, describe, it } from "vitest";
import {
  avgPool2d,
  batchNorm,
  crossEntropy,
  fromData,
  gelu,
  resizeBilinear,
  type Shape,
  type Tensor,
} from "../../engine/index.ts";
import { transpose } from "../../nn/layout.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { expectClose, type Comparison } from "../support/tolerance.ts";
import { values } from "./formula.ts";
import reference from "./reference.json" with { type: "json" };

beforeAll(testDevice);

const { ops } = reference;

type Planes = readonly [n: number, c: number, h: number, w: number];

/** The formula's numbers as PyTorch's [N,C,H,W], laid out as [N,H,W,C]. */
function images(name: string, shape: Planes, scale = 1): Tensor {
  const [n, c, h, w] = shape;
  const planes = values(name, n * c * h * w, scale);
  return toGpu({ shape: [n, h, w, c], data: transpose(planes, shape, [0, 2, 3, 1]) });
}

/** The elements of [N,H,W,C] in PyTorch's order, with their shape there. */
async function planes(x: Tensor): Promise<{ data: Float32Array; shape: Shape }> {
  const [n, h, w, c] = x.shape;
  const data = transpose((await x.data()) as Float32Array, x.shape, [0, 3, 1, 2]);
  return { data, shape: [n, c, h, w] };
}

/** A result and its gradient under the formula's dy, both [N,H,W,C], against PyTorch's. */
async function compareImages(
  x: Tensor,
  y: Tensor,
  want: { y: number[][][][]; dx: number[][][][] },
  how: { dy: string; forward: Comparison; gradient: Comparison },
): Promise<void> {
  const shape: Planes = [want.y.length, want.y[0].length, want.y[0][0].length, want.y[0][0][0].length];
  expectClose(await planes(y), want.y.flat(3), { ...how.forward, shape });
  y.backward(images(how.dy, shape));
  expectClose(await planes(x.grad!), want.dx.flat(3), how.gradient);
}

it("gelu and its gradient", async () => {
  const data = values("ops.gelu.x", ops.gelu.y.length, 5);
  const shape = [data.length];
  const x = toGpu({ shape, data }, { requiresGrad: true });
  const y = gelu(x);
  const how = { shapes: { x: shape }, at: Array.from(data, Math.abs) };
  const scale = Array.from(data, Math.abs);
  expectClose(await y.data(), ops.gelu.y, { ...how, op: "gelu", kind: ["erf", "exp", "add"], scale });
  y.backward(toGpu({ shape, data: values("ops.gelu.dy", data.length) }));
  const kind = ["erf", "exp", "add", "add", "add"] as const;
  expectClose(await x.grad!.data(), ops.gelu.dx, { ...how, op: "gelu dx", kind, scale: scale.map((v) => 1 + v) });
});

it.each(ops.crossEntropy)("cross-entropy and its gradient, smoothing $labelSmoothing", async (want) => {
  const shape = [want.dx.length, want.dx[0].length];
  const [N, C] = shape;
  const range = 3;
  const data = values("ops.crossEntropy.x", N * C, range);
  const logits = toGpu({ shape, data }, { requiresGrad: true });
  const { labelSmoothing } = want;
  const loss = crossEntropy(logits, fromData(want.labels, [N], "u32"), { labelSmoothing });
  const kind = ["softmax", "log", "sum"] as const;
  const how = { shapes: { logits: shape }, options: { labelSmoothing }, kind, terms: C, at: 2 * range };
  expectClose(await loss.data(), [want.loss], { ...how, op: "crossEntropy", scale: 2 * range });
  loss.backward();
  expectClose(await logits.grad!.data(), want.dx.flat(), { ...how, op: "crossEntropy dx", scale: 1 / N });
});

it("batch norm: values, gradients, and running statistics after two batches", async () => {
  const want = ops.batchNorm;
  const C = want.runningMean.length;
  const vector = (value: number, requiresGrad = false): Tensor =>
    toGpu({ shape: [C], data: new Float32Array(C).fill(value) }, { requiresGrad });
  const [weight, bias, runningMean, runningVar] = [vector(1, true), vector(0, true), vector(0), vector(1)];
  const norm = (x: Tensor): Tensor => batchNorm(x, { weight, bias, runningMean, runningVar, training: true });
  const shape = [want.y.length, C, want.y[0][0].length, want.y[0][0][0].length] as const;
  norm(images("ops.batchNorm.x0", shape, 2));
  const x = images("ops.batchNorm.x1", shape, 2);
  x.requiresGrad = true;
  const rows = x.size / C;
  const how = { op: "batchNorm", shapes: { x: shape }, terms: rows };
  // Gradients are multiplied by 1 / sigma and are differences of sums over the rows.
  const sums = { ...how, scale: Math.sqrt(rows) };
  await compareImages(x, norm(x), want, { dy: "ops.batchNorm.dy", forward: how, gradient: { ...sums, op: "dx" } });
  expectClose(await weight.grad!.data(), want.dweight, { ...sums, op: "batchNorm dweight" });
  expectClose(await bias.grad!.data(), want.dbias, { ...sums, op: "batchNorm dbias" });
  expectClose(await runningMean.data(), want.runningMean, { ...how, op: "batchNorm runningMean" });
  expectClose(await runningVar.data(), want.runningVar, { ...how, op: "batchNorm runningVar" });
});

describe("windows", () => {
  it.each(ops.bilinear)("bilinear resize to $size", async (want) => {
    const x = images("ops.bilinear.x", [1, 2, 4, 5]);
    x.requiresGrad = true;
    const { size } = want;
    // Pixels that read one pixel, in each direction up to twice the enlargement.
    const readers = Math.ceil((2 * size[0]) / 4) * Math.ceil((2 * size[1]) / 5);
    const how = { op: "resizeBilinear", shapes: { x: x.shape }, options: { size } };
    const forward = { ...how, terms: 4 };
    const gradient = { ...how, op: "resizeBilinear dx", terms: readers };
    await compareImages(x, resizeBilinear(x, size[0], size[1]), want, { dy: "ops.bilinear.dy", forward, gradient });
  });

  it.each(ops.avgPool)("average pooling, padding counted: $countIncludePad", async (want) => {
    const x = images("ops.avgPool.x", [1, 2, 5, 6]);
    x.requiresGrad = true;
    const options = { kernel: 3, stride: 2, padding: 1, countIncludePad: want.countIncludePad };
    const how = { op: "avgPool2d", shapes: { x: x.shape }, options, terms: options.kernel ** 2 };
    const gradient = { ...how, op: "avgPool2d dx" };
    await compareImages(x, avgPool2d(x, options), want, { dy: "ops.avgPool.dy", forward: how, gradient });
  });
});
