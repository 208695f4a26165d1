#!/usr/bin/env node
// Matrix products of growing size: GFLOP/s of the kernel that the engine chooses.
// node bench/matmul.js [--sizes 1024,2048,4096] [--rounds 7] [--json]
import { parseArgs } from "node:util";
import { median } from "../dist/cli/commands/bench/median.js";
import { fromData, openDevice, scope } from "../dist/engine/index.js";
import { wholeNumber } from "./flags.js";
import { randomNumbers } from "./ladder/measure.js";

const { values: flags } = parseArgs({
  options: {
    sizes: { type: "string", default: "1024,2048,4096" },
    rounds: { type: "string", default: "7" },
    adapter: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

const sizes = flags.sizes.split(",").map((size) => wholeNumber("sizes", size));
const rounds = wholeNumber("rounds", flags.rounds);
const device = await openDevice(flags.adapter ? { adapter: flags.adapter } : {});
const random = randomNumbers(1);
const rows = [];
for (const size of sizes) rows.push(await measure(size, rounds));
if (flags.json) console.log(JSON.stringify({ adapter: device.info, family: device.family, rows }));
else
  for (const { size, milliseconds, gflops } of rows)
    console.log(`${size}  ${milliseconds.toFixed(2)} ms  ${gflops.toFixed(0)} GFLOP/s`);
device.dispose();

/** By timestamps where there are any, else by the clock. @param {number} size @param {number} rounds */
async function measure(size, rounds) {
  const [a, b] = [random([size, size]), random([size, size])].map((values) => fromData(values, [size, size]));
  const product = () => scope(() => void a.matmul(b));
  product();
  await device.idle();
  const times = [];
  for (let i = 0; i < rounds; i++) times.push(await timeOf(product));
  for (const x of [a, b]) x.dispose();
  const milliseconds = median(times);
  return { size, milliseconds, gflops: (2 * size ** 3) / milliseconds / 1e6 };
}

/** @param {() => void} work */
async function timeOf(work) {
  if (device.gpu.features.has("timestamp-query")) {
    const kernels = await device.profile(work);
    return kernels.filter(({ flops }) => flops > 0).reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  }
  const start = performance.now();
  work();
  await device.idle();
  return performance.now() - start;
}
