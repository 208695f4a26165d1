// The curve while it is being measured: it decides when a range test has seen enough.
import { smoothLosses, type LossSeries, type Smoothing } from "./series.ts";
import { showRate, type RangeStop } from "./suggest.ts";

export interface CurveOptions extends Smoothing {
  /** Stop where the smoothed loss exceeds its lowest so far by this factor; 0 or Infinity: never. */
  readonly diverge: number;
}

/** Takes the losses one by one. */
export class RangeCurve {
  readonly #options: CurveOptions;
  /** Of all iterations. */
  readonly lrs: readonly number[];
  readonly #losses: number[] = [];
  #smoothed: number[] = [];
  #stop: RangeStop | null = null;

  constructor(lrs: readonly number[], options: CurveOptions) {
    this.lrs = lrs;
    this.#options = options;
  }

  /** The next iteration's loss. After the test has stopped they are ignored: steps that were under way are no part of the curve. */
  add(loss: number): void {
    if (this.#stop) return;
    this.#losses.push(loss);
    // A new neighbour may show that the loss before was a spike, so all is smoothed anew.
    this.#smoothed = smoothLosses(this.#losses, this.#options);
    this.#stop = this.#judge(loss);
  }

  get series(): LossSeries {
    const { length } = this.#losses;
    return { lrs: this.lrs.slice(0, length), losses: [...this.#losses], smoothed: [...this.#smoothed] };
  }

  /** Iterations measured. */
  get length(): number {
    return this.#losses.length;
  }

  get lastSmoothed(): number {
    return this.#smoothed.at(-1) ?? NaN;
  }

  /** Why the test is over; null while it is not. */
  get stopped(): RangeStop | null {
    return this.#stop;
  }

  interrupt(): RangeStop {
    const iteration = this.length - 1;
    const message = `interrupted after ${this.length} of ${this.lrs.length} iterations`;
    return (this.#stop ??= { reason: "interrupted", iteration, message });
  }

  #judge(loss: number): RangeStop | null {
    const iteration = this.length - 1;
    const lr = showRate(this.lrs[iteration]);
    if (!Number.isFinite(loss)) {
      const what = Number.isNaN(loss) ? "NaN" : "infinite";
      return { reason: "not-finite", iteration, message: `stopped at ${lr}: the loss is ${what}` };
    }
    const lowest = this.#smoothed.reduce((least, value) => Math.min(least, value), Infinity);
    const { diverge } = this.#options;
    if (diverge > 0 && lowest > 0 && this.lastSmoothed > diverge * lowest) {
      const [now, best] = [this.lastSmoothed, lowest].map((value) => value.toPrecision(3));
      const message = `stopped at ${lr}: the loss has diverged (${now}, over ${diverge} times its lowest, ${best})`;
      return { reason: "diverged", iteration, message };
    }
    if (iteration < this.lrs.length - 1) return null;
    return { reason: "done", iteration, message: `all ${this.lrs.length} iterations are done` };
  }
}
