// What the roofline shows of each kernel.
import type { KernelRow } from "./kernels.ts";

export interface RooflineDot {
  readonly label: string;
  /** The folder of its file. */
  readonly family: string;
  /** Operations for each byte bound. */
  readonly intensity: number;
  readonly gflops: number;
  readonly radius: number;
  readonly share: number;
  /** The launch says how many operations it does. */
  readonly counted: boolean;
}

/** Kernels with less than this share of the step would be specks. */
const LEAST_SHARE = 0.003;
/** Of kernels that do not count theirs: one operation for each f32. */
const UNCOUNTED_INTENSITY = 0.25;
const MOST_LABELS = 24;

/** Kernels that multiply subgroup matrices stand under a roof that is not drawn, and have no dot. */
export function rooflineDots(kernels: readonly KernelRow[]): RooflineDot[] {
  const under = kernels.filter(({ arithmeticShare }) => arithmeticShare !== null);
  const shown = under.filter(({ share }, i) => share >= LEAST_SHARE || i === 0);
  const names = labelsOf(shown.map(({ kernel }) => kernel));
  return shown.map(({ kernel, flops, bytes, milliseconds, share }, i) => {
    const counted = flops > 0;
    const intensity = counted ? flops / bytes : UNCOUNTED_INTENSITY;
    const gflops = (intensity * bytes) / milliseconds / 1e6;
    const radius = 3 + 26 * Math.sqrt(share / Math.PI);
    return { label: names[i], family: kernel.split("/")[0], intensity, gflops, radius, share, counted };
  });
}

/** The dots that get a name: the largest. Of dots with the same name the largest, too. */
export function labelled(dots: readonly RooflineDot[]): RooflineDot[] {
  const bySize = [...dots].sort((a, b) => b.share - a.share);
  const first = bySize.filter(({ label }, i) => bySize.findIndex((other) => other.label === label) === i);
  return first.slice(0, MOST_LABELS);
}

/** Of more variants than this, names would be lists of constants. */
const MOST_VARIANTS = 4;

/** Files' names, with those constants in which two or a few variants of a file differ. */
export function labelsOf(kernels: readonly string[]): string[] {
  const parts = kernels.map(parse);
  return parts.map(({ file, constants }) => {
    const variants = parts.filter((other) => other.file === file);
    if (variants.length === 1 || variants.length > MOST_VARIANTS) return file;
    const names = [...new Set(variants.flatMap((variant) => [...variant.constants.keys()]))];
    const differing = names.filter((name) => new Set(variants.map((v) => v.constants.get(name))).size > 1);
    return [file, ...differing.map((name) => `${name}=${constants.get(name) ?? "default"}`)].join(" ");
  });
}

/** "a/b {X=1 y=c + d}" */
function parse(kernel: string): { file: string; constants: Map<string, string> } {
  const [, file, list = ""] = /^(\S+)(?: \{(.*)\})?$/.exec(kernel) as unknown as [string, string, string | undefined];
  const constants = list.split(/ (?=\w+=)/).filter(Boolean);
  return {
    file,
    constants: new Map(constants.map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)])),
  };
}
