// How much a submit may hold. One that keeps the GPU for long trips watchdogs (2 s on Windows, shorter in some browsers) and makes the
// screen stutter; many small ones cost host time. A fifth of a second suits both, and how much work that is shows as the GPU works.
import { bytesOf, type Dispatch } from "./dispatch.ts";

/** Moving a byte counts as so many floating-point operations: about what GPUs do in the time, on large and small ones. */
const OPERATIONS_A_BYTE = 10;
/** What even a slow GPU does in time, and where every device begins. */
const LEAST = 1e10;
const SUBMIT_MS = 200;
/** Shorter spells say little: the host learns late that work is done. */
const LEAST_MS = 50;

export class Pace {
  #work = 0;
  #seen: { readonly work: number; readonly at: number } | null = null;
  /** The work after which to submit. */
  most = LEAST;

  /** All work so far. */
  get work(): number {
    return this.#work;
  }

  add({ flops, buffers }: Pick<Dispatch, "flops" | "buffers">): void {
    this.#work += flops + OPERATIONS_A_BYTE * bytesOf(buffers);
  }

  /** The GPU has done all up to `work` at the time `at` (ms). What it was idle for makes it look slower, never faster. */
  done(work: number, at: number): void {
    const ms = this.#seen ? at - this.#seen.at : Infinity;
    if (ms < LEAST_MS) return;
    if (this.#seen) this.most = Math.max(LEAST, ((work - this.#seen.work) / ms) * SUBMIT_MS);
    this.#seen = { work, at };
  }
}
