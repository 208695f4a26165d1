// @ts-check
// Reads what RADV prints with RADV_DEBUG=shaders,shaderstats.

/** Begins the line before what the driver says of a kernel. */
export const KERNEL_MARK = "@kernel ";
/** Begins the line that says why compiling ended. */
export const FAILURE_MARK = "@failure ";

// Two that are issued at once are one instruction: v_dual_fmac_f32 ... :: v_dual_fmac_f32 ...
const MULTIPLY_ADD = /\bv_(pk_|dual_)?(fma|mac_f|mad_f)/g;
const MATRIX_PRODUCT = /\bv_(wmma|mfma)/g;
const LDS_LOAD = /^ds_(load|read)/g;
const MEMORY_LOAD = /^(buffer|global)_load/g;
// Of memory: with so many loads under way or fewer. RDNA 4 writes s_wait_loadcnt 0x1, others s_waitcnt vmcnt(1).
const WAIT = /^s_wait(?:cnt .*vmcnt\((\d+)\)|_loadcnt\w* (0x[\da-f]+))/;

/**
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
  /** @type {string[]} */
  const instructions = [];
  /** @type {string[]} */
  let longest = [];
  for (const line of code.split("\n")) {
    const label = /^(BB\d+):/.exec(line)?.[1];
    if (label) labels.set(label, instructions.length);
    const instruction = /^\s+([a-z]\w+[^;]*)/.exec(line)?.[1];
    if (!instruction) continue;
    instructions.push(instruction);
    const target = /^s_c?branch\w* (BB\d+)/.exec(instruction)?.[1];
    const start = target ? labels.get(target) : undefined;
    if (start !== undefined && instructions.length - start > longest.length) longest = instructions.slice(start);
  }
  if (longest.length === 0) return null;
  return {
    instructions: longest.length,
    multiplyAdds: count(longest, MULTIPLY_ADD),
    matrixProducts: count(longest, MATRIX_PRODUCT),
    ldsLoads: count(longest, LDS_LOAD),
    memoryLoads: count(longest, MEMORY_LOAD),
    hiding: hiding(longest),
  };
}

/** @param {string[]} instructions @param {RegExp} pattern */
const count = (instructions, pattern) =>
  instructions.reduce((sum, text) => sum + (text.match(pattern)?.length ?? 0), 0);

/**
 * How many multiply-adds or products of matrices run between a load from memory and the wait for it, of the load that has fewest.
 * The loop goes round: what its next turn waits for counts as well.
 *
 * @param {string[]} loop
 */
function hiding(loop) {
  const loads = loop.flatMap((text, i) => (text.match(MEMORY_LOAD) ? [i] : []));
  return loads.length > 0 ? Math.min(...loads.map((start) => behind(loop, start))) : 0;
}

/** @param {string[]} loop @param {number} load */
function behind(loop, load) {
  const after = [...loop.slice(load + 1), ...loop.slice(0, load)];
  let later = 0;
  // Loads come in order: with `later` of them or fewer under way, this one is there.
  const wait = after.findIndex((text) => {
    if (text.match(MEMORY_LOAD)) later++;
    const [, left, leftHex] = WAIT.exec(text) ?? [];
    return left !== undefined || leftHex !== undefined ? Number(left ?? leftHex) <= later : false;
  });
  const between = wait < 0 ? after : after.slice(0, wait);
  return count(between, MULTIPLY_ADD) + count(between, MATRIX_PRODUCT);
}
