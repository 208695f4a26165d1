// Runs the kernels of subgroup matrices on adapters that have none: what the matrix builtins do is spelt out for single lanes, all
// else (tiles, strides, tails, the way of the sums, statistics) stays the kernels' own text.
import type { Device } from "../../engine/index.ts";
import type { Constants, KernelSource } from "../../engine/gpu/kernel.ts";

/** A matrix of operands is where it begins in `tile` and its stride; of a sum, each of 32 lanes has 16 N / 32 elements. */
const EMULATION = (transposed: boolean): string => `
alias Left = vec2u;
alias Right = vec2u;
alias Sum = array<f32, MATRIX_COLUMNS / 2u>;
fn half(at: u32, column: u32) -> f32 {
  let pair = unpack2x16float(tile[at + column / 8u][column % 8u / 2u]);
  return select(pair.x, pair.y, column % 2u == 1u);
}
fn left_element(left: Left, row: u32, k: u32) -> f32 {
  return ${transposed ? "half(left.x + k * left.y, row)" : "half(left.x + row * left.y, k)"};
}
fn multiply_accumulate(left: Left, right: Right, sum: ptr<function, Sum>, lane: u32) {
  // Lanes are below 32, which compilers don't see: they would unroll the loops, and take minutes.
  for (var i = 0u; i < MATRIX_COLUMNS / 2u + lane / 64u; i++) {
    let element = lane * (MATRIX_COLUMNS / 2u) + i;
    for (var k = 0u; k < MATRIX_DEPTH + lane / 64u; k++) {
      (*sum)[i] += left_element(left, element / MATRIX_COLUMNS, k) * half(right.x + k * right.y, element % MATRIX_COLUMNS);
    }
  }
}
fn put_down(at: u32, sum: ptr<function, Sum>, stride: u32, lane: u32) {
  for (var i = 0u; i < MATRIX_COLUMNS / 2u + lane / 64u; i++) {
    let element = lane * (MATRIX_COLUMNS / 2u) + i;
    let column = element % MATRIX_COLUMNS;
    tile[at + element / MATRIX_COLUMNS * stride + column / 4u][column % 4u] = bitcast<u32>((*sum)[i]);
  }
}
`;

function emulated(source: KernelSource): KernelSource {
  const replace = (text: string, from: RegExp, to: string): string => {
    if (!from.test(text)) throw new Error(`${source.name}: has no ${from.source}`);
    return text.replace(from, to);
  };
  let wgsl = source.wgsl;
  wgsl = replace(wgsl, /^enable .*;$/gm, "");
  wgsl = replace(wgsl, /^alias \w+ = subgroup_matrix_.*$/gm, "");
  wgsl = replace(wgsl, /^ *@builtin\(subgroup_id\).*$/gm, "");
  wgsl = replace(wgsl, /^(@compute[^{]*\{)$/gm, "$1\n  let subgroup = local / 32u;");
  const transposed = /subgroupMatrixLoad<Left, col_major>/.test(wgsl);
  wgsl = replace(wgsl, /subgroupMatrixLoad<\w+, \w+>\(&tile, (.*), (\w+)\);/g, "vec2u($1, $2);");
  wgsl = replace(
    wgsl,
    /\w+ = subgroupMatrixMultiplyAccumulate\((\w+), (\w+), (\w+)\);/g,
    "multiply_accumulate($1, $2, &$3, workgroup.z + local % 32u);",
  );
  wgsl = replace(
    wgsl,
    /subgroupMatrixStore<row_major>\(&tile, (.*), (\w+), SUM_STRIDE\);/g,
    "put_down($1, &$2, SUM_STRIDE, workgroup.z + local % 32u);",
  );
  return { ...source, wgsl: wgsl + EMULATION(transposed), subgroups: false, matrices: false };
}

/** Runs `work` on a device that seems to have subgroup matrices of the given size. */
export async function withMatrices<T>(
  device: Device,
  shape: { M: number; N: number; K: number },
  work: () => T | Promise<T>,
): Promise<T> {
  const { matrix, kernels, family } = device;
  const get = kernels.get.bind(kernels);
  const sources = new Map<KernelSource, KernelSource>();
  const emulate = (source: KernelSource): KernelSource => {
    if (!sources.has(source)) sources.set(source, emulated(source));
    return sources.get(source)!;
  };
  const changed = device as { -readonly [name in keyof Device]: Device[name] };
  kernels.get = (source: KernelSource, constants: Constants, texels?: readonly string[]) =>
    get(source.matrices ? emulate(source) : source, constants, texels);
  changed.matrix = shape;
  changed.family = "workgroup";
  try {
    return await work();
  } finally {
    kernels.get = get;
    Object.assign(changed, { matrix, family });
  }
}
