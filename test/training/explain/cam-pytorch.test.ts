// Every method's maps against what make-cam.py stored, and the closed form at the last stage.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ResNet } from "../../../nn/index.ts";
import { camMethods, gradCam } from "../../../training/index.ts";
import { testDevice } from "../../support/gpu.ts";
import { expectClose } from "../../support/tolerance.ts";
import type { Batch } from "../../pytorch/formula.ts";
import {
  digest,
  expectParity,
  inputOf,
  modelFromFormula,
  report,
  type Both,
  type Digest,
} from "../../pytorch/parity.ts";
import { fromFlat } from "../../reference/array.ts";
import { resizeBilinear } from "../../reference/resize.ts";
import reference from "../../pytorch/cam.json" with { type: "json" };

const BATCH: Batch = { series: "cam", shape: [2, 3, 32, 32] };
/** Products in the longest sum: 3x3 taps of the last stage's channels. */
const TERMS = 9 * 64;

let model: ResNet;
beforeAll(async () => {
  await testDevice();
  model = modelFromFormula("resnet8", "plain");
});
afterAll(() => {
  model.dispose();
  report.print();
});

interface Case extends Both<readonly (readonly Digest[])[]> {
  readonly method: string;
  readonly layers: readonly string[];
}

it.each(camMethods)("%s gives PyTorch's maps", async (method) => {
  const cases = (reference.cases as readonly Case[]).filter((each) => each.method === method);
  expect(cases.length).toBeGreaterThanOrEqual(3);
  using images = inputOf(BATCH, 0);
  for (const { layers, f32, f64 } of cases) {
    const maps = await gradCam(model, images, { method, layers, classes: reference.classes });
    expect(maps.shape).toEqual([2, 2, 32, 32]);
    for (const [n, k] of [0, 1].flatMap((n) => [0, 1].map((k) => [n, k]))) {
      const { samples, sum } = digest("cam", maps.map(n, k));
      const [single, double] = [f32[n][k], f64[n][k]];
      const what = `${layers.join("+")}, image ${n}, class ${reference.classes[n][k]}`;
      // The map's largest value is 1 by definition.
      const common = { topic: method, terms: TERMS, scale: 1 };
      expectParity({ ...common, what, got: samples, want: { f32: single.samples, f64: double.samples } });
      const mean = (total: number): number[] => [total / 1024];
      const want = { f32: mean(single.sum), f64: mean(double.sum) };
      expectParity({ ...common, what: `mean of ${what}`, got: mean(sum), want });
    }
  }
});

it("at the last stage Grad-CAM, HiResCAM and XGradCAM are the classic map: activations by the last layer's weights", async () => {
  using images = inputOf(BATCH, 0);
  const classes = Array.from({ length: 10 }, (_, i) => i);
  const weight = await model.fc.weight.data();
  using features = model.eval().features(images);
  const activations = await features.data();
  /** Pooling spreads each weight over the 64 cells. */
  const cell = (n: number, at: number, label: number): number =>
    Array.from({ length: 64 }, (_, c) => (weight[c * 10 + label] * activations[(n * 64 + at) * 64 + c]) / 64).reduce(
      (sum, value) => sum + value,
      0,
    );
  const classic = (n: number, label: number): Float64Array => {
    const cells = Float64Array.from({ length: 64 }, (_, at) => Math.max(0, cell(n, at, label)));
    return scaled(resizeBilinear(fromFlat([1, 8, 8, 1], scaled(cells)), 32, 32).data);
  };
  for (const method of ["grad-cam", "hires-cam", "xgrad-cam"] as const) {
    const maps = await gradCam(model, images, { method, layer: "layer3", classes });
    for (const [n, label] of [0, 1].flatMap((n) => classes.map((label) => [n, label]))) {
      const want = classic(n, label);
      expectClose(maps.map(n, label), want, { op: `${method} of class ${label}`, shapes: {}, terms: 64, scale: 1 });
    }
    // Some classes have nothing that speaks for them: their maps are 0, not NaN.
    const empty = classes.filter((label) => maps.map(0, label).every((value) => value === 0));
    expect(empty.length).toBeGreaterThan(0);
    expect(empty.length).toBeLessThan(10);
  }
});

function scaled(values: Float64Array): Float64Array {
  const low = Math.min(...values);
  const high = Math.max(...values);
  return values.map((value) => (value - low) / (high - low + 1e-7));
}
