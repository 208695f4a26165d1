// The commands that need neither data nor a checkpoint.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../training/data/fixtures.ts";
import { runCli } from "./run-cli.ts";

const cwd = temporaryFolder();
const env = { KILN_CACHE: join(cwd, "cache") };
const root = join(import.meta.dirname, "../..");
const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;

describe("the small commands", () => {
  it("summary prints torchsummary's totals, also into a pipe that nobody reads", async () => {
    const { stdout, status } = await runCli("summary", ["--model", "resnet18"], { cwd, env });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Total params: 11,173,962$/m);
    expect(stdout).toMatch(/^Forward\/backward pass size \(MB\): 11\.25\nParams size \(MB\): 42\.63\n.*: 53\.89$/m);
    const large = await runCli("summary", ["--stem", "imagenet", "--json"], { cwd, env });
    expect([large.status, json(large.stdout)]).toMatchObject([0, { model: "resnet18", imageSize: 224 }]);
    const command = `node ${join(root, "cli/summary.js")} --model resnet50 2>&1 >&3 | head -c 100`;
    const piped = `{ ${command}; } 3>&1 | true; echo "status \${PIPESTATUS[0]}"`;
    expect(execFileSync("bash", ["-c", piped], { cwd, encoding: "utf8" })).toBe("status 0\n");
  });

  it("bench prints the figures of a step", async () => {
    const flags = ["--model", "resnet8", "--batch-size", "8", "--steps", "3", "--json"];
    const { stdout, status } = await runCli("bench", flags, { cwd, env });
    expect(status).toBe(0);
    const report = json(stdout);
    expect(Object.keys(report)).toEqual([
      "model",
      "batchSize",
      "precision",
      "imagesPerSecond",
      "stepMs",
      "hostMs",
      "gpuMs",
      "dispatches",
      "peakBytes",
    ]);
    expect(report).toMatchObject({ model: "resnet8", batchSize: 8, precision: "f32" });
    for (const key of ["imagesPerSecond", "stepMs", "hostMs", "dispatches", "peakBytes"])
      expect(report[key]).toBeGreaterThan(0);
    expect(Number.isInteger(report["dispatches"])).toBe(true);
  });

  it("doctor names the adapter and passes its self-test", async () => {
    const { stdout, status } = await runCli("doctor", ["--json"], { cwd, env });
    expect(status).toBe(0);
    const { ok, checks, kernelFamily, texels } = json(stdout);
    expect(ok).toBe(true);
    expect(checks).toHaveLength(7);
    expect(["subgroup", "portable", "workgroup"]).toContain(kernelFamily);
    expect(texels).toBeTypeOf("boolean");
  });
});
