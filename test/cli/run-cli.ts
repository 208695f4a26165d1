// Running a command as a user does: a process of its own, on the build.
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
let runs = 0;

export interface Finished {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  /** What standard error has by now. */
  stderr(): string;
  readonly finished: Promise<Finished>;
}

export interface CliOptions {
  /** Of the process; paths in `args` are relative to it. */
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Where standard output goes instead of `Finished.stdout`. */
  readonly stdout?: string;
}

/** Starts `node cli/NAME.js ARGS`. Output goes to files, as with a shell's redirection. */
export function startCli(name: string, args: readonly string[], { cwd, env, stdout }: CliOptions): Started {
  const files = ["out", "err"].map((stream) => join(cwd, `.cli-${process.pid}-${runs}.${stream}`));
  runs++;
  const [out, err] = files.map((path) => openSync(path, "a"));
  // The kernels of the fixed table: what is measured differs from machine to machine.
  const fixed =
    (name === "train" || name === "bench") &&
    !args.some((arg) => arg === "--tune" || arg === "--resume" || arg === "--help");
  const target = stdout === undefined ? out : openSync(stdout, "a");
  const child = spawn(
    process.execPath,
    [join(root, "cli", `${name}.js`), ...(fixed ? ["--tune", "off"] : []), ...args],
    {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", target, err],
    },
  );
  const text = (i: number): string => readFileSync(files[i], "utf8");
  const finished = new Promise<Finished>((done, fail) => {
    child.on("error", fail);
    child.on("exit", (status, signal) => {
      if (target !== out) closeSync(target);
      closeSync(out);
      closeSync(err);
      done({ status, signal, stdout: text(0), stderr: text(1) });
    });
  });
  return { child, stderr: () => text(1), finished };
}

export const runCli = (name: string, args: readonly string[], options: CliOptions): Promise<Finished> =>
  startCli(name, args, options).finished;
