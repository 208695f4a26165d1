// Logits, losses, gradients, weights and running statistics of ResNets against those that make-reference.py stored.
import { afterAll, beforeAll, describe, it } from "vitest";
import { crossEntropy, fromData, noGrad, scope, type Device, type Tensor } from "../../engine/index.ts";
import { toDisk } from "../../nn/layout.ts";
import type { ResNet } from "../../nn/index.ts";
import { Adam, SGD, type Optimizer } from "../../training/optimizers/index.ts";
import { testDevice } from "../support/gpu.ts";
import { winogradGrowth } from "../support/winograd.ts";
import { labels, logitsBatch, trainingBatch, type Batch } from "./formula.ts";
import {
  digest,
  expectParity,
  forgetWeights,
  inputOf,
  largest,
  modelFromFormula,
  pick,
  report,
  startValues,
  valuesOf,
  type Both,
  type Digest,
  type Digests,
} from "./parity.ts";
import reference from "./reference.json" with { type: "json" };

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});
afterAll(() => {
  forgetWeights();
  report.print();
});

const { resnet18 } = reference.models;

/** Products in the longest sum of each model: 3x3 taps of the last stage's channels. */
const TERMS = { resnet18: 9 * 512, resnet20: 9 * 64 };

const labelTensor = (batch: Batch, step: number): Tensor => fromData(labels(batch, step), [batch.shape[0]], "u32");

/** Both losses that are stored: plain, and with label smoothing 0.1. */
const lossesOf = (logits: Tensor, target: Tensor): { loss: Tensor; smoothedLoss: Tensor } => ({
  loss: crossEntropy(logits, target),
  smoothedLoss: crossEntropy(logits, target, { labelSmoothing: 0.1 }),
});

/** By which kernels 3x3 convolutions are computed: where the adapter has no Winograd kernels, both are the same. */
const algorithms = ["direct", "Winograd"] as const;
type Algorithm = (typeof algorithms)[number];

/** Lets the tests around use one algorithm. */
function useAlgorithm(algorithm: Algorithm): void {
  let before: Device["winograd"];
  beforeAll(() => {
    before = device.winograd;
    device.winograd = algorithm === "Winograd";
  });
  afterAll(() => {
    device.winograd = before;
  });
}

describe.each([
  { name: "resnet18", algorithm: "direct" },
  { name: "resnet18", algorithm: "Winograd" },
  { name: "resnet20", algorithm: "direct" },
] as const)("$name from PyTorch's weights, $algorithm", ({ name, algorithm }) => {
  const stored = reference.models[name].logits;
  const topic = `${name}, ${algorithm}:`;
  const terms = TERMS[name];
  let model: ResNet;
  useAlgorithm(algorithm);
  beforeAll(() => {
    model = modelFromFormula(name, "plain");
  });
  afterAll(() => model.dispose());

  // Evaluation first: training moves the running statistics.
  it("gives PyTorch's logits in evaluation", async () => {
    const logits = scope(() => noGrad(() => model.eval().forward(inputOf(logitsBatch, 0))));
    const got = (await valuesOf({ logits })).logits;
    const want = pick(stored, (run) => run.eval.flat());
    expectParity({ topic: `${topic} logits`, what: "evaluation", got, want, terms });
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
    expectParity({ topic: `${topic} logits`, what: "training", got: got.logits, want, terms });
    for (const loss of ["loss", "smoothedLoss"] as const) {
      const want = pick(stored, (run) => [run[loss]]);
      expectParity({ topic: `${topic} losses`, what: loss, got: got[loss], want, terms });
    }
  });
});

const FIGURES = ["sum", "sumAbs", "l2"] as const;
/** What the error of a figure is bounded by: elements' errors may have a common cause (an error in one mean) and so one sign. */
const boundOf = { sum: "sumAbs", sumAbs: "sumAbs", l2: "l2" } as const;

const kinds = ["sgd", "adam"] as const;
type Kind = (typeof kinds)[number];

/** The optimizer with the stored options. */
function optimizerOf(kind: Kind, model: ResNet): Optimizer {
  const { sgd, adam } = resnet18;
  if (kind === "adam") return new Adam(model.parameters(), { lr: adam.lr, weightDecay: adam.weightDecay });
  const { lr, momentum, weightDecay, nesterov } = sgd;
  return new SGD(model.parameters(), { lr, momentum, weightDecay, nesterov });
}

interface Stored {
  readonly firstLogits: readonly (readonly number[])[];
  readonly gradients: Digests;
  /** Losses before the update, tensors after it. */
  readonly steps: readonly { readonly loss: number; readonly smoothedLoss: number; readonly state: Digests }[];
  readonly evalLogitsAfter: readonly (readonly number[])[];
}

/** The largest relative errors of several ways in which PyTorch's float32 rounds, after each step. */
interface Draws {
  readonly draws: readonly Readonly<Record<"weights" | "statistics", Spread>>[];
}

interface Spread {
  readonly values: number;
  readonly updates: number;
}

interface Run {
  readonly start: Digests;
  readonly gradients: Digests;
  readonly steps: { logits: Float32Array; loss: Float32Array; smoothedLoss: Float32Array; state: Digests }[];
  readonly evalLogitsAfter: Float32Array;
  /** Elements of each tensor. */
  readonly sizes: ReadonlyMap<string, number>;
}

/** The same steps as `train()` in make-reference.py. */
async function train(kind: Kind): Promise<Run> {
  const { labelSmoothing, f64 } = resnet18[kind];
  const { gradients: tracked, steps: stored } = f64 as Stored;
  using model = modelFromFormula("resnet18", "calm");
  using optimizer = optimizerOf(kind, model);
  const entries = new Map([...model.namedParameters(), ...model.namedState()]);
  const digests = async (names: string[], of: "value" | "grad"): Promise<Digests> => {
    const read = names.map(async (name): Promise<[string, Digest]> => {
      const entry = entries.get(name)!;
      const values = await (of === "value" ? entry : entry.grad!).data();
      return [name, digest(name, toDisk(values as Float32Array<ArrayBuffer>, entry))];
    });
    return Object.fromEntries(await Promise.all(read));
  };
  const names = Object.keys(stored[0].state);
  const start = Object.fromEntries(
    names.map((name) => [name, digest(name, startValues(name, entries.get(name)!.diskShape, "calm"))]),
  );
  const steps: Run["steps"] = [];
  let gradients: Digests = {};
  for (const step of stored.keys()) {
    const figures = scope(() => {
      const logits = model.train().forward(inputOf(trainingBatch, step));
      const { loss, smoothedLoss } = lossesOf(logits, labelTensor(trainingBatch, step));
      optimizer.zeroGrad();
      (labelSmoothing > 0 ? smoothedLoss : loss).backward();
      return { logits, loss, smoothedLoss };
    });
    if (step === 0) gradients = await digests(Object.keys(tracked), "grad");
    optimizer.step();
    steps.push({ ...(await valuesOf(figures)), state: await digests(names, "value") });
  }
  const logits = scope(() => noGrad(() => model.eval().forward(inputOf(trainingBatch, 0))));
  const sizes = new Map([...entries].map(([name, { size }]) => [name, size]));
  return { start, gradients, steps, evalLogitsAfter: (await valuesOf({ logits })).logits, sizes };
}

const runs = algorithms.flatMap((algorithm) => kinds.map((kind) => ({ algorithm, kind })));

describe.each(runs)("three steps of resnet18 as PyTorch makes them: $kind, $algorithm", ({ kind, algorithm }) => {
  const prefix = `${kind}, ${algorithm}:`;
  const stored: Both<Stored> & Draws = resnet18[kind];
  const terms = TERMS.resnet18;
  /** What rounding does to a step's gradients, Adam hands on to the weights in full, however small they are. */
  const growth = algorithm === "Winograd" ? winogradGrowth(4, "forward") : 1;
  let run: Run;
  useAlgorithm(algorithm);
  beforeAll(async () => {
    run = await train(kind);
  });

  it("losses at each step, logits before and after", () => {
    const first = pick(stored, (of) => of.firstLogits.flat());
    expectParity({ topic: `${prefix} logits before`, what: "training", got: run.steps[0].logits, want: first, terms });
    run.steps.forEach((got, step) => {
      for (const loss of ["loss", "smoothedLoss"] as const) {
        const want = pick(stored, (of) => [of.steps[step][loss]]);
        expectParity({ topic: `${prefix} losses`, what: `${loss} at step ${step}`, got: got[loss], want, terms });
      }
    });
    const after = pick(stored, (of) => of.evalLogitsAfter.flat());
    expectParity({ topic: `${prefix} logits after`, what: "evaluation", got: run.evalLogitsAfter, want: after, terms });
  });

  it("gradients of the first step", () => {
    for (const [name, got] of Object.entries(run.gradients)) {
      const want = pick(stored, (of) => of.gradients[name]);
      const samples = pick(want, (of) => of.samples);
      expectParity({ topic: `${prefix} gradients`, what: name, got: got.samples, want: samples, terms });
      for (const figure of FIGURES) {
        const of = pick(want, (digest) => [digest[figure]]);
        const whole = { topic: `${prefix} gradients, whole`, what: `${name} ${figure}`, terms };
        expectParity({ ...whole, got: [got[figure]], want: of, scale: want.f64[boundOf[figure]] });
      }
    }
  });

  const isStatistic = (name: string): boolean => name.includes(".running_");
  it("weights after each step", () => compareSteps("weights", (name) => !isStatistic(name)));
  it("running statistics after each step", () => compareSteps("running statistics", isStatistic));

  function compareSteps(topic: string, chosen: (name: string) => boolean): void {
    run.steps.forEach(({ state }, step) => {
      const names = Object.keys(state).filter(chosen);
      const pooled = stored.draws[step][topic === "weights" ? "weights" : "statistics"];
      for (const name of names) compareUpdate(`${prefix} ${topic}`, name, step, pooled);
    });
  }

  /** Values, and by how much they moved: small steps would hide in large values. */
  function compareUpdate(topic: string, name: string, step: number, pooled: Spread): void {
    const got = run.steps[step].state[name];
    const want = pick(stored, (of) => of.steps[step].state[name]);
    const what = `${name} after step ${step}`;
    const samples = pick(want, (of) => of.samples);
    expectParity({ topic, what, got: got.samples, want: samples, terms, growth, pooled: pooled.values });

    const start = run.start[name];
    const moved = (of: Digest): number[] => minus(of.samples, start.samples);
    const updates = pick(want, moved);
    const times = step + 1;
    const values = { times, scale: largest(samples.f64) };
    expectParity({
      topic: `${topic}, updates`,
      what,
      got: moved(got),
      want: updates,
      terms,
      growth,
      pooled: pooled.updates,
      stored: values,
    });

    const size = run.sizes.get(name)!;
    const typical = Math.hypot(...updates.f64) / Math.sqrt(updates.f64.length);
    for (const figure of FIGURES) {
      const change = pick(want, (of) => [of[figure] - start[figure]]);
      const whole = { topic: `${topic}, whole`, what: `${what}, ${figure}`, terms };
      const scale = typical * (boundOf[figure] === "l2" ? Math.sqrt(size) : size);
      const stored = { times, scale: want.f64[boundOf[figure]] };
      expectParity({
        ...whole,
        got: [got[figure] - start[figure]],
        want: change,
        scale,
        growth,
        pooled: pooled.updates,
        stored,
      });
    }
  }
});

const minus = (a: readonly number[], b: readonly number[]): number[] => a.map((value, i) => value - b[i]);
