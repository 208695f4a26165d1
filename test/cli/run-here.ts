// Running a command in this process: the same as a process of its own, for what ends before a device is opened, without Node's start.
import { vi } from "vitest";
import type { CliOptions, Finished } from "./run-cli.ts";

class Exit extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit ${status}`);
    this.status = status;
  }
}

type Write = (text: string, done?: () => void) => boolean;

/** Runs a command's `main` as `node cli/NAME.js ARGS` does. */
export async function runHere(
  main: (args: readonly string[]) => Promise<never>,
  args: readonly string[],
  { cwd, env = {} }: CliOptions,
): Promise<Finished> {
  const before = process.cwd();
  const written = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).flatMap((name) => {
    const write: Write = (text, done) => {
      written[name] += text;
      done?.();
      return true;
    };
    // A listener for each run would be too many.
    return [vi.spyOn(process[name], "write").mockImplementation(write as never), vi.spyOn(process[name], "on").mockReturnThis()]; // prettier-ignore
  });
  const exit = vi.spyOn(process, "exit").mockImplementation((status) => {
    throw new Exit(Number(status));
  });
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  process.chdir(cwd);
  try {
    return await main(args);
  } catch (error) {
    if (error instanceof Exit) return { ...written, status: error.status, signal: null };
    throw error;
  } finally {
    process.chdir(before);
    process.exitCode = undefined;
    vi.unstubAllEnvs();
    for (const spy of [...spies, exit]) spy.mockRestore();
  }
}
