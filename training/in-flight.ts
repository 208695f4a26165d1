// GPU work that is not awaited yet.
import { currentDevice } from "../engine/index.ts";

/** Submitted steps that may be unfinished while the next is recorded. A software GPU's are long, and an interrupt waits for them. */
export const stepsInFlight = (): number => (currentDevice().info.software ? 1 : 2);

/**
 * GPU work (and reads of its results) that was submitted and is not awaited yet. Waiting for the oldest keeps the queue short: memory stays bounded, and an
 * interrupt is noticed after a step instead of after a queue of them.
 */
export class InFlight {
  #queue: Promise<unknown>[] = [];

  push(work: Promise<unknown>): void {
    // A failure is reported where the promise is awaited; until then it must not count as unhandled.
    work.catch(() => undefined);
    this.#queue.push(work);
  }

  /** Waits until at most `most` are left. Rejects where one fails. */
  async waitFor(most: number): Promise<void> {
    while (this.#queue.length > most) await this.#queue.shift();
  }

  /** Waits for all, whether they fail or not: for clearing up. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#queue.splice(0));
  }
}
