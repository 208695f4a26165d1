// Host-side change of layout between our tensors and PyTorch's files, and reading many tensors back at once.
import type { PooledBuffer } from "../engine/gpu/buffers.ts";
import { sizeOf, stridesOf, type Shape } from "../engine/shape.ts";
import type { HostFloats } from "./init.ts";
import type { OwnedTensor } from "./parameter.ts";

/** Axis i of the result is axis `axes[i]` of `values`, as numpy.transpose. */
export function transpose<B extends ArrayBufferLike>(
  values: Float32Array<B>,
  shape: Shape,
  axes: readonly number[],
): Float32Array<B | ArrayBuffer> {
  if (axes.every((axis, i) => axis === i)) return values;
  const result = new Float32Array(sizeOf(shape));
  const steps = stridesOf(shape);
  const extents = axes.map((axis) => shape[axis]);
  const strides = axes.map((axis) => steps[axis]);
  const last = extents.length - 1;
  let at = 0;
  const copy = (axis: number, from: number): void => {
    for (let i = 0, source = from; i < extents[axis]; i++, source += strides[axis]) {
      if (axis === last) result[at++] = values[source];
      else copy(axis + 1, source);
    }
  };
  copy(0, 0);
  return result;
}

/** The values in the file's layout. */
export const toDisk = (values: HostFloats, tensor: OwnedTensor): HostFloats =>
  transpose(values, tensor.shape, tensor.diskAxes);

/** The values of a file in the tensor's layout. */
export const fromDisk = (values: Float32Array, tensor: OwnedTensor): Float32Array =>
  transpose(
    values,
    tensor.diskShape,
    tensor.diskAxes.map((_, axis) => tensor.diskAxes.indexOf(axis)),
  );

/**
 * The values of many tensors. Those that have not been used yet need no device. Those that share a buffer (an optimizer lays all parameters into one) are read in one piece, and
 * all reads are under way at the same time.
 */
export async function readAll(tensors: readonly OwnedTensor[]): Promise<Map<OwnedTensor, HostFloats>> {
  const values = new Map<OwnedTensor, HostFloats>();
  const groups = new Map<PooledBuffer, OwnedTensor[]>();
  for (const tensor of tensors) {
    const onHost = tensor.hostValues();
    if (onHost) {
      values.set(tensor, onHost);
      continue;
    }
    const { buffer } = tensor.location("readAll");
    const members = groups.get(buffer);
    if (members) members.push(tensor);
    else groups.set(buffer, [tensor]);
  }
  const parts = [...groups].map(async ([buffer, members]) => {
    const places = members.map((tensor) => ({ tensor, ...tensor.location("readAll") }));
    const begin = Math.min(...places.map(({ offset }) => offset));
    const end = Math.max(...places.map(({ offset, byteLength }) => offset + byteLength));
    const bytes = await members[0].device.read(buffer, begin, end - begin);
    for (const { tensor, offset } of places) values.set(tensor, new Float32Array(bytes, offset - begin, tensor.size));
  });
  await Promise.all(parts);
  return values;
}
