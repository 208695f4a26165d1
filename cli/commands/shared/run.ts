// What all commands share: parsing, exit status, one-line errors, and ending.
import { CommanderError, type Command } from "commander";
import { STATUS, UsageError, type Status } from "./errors.ts";
import { drained, lostOutput, watchStreams } from "./output.ts";

/**
 * Runs a command to the end of the process. `command` must have an action that leaves the exit status in `process.exitCode` where
 * it is not 0.
 *
 * Dawn keeps Node alive while its object is reachable, and a timer or a pool of threads might too, so the process is ended as soon as
 * its output has left.
 */
export async function runCommand(command: Command, args: readonly string[]): Promise<never> {
  watchStreams();
  const name = command.name().replace(/^.*[/ ]|\.js$/g, "");
  let status: Status;
  try {
    await command.parseAsync(args, { from: "user" });
    status = (process.exitCode as Status | undefined) ?? STATUS.done;
  } catch (error) {
    status = report(name, error, args.includes("--debug"));
  }
  await drained();
  process.exit(status === STATUS.done ? unlessLost(name) : status);
}

/** Results that nobody received are a failure. */
function unlessLost(name: string): Status {
  const lost = lostOutput();
  if (!lost) return STATUS.done;
  process.stderr.write(`${name}: cannot write to standard output (${lost.message})\n`);
  return STATUS.failed;
}

function report(name: string, error: unknown, debug: boolean): Status {
  // Commander has printed its message already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? STATUS.done : STATUS.wrongUse;
  process.stderr.write(`${describe(name, error, debug)}\n`);
  return error instanceof UsageError ? STATUS.wrongUse : STATUS.failed;
}

function describe(name: string, error: unknown, debug: boolean): string {
  const message = error instanceof Error ? error.message : String(error);
  const lines = message.split("\n").filter((line) => line.trim() !== "");
  const text = `${name}: ${lines.slice(0, 2).join("\n  ") || "failed without a message; run it again with --debug"}`;
  return debug && error instanceof Error ? `${text}\n${stackOf(error)}` : text;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : "";
  return `${error.stack ?? error.message}${cause}`;
}
