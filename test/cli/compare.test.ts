import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../training/data/fixtures.ts";
import { runCli } from "./run-cli.ts";

const cwd = temporaryFolder();

/** A run folder with made-up figures. */
function makeRun(
  dir: string,
  settings: object,
  accuracies: readonly number[],
  validation: readonly number[] = [],
): void {
  mkdirSync(join(cwd, dir), { recursive: true });
  const config = {
    model: { name: "resnet8" },
    settings: { model: "resnet8", epochs: 3, ...settings },
    kernelFamily: "subgroup",
  };
  writeFileSync(join(cwd, dir, "config.json"), JSON.stringify(config));
  const lines = accuracies.map((accuracy, i) =>
    JSON.stringify({
      epoch: i + 1,
      lr: 0.1,
      trainLoss: 2 - accuracy,
      trainAccuracy: accuracy,
      testLoss: 2.2 - accuracy,
      testAccuracy: accuracy - 0.05,
      ...(validation.length > 0 && { validationLoss: 1, validationAccuracy: validation[i] }),
      seconds: 30,
      // As after a resume at the end of the second epoch.
      imagesPerSecond: i === 1 ? 0 : 100,
    }),
  );
  writeFileSync(join(cwd, dir, "metrics.jsonl"), lines.map((line) => `${line}\n`).join(""));
}

beforeAll(() => {
  makeRun("a/run", { lr: 0.1, augment: "flip" }, [0.4, 0.6, 0.5]);
  makeRun("b/run", { lr: 0.2, ema: 0.99 }, [0.3, 0.5]);
  makeRun("same", { lr: 0.1, augment: "flip" }, [0.5]);
  makeRun(
    "far",
    { data: "/far", classes: 3, mean: [0.303090887686093], lr: 0.08697490026177834 },
    [0.4, 0.6],
    [0.9, 0.1],
  );
  makeRun(
    "near",
    { data: "/near", classes: 4, mean: [0.203090887686093], lr: 0.0869849002617783 },
    [0.4, 0.6],
    [0.9, 0.1],
  );
  makeRun("empty", {}, []);
  mkdirSync(join(cwd, "other"));
});

describe("compare", () => {
  it("prints results and the settings that differ, and draws the curves", async () => {
    const { status, stdout, stderr } = await runCli("compare", ["a/run", "b/run", "--out", "out"], { cwd });
    expect(stderr).toMatch(/^written into out: compare.json, compare-training-loss.svg/);
    expect(status).toBe(0);
    const lines = stdout.split("\n").map((line) => line.trim().split(/ {2,}/));
    expect(lines[0]).toEqual(["a/run", "b/run"]);
    expect(lines).toContainEqual(["test accuracy, last", "45.00 %", "45.00 %"]);
    expect(lines).toContainEqual(["test accuracy, best", "55.00 %", "45.00 %"]);
    expect(lines).toContainEqual(["in epoch", "2", "2"]);
    expect(lines).toContainEqual(["time", "1:30", "1:00"]);
    expect(lines).toContainEqual(["images/s", "100", "100"]);
    const from = lines.findIndex(([name]) => name === "settings that differ");
    expect(lines.slice(from + 1, -1)).toEqual([
      ["lr", "0.1", "0.2"],
      ["augment", "flip", "-"],
      ["ema", "-", "0.99"],
    ]);
    for (const name of ["training-loss", "test-loss", "training-accuracy", "test-accuracy"]) {
      const png = readFileSync(join(cwd, "out", `compare-${name}.png`));
      expect(png.subarray(1, 4).toString()).toBe("PNG");
      const svg = readFileSync(join(cwd, "out", `compare-${name}.svg`), "utf8");
      expect(svg).toContain("a/run");
      expect(svg).not.toContain("var(");
    }
  });

  it("names what chose the best epoch, leaves out what follows from the data, and rounds", async () => {
    const { status, stdout } = await runCli("compare", ["far", "near", "--out", "out3"], { cwd });
    expect(status).toBe(0);
    const lines = stdout.split("\n").map((line) => line.trim().split(/ {2,}/));
    expect(lines).toContainEqual(["test accuracy at the best validation epoch", "35.00 %", "35.00 %"]);
    const from = lines.findIndex(([name]) => name === "settings that differ");
    expect(lines.slice(from + 1, -1)).toEqual([
      ["data", "/far", "/near"],
      ["lr", "0.08697", "0.08698"],
    ]);
  });

  it("says so where nothing differs, and prints JSON", async () => {
    const { status, stdout } = await runCli("compare", ["a/run", "same", "--json", "--out", "out2"], { cwd });
    expect(status).toBe(0);
    const document = JSON.parse(stdout) as { runs: { best: { epoch: number } }[]; differences: unknown[] };
    expect(document.runs.map(({ best }) => best.epoch)).toEqual([2, 1]);
    expect(document.differences).toEqual([]);
  });

  it.each([
    [["a/run"], "compare: name two or more run folders to compare\n", 2],
    [[], "compare: name two or more run folders to compare\n", 2],
    [["a/run", "./a/run"], /^compare: .*a\/run is named twice\n$/, 2],
    [["a/run", "nowhere"], "compare: nowhere does not exist: name the --out folders of runs\n", 1],
    [["a/run", "other"], "compare: other holds no run (it has no config.json): name the --out folders of runs\n", 1],
    [["a/run", "empty"], "compare: empty has no finished epoch to compare (metrics.jsonl is missing or empty)\n", 1],
    [["a/run", "same", "--frob"], /^compare: unknown option '--frob': see --help/, 2],
  ] as const)("%j is refused", async (args, message, expected) => {
    const { status, stdout, stderr } = await runCli("compare", args, { cwd });
    if (typeof message === "string") expect(stderr).toBe(message);
    else expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([expected, ""]);
  });
});
