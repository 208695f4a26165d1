// @ts-check
// Times the rungs of a family. The rungs take turns, so that a machine that is busy for a while is so for all of them, and every
// sample runs its rung so often that it outlasts the cost of waiting for the GPU.
import { clock, median, runsOfSample } from "../time.js";

/** @typedef {import("./family.js").Kit} Kit */
/** @typedef {import("./family.js").Family} Family */
/** @typedef {import("./family.js").Rung} Rung */

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {boolean} production
 * @property {string | null} after what it improves on
 * @property {number} milliseconds median of a run
 * @property {number} rate work per second, in the family's unit
 */

/** @typedef {{ name: string, page: string, title: string, unit: string, rows: Row[], skipped: string[] }} Result */

/** Rungs that take longer than so many milliseconds are measured once: nobody asks for their second digit. */
const SLOW = 1000;

/** @param {Kit} kit @param {Rung} rung */
export function canRun({ engine, lanes }, { family, needs }) {
  if (family !== "subgroup" && needs !== "subgroups") return true;
  const has = engine.currentDevice().gpu.features.has("subgroups");
  return has && (family !== "subgroup" || lanes === 4 || lanes === 8);
}

/** @param {Kit} kit @param {Record<string, import("./family.js").Input>} inputs */
export const upload = ({ engine }, inputs) =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, data, dtype }]) => [name, engine.fromData(data, shape, dtype)]),
  );

/** Runs one rung with the kernels that it asks for. @param {Kit} kit @param {Rung} rung @param {import("./family.js").Size} size @param {import("./family.js").Tensors} tensors */
export function runRung(kit, rung, size, tensors) {
  const device = kit.engine.currentDevice();
  const before = device.family;
  if (rung.family) device.family = rung.family;
  try {
    return kit.engine.scope(() => rung.run(kit, size, tensors));
  } finally {
    device.family = before;
  }
}

/** @param {Kit} kit @param {Family} family @param {number} rounds @returns {Promise<Result>} */
export async function measureFamily(kit, family, rounds) {
  const { engine } = kit;
  const device = engine.currentDevice();
  const size = device.info.software ? family.software : family.hardware;
  const rungs = family.rungs.filter((rung) => canRun(kit, rung));
  const tensors = upload(kit, family.inputs(size, randomNumbers(1)));
  /** @param {Rung} rung */
  const run = (rung) => () => engine.scope(() => void runRung(kit, rung, size, tensors));
  const counts = [];
  for (const rung of rungs) counts.push(await runsOfSample(device, run(rung)));
  /** @type {number[][]} */
  const times = rungs.map(() => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, rung] of rungs.entries()) {
      if (times[i].length > 0 && times[i][0] > SLOW) continue;
      times[i].push(await clock(device, counts[i], run(rung)));
    }
  for (const tensor of Object.values(tensors)) tensor.dispose();
  const rows = rungs.map((rung, i) => {
    const { name, production = false } = rung;
    const after = rung.after ?? family.rungs[family.rungs.indexOf(rung) - 1]?.name ?? null;
    const milliseconds = median(times[i]);
    return { name, production, after, milliseconds, rate: family.work(size) / milliseconds / 1e6 };
  });
  const skipped = family.rungs.filter((rung) => !rungs.includes(rung)).map(({ name }) => name);
  return { name: family.name, page: family.page, title: family.title(size), unit: family.unit, rows, skipped };
}

/** Numbers in [-1, 1), never zeros: some GPUs are faster on those. @param {number} seed */
export function randomNumbers(seed) {
  let state = seed;
  return (/** @type {number[]} */ shape) =>
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state + 0.5) / 2 ** 31 - 1;
    });
}
