// Every rung of the kernel tour computes what its production kernel does: against the float64 references, on small problems.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { families } from "../bench/ladder/families.js";
import { canRun, runRung, upload } from "../bench/ladder/measure.js";
import { showTable } from "../bench/ladder/table.js";
import * as engine from "../engine/index.ts";
import { launch } from "../engine/launch.ts";
import { ladder } from "../shaders/ladder.ts";
import type { Arr } from "./reference/array.ts";
import { batchNorm } from "./reference/batch-norm.ts";
import { conv2d } from "./reference/conv2d.ts";
import { matmul } from "./reference/matmul.ts";
import { sgdStep, type SgdState } from "./reference/optimizers.ts";
import { testDevice } from "./support/gpu.ts";
import { randomArr } from "./support/random.ts";
import { expectClose, type Comparison } from "./support/tolerance.ts";
import { winogradAccuracy } from "./support/winograd.ts";

type Family = (typeof families)[number];
type Arrays = Record<string, Arr>;

/** What the rungs of a family must compute, and how near they must come. */
const REFERENCES: Record<
  string,
  (t: Arrays, size: Record<string, number>) => { want: Arr } & Omit<Comparison, "op" | "shapes">
> = {
  matmul: ({ a, b }, { K }) => ({ want: matmul(a, b), terms: K }),
  reduce: ({ x }, { n }) => ({ want: totalOf(x), terms: n, scale: largestPrefix(x) }),
  "batch-norm": ({ x, weight, bias, running_mean: runningMean, running_var: runningVar }, { rows }) => ({
    want: batchNorm(x, weight, bias, { training: true, relu: true, runningMean, runningVar }).y,
    terms: rows,
  }),
  "optimizer-step": (t, { steps }) => ({
    want: sgdSteps(t, steps),
    kind: Array.from({ length: 6 * steps }, () => "add" as const),
    scale: 1,
  }),
  conv2d: ({ x, weight }, { C }) => ({ want: conv2d(x, weight, { padding: 1 }), terms: 9 * C }),
  winograd: ({ x, weight }, { C }) => ({
    want: conv2d(x, weight, { padding: 1 }),
    // The engine's larger tiles round more than the rungs.
    ...winogradAccuracy(4, "forward", C),
  }),
};

/** With the numbers of bench/ladder/optimizer-step.js. */
function sgdSteps({ weights, gradients, buffers }: Arrays, steps: number): Arr {
  let [w, state]: [Arr, SgdState] = [weights, { buffer: buffers }];
  for (let step = 0; step < steps; step++)
    ({ w, state } = sgdStep(w, gradients, state, { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 }));
  return w;
}

function totalOf(x: Arr): Arr {
  return { shape: [1], data: Float64Array.of(x.data.reduce((sum, value) => sum + value, 0)) };
}

/** A sum of both signs passes through larger numbers than its result. */
function largestPrefix(x: Arr): number {
  let sum = 0;
  return x.data.reduce((largest, value) => Math.max(largest, Math.abs((sum += value))), 0);
}

async function openKit() {
  const device = await testDevice();
  return { engine, launch, ladder, lanes: device.info.subgroupSize };
}

/** Random inputs of a family, as the benchmark makes them. */
function inputsOf(family: Family, size: Record<string, number>, seed: number) {
  let stream = seed;
  return family.inputs(size, (shape) => Float32Array.from(randomArr(shape, stream++).data));
}

describe.each(families.map((family) => [family.name, family] as const))("the ladder of %s", (name, family) => {
  beforeAll(testDevice);

  it("has its rungs, and only those, in shaders/", () => {
    const files = readdirSync(join(import.meta.dirname, "../shaders", name)).filter((file) => /^\d/.test(file));
    const named = family.rungs.filter(({ production }) => !production).map((rung) => rung.name);
    // A rung of several kernels has files like 1-split-input.wgsl.
    const rungOf = (file: string): string | undefined =>
      named.find((rung) => file === `${rung}.wgsl` || file.startsWith(`${rung}-`));
    expect(files.filter((file) => rungOf(file) === undefined)).toEqual([]);
    expect(named.filter((rung) => !files.some((file) => rungOf(file) === rung))).toEqual([]);
  });

  it("is told on its page, rung for rung", () => {
    const page = readFileSync(join(import.meta.dirname, "../docs/kernels", family.page), "utf8");
    const missing = family.rungs.filter((rung) => !rung.production && !page.includes(`${name}/${rung.name}`));
    expect(missing.map((rung) => rung.name)).toEqual([]);
  });

  // The production kernels for real GPUs, which compile longest, have larger problems in test/ops/*-workgroup.test.ts.
  const rungs = family.rungs.filter((rung) => !(rung.production && rung.family === "workgroup"));
  describe.each(rungs.map((rung) => [rung.name, rung] as const))("%s", (_, rung) => {
    const cases = family.small.map((size) => ({ size, label: JSON.stringify(size) }));
    it.for(cases)("is right at $label", async ({ size, label }, context) => {
      const kit = await openKit();
      if (!canRun(kit, rung)) context.skip("this adapter lacks the subgroups that the rung needs");
      const inputs = inputsOf(family, size, label.length);
      const tensors = upload(kit, inputs);
      const y = runRung(kit, rung, size, tensors);
      const arrays = Object.fromEntries(
        Object.entries(inputs).map(([key, { shape, data }]) => [key, { shape, data: Float64Array.from(data) }]),
      );
      const { want, ...how } = REFERENCES[name](arrays, size);
      const shapes = Object.fromEntries(Object.entries(inputs).map(([key, { shape }]) => [key, shape]));
      const got = { shape: y.shape, data: await y.data() };
      expectClose(got, want, { op: `${name}/${rung.name}`, shapes, ...how });
      for (const tensor of new Set([y, ...Object.values(tensors)])) tensor.dispose();
    });
  });
});

describe("the table", () => {
  it("compares each row with the one that it improves on, and all with the best", () => {
    const row = (name: string, production: boolean, rate: number, after: string | null) => ({
      name,
      production,
      rate,
      after,
      milliseconds: 8 / rate,
    });
    const rows = [
      row("0-naive", false, 1, null),
      row("fast", true, 4, "0-naive"),
      row("1-vector", false, 2, "0-naive"),
      row("3-x", false, 2, "2-x"),
    ];
    const text = showTable({ name: "f", page: "f.md", title: "t", unit: "GB/s", rows, skipped: ["2-x"] });
    expect(text.split("\n").slice(0, 6)).toEqual([
      "f: t (docs/kernels/f.md)",
      "            ms  GB/s  of best  gain",
      "0-naive   8.00  1.00     25 %",
      "* fast    2.00  4.00    100 %  4.00 x 0-naive",
      "1-vector  4.00  2.00     50 %  2.00 x 0-naive",
      "3-x       4.00  2.00     50 %",
    ]);
    expect(text).toContain("not on this adapter: 2-x");
  });
});

describe("npm run ladder", () => {
  const ladderCommand = (...flags: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, "../bench/ladder.js"), ...flags], { encoding: "utf8" });

  it("explains itself, and refuses what it does not know before it opens a GPU", () => {
    const help = ladderCommand("--help");
    expect(help.status).toBe(0);
    for (const { name } of families) expect(help.stdout).toContain(name);
    const unknown = ladderCommand("--family", "matmul", "--family", "sorting");
    expect([unknown.status, unknown.stdout]).toEqual([2, ""]);
    expect(unknown.stderr).toContain("ladder: --family sorting: there are matmul, conv2d");
    expect(ladderCommand("--rounds", "0").stderr).toContain("must be a whole number from 1 on");
  });
});
