#!/usr/bin/env node
// Whether the kernels of subgroup matrices (tensor cores, f16) compute what the f32 kernels do, and how fast: the first thing to run
// on a GPU that has them. Prints, for each shape and tile, the largest error relative to the largest value, and TFLOP/s.
import { readFlags, wholeNumber } from "./flags.js";
import { randomNumbers } from "./ladder/measure.js";
import { openEngine } from "./open.js";
import { timeOf } from "./time.js";

/** @typedef {import("../dist/engine/index.js").Tensor} Tensor @typedef {readonly [number, number]} Tile */
/** Which tiles are checked: those that are used first, then the rest. @typedef {(columns: number, used: Tile) => Tile[]} Tiles */

const HELP = `Usage: node bench/matrix-check.js [options]

  --quick            no large products, and convolutions of 3 images
  --batch <n>        images of the convolutions (default: 512)
  --rounds <n>       runs of each kernel; the fastest counts (default: 5)
  --adapter <name>   part of the adapter's name`;

const flags = readFlags(HELP, {
  quick: { type: "boolean", default: false },
  batch: { type: "string", default: "512" },
  rounds: { type: "string", default: "5" },
  adapter: { type: "string" },
});

const batch = wholeNumber("batch", flags.batch);
const rounds = wholeNumber("rounds", flags.rounds);
const { engine, device } = await openEngine(flags.adapter);
const { capture, empty, fromData, matmul, scope } = engine;
const { cast } = await import("../dist/engine/ops/cast.js");
const { gatherMatrix, gatherMatrixPlan, weightGradientMatrix, weightGradientMatrixPlan } =
  await import("../dist/engine/ops/conv2d-matrix.js");
const { gatherWorkgroup, weightGradientWorkgroup } = await import("../dist/engine/ops/conv2d-workgroup.js");
const { chooseMatrixTile, matmulMatrix, matrixTiles } = await import("../dist/engine/ops/matmul-matrix.js");
const configs = await listed();
const { info } = device;
console.log(
  `${info.vendor} ${info.name || info.description}: ${device.family} kernels, subgroups of ${info.subgroupSize}`,
);
console.log(
  "listed:",
  configs.map((c) => `${c.componentType}->${c.resultComponentType} ${c.M}x${c.N}x${c.K}`).join(" ") || "nothing",
);

/** What was wanted, read back: every tile is compared with it. @type {WeakMap<Tensor, Promise<ArrayLike<number>>>} */
const known = new WeakMap();

let failed = false;
for (const problem of device.matrixProblems) console.log(`not used: ${problem}`);
if (!device.matrix) {
  console.log(`matrix-check: this adapter has no usable subgroup matrices${info.software ? "" : ": see above"}`);
  failed = !info.software;
} else {
  console.log("used:", JSON.stringify(device.matrix));
  for (const tiles of [onlyUsed, unused]) {
    await checkProducts(tiles);
    await checkConvolutions(tiles);
  }
}
device.dispose();
process.exitCode = failed ? 1 : 0;

/** All sizes and types that the adapter lists, also those that the kernels do not know: the device does not say. @returns {Promise<any[]>} */
async function listed() {
  const { openGpu } = await import("../dist/engine/gpu/open.node.js");
  const { adapter } = await openGpu(flags.adapter ? { adapter: flags.adapter } : {});
  return [.../** @type {any} */ (adapter?.info?.subgroupMatrixConfigs ?? [])];
}

/** @type {Tiles} */
function onlyUsed(_, used) {
  return [used];
}

/** @type {Tiles} */
function unused(columns, used) {
  return matrixTiles(columns).filter((tile) => tile.join() !== used.join());
}

/** @param {Tiles} tiles */
async function checkProducts(tiles) {
  /** @type {[number, number, number][]} M, K, N */
  const sizes = [[72, 104, 40], [1000, 520, 328]]; // prettier-ignore
  if (!flags.quick) sizes.push([2048, 2048, 2048], [4096, 4096, 4096], [8192, 4608, 512]);
  for (const [M, K, N] of sizes) {
    const [a, b] = [half([M, K], 1), half([K, N], 2)];
    const want = scope(() => matmul(cast(a, "f32"), cast(b, "f32")));
    const name = `matmul ${M}x${K}x${N}`;
    await compare(name, tiles(N, chooseMatrixTile(M, N)), 2 * M * K * N, K, want, (tile) => matmulMatrix(a, b, tile));
    for (const x of [a, b, want]) x.dispose();
  }
}

/** @param {Tiles} tiles */
async function checkConvolutions(tiles) {
  const N = flags.quick ? 3 : batch;
  /** @type {[number, number, number, number, number][]} side, C, K, taps, stride: ResNet-18's and ones with tails */
  const shapes = [[9, 24, 40, 3, 1], [7, 8, 16, 1, 2], [32, 64, 64, 3, 1], [32, 64, 128, 3, 2], [32, 64, 128, 1, 2]]
    .concat([[16, 128, 128, 3, 1], [16, 128, 256, 3, 2], [8, 256, 256, 3, 1], [8, 256, 512, 3, 2], [4, 512, 512, 3, 1]]); // prettier-ignore
  for (const shape of shapes) await checkConvolution(tiles, shape[0] % 2 ? 5 : N, shape);
}

/** @param {Tiles} tiles @param {number} N @param {[number, number, number, number, number]} shape */
async function checkConvolution(tiles, N, [side, C, K, taps, stride]) {
  const padding = (taps - 1) / 2;
  const P = Math.floor((side + 2 * padding - taps) / stride) + 1;
  const name = `${N}x${side}x${side}x${C} ${taps}x${taps}x${C}x${K} /${stride}`;
  const [one, zero] = [/** @type {const} */ ([1, 1]), /** @type {const} */ ([0, 0])];
  const pair = (/** @type {number} */ n) => /** @type {const} */ ([n, n]);
  const [x, weight, dy] = [half([N, side, side, C], 1), half([taps, taps, C, K], 2), half([N, P, P, K], 3)];
  const [x32, weight32, dy32] = [x, weight, dy].map((t) => scope(() => cast(t, "f32")));
  const geometry = /** @type {const} */ ({
    x: [N, side, side, C], y: [N, P, P, K], weight: [taps, taps, C, K],
    stride: pair(stride), padding: pair(padding), dilation: one, groups: 1,
  }); // prettier-ignore
  const forward = /** @type {const} */ ({
    x: geometry.x, y: geometry.y, taps: pair(taps), places: pair(P), step: pair(stride), origin: pair(-padding),
    spacing: one, divisor: one, spread: one, phase: zero,
  }); // prettier-ignore
  const flops = 2 * N * P * P * K * taps * taps * C;
  const want = scope(() => {
    const y = empty(geometry.y);
    return { y, partials: gatherWorkgroup(x32, weight32, y, forward, true) };
  });
  const forwardTiles = tiles(K, gatherMatrixPlan(forward).tile);
  /** @param {Tile} tile */
  const run = (tile) =>
    scope(() => {
      const y = empty(geometry.y, "f16");
      return { y, partials: gatherMatrix(x, weight, y, forward, true, tile) };
    });
  await compare(`forward ${name}`, forwardTiles, flops, taps * taps * C, want.y, (tile) => {
    const { y, partials } = run(tile);
    partials?.means.dispose();
    return y;
  });
  for (const tile of forwardTiles) {
    const { y, partials } = run(tile);
    report("  its statistics", tile, largestOff(await statistics(want.partials), await statistics(partials)), 1e-4, "");
    for (const t of [y, partials?.means]) t?.dispose();
  }
  for (const t of [want.y, want.partials?.means]) t?.dispose();
  const backward = { ...forward, x: geometry.y, y: geometry.x, places: pair(Math.ceil(side / stride)), step: one, origin: pair(padding), spacing: pair(-1), divisor: pair(stride), spread: pair(stride) }; // prettier-ignore
  const turned = half([taps, taps, K, C], 4); // any weights of this shape
  const turned32 = scope(() => cast(turned, "f32"));
  /** @param {typeof gatherMatrix} gather @param {Tensor} from @param {Tensor} by @param {"f16" | "f32"} type @param {Tile} [tile] */
  const phases = (gather, from, by, type, tile) => scope(() => {
    const dx = empty(geometry.x, type);
    for (let p = 0; p < stride; p++) for (let q = 0; q < stride; q++) {
      const places = /** @type {const} */ ([Math.ceil((side - p) / stride), Math.ceil((side - q) / stride)]);
      gather(from, by, dx, { ...backward, places, origin: [p + padding, q + padding], phase: [p, q] }, false, tile);
    }
    return dx;
  }); // prettier-ignore
  const dx = phases(gatherWorkgroup, dy32, turned32, "f32");
  const backwardTiles = tiles(C, gatherMatrixPlan(backward).tile);
  await compare(`input gradient ${name}`, backwardTiles, flops, taps * taps * K, dx, (tile) => phases(gatherMatrix, dy, turned, "f16", tile)); // prettier-ignore
  const dweight = weightGradientWorkgroup(x32, dy32, geometry);
  const weightTiles = tiles(K, weightGradientMatrixPlan(geometry).tile);
  await compare(`weight gradient ${name}`, weightTiles, flops, N * P * P, dweight, (tile) => weightGradientMatrix(x, dy, geometry, tile)); // prettier-ignore
  for (const t of [x, weight, dy, x32, weight32, dy32, turned, turned32, dx, dweight]) t.dispose();
}

/**
 * @param {string} name @param {readonly Tile[]} tiles @param {number} flops @param {number} terms @param {Tensor} want
 * @param {(tile: Tile) => Tensor} run
 */
async function compare(name, tiles, flops, terms, want, run) {
  // A driver may take half a second for a kernel, and compiles as many at a time as it has threads.
  const steps = tiles.map((tile) => capture(() => run(tile).dispose()));
  await Promise.all(steps.map((step) => step.compile()));
  for (const step of steps) step.dispose();
  for (const tile of tiles) await compareOne(name, tile, flops, terms, want, () => run(tile));
}

/** @param {string} name @param {Tile} tile @param {number} flops @param {number} terms @param {Tensor} want @param {() => Tensor} run */
async function compareOne(name, tile, flops, terms, want, run) {
  const y = run();
  const error = await difference(want, y);
  // Rounding of the result where it is f16, and of sums of both kernels.
  const allowed = (y.dtype === "f16" ? 2 ** -10 : 0) + 4 * Math.sqrt(terms) * 2 ** -23 + 1e-6;
  y.dispose();
  const times = [];
  for (let i = 0; i < rounds; i++) times.push(await timeOf(device, () => run().dispose()));
  const milliseconds = Math.min(...times);
  report(
    name,
    tile,
    error,
    allowed,
    `${milliseconds.toFixed(3)} ms  ${(flops / milliseconds / 1e9).toFixed(1)} TFLOP/s`,
  );
}

/** @param {string} name @param {Tile} tile @param {number} error @param {number} allowed @param {string} speed */
function report(name, tile, error, allowed, speed) {
  const right = error <= allowed; // not for NaN
  failed ||= !right;
  console.log(
    `${right ? "ok  " : "BAD "} ${name.padEnd(52)} ${tile.join("x").padEnd(8)} ${error.toExponential(1)}  ${speed}`,
  );
}

/** @param {Tensor} want @param {Tensor} got */
async function difference(want, got) {
  if (!known.has(want)) known.set(want, want.data());
  return largestOff(await /** @type {Promise<ArrayLike<number>>} */ (known.get(want)), await got.data());
}

/** The largest difference, relative to the largest value wanted. @param {ArrayLike<number>} want @param {ArrayLike<number>} got */
function largestOff(want, got) {
  let [worst, scale] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    const off = Math.abs(want[i] - got[i]);
    if (Number.isNaN(off)) return NaN; // nothing is larger, nor smaller
    if (off > worst) worst = off;
    if (Math.abs(want[i]) > scale) scale = Math.abs(want[i]);
  }
  return worst / scale;
}

/** Means plus standard deviations of all rows by column, from the partials of tiles. @param {import("../dist/engine/index.js").BatchNormPartials | null} partials */
async function statistics(partials) {
  if (!partials) throw new Error("no partials");
  const { means, rowsPerTile, rows } = partials;
  const data = await means.data();
  const K = means.shape[2];
  return Array.from({ length: K }, (_, k) => {
    let [mean, squares] = [0, 0];
    for (let first = 0; first < rows; first += rowsPerTile) {
      const at = (first / rowsPerTile) * 2 * K + k;
      const more = Math.min(rowsPerTile, rows - first);
      const d = data[at] - mean;
      squares += data[at + K] + (d * d * first * more) / (first + more);
      mean += (d * more) / (first + more);
    }
    return mean + Math.sqrt(squares / rows);
  });
}

/** f16 numbers in [-1, 1): a GPU can be faster on zeros. @param {number[]} shape @param {number} seed */
function half(shape, seed) {
  return scope(() => cast(fromData(randomNumbers(seed * 7919)(shape), shape), "f16"));
}
