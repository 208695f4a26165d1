// Reading the curves: what a practitioner would say about a run, each statement with its evidence.
import type { EpochReport } from "../events.ts";

export interface Finding {
  readonly kind:
    | "diverged"
    | "not-learning"
    | "chance"
    | "overfitting"
    | "gap"
    | "underfitting"
    | "still-improving"
    | "unstable"
    | "past-best"
    | "loss-jump"
    | "no-gain"
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
  /** Images behind the held-out figures: of the validation split where there is one, else of the test set. Without it they count as exact. */
  readonly images?: number | undefined;
  /** Accuracy of always naming the commonest class there; without it nothing is compared with guessing. */
  readonly chance?: number | undefined;
  /** What the run was told, so that no advice is what it did already: `settings` of config.json. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
}

/** Accuracies and gaps are shares: 0.1 is ten points. */
const THRESHOLDS = {
  /** Epochs before curves say anything about their course. */
  leastEpochs: 4,
  /**
   * Training accuracy this far above the held-out one is worth a word; it is overfitting where the held-out loss rises too, or alone if it is
   * twice that.
   */
  gap: 0.08,
  /** The held-out loss at the end, against its lowest. */
  lossRise: 1.1,
  /** Below this training and held-out accuracy, and without a gap, the model does not even fit what it sees. */
  underfit: 0.8,
  /** Gain in held-out accuracy over the last quarter of the epochs that promises more. */
  stillImproving: 0.01,
  /** In the second half: held-out accuracy this far below that of the epoch before is a jump... */
  unstableDrop: 0.03,
  /** ...and so many of them, as a share of the epochs and at least, are no accident. */
  unstableShare: 0.25,
  unstableDrops: 2,
  /** The last epoch's accuracy below the best one's. */
  pastBest: 0.01,
  /** A smoothed training loss this many times its lowest so far is a jump. */
  lossJump: 1.6,
  /** Training loss at the end not this far below the first epoch's: nothing was learned. The held-out loss likewise: no gain. */
  learned: 0.98,
  /** Differences within so many standard errors of the held-out accuracy are chance. */
  standardErrors: 2,
} as const;

interface Curve {
  readonly name: "validation" | "test";
  readonly images: number;
  readonly chance: number;
  /** Accuracies of epochs that are no further apart than this may be the same but for chance. */
  readonly noise: number;
  readonly rows: readonly { readonly epoch: number; readonly loss: number; readonly accuracy: number }[];
}

/** Reads a run of at least one epoch. At most one finding says how well it fits; those on its course do not contradict that one. */
export function verdict(input: VerdictInput): Verdict {
  const { epochs, steps = [] } = input;
  const curve = heldOut(input);
  const first = (...kinds: Finding[][]): Finding[] => kinds.find(({ length }) => length > 0) ?? [];
  const fit = first(
    divergence(epochs),
    notLearning(epochs, curve),
    guessing(epochs, curve),
    overfitting(input, curve),
    underfitting(input, curve),
  );
  const wild = instability(input, curve);
  const past = pastBest(curve);
  const mayImprove = wild.length + past.length === 0 && (fit.length === 0 || fit[0].kind === "underfitting");
  const findings = [...fit, ...wild, ...lossJump(input, steps), ...past, ...(mayImprove ? stillImproving(curve) : [])];
  const order = ["warning", "note", "good"];
  const all = findings.length > 0 ? findings : first(noGain(curve), good(epochs, curve));
  return {
    summary: summarise(epochs, curve, all),
    findings: [...all].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity)),
  };
}

/** Standard error of a share of `images`; with two made-up answers, one right and one wrong, as 0 and 1 would else have none. */
export function standardError(share: number, images: number): number {
  const p = Number.isFinite(images) ? (share * images + 1) / (images + 2) : share;
  return Math.sqrt((p * (1 - p)) / images);
}

/** The validation curve where there is one, else the test curve. */
function heldOut({ epochs, images = Infinity, chance = 0 }: VerdictInput): Curve {
  const name = epochs.some(({ validationAccuracy }) => validationAccuracy !== undefined) ? "validation" : "test";
  const rows = epochs.flatMap((report) => {
    const loss = name === "validation" ? report.validationLoss : report.testLoss;
    const accuracy = name === "validation" ? report.validationAccuracy : report.testAccuracy;
    return typeof loss === "number" && typeof accuracy === "number" ? [{ epoch: report.epoch, loss, accuracy }] : [];
  });
  const noise = THRESHOLDS.standardErrors * standardError(rows.at(-1)?.accuracy ?? 0, images);
  return { name, rows, images, chance, noise };
}

const counted = (images: number): string => `${images} ${images === 1 ? "image" : "images"}`;

/** "of 6 images, so that one standard error is 19.2 points" where the number is known. */
const exactness = ({ images, noise }: Curve): string =>
  Number.isFinite(images)
    ? ` (${counted(images)}: a standard error of ${points(noise / THRESHOLDS.standardErrors)})`
    : "";

/** Whether the run's rate falls by itself towards the end. */
const rateFalls = ({ settings }: VerdictInput): boolean =>
  typeof settings?.["schedule"] === "string" && !/(^|\+)constant[^+]*$/.test(settings["schedule"]);

const isSet = ({ settings }: VerdictInput, key: string): boolean => {
  const value = settings?.[key];
  return value !== undefined && value !== null && value !== false && value !== 0 && value !== "none" && value !== "";
};

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

/** Held-out answers that are no better than naming the commonest class, whatever was learned by heart. */
function guessing(epochs: readonly EpochReport[], curve: Curve): Finding[] {
  const { name, rows, images, chance } = curve;
  const [report, last] = [epochs.at(-1), rows.at(-1)];
  if (!report || !last || rows.length < THRESHOLDS.leastEpochs || chance === 0) return [];
  if (last.accuracy > chance + THRESHOLDS.standardErrors * standardError(chance, images)) return [];
  const learned = report.trainAccuracy - last.accuracy > THRESHOLDS.gap;
  const advice =
    last.accuracy > chance
      ? `Its lead may be luck with ${counted(images)}: test on more`
      : learned
        ? "What it learned of the training images does not carry over. Check labels and split; more data would help"
        : "Check the labels, train for more epochs, and look for a rate (--lr auto)";
  return [
    {
      kind: "chance",
      severity: "warning",
      text: `On images it was not trained on the model is not surely better than guessing. ${advice}.`,
      evidence: `training accuracy ${percent(report.trainAccuracy)}, ${name} ${percent(last.accuracy)}; always naming the commonest class gives ${percent(chance)}; ${name} loss ${rows[0].loss.toFixed(3)} in epoch ${rows[0].epoch}, ${last.loss.toFixed(3)} at the end`,
    },
  ];
}

/** A gap between training and held-out accuracy: overfitting, or where less speaks for that a note. */
function overfitting(input: VerdictInput, curve: Curve): Finding[] {
  const { name, rows, noise } = curve;
  const last = rows.at(-1);
  const report = last && input.epochs.find(({ epoch }) => epoch === last.epoch);
  if (!last || !report || rows.length < THRESHOLDS.leastEpochs) return [];
  const gap = report.trainAccuracy - last.accuracy;
  if (gap <= THRESHOLDS.gap) return [];
  const evidence = `training accuracy ${percent(report.trainAccuracy)}, ${name} ${percent(last.accuracy)}: ${points(gap)} apart`;
  if (gap <= noise) {
    const text = `The ${name} accuracy is below the training accuracy, but so few images may do that by chance: test on more.`;
    return [{ kind: "gap", severity: "note", text, evidence: evidence + exactness(curve) }];
  }
  const lowest = rows.reduce((a, b) => (b.loss < a.loss ? b : a));
  const rises = last.loss > THRESHOLDS.lossRise * lowest.loss;
  const what = "knows the training images better than others";
  const help = `${isSet(input, "augment") ? "More augmentation" : "Augmentation (--augment)"}, weight decay, or data would help`;
  if (!rises && gap <= 2 * THRESHOLDS.gap) {
    return [{ kind: "gap", severity: "note", text: `The model ${what}. ${help}.`, evidence }];
  }
  const risen = `; ${name} loss ${last.loss.toFixed(3)}, its lowest ${lowest.loss.toFixed(3)} in epoch ${lowest.epoch}`;
  return [
    {
      kind: "overfitting",
      severity: "warning",
      text: `The model overfits: it ${what}. ${help}${rises ? ", or fewer epochs" : ""}.`,
      evidence: `${evidence}${rises ? risen : ""}`,
    },
  ];
}

function underfitting(input: VerdictInput, { name, rows }: Curve): Finding[] {
  const [report, last] = [input.epochs.at(-1), rows.at(-1)];
  if (!report || !last || rows.length < THRESHOLDS.leastEpochs) return [];
  if (report.trainAccuracy - last.accuracy > THRESHOLDS.gap) return [];
  // Mixed and hard augmented images keep the training accuracy low while the model does well.
  if (Math.max(report.trainAccuracy, last.accuracy) >= THRESHOLDS.underfit) return [];
  const milder = ["augment", "mixup", "cutmix"].some((key) => isSet(input, key));
  return [
    {
      kind: "underfitting",
      severity: "note",
      text: `The model underfits: it does not even fit the images it is trained on. More epochs${milder ? ", a larger model, or milder augmentation" : " or a larger model"} would help.`,
      evidence: `training accuracy ${percent(report.trainAccuracy)}, ${name} ${percent(last.accuracy)} after ${input.epochs.length} epochs`,
    },
  ];
}

function instability(input: VerdictInput, curve: Curve): Finding[] {
  const { name, rows, noise } = curve;
  if (rows.length < THRESHOLDS.leastEpochs) return [];
  const half = rows.slice(Math.floor(rows.length / 2) - 1);
  const drops = half.slice(1).map((row, i) => ({ epoch: row.epoch, by: half[i].accuracy - row.accuracy }));
  const least = Math.max(THRESHOLDS.unstableDrop, noise);
  const large = drops.filter(({ by }) => by > least);
  if (large.length < Math.max(THRESHOLDS.unstableDrops, THRESHOLDS.unstableShare * drops.length)) return [];
  const worst = large.reduce((a, b) => (b.by > a.by ? b : a));
  const advice = [
    rateFalls(input) ? "Lower its peak (--lr)" : "Let it fall (--schedule onecycle or cosine)",
    ...(isSet(input, "ema") ? [] : ["average the weights (--ema 0.999)"]),
  ];
  return [
    {
      kind: "unstable",
      severity: "warning",
      text: `The ${name} accuracy jumps about in the second half: the learning rate is too high. ${advice.join(", or ")}.`,
      evidence: `${large.length} of ${drops.length} epochs lost more than ${points(least)}, epoch ${worst.epoch} ${points(worst.by)}${exactness(curve)}`,
    },
  ];
}

/** Steps whose mean is taken, so that one batch says nothing. */
const WINDOW = 20;

function lossJump(input: VerdictInput, steps: NonNullable<VerdictInput["steps"]>): Finding[] {
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
      text: `The training loss jumped up on the way: the learning rate was too high there. Lower its peak${isSet(input, "clipGrad") ? " or warm up longer" : ", warm up longer, or clip gradients (--clip-grad 1)"}.`,
      evidence: `around step ${worst.step}, at a rate of ${worst.lr.toExponential(2)}: ${worst.loss.toFixed(3)} after ${worst.lowest.toFixed(3)}`,
    },
  ];
}

function pastBest({ name, rows, noise }: Curve): Finding[] {
  const last = rows.at(-1);
  if (!last) return [];
  const best = rows.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
  if (best.accuracy - last.accuracy < Math.max(THRESHOLDS.pastBest, noise)) return [];
  return [
    {
      kind: "past-best",
      severity: "note",
      text: `The last epoch is not the best one: best.safetensors holds epoch ${best.epoch}.`,
      evidence: `${name} accuracy ${percent(best.accuracy)} in epoch ${best.epoch}, ${percent(last.accuracy)} in epoch ${last.epoch}`,
    },
  ];
}

function stillImproving({ name, rows, noise }: Curve): Finding[] {
  const last = rows.at(-1);
  if (!last || rows.length < THRESHOLDS.leastEpochs) return [];
  const before = rows[rows.length - 1 - Math.max(1, Math.floor(rows.length / 4))];
  const gain = last.accuracy - before.accuracy;
  if (gain < Math.max(THRESHOLDS.stillImproving, noise)) return [];
  return [
    {
      kind: "still-improving",
      severity: "note",
      text: "It was still getting better at the end: more epochs would probably help.",
      evidence: `${name} accuracy ${percent(before.accuracy)} in epoch ${before.epoch}, ${percent(last.accuracy)} in epoch ${last.epoch}`,
    },
  ];
}

/** A held-out loss that never fell below its first epoch's earns no praise; after good pretrained weights it is no fault either. */
function noGain({ name, rows }: Curve): Finding[] {
  const [first, last] = [rows[0], rows.at(-1)];
  if (!last || rows.length < THRESHOLDS.leastEpochs || last.loss <= THRESHOLDS.learned * first.loss) return [];
  return [
    {
      kind: "no-gain",
      severity: "note",
      text: `The ${name} loss did not fall after epoch ${first.epoch}: the epochs after it brought little.`,
      evidence: `${name} loss ${first.loss.toFixed(3)} in epoch ${first.epoch}, ${last.loss.toFixed(3)} in epoch ${last.epoch}`,
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
  chance: "not surely better than guessing",
  overfitting: "the model overfits",
  gap: "images not trained on are recognised less well",
  underfitting: "the model underfits",
  "still-improving": "it was still getting better at the end",
  unstable: "the accuracy is unstable",
  "past-best": "the last epoch is not the best",
  "loss-jump": "the learning rate was too high on the way",
  "no-gain": "the epochs after the first brought little",
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
