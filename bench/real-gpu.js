#!/usr/bin/env node
// Everything that is worth knowing about a real GPU, in one run under ten minutes: for machines that are lent for a short while.
import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { positiveNumber, readFlags, refuse } from "./flags.js";
import { describeRatios, torchRatios, torchSteps } from "./torch-ratios.js";

const HELP = `Usage: node bench/real-gpu.js --out DIR [options]

Runs, one after the other and each within its time: doctor, matrix products, ResNet-18 at batch 128 and 512 in f32 and mixed with its
kernels beside the adapter's ceilings, PyTorch's modes, and two runs of training on real images. What does not fit into the time is left out.

  --out <dir>      new folder for every command's output, and summary.json: how each ended, and PyTorch's modes beside Kiln's steps
  --data <dir>     CIFAR-10's binary files; without them no run is trained
  --minutes <n>    for everything (default: 9.5)
  --python <path>  a Python with PyTorch and CUDA (default: python3)
  --quick          small sizes and nothing trained to the end: to try the script itself
  --help`;

const flags = readFlags(HELP, {
  out: { type: "string" },
  data: { type: "string" },
  minutes: { type: "string", default: "9.5" },
  python: { type: "string", default: "python3" },
  quick: { type: "boolean", default: false },
});
const minutes = positiveNumber("minutes", flags.minutes);
await main(flags.out || refuse("name a folder for the results with --out DIR"));

/**
 * `missing`: why it cannot run here, asked when its turn comes; `env`: what it has besides the environment.
 *
 * @typedef {{ name: string, seconds: number, command: string[], missing?: () => string | null, env?: Record<string, string> }} Part
 */

/** In the order of what is missed most if time runs out. @param {string} out @returns {Part[]} */
function parts(out) {
  const node = process.execPath;
  const { data, python, quick } = flags;
  const [small, large] = quick ? [8, 16] : [128, 512];
  const model = quick ? "resnet8" : "resnet18";
  /** @param {number} batch @param {string} precision */
  const bench = (batch, precision) =>
    words(`cli/bench.js --model ${model} --batch-size ${batch} --steps 20 --precision ${precision} --json`);
  /** @param {number} batch @param {string} precision */
  const step = (batch, precision, suffix = "", more = "") => {
    const name = `step-${precision}-${batch}${suffix}`;
    return { name, seconds: 60, command: [node, ...bench(batch, precision), ...words(more), "--out", join(out, name)] };
  };
  /** Without tuning, which may take long where nothing is known yet: a figure in any case. @param {number} batch @param {string} precision */
  const untuned = (batch, precision) => step(batch, precision, "-untuned", "--tune off");
  /** The same under other toggles of Dawn's: what its checks of every index cost. @param {string} name @param {Record<string, string>} env */
  const toggled = (name, env) => ({
    name: `step-mixed-${large}-${name}`,
    seconds: 45,
    command: [node, ...bench(large, "mixed"), "--tune", "off"],
    env,
  });
  /** @param {string} name @param {string} options */
  const run = (name, options) => ({
    name,
    seconds: 240,
    missing: () => (data === undefined ? "no --data" : existsSync(data) ? null : `there is no ${data}`),
    command: [
      node,
      "cli/train.js",
      "--data",
      data ?? "",
      ...words(options),
      "--no-report",
      "--json",
      "--out",
      join(out, name),
    ],
  });
  return [
    { name: "doctor", seconds: 30, command: [node, "cli/doctor.js", "--json"] },
    { name: "matmul", seconds: 45, command: [node, "bench/matmul.js", "--json", ...(quick ? ["--sizes", "256"] : [])] },
    { name: "matrices", seconds: 120, command: [node, "bench/matrix-check.js", ...words(quick ? "--quick" : "--batch 64")] },
    untuned(large, "f32"),
    untuned(large, "mixed"),
    step(large, "f32"),
    step(large, "mixed"),
    {
      name: "pytorch",
      seconds: 90,
      missing: () => (hasTorch(python) ? null : `${python} has no PyTorch with CUDA`),
      command: [python, "bench/peers/torch_gpu.py", "--batch-sizes", `${large},${small}`],
    },
    run("resnet18-26", quick ? "--model resnet8 --epochs 1 --limit 512 --limit-test 256" : "--preset resnet18-26 --precision mixed"),
    run("airbench94", quick ? "--model resnet8 --epochs 1 --limit 512 --limit-test 256 --seed 1" : "--preset airbench94"),
    step(small, "f32"),
    step(small, "mixed"),
    toggled("unchecked", { KILN_DAWN_ENABLE: "disable_robustness,disable_workgroup_init" }),
    toggled("plain-control-flow", { KILN_DAWN_DISABLE: "use_spirv_reconvergence_mode" }),
    { name: "ladder", seconds: 60, command: [node, "bench/ladder.js", "--json", ...(quick ? ["--family", "reduce"] : [])] },
  ]; // prettier-ignore
}

/** @param {string} python */
function hasTorch(python) {
  const question = ["-c", "import torch; assert torch.cuda.is_available()"];
  return spawnSync(python, question, { timeout: 60_000 }).status === 0;
}

/** @param {string} text */
function words(text) {
  return text.split(" ").filter(Boolean);
}

/** @param {string} out */
async function main(out) {
  if (existsSync(join(out, "summary.json")))
    refuse(`${out} has another run's results, which would mix with these: name a new folder`);
  mkdirSync(out, { recursive: true });
  const end = Date.now() + minutes * 60_000;
  /** @type {Record<string, unknown>[]} */
  const summary = [];
  /** What later parts have in their environment. @type {Record<string, string>} */
  const env = {};
  for (const part of parts(out)) {
    const { name } = part;
    const left = (end - Date.now()) / 1000;
    const lacking = left < 10 ? "no time" : part.missing?.();
    if (lacking) summary.push({ name, outcome: `left out: ${lacking}` });
    else summary.push(await measure(out, { ...part, env: { ...env, ...part.env } }, Math.min(part.seconds, left)));
    // A driver that dies of subgroup matrices would end every part: the self-test on opening uses them.
    if (["doctor", "matrices"].includes(name) && summary.at(-1)?.signal) env.KILN_MATRICES = "off";
    console.log(JSON.stringify(summary.at(-1)));
    save(out, summary);
    if (name === "doctor" && !flags.quick && isSoftware(join(out, "doctor.out"))) {
      refuse("the adapter is a software GPU, which would take hours: look into doctor.out, or try with --quick");
    }
  }
  console.log(describeRatios(ratios(out)).join("\n") || "no mode of PyTorch was measured: nothing to compare with");
  process.exitCode = summary.some(({ outcome }) => outcome === "failed") ? 1 : 0;
}

/** After every part: a machine that is lent may go before the end. @param {string} out @param {readonly object[]} parts */
function save(out, parts) {
  writeFileSync(join(out, "summary.json"), `${JSON.stringify({ parts, pytorch: ratios(out) }, null, 2)}\n`);
}

/** Of what has been measured so far. @param {string} out */
function ratios(out) {
  const names = parts(out).map(({ name }) => join(out, name, "bench.json"));
  const kiln = names.filter((path) => existsSync(path)).map((path) => JSON.parse(readFileSync(path, "utf8")));
  const torch = join(out, "pytorch.out");
  return torchRatios(existsSync(torch) ? torchSteps(readFileSync(torch, "utf8")) : [], kiln);
}

/** What `doctor.js --json` says; not where it failed. @param {string} path */
function isSoftware(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).adapter.software === true;
  } catch {
    return false;
  }
}

/**
 * A part that fails or takes too long must not take the others' time.
 *
 * @param {string} out @param {Part} part @param {number} seconds
 */
async function measure(out, { name, command: [program, ...args], env }, seconds) {
  const start = Date.now();
  const files = ["out", "err"].map((stream) => createWriteStream(join(out, `${name}.${stream}`)));
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  child.stdout.pipe(files[0]);
  child.stderr.pipe(files[1]);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGINT"); // commands save what they have
    setTimeout(() => child.kill("SIGKILL"), 5000).unref();
  }, seconds * 1000);
  /** @type {{ status: number | null, signal: string | null }} */
  const { status, signal } = await new Promise((done) => {
    child.on("error", () => done({ status: -1, signal: null }));
    child.on("close", (status, signal) => done({ status, signal }));
  });
  clearTimeout(timer);
  await Promise.all(files.map((file) => new Promise((done) => file.end(done))));
  const outcome = timedOut ? "out of time" : status === 0 ? "ok" : "failed";
  const last = readFileSync(join(out, `${name}.${outcome === "failed" ? "err" : "out"}`), "utf8").trim();
  const ended = outcome === "failed" ? { status, signal } : {};
  return {
    name,
    outcome,
    ...ended,
    seconds: (Date.now() - start) / 1000,
    said: last.split("\n").at(-1)?.slice(0, 400),
  };
}
