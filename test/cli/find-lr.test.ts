// Finding a rate as a user does.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../training/data/fixtures.ts";
import { runCli, startCli } from "./run-cli.ts";

const cwd = temporaryFolder();
const env = { KILN_CACHE: join(cwd, "cache") };
const DATA = ["--model", "resnet8", "--limit", "100", "--limit-test", "40", "--batch-size", "20"];

interface Document {
  lrs: number[];
  losses: (number | null)[];
  smoothed: (number | null)[];
  suggestions: Record<string, number | null>;
  suggestion: number | null;
  method: string | null;
  stopped: { reason: string; iteration: number; message: string };
  settings: Record<string, unknown>;
  warnings: string[];
}
const documentOf = (text: string): Document => JSON.parse(text) as Document;
const written = (out: string): Document => documentOf(readFileSync(join(cwd, out, "lr-finder.json"), "utf8"));
const findLr = (...args: string[]): ReturnType<typeof runCli> => runCli("find-lr", [...DATA, ...args], { cwd, env });
const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

describe("find-lr", () => {
  it("prints every suggestion, the chosen one as torch-lr-finder does, and writes the curve", async () => {
    const { status, stdout, stderr } = await findLr(
      ...["--start-lr", "1e-5", "--end-lr", "1", "--iterations", "20", "--out", "plain"],
    );
    expect([status, stderr.match(/^find-lr:.*/m)]).toEqual([0, null]);
    const { suggestion, suggestions, lrs, losses, method, warnings, settings } = written("plain");
    expect([lrs[0], lrs.at(-1), losses.length, method]).toEqual([1e-5, 1, 20, "valley"]);
    expect(settings).toMatchObject({ iterations: 20, mode: "exp", loss: "train", smooth: 0.05, diverge: 4 });
    const [digits, exponent] = suggestion!.toExponential(2).split("e-");
    expect(stdout).toContain(`Suggested LR: ${digits}E-${exponent.padStart(2, "0")}\n`);
    expect(stdout).toMatch(/^\* valley {4}\d\.\d\dE-\d\d/m);
    for (const name of ["steepest", "minimum", "slide"])
      expect(stdout).toMatch(new RegExp(`^ {2}${name} +(\\d\\.|no)`, "m"));
    expect(Object.keys(suggestions).sort()).toEqual(["minimum", "slide", "steepest", "valley"]);
    for (const warning of warnings) expect(stderr).toContain(`warning: ${warning}\n`);
    expect(stderr).toContain("written into plain: lr-finder.json");
  });

  it("takes train.js's flags, another range and rule, and prints JSON alone", async () => {
    writeFileSync(join(cwd, "flags.json"), JSON.stringify({ optimizer: "adam", augment: "flip", "start-lr": 1e-4 }));
    const { status, stdout } = await findLr(
      ...["--config", "flags.json", "--mode", "linear", "--end-lr", "0.001", "--iterations", "10", "--json"],
      ...["--loss", "validation", "--validation", "0.2", "--method", "minimum", "--no-debias", "--smooth", "0.5"],
      ...["--diverge", "0", "--out", "json"],
    );
    expect(status).toBe(0);
    expect(stdout.trim().split("\n")).toHaveLength(1);
    const { out, ...document } = documentOf(stdout) as Document & { out: string };
    expect(out).toBe("json");
    expect(document).toEqual(written("json"));
    expect(document.settings).toMatchObject({ startLr: 1e-4, loss: "validation", mode: "linear", method: "minimum" });
    expect(document.lrs[1] - document.lrs[0]).toBeCloseTo(1e-4, 9);
    const [a, b] = document.losses as number[];
    expect(document.smoothed[1]).toBeCloseTo((a + b) / 2, 9);
  });

  it("says what to do where the loss breaks down at once, and keeps what it saw", async () => {
    const { status, stdout, stderr } = await findLr(
      ...["--start-lr", "1e25", "--end-lr", "1e30", "--iterations", "10", "--out", "broken"],
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^find-lr: the loss broke down at once \(.* in \d+ iterations, from 1\.00E\+25\): lower --start-lr$/m,
    );
    expect(stdout).toBe("");
    const { suggestion, losses, stopped } = written("broken");
    expect([suggestion, losses.length]).toEqual([null, stopped.iteration + 1]);
  });

  it("writes what is known on Ctrl-C and exits with 130", async () => {
    const run = startCli("find-lr", [...DATA, "--iterations", "50000", "--out", "cut"], { cwd, env });
    for (let waited = 0; !run.stderr().includes("range test:"); waited += 50) {
      if (waited > 60_000) throw new Error(`no progress: ${run.stderr()}`);
      await sleep(50);
    }
    run.child.kill("SIGINT");
    const { status, stdout } = await run.finished;
    expect(status).toBe(130);
    const { stopped, losses } = written("cut");
    expect(stopped).toMatchObject({ reason: "interrupted", iteration: losses.length - 1 });
    expect(losses.length).toBeLessThan(50_000);
    expect(stdout).toContain(`interrupted after ${losses.length} of 50000 iterations\n`);
  });

  it("refuses a wrong range before it loads anything", async () => {
    const wrong: [string[], string][] = [
      [["--start-lr", "1", "--end-lr", "0.1"], "--end-lr must be above --start-lr 1, got 0.1"],
      [["--start-lr", "0"], "--start-lr must be above 0, got 0"],
      [["--iterations", "5"], "--iterations must be a whole number from 10, not 5"],
      [["--diverge", "0.5"], "--diverge must be above 1, or 0 for never, got 0.5"],
      [["--mode", "log"], "--mode must be exp or linear, not log"],
    ];
    for (const [args, message] of wrong) {
      const { status, stderr, stdout } = await findLr(...args, "--out", "wrong");
      expect([status, stderr, stdout]).toEqual([2, `find-lr: ${message}\n`, ""]);
    }
    expect(existsSync(join(cwd, "wrong"))).toBe(false);
  });
});
