#!/usr/bin/env node
// Matrix products of growing size: GFLOP/s of all that the engine runs for one, laying operands out for the kernel included.
import { readFlags, wholeNumber } from "./flags.js";
import { randomNumbers } from "./ladder/measure.js";
import { openEngine } from "./open.js";
import { median, timeOf } from "./time.js";

const HELP = `Usage: node bench/matmul.js [options]

  --sizes <n,n>      rows and columns of the matrices (default: 1024,2048,4096)
  --rounds <n>       runs of each size; the median counts (default: 7)
  --adapter <name>   part of the adapter's name
  --json             print the figures as JSON`;

const flags = readFlags(HELP, {
  sizes: { type: "string", default: "1024,2048,4096" },
  rounds: { type: "string", default: "7" },
  adapter: { type: "string" },
  json: { type: "boolean", default: false },
});

const sizes = flags.sizes.split(",").map((size) => wholeNumber("sizes", size));
const rounds = wholeNumber("rounds", flags.rounds);
const { engine, device } = await openEngine(flags.adapter);
const random = randomNumbers(1);
const rows = [];
for (const size of sizes) rows.push(await measure(size, rounds));
if (flags.json) console.log(JSON.stringify({ adapter: device.info, family: device.family, rows }));
else
  for (const { size, milliseconds, gflops } of rows)
    console.log(`${size}  ${milliseconds.toFixed(2)} ms  ${gflops.toFixed(0)} GFLOP/s`);
device.dispose();

/** @param {number} size @param {number} rounds */
async function measure(size, rounds) {
  const [a, b] = [random([size, size]), random([size, size])].map((values) => engine.fromData(values, [size, size]));
  const product = () => engine.scope(() => void a.matmul(b));
  product();
  await device.idle();
  const times = [];
  for (let i = 0; i < rounds; i++) times.push(await timeOf(device, product));
  for (const x of [a, b]) x.dispose();
  const milliseconds = median(times);
  return { size, milliseconds, gflops: (2 * size ** 3) / milliseconds / 1e6 };
}
