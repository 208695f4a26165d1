// Between float types. f16 is a way of storing: kernels unpack it, compute in f32 and pack again, so that no optional feature is needed.
import { kernels } from "../../shaders/kernels.ts";
import { differentiable } from "../autograd.ts";
import { launch } from "../launch.ts";
import { opScope } from "../scope.ts";
import { ceilDiv, check } from "../shape.ts";
import { empty, type DType, type Tensor } from "../tensor.ts";

/** Elements per workgroup: 64 invocations of 4 vec4. */
const ELEMENTS_PER_WORKGROUP = 64 * 4 * 4;

/**
 * x as another float type; x itself where it has that already. To f16 it rounds to nearest, and beyond 65,504 becomes infinite, as
 * PyTorch's `half()` does; on drivers that round towards zero, which WGSL allows and Mesa's for AMD cards does, it does that. The gradient is
 * cast back.
 */
export function cast(x: Tensor, dtype: Exclude<DType, "u32">): Tensor {
  if (x.dtype === dtype) return x;
  check(x.dtype !== "u32", "cast", () => `needs a float tensor, got ${x.toString()}`);
  const y = empty(x.shape, dtype);
  const args = { bindings: { x, y }, params: { vectors: ceilDiv(x.size, 4) } };
  const workgroups = ceilDiv(x.size, ELEMENTS_PER_WORKGROUP);
  if (dtype === "f16") launch(kernels.cast.toHalf, { ...args, constants: { pack: PACK_HALVES }, workgroups });
  else launch(kernels.cast.toSingle, { ...args, workgroups });
  const { dtype: before } = x;
  return differentiable("cast", { x }, y, { x: (dy) => cast(dy, before) });
}

/** x as f32: for kernels that have no other type. */
export const single = (x: Tensor): Tensor => cast(x, "f32");

/** Runs an op that knows f32 alone, on an f16 tensor with its result as f16 again: for ops that are rare in networks. */
export const throughSingle = (x: Tensor, op: (x: Tensor) => Tensor): Tensor =>
  opScope(() => (x.dtype === "f16" ? cast(op(single(x)), "f16") : op(x)));

/** The part of `storedAs` for kernels that only read such operands. */
export function loadedAs(dtype: DType): { readonly Stored?: string; readonly unpack?: string } {
  const { Stored, unpack } = storedAs(dtype);
  return Stored !== undefined && unpack !== undefined ? { Stored, unpack } : {};
}

/** The same for kernels that load such operands in twos, as `Pair`. */
export const loadedInPairs = (dtype: DType): { readonly Pair?: string; readonly unpack_pair?: string } =>
  dtype === "f16" ? { Pair: "u32", unpack_pair: "unpack2x16float(v)" } : {};

/** The part of `storedAs` for kernels that only write such results. */
export function writtenAs(dtype: DType): { readonly Stored?: string; readonly pack?: string } {
  const { Stored, pack } = storedAs(dtype);
  return Stored !== undefined && pack !== undefined ? { Stored, pack } : {};
}

/** Kernel constants for the bits of a T, where a kernel has them as `Bits` and comparisons as `Truth`. */
export const bitsOf = (T: string): { readonly Bits?: string; readonly Truth?: string } =>
  T === "f32" ? { Bits: "u32", Truth: "bool" } : {};

// pack2x16float() of what overflows may be anything (65,504 where a driver rounds towards zero, NaN in SwiftShader), and loss scaling has to see it,
// so infinity is put in by its bits. NaN stays as it is. What stands here twice is computed once.
const LARGE = "(abs(v) >= vec4f(65520.0))";
const FINITE = `select(v, vec4f(), ${LARGE})`;
const INFINITE = `select(vec4u(), ((bitcast<vec4u>(v) >> vec4u(16u)) & vec4u(0x8000u)) | vec4u(0x7c00u), ${LARGE})`;
/** WGSL for the halves of `v: vec4f` as a vec2u: rounded as the driver does, mostly to nearest; infinite beyond 65,504. What kernels have as `pack`. */
export const PACK_HALVES = `vec2u(pack2x16float(${FINITE}.xy), pack2x16float(${FINITE}.zw)) | ${INFINITE}.xz | (${INFINITE}.yw << vec2u(16u))`;

/** Kernel constants for operands that are stored in fours as `Stored` and computed with as vec4f; see shaders/elementwise/binary.wgsl. */
export const storedAs = (
  dtype: DType,
): { readonly Stored?: string; readonly unpack?: string; readonly pack?: string } =>
  dtype === "f16"
    ? {
        Stored: "vec2u",
        unpack: "vec4f(unpack2x16float(v.x), unpack2x16float(v.y))",
        pack: PACK_HALVES,
      }
    : {};
