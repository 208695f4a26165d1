// @ts-check
// What a family of the kernel tour is to the benchmark and to its test: a problem, and every way up to the production kernel.

/**
 * The engine, from dist/ in the benchmark and from the sources in the tests.
 * @typedef {object} Kit
 * @property {typeof import("../../engine/index.ts")} engine
 * @property {typeof import("../../engine/launch.ts").launch} launch
 * @property {typeof import("../../shaders/ladder.ts").ladder} ladder
 * @property {number} lanes of a subgroup: 4 or 8 where the subgroup rungs can run
 */

/** @typedef {import("../../engine/index.ts").Tensor} Tensor */
/** @typedef {Record<string, number>} Size */
/** @typedef {Record<string, Tensor>} Tensors */
/** @typedef {{ shape: number[], data: Float32Array | Uint32Array, dtype?: "f32" | "u32" }} Input */

/**
 * @typedef {object} Rung
 * @property {string} name the file's, with its number; of a production kernel, its own
 * @property {string} [after] the rung or kernel that it improves on, where that is not the one before it
 * @property {boolean} [production] an op of the engine, measured beside the rungs
 * @property {"portable" | "subgroup" | "workgroup"} [family] of kernels that the op shall use; a rung of "subgroup" needs subgroups of 4 or 8 lanes
 * @property {"subgroups"} [needs] a feature, whatever the subgroups' size
 * @property {(kit: Kit, size: Size, t: Tensors) => Tensor} run launches it and returns the result
 */

/**
 * @typedef {object} Family
 * @property {string} name folder in shaders/
 * @property {string} page in docs/kernels
 * @property {"GFLOP/s" | "GB/s"} unit
 * @property {Size} software the problem that is measured on a software GPU
 * @property {Size} hardware and on a real one
 * @property {Size[]} small the problems of the test
 * @property {(size: Size) => string} title
 * @property {(size: Size) => number} work operations or bytes of one run, the same for all rungs: what the problem needs, not what a rung does
 * @property {(size: Size, random: (shape: number[]) => Float32Array) => Record<string, Input>} inputs
 * @property {Rung[]} rungs
 */

/** @param {number} a @param {number} b */
export const ceilDiv = (a, b) => Math.ceil(a / b);

/** @param {Float32Array} x [rows, columns] @param {number} rows @param {number} columns */
export function transposed(x, rows, columns) {
  return Float32Array.from({ length: x.length }, (_, i) => x[(i % rows) * columns + Math.floor(i / rows)]);
}
