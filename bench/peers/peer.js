// run.js's side of the conversation: a child process that trains when told to.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Of what a child writes to standard error, this much is kept for the case that it fails. */
const KEPT = 2000;

export class Peer {
  name;
  /** Of the first step, compiling included. */
  first;
  #child;
  #lines;
  #errors = "";

  /**
   * @param {string} name
   * @param {readonly [command: string, ...args: string[]]} command speaks as serve.js does
   */
  constructor(name, [command, ...args]) {
    this.name = name;
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr.on("data", (data) => {
      this.#errors = `${this.#errors}${data}`.slice(-KEPT);
    });
    this.#child.stdin.on("error", () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Waits for the first step. */
  async ready() {
    this.first = await this.#answer();
  }

  /** Runs some steps and returns `{ milliseconds, loss }`. */
  async run(steps) {
    this.#child.stdin.write(`${JSON.stringify({ steps })}\n`);
    return this.#answer();
  }

  /** Lets it end. */
  async close() {
    this.#child.stdin.end();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
  }

  /** Ends it at once. */
  kill() {
    this.#child.kill("SIGKILL");
  }

  async #answer() {
    for (;;) {
      const { done, value } = await this.#lines.next();
      if (done) throw new Error(`${this.name} ended early\n${this.#errors.trim()}`);
      // Libraries print remarks of their own.
      if (value.startsWith("{")) return JSON.parse(value);
    }
  }
}
