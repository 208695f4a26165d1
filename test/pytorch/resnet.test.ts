import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { crossEntropy, fromData, noGrad, scope, type Tensor } from "../../engine/index.ts";
import type { ResNet } from "../../nn/index.ts";
import { Adam, SGD, type Optimizer } from "../../training/optimizers/index.ts";
import { testDevice } from "../support/gpu.ts";
import { labels, logitsBatch, sampleIndices, stateValues, trainingBatch, type Batch } from "./formula.ts";
import { digest, expectParity, inputOf, modelFromFormula, worst, type Both, type Digest, type Digests } from "./parity.ts";
import reference from "./reference.json" with { type: "json" };

beforeAll(testDevice);
afterAll(() => worst.print());

const { resnet18, resnet20 } = reference.models;

/** Roundings of the deepest sum on the way: 3x3 taps of `width` channels. */
const terms = { resnet18: 9 * 512, resnet20: 9 * 64 };

const labelTensor = (batch: Batch, step: number): Tensor => fromData(labels(batch, step), [batch.shape[0]], "u32");

/** Both losses that are stored: plain, and with label smoothing 0.1. */
const lossesOf = (logits: Tensor, target: Tensor): { loss: Tensor; smoothedLoss: Tensor } => ({
  loss: crossEntropy(logits, target),
  smoothedLoss: crossEntropy(logits, target, { labelSmoothing: 0.1 }),
});

async function valuesOf<Name extends string>(tensors: Record<Name, Tensor>): Promise<Record<Name, Float32Array>> {
  const names = Object.keys(tensors) as Name[];
  const read = await Promise.all(names.map((name) => tensors[name].data()));
  names.forEach((name) => tensors[name].dispose());
  return Object.fromEntries(names.map((name, i) => [name, read[i]])) as Record<Name, Float32Array>;
}

/** Numbers of `both` by the same path in each precision. */
const pick = <T, R>(both: Both<T>, path: (of: T) => R): Both<R> => ({ f32: path(both.f32), f64: path(both.f64) });

describe.each([
  { name: "resnet18" as const, stored: resnet18.logits },
  { name: "resnet20" as const, stored: resnet20.logits },
])("$name from PyTorch's weights", ({ name, stored }) => {
  let model: ResNet;
  beforeAll(() => {
    model = modelFromFormula(name, "plain");
  });
  afterAll(() => model.dispose());

  // Evaluation first: training moves the running statistics.
  it("gives PyTorch's logits in evaluation", async () => {
    const logits = scope(() => noGrad(() => model.eval().forward(inputOf(logitsBatch, 0))));
    const got = (await valuesOf({ logits })).logits;
    const want = pick(stored, (run) => run.eval.flat());
    expectParity({ topic: `${name} logits`, what: "eval", got, want, terms: terms[name] });
  });

  it("gives PyTorch's logits and losses in training", async () => {
    const tensors = scope(() =>
      noGrad(() => {
        const logits = model.train().forward(inputOf(logitsBatch, 0));
        return { logits, ...lossesOf(logits, labelTensor(logitsBatch, 0)) };
      }),
    );
    const got = await valuesOf(tensors);
    const want = pick(stored, (run) => run.train.flat());
    expectParity({ topic: `${name} logits`, what: "train", got: got.logits, want, terms: terms[name] });
    for (const loss of ["loss", "smoothedLoss"] as const) {
      const want = pick(stored, (run) => [run[loss]]);
      expectParity({ topic: `${name} loss`, what: loss, got: got[loss], want, terms: terms[name] });
    }
  });
});

const kinds = ["sgd", "adam"] as const;
type Kind = (typeof kinds)[number];

/** The optimizer with the stored options. */
function optimizerOf(kind: Kind, model: ResNet): Optimizer {
  const { sgd, adam } = resnet18;
  if (kind === "adam") return new Adam(model.parameters(), { lr: adam.lr, weightDecay: adam.weightDecay });
  const { lr, momentum, weightDecay, nesterov } = sgd;
  return new SGD(model.parameters(), { lr, momentum, weightDecay, nesterov });
}

interface Step {
  logits: Float32Array;
  loss: Float32Array;
  smoothedLoss: Float32Array;
  state: Digests;
}

interface Run {
  gradients: Digests;
  steps: Step[];
  evalLogitsAfter: Float32Array;
}

/** The same steps as `train()` in make-reference.py. */
async function train(kind: Kind): Promise<Run> {
  using model = modelFromFormula("resnet18", "calm");
  using optimizer = optimizerOf(kind, model);
  const steps: Step[] = [];
  let gradients: Digests = {};
  for (const [index, { state }] of resnet18[kind].f64.steps.entries()) {
    const figures = scope(() => {
      const logits = model.train().forward(inputOf(trainingBatch, index));
      const { loss, smoothedLoss } = lossesOf(logits, labelTensor(trainingBatch, index));
      optimizer.zeroGrad();
      (resnet18[kind].labelSmoothing > 0 ? smoothedLoss : loss).backward();
      return { logits, loss, smoothedLoss };
    });
    if (index === 0) gradients = await digests(model, Object.keys(resnet18[kind].f64.gradients), "gradient");
    optimizer.step();
    steps.push({ ...(await valuesOf(figures)), state: await digests(model, Object.keys(state), "value") });
  }
  const logits = scope(() => noGrad(() => model.eval().forward(inputOf(trainingBatch, 0))));
  return { gradients, steps, evalLogitsAfter: (await valuesOf({ logits })).logits };
}

async function digests(model: ResNet, names: string[], of: "value" | "gradient"): Promise<Digests> {
  const entries = new Map([...model.namedParameters(), ...model.namedState()]);
  const read = names.map(async (name): Promise<[string, Digest]> => {
    const entry = entries.get(name)!;
    const values = await (of === "value" ? entry : entry.grad!).data();
    return [name, digest(name, values as Float32Array, entry)];
  });
  return Object.fromEntries(await Promise.all(read));
}

describe.each(kinds)("three steps of resnet18 as PyTorch makes them: %s", (kind) => {
  const { f32, f64 } = resnet18[kind] as Both<typeof resnet18.sgd.f64>;
  let run: Run;
  beforeAll(async () => {
    run = await train(kind);
  });

  it("losses, and logits before and after", () => {
    const before = { f32: f32.firstLogits.flat(), f64: f64.firstLogits.flat() };
    const after = { f32: f32.evalLogitsAfter.flat(), f64: f64.evalLogitsAfter.flat() };
    const common = { terms: terms.resnet18 };
    expectParity({ topic: `${kind} first logits`, what: "step 0", got: run.steps[0].logits, want: before, ...common });
    f64.steps.forEach((_, i) => {
      for (const loss of ["loss", "smoothedLoss"] as const) {
        const want = { f32: [f32.steps[i][loss]], f64: [f64.steps[i][loss]] };
        expectParity({ topic: `${kind} loss`, what: `${loss} at step ${i}`, got: run.steps[i][loss], want, ...common });
      }
    });
    expectParity({ topic: `${kind} eval logits after`, what: "", got: run.evalLogitsAfter, want: after, ...common });
  });

  it("gradients of the first step", () => {
    for (const name of Object.keys(f64.gradients)) {
      const want = { f32: (f32.gradients as Digests)[name], f64: (f64.gradients as Digests)[name] };
      compareDigests(`${kind} gradients`, name, run.gradients[name], want);
    }
  });

  it("weights after each step", () => { steps((name) => !name.includes("running")); });
  it("running statistics after each step", () => { steps((name) => name.includes("running")); });

  function steps(chosen: (name: string) => boolean): void {
    for (const [i, { state }] of run.steps.entries()) {
      for (const name of Object.keys(state).filter(chosen)) {
        const want = { f32: (f32.steps[i].state as Digests)[name], f64: (f64.steps[i].state as Digests)[name] };
        const topic = `${kind} ${chosen("running") ? "statistics" : "weights"} ${i}`;
        compareDigests(topic, name, state[name], want);
        const start = startOf(name);
        const minus = (d: Digest): readonly number[] => d.samples.map((v, j) => v - start[j]);
        expectParity({ topic: topic + " updates", what: name, got: minus(state[name]), want: pick(want, minus), terms: terms.resnet18 });
      }
    }
  }
  function startOf(name: string): number[] {
    const m = modelFromFormulaShape(name);
    const all = stateValues(name, m, "calm");
    return sampleIndices(name, all.length).map((at) => all[at]);
  }
});
import { createModel, Counter } from "../../nn/index.ts";
const shapes = new Map(createModel("resnet18").namedEntries().flatMap(([n, e]) => e instanceof Counter ? [] : [[n, e.diskShape] as const]));
const modelFromFormulaShape = (name: string): number[] => shapes.get(name)!;

function compareDigests(topic: string, name: string, got: Digest, want: Both<Digest>): void {
  expectParity({ topic: topic + " samples", what: name, got: got.samples, want: pick(want, (d) => d.samples), terms: terms.resnet18 });
  for (const k of ["sum", "sumAbs", "l2"] as const)
    expectParity({ topic: topic + " " + k, what: name, got: [got[k]], want: pick(want, (d) => [d[k]]), terms: terms.resnet18, scale: k === "l2" ? want.f64.l2 : want.f64.sumAbs });
}
void expect;
