// Figures of training steps, kept on the GPU and read many at a time: waiting for each loss would stall the GPU every step.
import { accumulateMetrics, copyInto, fill, keep, scope, zeros, type Tensor } from "../engine/index.ts";
import type { RunningSums } from "./events.ts";
import type { StepOutput } from "./trainer.ts";

/** What is known about a step when it is recorded. */
export interface StepInfo {
  readonly step: number;
  readonly epoch: number;
  readonly lr: number;
  readonly momentum: number;
  readonly samples: number;
}

/** What the GPU adds: the batch's mean loss and how many samples were right. */
export interface StepResult extends StepInfo {
  readonly loss: number;
  readonly correct: number;
}

/** Ranges of a tensor start at multiples of 64 elements; a step takes two, for its loss and for its counts. */
const SLOT = 64;
const CAPACITY = 32;

/** A log of steps on the GPU. Owns its memory: dispose of it. */
export class StepLog implements Disposable {
  readonly #log: Tensor = keep(zeros([CAPACITY * 2 * SLOT]));
  #steps: StepInfo[] = [];

  get size(): number {
    return this.#steps.length;
  }

  get full(): boolean {
    return this.size === CAPACITY;
  }

  /** Notes a step. Costs a few small dispatches and no waiting. */
  add(info: StepInfo, { loss, batches }: StepOutput): void {
    const at = this.size * 2 * SLOT;
    this.#steps.push(info);
    scope(() => {
      copyInto(this.#log.range(at, loss.shape), loss);
      const counts = this.#log.range(at + SLOT, [4]);
      for (const { logits, labels } of batches) accumulateMetrics(logits, labels, counts);
    });
  }

  /** Empties the log at once and gives what was in it when the GPU has got there. Steps may be added meanwhile. */
  async read(): Promise<StepResult[]> {
    const steps = this.#steps;
    this.#steps = [];
    if (steps.length === 0) return [];
    // The copy is recorded before the fill, so it reads the log as it is now.
    const reading = this.#log.data();
    fill(this.#log, 0);
    const values = await reading;
    return steps.map((info, i) => ({ ...info, loss: values[i * 2 * SLOT], correct: values[(i * 2 + 1) * SLOT + 1] }));
  }

  dispose(): void {
    this.#log.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Sums of doubles on the host: added step by step, an interrupted epoch comes to the same as a whole one. */
export function addStep(sums: RunningSums, { samples, loss, correct }: StepResult): RunningSums {
  return {
    steps: sums.steps + 1,
    samples: sums.samples + samples,
    loss: sums.loss + loss * samples,
    correct: sums.correct + correct,
  };
}

/** Images per second over the last seconds, so that compiling at the start is soon forgotten. */
export class RateMeter {
  readonly #window: number;
  #marks: { seconds: number; images: number }[];

  constructor(seconds: number, windowSeconds = 10) {
    this.#window = windowSeconds;
    this.#marks = [{ seconds, images: 0 }];
  }

  /** Notes that `images` in all are done at the time `seconds`, and returns the rate. */
  update(seconds: number, images: number): number {
    this.#marks.push({ seconds, images });
    while (this.#marks.length > 2 && this.#marks[1].seconds < seconds - this.#window) this.#marks.shift();
    const [first] = this.#marks;
    return (images - first.images) / Math.max(seconds - first.seconds, 1e-6);
  }
}
