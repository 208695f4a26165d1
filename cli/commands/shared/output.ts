// Standard output and standard error: results to the one, everything else to the other.

/** Where the lines of a command go. With `--json` standard output is kept for one JSON document. */
export class Output {
  readonly json: boolean;
  /** The bar on the terminal. Every line hides it first: a bar that goes later would put the cursor back to where it began. */
  bar: { hide(): void } | null = null;

  constructor(json = false) {
    this.json = json;
  }

  /** A line that people read as the result; with `--json` it goes to standard error. */
  result(line: string): void {
    this.bar?.hide();
    (this.json ? process.stderr : process.stdout).write(`${line}\n`);
  }

  /** The machine-readable result: one line, with `--json` only. */
  document(value: unknown): void {
    if (!this.json) return;
    this.bar?.hide();
    process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** What is going on. */
  note(line: string): void {
    this.bar?.hide();
    process.stderr.write(`${line}\n`);
  }

  warn(line: string): void {
    this.note(`warning: ${line}`);
  }
}

let lost: Error | null = null;

/**
 * A reader that has gone (`| head`) is no failure: what is written after that is dropped. Where standard output cannot be written for
 * another reason (a full disk), the work goes on and is saved; `lostOutput()` tells at the end.
 */
export function watchStreams(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") lost ??= error;
  });
  // Nobody can be told.
  process.stderr.on("error", () => undefined);
}

/** Why results did not reach standard output; null where they did. */
export const lostOutput = (): Error | null => lost;

/** Waits until everything that was written has left the process. */
export async function drained(): Promise<void> {
  const flush = (stream: NodeJS.WriteStream): Promise<void> =>
    new Promise((done) => {
      if (stream.destroyed || !stream.writable) done();
      else stream.write("", () => done());
    });
  await Promise.all([flush(process.stdout), flush(process.stderr)]);
}

/** 50000 as "50,000". */
export const grouped = (n: number): string => n.toLocaleString("en-US");

/** 0.9312 as "93.12 %". */
export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

/** 1 as "1 image", 2 as "2 images". */
export const counted = (n: number, noun: string): string => `${grouped(n)} ${noun}${n === 1 ? "" : "s"}`;

/** How long something took: as `duration`, and with a decimal below 10 seconds. */
export const elapsed = (seconds: number): string => (seconds < 9.95 ? `${seconds.toFixed(1)} s` : duration(seconds));

/** Seconds as "42 s", "3:07" or "2:05:09". */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (n: number): string => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
