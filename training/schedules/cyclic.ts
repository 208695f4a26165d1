// Triangles: Smith, "Cyclical Learning Rates for Training Neural Networks" (arXiv 1506.01186), as PyTorch computes them.
import { atLeastZero, check, checkStep, positive, shareBelowOne, wholePositive } from "./checks.ts";
import type { Schedule } from "./schedule.ts";

export type CyclicOptions = {
  baseLr: number;
  maxLr: number;
  /** Steps from the lowest to the highest rate; a whole number >= 1 (default 2000). */
  stepSizeUp?: number;
  /** Steps back; default as many. */
  stepSizeDown?: number;
  /** `triangular2` halves the height with each cycle, `exp_range` shrinks it by `gamma` with each step. */
  mode?: "triangular" | "triangular2" | "exp_range";
  /** For exp_range; > 0 (default 1). */
  gamma?: number;
  /** Move the momentum (beta1) against the rate; default true. */
  cycleMomentum?: boolean;
  /** Default 0.8. */
  baseMomentum?: number;
  /** Default 0.9. */
  maxMomentum?: number;
};

const MODES = ["triangular", "triangular2", "exp_range"];

/** From `baseLr` to `maxLr` and back, again and again: PyTorch's CyclicLR. */
export function cyclic(options: CyclicOptions): Schedule {
  const { baseLr, maxLr, stepSizeUp: up = 2000, stepSizeDown: down = up, mode = "triangular", gamma = 1 } = options;
  const { cycleMomentum = true, baseMomentum = 0.8, maxMomentum = 0.9 } = options;
  check("cyclic", { baseLr, maxLr }, atLeastZero);
  check("cyclic", { stepSizeUp: up, stepSizeDown: down }, wholePositive);
  check("cyclic", { gamma }, positive);
  check("cyclic", { baseMomentum, maxMomentum }, shareBelowOne);
  if (!MODES.includes(mode)) throw new Error(`cyclic: mode must be ${MODES.join(", ")}, not ${JSON.stringify(mode)}`);
  const total = up + down;
  const rise = up / total;
  return (step) => {
    checkStep("cyclic", step);
    const cycle = Math.floor(1 + step / total);
    const x = 1 + step / total - cycle;
    const height = x <= rise ? x / rise : (x - 1) / (rise - 1);
    // exp_range counts all steps, not those of the cycle.
    const shrink = { triangular: 1, triangular2: 2 ** (1 - cycle), exp_range: gamma ** step }[mode];
    const lr = baseLr + (maxLr - baseLr) * height * shrink;
    return cycleMomentum ? { lr, momentum: maxMomentum - (maxMomentum - baseMomentum) * height * shrink } : { lr };
  };
}
