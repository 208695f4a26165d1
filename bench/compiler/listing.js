// @ts-check
// Reads what RADV prints with RADV_DEBUG=shaders,shaderstats.

/** Begins the line before what the driver says of a kernel. */
export const KERNEL_MARK = "@kernel ";
/** Begins the line that says why compiling ended. */
export const FAILURE_MARK = "@failure ";

const MULTIPLY_ADD = /^v_(pk_|dual_)?(fma|mac_f|mad_f)/;
const MATRIX_PRODUCT = /^v_wmma/;
const MEMORY_LOAD = /^(buffer|global)_load/;

/**
 * @typedef {{ instruction: string, operands: string }} Instruction
 * @typedef {{ instructions: number, multiplyAdds: number, matrixProducts: number, ldsLoads: number, memoryLoads: number, hiding: number }} Loop
 * @typedef {{ name: string, registers: number, spilled: number, waves: number, lds: number, loop: Loop | null }} Compiled
 */

/** Every kernel once, in the order of the listing. @param {string} listing @returns {Compiled[]} */
export function readListing(listing) {
  /** @type {Map<string, Compiled>} */
  const kernels = new Map();
  for (const part of listing.split(`\n${KERNEL_MARK}`).slice(1)) {
    const name = part.slice(0, part.indexOf("\n"));
    /** @param {string} label */
    const statistic = (label) => Number(new RegExp(`^${label}: (\\d+)`, "m").exec(part)?.[1] ?? NaN);
    kernels.set(name, {
      name,
      registers: statistic("VGPRs"),
      spilled: statistic("Spilled VGPRs") + statistic("Spilled SGPRs"),
      waves: statistic("Subgroups per SIMD"),
      lds: statistic("LDS size"),
      loop: longestLoop(part.slice(part.lastIndexOf("\ndisasm:"))),
    });
  }
  return [...kernels.values()];
}

/** From a label to the last branch back to it; instructions of branches inside count, taken or not. @param {string} code @returns {Loop | null} */
function longestLoop(code) {
  /** @type {Map<string, number>} */
  const labels = new Map();
  /** @type {Instruction[]} */
  const instructions = [];
  /** @type {Instruction[]} */
  let longest = [];
  for (const line of code.split("\n")) {
    const label = /^(BB\d+):/.exec(line)?.[1];
    if (label) labels.set(label, instructions.length);
    const [, instruction, operands] = /^\s+([a-z]\w+)(.*)/.exec(line) ?? [];
    if (!instruction) continue;
    instructions.push({ instruction, operands });
    const start = instruction.includes("branch") ? labels.get(/BB\d+/.exec(operands)?.[0] ?? "") : undefined;
    if (start !== undefined && instructions.length - start > longest.length) longest = instructions.slice(start);
  }
  if (longest.length === 0) return null;
  /** @param {RegExp} pattern */
  const count = (pattern) => longest.filter(({ instruction }) => pattern.test(instruction)).length;
  return {
    instructions: longest.length,
    multiplyAdds: count(MULTIPLY_ADD),
    matrixProducts: count(MATRIX_PRODUCT),
    ldsLoads: count(/^ds_load/),
    memoryLoads: count(MEMORY_LOAD),
    hiding: hiding(longest),
  };
}

/**
 * How many multiply-adds or products of matrices run between a load from memory and the wait for it, of the load that has fewest.
 * The loop goes round: what its next turn waits for counts as well.
 *
 * @param {Instruction[]} loop
 */
function hiding(loop) {
  const loads = loop.flatMap(({ instruction }, i) => (MEMORY_LOAD.test(instruction) ? [i] : []));
  return loads.length > 0 ? Math.min(...loads.map((start) => behind(loop, start))) : 0;
}

/** @param {Instruction[]} loop @param {number} load */
function behind(loop, load) {
  let [work, later] = [0, 0];
  for (const { instruction, operands } of [...loop.slice(load + 1), ...loop.slice(0, load)]) {
    // Loads come in order: with `later` of them or fewer on their way, this one is there.
    const left = instruction === "s_waitcnt" ? /vmcnt\((\d+)\)/.exec(operands)?.[1] : undefined;
    if (left !== undefined && Number(left) <= later) break;
    if (MEMORY_LOAD.test(instruction)) later++;
    if (MULTIPLY_ADD.test(instruction) || MATRIX_PRODUCT.test(instruction)) work++;
  }
  return work;
}
