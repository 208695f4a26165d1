// Kiln beside others: the ratios that bench/ prints, from figures that are given; and what its programs say where they cannot run.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { report } from "../bench/peers/report.js";
import { describeRatios, torchRatios, torchSteps } from "../bench/torch-ratios.js";

const bench = join(import.meta.dirname, "../bench");

describe("PyTorch's modes beside Kiln's steps", () => {
  const step = (stepMs: number, precision: string, batchSize = 512, model = "resnet18") => ({
    model,
    batchSize,
    precision,
    stepMs,
  });
  const torch = [
    { mode: "f32 strict", batchSize: 512, stepMs: 40 },
    { mode: "amp bf16, channels_last", batchSize: 512, stepMs: 10 },
  ];

  it("are each measured against f32 and mixed; above 1 Kiln is faster", () => {
    const rows = torchRatios(torch, [step(50, "f32"), step(20, "f32"), step(8, "mixed"), step(1, "f32", 128)]);
    expect(rows).toEqual([
      { mode: "f32 strict", batchSize: 512, torchMs: 40, f32Ms: 20, mixedMs: 8, f32Ratio: 2, mixedRatio: 5 },
      { mode: torch[1].mode, batchSize: 512, torchMs: 10, f32Ms: 20, mixedMs: 8, f32Ratio: 0.5, mixedRatio: 1.25 },
    ]);
    expect(describeRatios(rows)[1]).toBe(
      "batch 512, PyTorch amp bf16, channels_last 10.0 ms: Kiln in f32 20.0 ms (ratio 0.500), mixed 8.00 ms (ratio 1.25)",
    );
  });

  it("have no ratio where a step, or the same net, is missing; without PyTorch there are none", () => {
    const [row] = torchRatios(torch, [step(20, "f32"), step(8, "mixed", 512, "resnet8")]);
    expect(row).toMatchObject({ f32Ratio: 2, mixedMs: null, mixedRatio: null });
    expect(describeRatios([row])[0]).toMatch(/mixed not measured/);
    expect(torchRatios([], [step(20, "f32")])).toEqual([]);
  });

  it("are read from what was printed until it ended", () => {
    const text = `{"device": "GPU", "torch": "2"}\na warning\n${JSON.stringify(torch[0])}\n{"mode": "tf32", "ba`;
    expect(torchSteps(text)).toEqual([torch[0]]);
    expect(torchSteps("")).toEqual([]);
  });
});

describe("the report of bench/peers", () => {
  afterEach(() => vi.restoreAllMocks());

  const peer = (name: string, steps: number[][], loss = 1) => {
    return { name, version: "1", seconds: 2, firstLoss: 2, loss, steps };
  };
  const print = (results: object[]) => {
    const log = vi.spyOn(console, "log").mockReturnValue(undefined);
    const wrong = report({ results, batchSize: 32, napping: false, rounds: 2, busy: 0, json: true });
    const { peers } = JSON.parse(String(log.mock.lastCall![0])) as { peers: Record<string, unknown>[] };
    return { wrong, peers };
  };

  it("says how many times as fast Kiln is, round by round", () => {
    const { wrong, peers } = print([peer("kiln", [[100], [200]]), peer("slow", [[1000, 900, 9000], [1600]])]);
    expect(wrong).toBe(false);
    expect(peers[0]).toMatchObject({ imagesPerSecond: (320 + 160) / 2, kilnRatio: null });
    expect(peers[1]).toMatchObject({ imagesPerSecond: (32 + 20) / 2, kilnRatio: 9, kilnRatioRange: [8, 10] });
  });

  it("is a failure where a loss does not fall", () => {
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    expect(print([peer("kiln", [[1]]), peer("stuck", [[1]], 2)]).wrong).toBe(true);
    expect(print([peer("broken", [[1]], NaN)]).wrong).toBe(true);
  });
});

describe.each(["matmul", "conv2d", "matrix-check", "ladder"])("bench/%s.js", (name) => {
  it("says in one line that there is no adapter", () => {
    const args = [join(bench, `${name}.js`), "--adapter", "no such adapter"];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(new RegExp(`^${name}: no WebGPU adapter .*`, "m"));
    expect(stderr).not.toMatch(/^ +at /m);
  });
});
