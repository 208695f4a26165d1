// From the curve of a range test to a learning rate: which part of the curve counts, what each rule says, and what to be wary of.
import { minimum, slide, steepest, valley } from "./methods.ts";
import { indexOfLowest, smoothLosses, type LossSeries } from "./series.ts";

/** In the order in which they stand in for each other. */
export const LR_METHODS = ["valley", "steepest", "minimum", "slide"] as const;
export type LrMethod = (typeof LR_METHODS)[number];
/** What each looks for, in words. */
export const LR_MEANINGS: Readonly<Record<LrMethod, string>> = {
  valley: "middle of the longest fall",
  steepest: "where the loss falls fastest",
  minimum: "a tenth of the rate with the lowest loss",
  slide: "left of the last bend",
};
/** Null where a rule finds no answer. */
export type LrSuggestions = Readonly<Record<LrMethod, number | null>>;

export type StopReason = "done" | "diverged" | "not-finite" | "interrupted";

/** Why a range test ended. */
export interface RangeStop {
  readonly reason: StopReason;
  /** The last iteration that was measured, from 0; -1 where there was none. */
  readonly iteration: number;
  /** In words. */
  readonly message: string;
}

/** The points that the rules look at: `from` up to, not including, `to`. */
export interface CurveWindow {
  readonly from: number;
  readonly to: number;
}

export interface LrSuggestion {
  readonly suggestions: LrSuggestions;
  /** The rate to take: that of the rule that was asked for, or where it has no answer another's. NaN where none has one. */
  readonly suggestion: number;
  readonly method: LrMethod | null;
  readonly window: CurveWindow;
  /** In words, for people. */
  readonly warnings: readonly string[];
}

/** Fewer points than this are no curve. */
export const LEAST_POINTS = 5;
/** Fewer than this say little. */
export const FEW_POINTS = 15;
const DISAGREE = 10;
const HARDLY = 0.02;

/**
 * Applies the four rules to a curve.
 *
 * @param iterations of the whole test, of which the curve may be the beginning
 * @param wanted whose answer is taken
 */
export function suggestRates(
  series: LossSeries,
  stopped: RangeStop,
  iterations: number,
  wanted: LrMethod = "valley",
): LrSuggestion {
  const { window, collapse } = suggestionWindow(series, stopped, iterations);
  const lrs = series.lrs.slice(window.from, window.to);
  const losses = series.smoothed.slice(window.from, window.to);
  const enough = losses.length >= LEAST_POINTS;
  const suggestions: LrSuggestions = {
    valley: enough ? valley(lrs, losses) : null,
    steepest: enough ? steepest(lrs, losses) : null,
    minimum: enough ? minimum(lrs, losses) : null,
    slide: enough ? slide(lrs, losses) : null,
  };
  const method = [wanted, ...LR_METHODS].find((name) => suggestions[name] !== null) ?? null;
  const warnings = [
    ...pointWarnings(losses, series, stopped),
    ...(collapse === null ? [] : [collapseWarning(series.lrs[collapse])]),
    ...(enough ? shapeWarnings(losses, stopped) : []),
    ...methodWarnings(suggestions, wanted, method),
  ];
  return { suggestions, suggestion: method ? suggestions[method]! : NaN, method, window, warnings };
}

/**
 * fastai's window: without the first tenth, where the average is young, and without the last five points (in tests of under a hundred
 * iterations one in twenty), and nothing from the first loss on that is not finite. A collapse behind the curve is left out too.
 */
function suggestionWindow(
  { losses }: LossSeries,
  { reason }: RangeStop,
  iterations: number,
): { window: CurveWindow; collapse: number | null } {
  const from = Math.floor(iterations / 10);
  const skipped = Math.min(5, Math.floor(iterations / 20));
  const bad = losses.findIndex((loss) => !Number.isFinite(loss));
  const finite = bad < 0 ? losses.length : bad;
  // fastai runs on after a NaN, so that its last points are NaN and cost nothing.
  const end = Math.min(finite, (reason === "not-finite" ? iterations : losses.length) - skipped);
  const to = Math.max(from, end);
  const collapse = findCollapse(losses.slice(0, to), from);
  if (collapse === null || collapse - from < LEAST_POINTS) return { window: { from, to }, collapse: null };
  return { window: { from, to: collapse }, collapse };
}

const RISEN = 1.25;

/**
 * Where the loss first rises a quarter over its beginning, if it later comes back by half of what it rose: at absurd rates a net that
 * has blown up may die down again, and this plunge is the steepest of the whole curve. Null where there is none. It is judged on an
 * average of its own, so that it does not depend on the smoothing that was asked for.
 */
function findCollapse(losses: readonly number[], from: number): number | null {
  const steady = smoothLosses(losses, { smooth: 0.2, debias: true });
  const level = steady[from];
  const rise = steady.findIndex((loss, i) => i > from && loss > RISEN * level);
  if (rise < 0 || !(level > 0)) return null;
  let peak = steady[rise];
  for (const loss of steady.slice(rise)) {
    if (peak > RISEN * level && loss < (peak + level) / 2) return rise;
    peak = Math.max(peak, loss);
  }
  return null;
}

function pointWarnings(losses: readonly number[], { smoothed }: LossSeries, { reason }: RangeStop): string[] {
  const warnings = [];
  if (losses.length < FEW_POINTS) {
    const count = losses.length === 1 ? "1 point" : `${losses.length} points`;
    // Who stopped it knows why there are few.
    const advice = reason === "interrupted" ? "" : ": raise --iterations, or lower --start-lr";
    warnings.push(`only ${count} of the curve can be used${advice}`);
  }
  if (reason === "done") {
    const lowest = smoothed[indexOfLowest(smoothed)];
    const rose = (smoothed.at(-1)! / lowest).toFixed(1);
    warnings.push(
      indexOfLowest(smoothed) === smoothed.length - 1
        ? "the loss never diverged and was still falling at the end: raise --end-lr"
        : `the loss never diverged: at the end it was ${rose} times its lowest; a higher --end-lr shows where training breaks`,
    );
  }
  return warnings;
}

const collapseWarning = (lr: number): string =>
  `above ${showRate(lr)} the loss rose and fell again: that is a collapse, not learning, and is left out`;

function shapeWarnings(losses: readonly number[], { reason }: RangeStop): string[] {
  const lowest = losses[indexOfLowest(losses)];
  if (losses[0] - lowest >= HARDLY * Math.abs(losses[0])) return [];
  const [first, low] = [losses[0], lowest].map((loss) => loss.toPrecision(4));
  const advice = reason === "interrupted" ? "" : "; try more --iterations";
  return [`the loss hardly fell (${first} to ${low}): the suggestions are guesses${advice}`];
}

function methodWarnings(suggestions: LrSuggestions, wanted: LrMethod, method: LrMethod | null): string[] {
  const warnings = [];
  if (method !== null && method !== wanted) {
    warnings.push(`${wanted} finds no answer in this curve: taken from ${method} instead`);
  }
  const found = LR_METHODS.flatMap((name) => (suggestions[name] === null ? [] : [{ name, lr: suggestions[name] }]));
  if (found.length < 2) return warnings;
  found.sort((a, b) => a.lr - b.lr);
  const [low, high] = [found[0], found.at(-1)!];
  if (high.lr > DISAGREE * low.lr) {
    warnings.push(
      `the suggestions disagree by ${(high.lr / low.lr).toFixed(0)} times ` +
        `(${low.name} ${showRate(low.lr)}, ${high.name} ${showRate(high.lr)}): look at the curve before you choose`,
    );
  }
  return warnings;
}

/** 0.00191 as "1.91E-03", as torch-lr-finder prints it. */
export function showRate(lr: number): string {
  const [digits, exponent] = lr.toExponential(2).split("e");
  return `${digits}E${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}
