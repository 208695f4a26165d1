// bench.js and bench/check.js: what they print and how they judge. Nothing here depends on how long something takes.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { DeviceInfo } from "../../engine/index.ts";
import { adapterClass, compareRatios, formatBaseline, parseBaseline } from "../../cli/commands/bench/baseline.ts";
import { CeilingMeter } from "../../cli/commands/bench/ceilings.ts";
import { describeKernels } from "../../cli/commands/bench/kernel-table.ts";
import { exponent } from "../../cli/commands/bench/growth.ts";
import { summarize, type Launch } from "../../cli/commands/bench/kernels.ts";
import { medianStep } from "../../cli/commands/bench/measure.ts";
import { ratiosToCeilings } from "../../cli/commands/bench/ratios.ts";
import { labelsOf, rooflineDots } from "../../cli/commands/bench/roofline-dots.ts";
import { roofline, spread } from "../../cli/commands/bench/roofline.ts";
import { testDevice } from "../support/gpu.ts";
import { temporaryFolder } from "../training/data/fixtures.ts";
import { runCli } from "./run-cli.ts";

const cwd = temporaryFolder();
const root = join(import.meta.dirname, "../..");
const ceilings = { gflops: 100, copyGBs: 10, loadGBs: 20 };

const launch = (kernel: string, milliseconds: number, more: Partial<Launch> = {}): Launch => ({
  kernel,
  milliseconds,
  flops: 0,
  bytes: 1e6,
  workgroups: 1,
  params: {},
  variant: { source: { matrices: false } },
  ...more,
});

describe("the time of a step", () => {
  it("is the median over blocks, however few steps there are", () => {
    const ends = [0, 10, 20, 30, 130, 140, 150, 160, 170, 180, 190];
    expect(medianStep(ends, 10)).toBe(10);
    expect(medianStep(ends, 5)).toBe(10); // one of five has a step that took 100
    expect(medianStep(ends, 1)).toBe(19);
    expect(medianStep([5, 12], 5)).toBe(7);
    expect(medianStep([0, 1, 3, 9], 2)).toBe((3 / 2 + 6) / 2); // blocks of two and of one
  });
});

describe("ceilings", () => {
  it("are positive and finite, and possible", async () => {
    using meter = new CeilingMeter(await testDevice(), { copied: 2 ** 18, computed: 2 ** 12 });
    for (let i = 0; i < 3; i++) await meter.sample();
    for (const rate of Object.values(meter.ceilings)) {
      expect(Number.isFinite(rate)).toBe(true);
      expect(rate).toBeGreaterThan(0);
    }
    // 1e6 GFLOP/s would be a kernel that the compiler has emptied.
    expect(meter.ceilings.gflops).toBeLessThan(1e6);
  });
});

describe("kernels of a step", () => {
  const profiles = [
    [launch("a/x", 1, { flops: 3e7 }), launch("b/y {N=1}", 4), launch("a/x", 1, { flops: 1e7 })],
    [launch("a/x", 3, { flops: 3e7 }), launch("b/y {N=1}", 6), launch("a/x", 3, { flops: 1e7 })],
    [launch("a/x", 90, { flops: 3e7 }), launch("b/y {N=1}", 5), launch("a/x", 2, { flops: 1e7 })],
  ];

  it("are grouped; their time is the median step's", () => {
    const { kernels, milliseconds } = summarize(profiles, ceilings, false);
    expect(milliseconds).toBe(11);
    expect(kernels).toEqual([
      {
        kernel: "a/x",
        shape: "",
        calls: 2,
        milliseconds: 6,
        share: 6 / 11,
        flops: 4e7,
        bytes: 2e6,
        gflops: 4e7 / 6e6,
        gbs: 2e6 / 6e6,
        arithmeticShare: 4e7 / 6e6 / 100,
        bandwidthShare: 2e6 / 6e6 / 10,
      },
      expect.objectContaining({ kernel: "b/y {N=1}", calls: 1, milliseconds: 5, flops: 0, arithmeticShare: 0 }),
    ]);
  });

  it("are told apart by the sizes in their Params on demand", () => {
    const sized = (rows: number): Launch =>
      launch("a/x", rows, { params: { rows: [rows], x_size: [2, 8, 8, 4], eps: [1] } });
    const { kernels } = summarize([[sized(4), sized(4), sized(8)]], ceilings, true);
    expect(kernels.map(({ shape, calls }) => [shape, calls])).toEqual([
      ["x 2x8x8x4, rows 4", 2],
      ["x 2x8x8x4, rows 8", 1],
    ]);
  });

  it("are one row where a file runs in many variants", () => {
    const times = [1, 2, 3, 4, 5].map((n) => launch(`a/x {N=${n}}`, 1)).concat(launch("b/y {N=1}", 2));
    const rows = (shapes: boolean): string[] =>
      summarize([times], ceilings, shapes).kernels.map(({ kernel }) => kernel);
    expect(rows(false)).toEqual(["a/x", "b/y {N=1}"]);
    expect(rows(true)).toHaveLength(6);
  });

  it("have no share of the ceiling of f32 where subgroup matrices multiply, nor a place under its roof", () => {
    const matrices = { flops: 1e9, variant: { source: { matrices: true } } };
    const profile = summarize([[launch("a/matrix", 1, matrices), launch("b/y", 1, { flops: 1e7 })]], ceilings, false);
    expect(profile.kernels.map(({ arithmeticShare }) => arithmeticShare)).toEqual([null, 0.1]);
    expect(rooflineDots(profile.kernels).map(({ label }) => label)).toEqual(["b/y"]);
    expect(roofline(profile).svg).toContain("left out: kernels of subgroup matrices");
    const lines = describeKernels(profile);
    expect(lines.find((line) => line.startsWith("a/matrix"))).toMatch(/ 1000 +1\.00 +10\.0 %$/);
  });

  it("become ratios to what the ceilings allow", () => {
    const { kernels } = summarize(
      [[launch("a/x", 2, { flops: 1e8 }), launch("b/y", 1), launch("c/z", 0.005)]],
      ceilings,
      false,
    );
    const software = ratiosToCeilings(kernels, ceilings, { software: true, stored: null });
    expect(software["a/x"]).toBeCloseTo(2, 9); // 1e8 operations at 100 GFLOP/s: 1 ms
    expect(software["b/y"]).toBeCloseTo(20, 9); // 1e6 bytes at 20 GB/s: 0.05 ms
    expect("c/z" in software).toBe(false);
    const hardware = ratiosToCeilings(kernels, ceilings, { software: false, stored: { "c/z": 1 } });
    expect(hardware["b/y"]).toBeCloseTo(10, 9);
    expect(hardware["c/z"]).toBeCloseTo(0.05, 9);
    expect(hardware["all kernels"]).toBeCloseTo(3.005 / 1.2, 9);
  });
});

describe("the roofline", () => {
  it("names what tells variants apart", () => {
    const kernels = ["a/x {N=1 f=a + b}", "a/x {N=2 f=a + b}", "b/y {N=1}", "c/z"];
    expect(labelsOf(kernels)).toEqual(["a/x N=1", "a/x N=2", "b/y", "c/z"]);
    const many = [1, 2, 3, 4, 5].map((n) => `a/x {N=${n}}`);
    expect(labelsOf(many)).toEqual(many.map(() => "a/x"));
  });

  it("keeps its labels apart", () => {
    const spaced = spread([10, 11, 12, 60, 99], 10, 100);
    spaced.slice(1).forEach((value, i) => expect(value - spaced[i]).toBeGreaterThan(9.8));
    expect(Math.max(...spaced)).toBeLessThanOrEqual(100.1);
  });

  it("has a name for every kernel, and both ceilings", () => {
    const times = [launch("a/x", 4, { flops: 1e8 }), launch("b/y {N=1}", 4)];
    const { svg } = roofline(summarize([times], ceilings, false));
    for (const name of ["a/x", "b/y", "arithmetic 100 GFLOP/s", "copy 10 GB/s", "loads from cache 20 GB/s"])
      expect(svg).toContain(`>${name}<`);
    expect(svg).not.toContain("NaN");
  });
});

describe("growth", () => {
  it("is an exponent between the first and the last row", () => {
    const rows = [1, 2, 4].map((factor) => ({ factor, stepMs: 3 * factor ** 1.5 }));
    expect(exponent(rows)).toBeCloseTo(1.5, 9);
  });
});

describe("the baseline", () => {
  const before = { a: 2, b: 1, c: 4, old: 1 };

  it("finds what got worse, the worst first, and nothing else", () => {
    const found = compareRatios(before, { a: 3.1, b: 1.4, c: 9, new: 1 }, 1.5);
    expect(found.worse).toEqual([
      { name: "c", before: 4, now: 9, factor: 2.25 },
      { name: "a", before: 2, now: 3.1, factor: 1.55 },
    ]);
    expect(found).toMatchObject({ better: [], added: ["new"], gone: ["old"] });
  });

  it("passes what is as good or better, but no ratio that is not a number", () => {
    const same = compareRatios(before, { ...before, a: 2.9, b: 0.5 }, 1.5);
    expect(same.worse).toEqual([]);
    expect(same.better.map(({ name }) => name)).toEqual(["b"]);
    expect(compareRatios(before, { a: NaN }, 1.5).worse.map(({ name }) => name)).toEqual(["a"]);
  });

  it("is stored by class of adapter, and read back", () => {
    const info = { software: true, vendor: "mesa", architecture: "software" } as DeviceInfo;
    expect(adapterClass(info)).toBe("software mesa");
    expect(adapterClass({ ...info, software: false, vendor: "nvidia", architecture: "hopper" })).toBe("nvidia hopper");
    expect(adapterClass({ ...info, software: false, vendor: "", architecture: "" })).toBe("unknown");
    const entry = { model: "resnet8", batchSize: 8, imageSize: 32, ratios: { b: 1.23456, a: 2 } };
    const text = formatBaseline({ x: entry });
    expect(text.indexOf('"a"')).toBeLessThan(text.indexOf('"b"'));
    expect(parseBaseline(text, "f")).toEqual({ x: { ...entry, ratios: { a: 2, b: 1.23 } } });
    for (const wrong of [
      "{",
      "[]",
      '{"x": {}}',
      '{"x": {"model": "m", "batchSize": 1, "imageSize": 1, "ratios": {"a": null}}}',
    ])
      expect(() => parseBaseline(wrong, "f.json")).toThrow(/^f\.json .*--update$/);
  });

  it("in bench/ is one", () => {
    const path = join(root, "bench/baseline.json");
    expect(Object.keys(parseBaseline(readFileSync(path, "utf8"), path))).toContain("software mesa");
  });
});

describe("the commands", () => {
  it("bench --out writes figures and numbers", async () => {
    const flags = [
      "--model",
      "resnet8",
      "--batch-size",
      "4",
      "--image-size",
      "16",
      "--steps",
      "2",
      "--json",
      "--out",
      "out",
    ];
    const { stdout, stderr, status } = await runCli("bench", flags, { cwd });
    expect({ status, stderr }).toEqual({ status: 0, stderr });
    const report = JSON.parse(stdout) as Record<string, unknown> & { kernels: Record<string, unknown>[] };
    expect(Object.keys(report.ceilings as object)).toEqual(["gflops", "copyGBs", "loadGBs"]);
    expect(report.kernels.length).toBeGreaterThan(10);
    const fields = ["kernel", "shape", "calls", "milliseconds", "share", "flops", "bytes"];
    const rates = ["gflops", "gbs", "arithmeticShare", "bandwidthShare"];
    for (const row of report.kernels) expect(Object.keys(row)).toEqual([...fields, ...rates]);
    const sum = report.kernels.reduce((total, { share }) => total + (share as number), 0);
    expect(sum).toBeCloseTo(1, 6);
    const calls = report.kernels.reduce((total, row) => total + (row["calls"] as number), 0);
    expect(calls).toBe(report["dispatches"]);
    expect(JSON.parse(readFileSync(join(cwd, "out/bench.json"), "utf8"))).toEqual(report);
    expect(readFileSync(join(cwd, "out/roofline.svg"), "utf8")).toContain("conv2d/gather");
    expect(existsSync(join(cwd, "out/roofline.png"))).toBe(true);
  });

  it("bench refuses what it cannot grow", async () => {
    const { status, stderr } = await runCli("bench", ["--growth", "--model", "resnet50"], { cwd });
    expect([status, stderr]).toEqual([2, "bench: --growth knows resnet8, resnet20, resnet18, not resnet50\n"]);
  });

  it("check stores, passes, fails on a regression, and says where there is nothing to compare with", () => {
    const check = (...flags: string[]) => {
      const args = [join(root, "bench/check.js"), "--rounds", "1", "--json", ...flags];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8" });
      return { status, stderr, report: stdout === "" ? null : (JSON.parse(stdout) as Record<string, unknown>) };
    };
    const foreign = { model: "resnet8", batchSize: 4, imageSize: 16, ratios: { a: 1 } };
    writeFileSync(join(cwd, "other.json"), formatBaseline({ "acme rocket": foreign }));
    const nothing = check("--baseline", "other.json");
    expect(nothing).toMatchObject({ status: 0, report: { baseline: null } });
    expect(nothing.stderr).toMatch(
      /nothing was compared: other\.json has nothing for ".+" adapters; store this one's ratios with --update/,
    );

    const work = ["--model", "resnet8", "--batch-size", "4", "--image-size", "16"];
    expect(check("--baseline", "other.json", "--update", ...work).status).toBe(0);
    const stored = parseBaseline(readFileSync(join(cwd, "other.json"), "utf8"), "other.json");
    const adapter = String(nothing.report!["adapter"]);
    expect(Object.keys(stored).sort()).toEqual(["acme rocket", adapter].sort());
    const { ratios } = stored[adapter];
    expect(Object.keys(ratios)).toEqual(expect.arrayContaining(["all kernels", "captured / eager"]));
    for (const ratio of Object.values(ratios)) expect(ratio).toBeGreaterThan(0);

    // No machine is a million times slower a moment later, nor faster.
    expect(check("--baseline", "other.json", "--factor", "1e6")).toMatchObject({ status: 0, report: { worse: [] } });
    const impossible = { ...stored[adapter], ratios: { ...ratios, "all kernels": ratios["all kernels"] / 1e9 } };
    writeFileSync(join(cwd, "other.json"), formatBaseline({ [adapter]: impossible }));
    const worse = check("--baseline", "other.json", "--factor", "1e6");
    expect(worse).toMatchObject({ status: 1, report: { worse: [{ name: "all kernels" }] } });
    expect(worse.stderr).toMatch(/^all kernels .*\n/m);
    const renamed = { ...stored[adapter], ratios: { ...ratios, "a/gone": 1 } };
    writeFileSync(join(cwd, "other.json"), formatBaseline({ [adapter]: renamed }));
    const gone = check("--baseline", "other.json", "--factor", "1e6");
    expect(gone).toMatchObject({ status: 1, report: { worse: [], gone: ["a/gone"] } });
    expect(gone.stderr).toMatch(/only in the baseline: a\/gone; .* --update$/m);
  });

  it("check refuses other work than the baseline's, and factors that mean nothing", async () => {
    const adapter = adapterClass((await testDevice()).info);
    const entry = { model: "resnet8", batchSize: 4, imageSize: 16, ratios: { a: 1 } };
    writeFileSync(join(cwd, "mine.json"), formatBaseline({ [adapter]: entry }));
    const run = (...flags: string[]) =>
      spawnSync(process.execPath, [join(root, "bench/check.js"), ...flags], { cwd, encoding: "utf8" });
    const factor = run("--factor", "1");
    expect([factor.status, factor.stderr]).toEqual([2, "check: --factor must be a number above 1, not 1\n"]);
    const other = run("--baseline", "mine.json", "--model", "resnet20");
    expect(other.status).toBe(1);
    // Into a pipe, Dawn's warnings come first.
    expect(other.stderr).toMatch(
      /^check: the baseline is of resnet8, batch 4, 16 pixels; leave these flags out, or --update$/m,
    );
  });
});
