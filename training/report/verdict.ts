// Reading the curves: what a practitioner would say about a run, each statement with its evidence.
import type { EpochReport } from "../events.ts";

export interface Finding {
  readonly kind:
    | "diverged"
    | "not-learning"
    | "overfitting"
    | "underfitting"
    | "still-improving"
    | "unstable"
    | "past-best"
    | "loss-jump"
    | "fit";
  readonly severity: "good" | "note" | "warning";
  /** What it is, and what to do about it. */
  readonly text: string;
  /** The figures that say so. */
  readonly evidence: string;
}

export interface Verdict {
  /** One sentence. */
  readonly summary: string;
  /** Warnings first. */
  readonly findings: readonly Finding[];
}

export interface VerdictInput {
  readonly epochs: readonly EpochReport[];
  /** Losses of the steps, as trained on. */
  readonly steps?: readonly { readonly step: number; readonly lr: number; readonly loss: number }[];
}

/** Accuracies and gaps are shares: 0.1 is ten points. */
const THRESHOLDS = {
  /** Epochs before curves say anything about their course. */
  leastEpochs: 4,
  /** Training accuracy this far above the held-out one is overfitting where the held-out loss rises too, or alone if it is twice that. */
  gap: 0.08,
  /** The held-out loss at the end, against its lowest. */
  lossRise: 1.1,
  /** Below this training accuracy, and without a gap, the model does not even fit what it sees. */
  underfit: 0.8,
  /** Gain in held-out accuracy over the last quarter of the epochs that promises more. */
  stillImproving: 0.01,
  /** Mean drop of held-out accuracy from one epoch to the next in the second half, over the epochs that drop at all... */
  unstableDrop: 0.03,
  /** ...and the share of such epochs. */
  unstableShare: 0.25,
  /** The last epoch's accuracy below the best one's. */
  pastBest: 0.01,
  /** A smoothed training loss this many times its lowest so far is a jump. */
  lossJump: 1.6,
  /** Held-out loss at the end not this much below the first epoch's: nothing was learned. */
  learned: 0.98,
} as const;

interface Curve {
  readonly name: "validation" | "test";
  readonly rows: readonly { readonly epoch: number; readonly loss: number; readonly accuracy: number }[];
}

/** Reads a run of at least one epoch. */
export function verdict({ epochs, steps = [] }: VerdictInput): Verdict {
  const curve = heldOut(epochs);
  const findings = [
    ...divergence(epochs),
    ...notLearning(epochs, curve),
    ...overfitting(epochs, curve),
    ...underfitting(epochs, curve),
    ...instability(curve),
    ...lossJump(steps),
    ...pastBest(curve),
    ...stillImproving(curve),
  ];
  const order = ["warning", "note", "good"];
  const all = findings.length > 0 ? findings : good(epochs, curve);
  return {
    summary: summarise(epochs, curve, all),
    findings: [...all].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity)),
  };
}

/** The validation curve where there is one, else the test curve. */
function heldOut(epochs: readonly EpochReport[]): Curve {
  const name = epochs.some(({ validationAccuracy }) => validationAccuracy !== undefined) ? "validation" : "test";
  const rows = epochs.flatMap((report) => {
    const loss = name === "validation" ? report.validationLoss : report.testLoss;
    const accuracy = name === "validation" ? report.validationAccuracy : report.testAccuracy;
    return typeof loss === "number" && typeof accuracy === "number" ? [{ epoch: report.epoch, loss, accuracy }] : [];
  });
  return { name, rows };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const points = (share: number): string => `${(100 * share).toFixed(1)} points`;

function divergence(epochs: readonly EpochReport[]): Finding[] {
  const bad = epochs.find(({ trainLoss }) => !Number.isFinite(trainLoss));
  if (!bad) return [];
  return [
    {
      kind: "diverged",
      severity: "warning",
      text: "The training loss is not finite: the learning rate is too high, or the data is broken.",
      evidence: `epoch ${bad.epoch}: loss ${bad.trainLoss}`,
    },
  ];
}

function notLearning(epochs: readonly EpochReport[], { rows }: Curve): Finding[] {
  if (epochs.length < 2) return [];
  const [first, last] = [epochs[0], epochs[epochs.length - 1]];
  const moved = rows.length > 1 && rows[rows.length - 1].accuracy > rows[0].accuracy + THRESHOLDS.stillImproving;
  if (!(last.trainLoss > THRESHOLDS.learned * first.trainLoss) || moved) return [];
  return [
    {
      kind: "not-learning",
      severity: "warning",
      text: "The training loss hardly falls: the learning rate is far too high or too low. A range test (--lr auto) finds one.",
      evidence: `training loss ${first.trainLoss.toFixed(3)} in the first epoch, ${last.trainLoss.toFixed(3)} in the last`,
    },
  ];
}

function overfitting(epochs: readonly EpochReport[], { name, rows }: Curve): Finding[] {
  const last = rows.at(-1);
  const report = last && epochs.find(({ epoch }) => epoch === last.epoch);
  if (!last || !report || rows.length < THRESHOLDS.leastEpochs) return [];
  const gap = report.trainAccuracy - last.accuracy;
  const lowest = rows.reduce((a, b) => (b.loss < a.loss ? b : a));
  const rises = last.loss > THRESHOLDS.lossRise * lowest.loss;
  if (gap <= THRESHOLDS.gap || !(rises || gap > 2 * THRESHOLDS.gap)) return [];
  const risen = rises
    ? `; ${name} loss ${last.loss.toFixed(3)}, its lowest ${lowest.loss.toFixed(3)} in epoch ${lowest.epoch}`
    : "";
  return [
    {
      kind: "overfitting",
      severity: "warning",
      text: `The model overfits: it knows the training images better than others. More augmentation, weight decay, or data would help${rises ? ", or fewer epochs" : ""}.`,
      evidence: `training accuracy ${percent(report.trainAccuracy)}, ${name} ${percent(last.accuracy)}: ${points(gap)} apart${risen}`,
    },
  ];
}

function underfitting(epochs: readonly EpochReport[], { name, rows }: Curve): Finding[] {
  const [report, last] = [epochs.at(-1), rows.at(-1)];
  if (!report || !last || rows.length < THRESHOLDS.leastEpochs) return [];
  if (report.trainAccuracy >= THRESHOLDS.underfit || report.trainAccuracy - last.accuracy > THRESHOLDS.gap) return [];
  return [
    {
      kind: "underfitting",
      severity: "note",
      text: "The model underfits: it does not even fit the images it is trained on. More epochs, a larger model, or milder augmentation would help.",
      evidence: `training accuracy ${percent(report.trainAccuracy)}, ${name} ${percent(last.accuracy)} after ${epochs.length} epochs`,
    },
  ];
}

function instability({ name, rows }: Curve): Finding[] {
  if (rows.length < THRESHOLDS.leastEpochs) return [];
  const half = rows.slice(Math.floor(rows.length / 2) - 1);
  const drops = half.slice(1).map((row, i) => ({ epoch: row.epoch, by: half[i].accuracy - row.accuracy }));
  const falls = drops.filter(({ by }) => by > 0);
  const large = falls.filter(({ by }) => by > THRESHOLDS.unstableDrop);
  if (large.length === 0 || large.length < THRESHOLDS.unstableShare * drops.length) return [];
  const worst = large.reduce((a, b) => (b.by > a.by ? b : a));
  return [
    {
      kind: "unstable",
      severity: "warning",
      text: `The ${name} accuracy jumps about in the second half: the learning rate is too high for the end of a run. Let it fall (--schedule onecycle or cosine), or average the weights (--ema 0.999).`,
      evidence: `${large.length} of ${drops.length} epochs lost more than ${points(THRESHOLDS.unstableDrop)}, epoch ${worst.epoch} ${points(worst.by)}`,
    },
  ];
}

/** Steps whose mean is taken, so that one batch says nothing. */
const WINDOW = 20;

function lossJump(steps: NonNullable<VerdictInput["steps"]>): Finding[] {
  let lowest = Infinity;
  let worst = { ratio: 1, step: 0, lr: 0, loss: 0, lowest: 0 };
  for (let end = WINDOW; end <= steps.length; end += WINDOW) {
    const part = steps.slice(end - WINDOW, end);
    const loss = part.reduce((sum, step) => sum + step.loss, 0) / WINDOW;
    if (loss / lowest > worst.ratio) worst = { ratio: loss / lowest, ...part[0], loss, lowest };
    lowest = Math.min(lowest, loss);
  }
  if (worst.ratio < THRESHOLDS.lossJump) return [];
  return [
    {
      kind: "loss-jump",
      severity: "warning",
      text: "The training loss jumped up on the way: the learning rate was too high there. Lower its peak, warm up longer, or clip gradients (--clip-grad 1).",
      evidence: `around step ${worst.step}, at a rate of ${worst.lr.toExponential(2)}: ${worst.loss.toFixed(3)} after ${worst.lowest.toFixed(3)}`,
    },
  ];
}

function pastBest({ name, rows }: Curve): Finding[] {
  const last = rows.at(-1);
  if (!last) return [];
  const best = rows.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
  if (best.accuracy - last.accuracy < THRESHOLDS.pastBest) return [];
  return [
    {
      kind: "past-best",
      severity: "note",
      text: `The last epoch is not the best one: best.safetensors holds epoch ${best.epoch}.`,
      evidence: `${name} accuracy ${percent(best.accuracy)} in epoch ${best.epoch}, ${percent(last.accuracy)} in epoch ${last.epoch}`,
    },
  ];
}

function stillImproving({ name, rows }: Curve): Finding[] {
  const last = rows.at(-1);
  if (!last || rows.length < THRESHOLDS.leastEpochs) return [];
  const before = rows[rows.length - 1 - Math.max(1, Math.floor(rows.length / 4))];
  const gain = last.accuracy - before.accuracy;
  if (gain < THRESHOLDS.stillImproving) return [];
  return [
    {
      kind: "still-improving",
      severity: "note",
      text: "It was still getting better at the end: more epochs would probably help.",
      evidence: `${name} accuracy ${percent(before.accuracy)} in epoch ${before.epoch}, ${percent(last.accuracy)} in epoch ${last.epoch}`,
    },
  ];
}

function good(epochs: readonly EpochReport[], { name, rows }: Curve): Finding[] {
  const [report, last] = [epochs.at(-1), rows.at(-1)];
  if (!report || !last || rows.length < THRESHOLDS.leastEpochs) return [];
  return [
    {
      kind: "fit",
      severity: "good",
      text: "Nothing to complain of: the curves are smooth, and images not trained on are recognised about as well as the others.",
      evidence: `training accuracy ${percent(report.trainAccuracy)}, ${name} ${percent(last.accuracy)}`,
    },
  ];
}

const SHORT: Readonly<Record<Finding["kind"], string>> = {
  diverged: "training diverged",
  "not-learning": "hardly anything was learned",
  overfitting: "the model overfits",
  underfitting: "the model underfits",
  "still-improving": "it was still getting better at the end",
  unstable: "the accuracy is unstable",
  "past-best": "the last epoch is not the best",
  "loss-jump": "the learning rate was too high on the way",
  fit: "the fit is good",
};

function summarise(epochs: readonly EpochReport[], { name, rows }: Curve, findings: readonly Finding[]): string {
  const [last, report] = [rows.at(-1), epochs.at(-1)];
  const count = `${epochs.length} ${epochs.length === 1 ? "epoch" : "epochs"}`;
  const accuracy = last
    ? `${percent(last.accuracy)} ${name} accuracy after ${count}`
    : `${percent(report?.trainAccuracy ?? 0)} training accuracy after ${count}; no images were held out or tested`;
  if (findings.length === 0) {
    const few = last && rows.length < THRESHOLDS.leastEpochs ? "; too few epochs to say more about the curves" : "";
    return `${accuracy}${few}.`;
  }
  return `${accuracy}: ${findings.map(({ kind }) => SHORT[kind]).join(", ")}.`;
}
