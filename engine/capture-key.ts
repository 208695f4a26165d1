// Which of a captured step's programs a call takes: what its arguments look like, and which kernels are chosen now.
import type { Device } from "./gpu/device.ts";
import { showShape } from "./shape.ts";
import { Tensor } from "./tensor.ts";

/** What a captured step takes: tensors, and what chooses between programs. Numbers would become constants: pass a tensor. */
export type CaptureArgument = Tensor | string | boolean;

/** Type and shape of each, and where tensors are the same or share memory: it decides what the dispatches bind. */
export function describeArguments(args: readonly CaptureArgument[]): string {
  const shown = args.map((argument, i) => {
    if (!(argument instanceof Tensor)) return String(argument);
    const same = args.indexOf(argument);
    return same < i ? `=${same}` : `${argument.dtype}${showShape(argument.shape)}${overlap(args, i)}`;
  });
  return `(${shown.join(", ")})`;
}

/** All that decides which kernels run. */
export const variantOf = ({ family, texels, winograd, keptTransformBytes, matrix, choices }: Device): string =>
  `${family} ${texels ? "texels " : ""}${String(winograd)} ${keptTransformBytes} ${JSON.stringify(matrix)} ${choices.version}`;

type Range = Pick<ReturnType<Tensor["location"]>, "offset" | "byteLength">;
const overlaps = (a: Range, b: Range): boolean =>
  a.offset < b.offset + b.byteLength && b.offset < a.offset + a.byteLength;

/**
 * With which earlier argument one shares a buffer and, where they overlap, how far apart they start: it decides which of them a dispatch
 * seems to bind.
 */
function overlap(args: readonly CaptureArgument[], i: number): string {
  const places = args
    .slice(0, i + 1)
    .map((argument) => (argument instanceof Tensor ? argument.location("capture") : null));
  const own = places[i]!;
  const first = places.findIndex((place) => place?.buffer === own.buffer);
  if (first === i) return "";
  const overlapping = places.findIndex((place) => place?.buffer === own.buffer && overlaps(place, own));
  return overlapping < i ? `@${overlapping}+${own.offset - places[overlapping]!.offset}` : `@${first}`;
}
