// Ctrl-C.
/** A terminal sends Ctrl-C to every process of `npm start`, and npm and start.js pass theirs on: within this time it is one. */
const SAME_MILLISECONDS = 500;
/** What a bar takes away: the cursor, and the wrapping of long lines. */
const RESTORE_TERMINAL = "\x1b[?25h\x1b[?7h";

/**
 * The first SIGINT or SIGTERM aborts `signal`, so that work under way can be finished and saved; a second one ends the process at once.
 */
export class Interrupt implements Disposable {
  readonly #controller = new AbortController();
  #first = 0;
  readonly #onSignal: () => void;

  constructor(onFirst: () => void) {
    this.#onSignal = () => {
      if (!this.signal.aborted) {
        this.#first = performance.now();
        this.#controller.abort();
        onFirst();
      } else if (performance.now() - this.#first > SAME_MILLISECONDS) {
        this.#dieNow();
      }
    };
    for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, this.#onSignal);
  }

  /** By the signal's own action: process.exit() would wait for the GPU. Shells call the status 130 too. */
  #dieNow(): void {
    this[Symbol.dispose]();
    if (process.stderr.isTTY) process.stderr.write(RESTORE_TERMINAL);
    process.kill(process.pid, "SIGINT");
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, this.#onSignal);
  }
}
