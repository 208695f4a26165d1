import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { noGrad, scope, type Device } from "../../engine/index.ts";
import { Flatten, Linear, resnet8, Sequential } from "../../nn/index.ts";
import { evaluate, SGD, Trainer, type DeviceDataset, type Tta } from "../../training/index.ts";
import { forwardViews } from "../../training/tta.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { tinyTest } from "../support/tiny-data.ts";
import { expectClose } from "../support/tolerance.ts";

let device: Device;
let test: DeviceDataset;
beforeAll(async () => {
  device = await testDevice();
  test = tinyTest(11);
});
afterAll(() => test.dispose());

const [N, H, W, C] = [3, 5, 7, 3];
const x = randomArr([N, H, W, C], 7);

/** torch.nn.functional.pad(x, (1, 1, 1, 1), "reflect")[y + top, x + left], and perhaps mirrored. */
function view(move: number, mirrored: boolean): Float64Array {
  const reflect = (i: number, extent: number): number => (i < 0 ? -i : i >= extent ? 2 * extent - 2 - i : i);
  return Float64Array.from({ length: N * H * W * C }, (_, at) => {
    const c = at % C;
    const column = Math.floor(at / C) % W;
    const row = Math.floor(at / (C * W)) % H;
    const n = Math.floor(at / (C * W * H));
    const from = reflect((mirrored ? W - 1 - column : column) + move, W);
    return x.data[((n * H + reflect(row + move, H)) * W + from) * C + c];
  });
}

const WEIGHTS: Readonly<Record<Tta, readonly (readonly [share: number, move: number, mirrored: boolean])[]>> = {
  none: [[1, 0, false]],
  mirror: [
    [0.5, 0, false],
    [0.5, 0, true],
  ],
  six: [
    [0.25, 0, false],
    [0.25, 0, true],
    [0.125, -1, false],
    [0.125, -1, true],
    [0.125, 1, false],
    [0.125, 1, true],
  ],
};

describe("forwardViews", () => {
  it.each(["none", "mirror", "six"] as const)("%s averages the model's answers to the views", async (tta) => {
    using model = new Sequential(new Flatten(), new Linear(H * W * C, 4)).initialize(3);
    const [weight, bias] = await Promise.all(model.parameters().map((parameter) => parameter.data()));
    const wanted = Float64Array.from({ length: N * 4 }, (_, at) => {
      const [n, k] = [Math.floor(at / 4), at % 4];
      return WEIGHTS[tta].reduce((sum, [share, move, mirrored]) => {
        const values = view(move, mirrored).subarray(n * H * W * C, (n + 1) * H * W * C);
        return sum + share * values.reduce((dot, value, i) => dot + value * weight[i * 4 + k], bias[k]);
      }, 0);
    });
    const got = noGrad(() => scope(() => forwardViews(model, toGpu(x), tta)));
    expectClose(await got.data(), wanted, { op: tta, shapes: { x: x.shape }, terms: H * W * C + 6, scale: 4 });
    got.dispose();
  });

  it("refuses views that it does not know, as evaluate does, and fit before its first step", async () => {
    using model = resnet8({ seed: 4 });
    using optimizer = new SGD(model.parameters(), { lr: 0.01 });
    using trainer = new Trainer({ model, optimizer, batchSize: 4 });
    const before = device.memory().tensors;
    const wrong = /^forwardViews: unknown tta "mirrored"; did you mean "mirror"\? \(known: none, mirror, six\)$/;
    const tta = "mirrored" as Tta;
    await expect(evaluate(model, test, { batchSize: 4, tta })).rejects.toThrow(wrong);
    expect(device.memory().tensors).toBe(before);
    const run = trainer.fit(test, { epochs: 1, validation: test, tta });
    await run.next();
    await expect(run.next()).rejects.toThrow(wrong);
    expect(optimizer.steps).toBe(0);
  });

  it("is what evaluate measures, and leaves nothing behind", async () => {
    using model = resnet8({ seed: 4 });
    const plain = await evaluate(model, test, { batchSize: 4, logits: true });
    const before = device.memory().tensors;
    const six = await evaluate(model, test, { batchSize: 4, logits: true, tta: "six" });
    expect(device.memory().tensors).toBe(before);
    expect(six.loss).not.toBe(plain.loss);
    const all = test.images(Uint32Array.from({ length: 11 }, (_, i) => i));
    model.eval();
    const logits = noGrad(() => scope(() => forwardViews(model, all, "six")));
    expectClose(six.logits!, await logits.data(), { op: "evaluate", shapes: {}, terms: 4000, scale: 4 });
    for (const tensor of [all, logits]) tensor.dispose();
  });
});
