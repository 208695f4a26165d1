// Filling and copying in place. These write into tensors that exist, and record no gradients.
import { kernels } from "../../shaders/kernels.ts";
import { numberToHalf } from "../half-floats.ts";
import { launch } from "../launch.ts";
import { ceilDiv, check, sameShape, type Shape } from "../shape.ts";
import { bytesOf, empty, type DType, type Tensor } from "../tensor.ts";

/** 64 invocations of 4. */
const VECTORS_PER_WORKGROUP = 64 * 4;

/** A tensor's vec4s of 32 bits. */
const vectorsOf = ({ size, dtype }: Tensor): number => ceilDiv(size * bytesOf(dtype), 16);

/** Sets every element of `target` to `value`. Returns `target`. */
export function fill(target: Tensor, value: number): Tensor {
  const vectors = vectorsOf(target);
  const bits = bitsOfElement(value, target.dtype) * (target.dtype === "f16" ? 0x1_0001 : 1); // two in a word
  launch(kernels.copy.fill, {
    bindings: { y: target },
    params: { vectors, bits },
    workgroups: ceilDiv(vectors, VECTORS_PER_WORKGROUP),
  });
  return target;
}

/** The bits with which a tensor stores a value. */
export function bitsOfElement(value: number, dtype: DType): number {
  if (dtype === "u32") return value;
  if (dtype === "f32") return new Uint32Array(Float32Array.of(value).buffer)[0];
  return numberToHalf(value);
}

/** A new tensor of one value. */
export const full = (shape: Shape, value: number, dtype: DType = "f32"): Tensor => fill(empty(shape, dtype), value);
export const zeros = (shape: Shape, dtype: DType = "f32"): Tensor => full(shape, 0, dtype);
export const ones = (shape: Shape, dtype: DType = "f32"): Tensor => full(shape, 1, dtype);

/**
 * Overwrites the elements of `target` with those of `source`, which has the same number of them and the same type (the shapes
 * may differ). The two may not share a storage. Returns `target`.
 */
export function copyInto(target: Tensor, source: Tensor): Tensor {
  check(target.dtype === source.dtype, "copyInto", () => `${target.toString()} cannot take ${source.toString()}`);
  checkPair("copyInto", target, source);
  const vectors = vectorsOf(target);
  launch(kernels.copy.into, {
    bindings: { x: source, y: target },
    params: { vectors },
    workgroups: ceilDiv(vectors, VECTORS_PER_WORKGROUP),
  });
  return target;
}

/**
 * target += (source - target) * share, in place, for f32 tensors of as many elements: `torch.Tensor.lerp_`. A share of 1 copies every
 * bit. The two may not share a storage. Returns `target`.
 *
 * @param share 0 to 1
 */
export function lerpInto(target: Tensor, source: Tensor, share: number): Tensor {
  const bothFloats = target.dtype === "f32" && source.dtype === "f32";
  check(bothFloats, "lerpInto", () => `needs f32 tensors, got ${target.toString()} and ${source.toString()}`);
  check(share >= 0 && share <= 1, "lerpInto", () => `share must be 0 to 1, got ${share}`);
  checkPair("lerpInto", target, source);
  const vectors = vectorsOf(target);
  launch(kernels.copy.lerp, {
    bindings: { x: source, y: target },
    params: { vectors, share },
    workgroups: ceilDiv(vectors, VECTORS_PER_WORKGROUP),
  });
  return target;
}

function checkPair(op: string, target: Tensor, source: Tensor): void {
  const fits = sameShape(target.shape, source.shape) || target.size === source.size;
  check(fits, op, () => `${target.toString()} has ${target.size} elements, ${source.toString()} ${source.size}`);
  const shared = target.location(op).buffer === source.location(op).buffer;
  check(!shared, op, () => "target and source share a storage; copy the source first");
}
