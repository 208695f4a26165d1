// What a range test takes, its defaults and its ranges.
import type { DeviceDataset } from "../data/device-dataset.ts";
import type { RangeMode } from "./series.ts";
import { LR_METHODS, type LrMethod } from "./suggest.ts";

export interface LrFinderProgress {
  /** Iterations measured, of `iterations`. */
  readonly done: number;
  readonly iterations: number;
  /** Of the last one measured. */
  readonly lr: number;
  readonly loss: number;
  readonly smoothed: number;
}

export interface LrFinderOptions {
  /** The first rate; above 0, from 0 where linear. Default 1e-7. */
  readonly startLr?: number | undefined;
  /** The last rate, above the first. Default 10. */
  readonly endLr?: number | undefined;
  /** Steps from the first rate to the last, both included; from 10. Default 100. */
  readonly iterations?: number | undefined;
  /** How the rate grows; default "exp": by the same factor every step. */
  readonly mode?: RangeMode | undefined;
  /**
   * Weight of each new loss in the moving average, 0..1; 0 or 1: no smoothing. Default 0.05, torch-lr-finder's. fastai's 0.02 lags by
   * half of a test of 100 iterations, which moves its minimum to ten times the rate.
   */
  readonly smooth?: number | undefined;
  /**
   * Default true: fastai's average, corrected for its young beginning. It is right from the first loss on, so a heavy average stays
   * usable, which is what keeps the suggestions steady on noisy losses. False: torch-lr-finder's, which hangs on the first loss.
   */
  readonly debias?: boolean | undefined;
  /** Stop where the smoothed loss exceeds its lowest by this factor; above 1, or 0: never. Default 4, fastai's. */
  readonly diverge?: number | undefined;
  /** Whose answer becomes `suggestion`; all are returned. Default "valley". */
  readonly method?: LrMethod | undefined;
  /** Measure the mean loss over these images after each update, instead of the batch's loss before it: slow, but without noise. */
  readonly validation?: DeviceDataset | undefined;
  readonly onProgress?: ((progress: LrFinderProgress) => void) | undefined;
  /** Aborting it ends the test after the step under way, with what is known by then. */
  readonly signal?: AbortSignal | undefined;
}

/** The numbers that a test ran with. */
export interface LrFinderSettings {
  readonly startLr: number;
  readonly endLr: number;
  readonly iterations: number;
  readonly mode: RangeMode;
  readonly smooth: number;
  readonly debias: boolean;
  readonly diverge: number;
  readonly method: LrMethod;
  readonly loss: "train" | "validation";
}

export const LR_FINDER_DEFAULTS = {
  startLr: 1e-7,
  endLr: 10,
  iterations: 100,
  mode: "exp",
  smooth: 0.05,
  debias: true,
  diverge: 4,
  method: "valley",
} as const;

/** @throws Error of one line that names the option */
export function lrFinderSettings(options: LrFinderOptions): LrFinderSettings {
  const given = Object.fromEntries(
    Object.keys(LR_FINDER_DEFAULTS).flatMap((key) => {
      const value = options[key as keyof typeof LR_FINDER_DEFAULTS];
      return value === undefined ? [] : [[key, value]];
    }),
  ) as Partial<LrFinderSettings>;
  const settings: LrFinderSettings = {
    ...LR_FINDER_DEFAULTS,
    ...given,
    loss: options.validation ? "validation" : "train",
  };
  const { startLr, endLr, iterations, mode, smooth, diverge, method } = settings;
  if (mode !== "exp" && mode !== "linear") refuse("mode", 'be "exp" or "linear"', mode);
  if (mode === "exp" && !(startLr > 0)) refuse("startLr", "be above 0", startLr);
  if (!(startLr >= 0)) refuse("startLr", "be at least 0", startLr);
  if (!(endLr > startLr && endLr < Infinity)) refuse("endLr", `be above startLr ${startLr}`, endLr);
  if (!(Number.isInteger(iterations) && iterations >= 10))
    refuse("iterations", "be a whole number from 10", iterations);
  if (!(smooth >= 0 && smooth <= 1)) refuse("smooth", "be between 0 and 1", smooth);
  if (!(diverge > 1 || diverge === 0)) refuse("diverge", "be above 1, or 0 for never", diverge);
  if (!LR_METHODS.includes(method)) refuse("method", `be one of ${LR_METHODS.join(", ")}`, method);
  return settings;
}

function refuse(name: string, rule: string, got: unknown): never {
  throw new Error(`findLearningRate: ${name} must ${rule}, got ${String(got)}`);
}
