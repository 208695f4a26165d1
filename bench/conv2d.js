#!/usr/bin/env node
// The three passes of ResNet-18's 3 x 3 convolutions, direct and by Winograd's algorithm: GFLOP/s, all transforms included and
// counted as the direct sum's operations.
import { readFlags, wholeNumber } from "./flags.js";
import { randomNumbers } from "./ladder/measure.js";
import { openEngine } from "./open.js";
import { clock, median, runsOfSample } from "./time.js";

const HELP = `Usage: node bench/conv2d.js [options]

  --batch-size <n>   images (default: 32)
  --rounds <n>       samples of each pass, taken in turns; the median counts (default: 8)
  --adapter <name>   part of the adapter's name
  --json             print the figures as JSON`;

const flags = readFlags(HELP, {
  "batch-size": { type: "string", default: "32" },
  rounds: { type: "string", default: "8" },
  adapter: { type: "string" },
  json: { type: "boolean", default: false },
});

const nothing = { x: false, weight: false }; // to keep

/** Pixels on a side, channels. */
const STAGES = [
  [32, 64],
  [16, 128],
  [8, 256],
  [4, 512],
];

const N = wholeNumber("batch-size", flags["batch-size"]);
const rounds = wholeNumber("rounds", flags.rounds);
const { engine, device } = await openEngine(flags.adapter);
const { forward, inputGradient, weightGradient } = await import("../dist/engine/ops/conv2d-launch.js");
device.keptTransformBytes = 2 ** 31;
const rows = [];
for (const [size, channels] of STAGES) rows.push(await measure(size, channels));
if (flags.json) console.log(JSON.stringify({ adapter: device.info, rows }));
else console.table(Object.fromEntries(rows.map(({ layer, ...rates }) => [layer, rates])));
device.dispose();

/** Medians; the passes take turns. @param {number} size @param {number} C */
async function measure(size, C) {
  const images = [N, size, size, C];
  const random = randomNumbers(1);
  const [x, weight, dy] = [images, [3, 3, C, C], images].map((shape) => engine.fromData(random(shape), shape));
  const pair = /** @type {const} */ ([1, 1]);
  const shape = /** @type {const} */ ([N, size, size, C]);
  const g = { x: shape, y: shape, weight: /** @type {const} */ ([3, 3, C, C]), stride: pair, padding: pair, dilation: pair, groups: 1 }; // prettier-ignore
  device.winograd = 4;
  const { kept } = engine.scope(() => forward(x, weight, g, false, { x: true, weight: true }));
  /** @type {Record<string, { winograd: false | 4, run: () => unknown }>} */
  const passes = {
    "direct forward": { winograd: false, run: () => forward(x, weight, g, false, nothing) },
    "direct dx": { winograd: false, run: () => inputGradient(dy, weight, g, null, null) },
    "direct dweight": { winograd: false, run: () => weightGradient(x, dy, g, null, null) },
    "Winograd forward": { winograd: 4, run: () => forward(x, weight, g, false, nothing) },
    "Winograd dx": { winograd: 4, run: () => inputGradient(dy, weight, g, null, null) },
    "dx, U kept": { winograd: 4, run: () => inputGradient(dy, weight, g, kept.weight, null) },
    "Winograd dweight": { winograd: 4, run: () => weightGradient(x, dy, g, null, null) },
    "dweight, V kept": { winograd: 4, run: () => weightGradient(x, dy, g, kept.x, null) },
  };
  /** @type {Record<string, number[]>} */
  const times = Object.fromEntries(Object.keys(passes).map((name) => [name, []]));
  /** @type {Record<string, number>} */
  const runs = {};
  for (let round = 0; round < rounds; round++) {
    for (const [name, { winograd, run }] of Object.entries(passes)) {
      device.winograd = winograd;
      const once = () => engine.scope(() => void run());
      runs[name] ??= await runsOfSample(device, once);
      times[name].push(await clock(device, runs[name], once));
    }
  }
  for (const tensor of [x, weight, dy, kept.x, kept.weight]) tensor?.dispose();
  const flops = 2 * N * size * size * 9 * C * C;
  const rates = Object.entries(times).map(([name, list]) => [name, Math.round(flops / median(list) / 1e6)]);
  return { layer: `${C} @ ${size}`, ...Object.fromEntries(rates) };
}
