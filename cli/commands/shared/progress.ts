// Progress on standard error: a bar on a terminal, now and then a plain line otherwise.
import { SingleBar } from "cli-progress";
import type { Output } from "./output.ts";

const SECONDS_BETWEEN_LINES = 5;

/** A line that replaces itself on a terminal; elsewhere a new one every few seconds. */
export class PlainProgress {
  readonly #output: Output;
  #last = performance.now();

  constructor(output: Output) {
    this.#output = output;
  }

  update(line: string): void {
    if (performance.now() - this.#last < SECONDS_BETWEEN_LINES * 1000) return;
    this.#last = performance.now();
    this.#output.note(line);
  }
}

/** How far a phase is, and what is known by now: `text` is the same on the bar and on a plain line. */
export interface Stand {
  readonly title: string;
  readonly done: number;
  readonly total: number;
  readonly text: string;
}

/** One bar at a time. What `Output` prints hides it; the next `show()` draws it again. */
export class Progress {
  readonly #output: Output;
  readonly #lines: PlainProgress;
  #bar: SingleBar | null = null;

  constructor(output: Output) {
    this.#output = output;
    this.#lines = new PlainProgress(output);
  }

  show({ title, done, total, text }: Stand): void {
    if (!process.stderr.isTTY) {
      this.#lines.update(`${title}: ${Math.floor((100 * done) / total)} %, ${text}`);
      return;
    }
    if (!this.#bar) {
      this.#bar = new SingleBar({
        stream: process.stderr,
        format: "{title} {bar} {percentage}% {text}",
        barsize: 24,
        barCompleteChar: "█",
        barIncompleteChar: "░",
        hideCursor: true,
        linewrap: false,
        clearOnComplete: true,
        // Ours are in interrupt.ts.
        gracefulExit: false,
      });
      this.#output.bar = this;
      this.#bar.start(total, done, { title, text });
    }
    this.#bar.setTotal(total);
    this.#bar.update(done, { title, text });
  }

  hide(): void {
    if (!this.#bar) return;
    this.#bar.stop();
    this.#bar = null;
    this.#output.bar = null;
  }
}
