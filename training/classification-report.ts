// What is known about a classifier from its logits: the figures that scikit-learn's reports give, and its calibration.

export interface ClassReport {
  readonly class: string;
  /** Images of the class, and those of them that were recognised. */
  readonly count: number;
  readonly correct: number;
  /** correct / count: also the recall. 0 for a class without images. */
  readonly accuracy: number;
  /** Share of the images taken for this class that are of it. 0 where none was (scikit-learn's zero_division = 0). */
  readonly precision: number;
  readonly recall: number;
  /** Harmonic mean of both; 0 where both are. */
  readonly f1: number;
}

/** Images whose confidence lies in (from, to]. */
export interface CalibrationBin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** Mean confidence and accuracy of them; 0 where there are none. */
  readonly confidence: number;
  readonly accuracy: number;
}

/** An image that was taken for something else. */
export interface Mistake {
  readonly index: number;
  readonly label: number;
  readonly prediction: number;
  /** Softmax probability of the prediction, 0..1. */
  readonly confidence: number;
  /** Softmax probability of the true class. */
  readonly labelConfidence: number;
}

export interface ConfusedPair {
  readonly truth: number;
  readonly prediction: number;
  readonly count: number;
  /** Of the true class's images. */
  readonly share: number;
}

export interface ClassificationReport {
  readonly count: number;
  /** Mean cross-entropy. */
  readonly loss: number;
  /** Top-1, 0..1. Of equal logits the lowest class counts as the higher one. */
  readonly accuracy: number;
  /** The label is among the five highest logits; null for five classes or fewer, where it always is. */
  readonly top5Accuracy: number | null;
  readonly perClass: readonly ClassReport[];
  /** Unweighted means over the classes that have images. */
  readonly macro: { readonly precision: number; readonly recall: number; readonly f1: number };
  /** `confusion[truth][prediction]`: how many images; and as shares of each row. */
  readonly confusion: readonly (readonly number[])[];
  readonly confusionNormalised: readonly (readonly number[])[];
  /** Expected calibration error (Guo et al. 2017, arXiv 1706.04599) over 15 bins of equal width; NaN where a confidence is. */
  readonly calibration: { readonly ece: number; readonly bins: readonly CalibrationBin[] };
  readonly misclassified: number;
  /** The most confident ones first. */
  readonly mistakes: readonly Mistake[];
  /** The most frequent ones first; only pairs that occur. */
  readonly confusedPairs: readonly ConfusedPair[];
}

const BINS = 15;

/**
 * @param logits [N, outputs], in the order of `labels`; a model may have more outputs than there are classes
 * @param labels [N], indices into `classes`
 * @throws Error of one line where sizes do not fit, or a label is no class
 */
export function classificationReport(given: {
  readonly logits: ArrayLike<number>;
  readonly labels: ArrayLike<number>;
  readonly classes: readonly string[];
}): ClassificationReport {
  const { logits, labels, classes } = given;
  const count = labels.length;
  const outputs = logits.length / count;
  if (count === 0 || !Number.isInteger(outputs) || outputs < classes.length) {
    throw new Error(
      `classificationReport: ${logits.length} logits do not fit ${count} labels of ${classes.length} classes`,
    );
  }
  checkLabels(labels, classes.length);
  const answers = Array.from({ length: count }, (_, i) => readAnswer(logits, i * outputs, outputs, labels[i]));
  const confusion = countConfusion(answers, labels, classes.length, outputs);
  const perClass = classes.map((name, c) => classReport(name, c, confusion));
  const mistakes = answers.flatMap(({ prediction, confidence, labelConfidence }, index) =>
    prediction === labels[index] ? [] : [{ index, label: labels[index], prediction, confidence, labelConfidence }],
  );
  return {
    count,
    loss: mean(answers.map(({ loss }) => loss)),
    accuracy: (count - mistakes.length) / count,
    top5Accuracy: outputs <= 5 ? null : answers.filter(({ rank }) => rank < 5).length / count,
    perClass,
    macro: macroMeans(perClass),
    confusion,
    confusionNormalised: confusion.map((row) => row.map((n) => ratio(n, sum(row)))),
    calibration: calibrate(answers.map(({ confidence, rank }) => ({ confidence, correct: rank === 0 }))),
    misclassified: mistakes.length,
    mistakes: mistakes.sort((a, b) => b.confidence - a.confidence || a.index - b.index),
    confusedPairs: confusedPairs(confusion),
  };
}

function checkLabels(labels: ArrayLike<number>, classes: number): void {
  const wrong = Array.from(labels).findIndex((label) => !(Number.isInteger(label) && label >= 0 && label < classes));
  if (wrong < 0) return;
  const range = `the ${classes} classes are 0 to ${classes - 1}`;
  throw new Error(`classificationReport: image ${wrong} has label ${labels[wrong]}, ${range}`);
}

interface Answer {
  readonly prediction: number;
  readonly confidence: number;
  readonly labelConfidence: number;
  /** How many outputs stand before the label. */
  readonly rank: number;
  readonly loss: number;
}

function readAnswer(logits: ArrayLike<number>, first: number, outputs: number, label: number): Answer {
  let prediction = 0;
  for (let c = 1; c < outputs; c++) if (logits[first + c] > logits[first + prediction]) prediction = c;
  const highest = logits[first + prediction];
  const own = logits[first + label];
  let exponentials = 0;
  let rank = 0;
  for (let c = 0; c < outputs; c++) {
    const logit = logits[first + c];
    exponentials += Math.exp(logit - highest);
    // NaN is before and behind nothing; a label whose logit it is stands last.
    if (logit > own || (logit === own && c < label) || Number.isNaN(own)) rank++;
  }
  const loss = Math.log(exponentials) + highest - own;
  return { prediction, confidence: 1 / exponentials, labelConfidence: Math.exp(-loss), rank, loss };
}

function countConfusion(
  answers: readonly Answer[],
  labels: ArrayLike<number>,
  classes: number,
  outputs: number,
): number[][] {
  // Columns past the classes are shown only where something was taken for them.
  const columns = answers.reduce((most, { prediction }) => Math.max(most, prediction + 1), Math.min(classes, outputs));
  const confusion = Array.from({ length: classes }, () => new Array<number>(columns).fill(0));
  answers.forEach(({ prediction }, i) => confusion[labels[i]][prediction]++);
  return confusion;
}

function classReport(name: string, c: number, confusion: readonly (readonly number[])[]): ClassReport {
  const count = sum(confusion[c]);
  const correct = confusion[c][c];
  const precision = ratio(correct, sum(confusion.map((row) => row[c])));
  const recall = ratio(correct, count);
  const f1 = ratio(2 * precision * recall, precision + recall);
  return { class: name, count, correct, accuracy: recall, precision, recall, f1 };
}

function macroMeans(perClass: readonly ClassReport[]): ClassificationReport["macro"] {
  const there = perClass.filter(({ count }) => count > 0);
  return {
    precision: mean(there.map(({ precision }) => precision)),
    recall: mean(there.map(({ recall }) => recall)),
    f1: mean(there.map(({ f1 }) => f1)),
  };
}

function calibrate(
  answers: readonly { readonly confidence: number; readonly correct: boolean }[],
): ClassificationReport["calibration"] {
  const bins = Array.from({ length: BINS }, (_, b): CalibrationBin => {
    const [from, to] = [b / BINS, (b + 1) / BINS];
    // A confidence is above 0; the upper end of a bin belongs to it.
    const inside = answers.filter(({ confidence }) => confidence > from && confidence <= to);
    const right = inside.filter(({ correct }) => correct).length;
    const confidence = mean(inside.map((answer) => answer.confidence));
    return { from, to, count: inside.length, confidence, accuracy: ratio(right, inside.length) };
  });
  const gaps = bins.map(
    ({ count, confidence, accuracy }) => (count / answers.length) * Math.abs(accuracy - confidence),
  );
  return { ece: answers.some(({ confidence }) => Number.isNaN(confidence)) ? NaN : sum(gaps), bins };
}

function confusedPairs(confusion: readonly (readonly number[])[]): ConfusedPair[] {
  return confusion
    .flatMap((row, truth) =>
      row.flatMap((count, prediction) =>
        prediction === truth || count === 0 ? [] : [{ truth, prediction, count, share: ratio(count, sum(row)) }],
      ),
    )
    .sort((a, b) => b.count - a.count || a.truth - b.truth || a.prediction - b.prediction);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
const mean = (values: readonly number[]): number => ratio(sum(values), values.length);
