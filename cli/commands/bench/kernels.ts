// Where the time of a training step goes: each kernel's calls, time, work, and how near to the adapter's ceilings it comes.
import type { Device, KernelTime } from "../../../engine/index.ts";
import { CeilingMeter, type Ceilings } from "./ceilings.ts";
import { median } from "./median.ts";
import type { TrainingSteps } from "./steps.ts";

/** All launches of a step that are alike. */
export interface KernelRow {
  /** Its file, and in braces what replaces its named declarations; without those where the file runs in many variants. */
  readonly kernel: string;
  /** What `Params` says about sizes, where rows are told apart by them; else empty. */
  readonly shape: string;
  readonly calls: number;
  /** Of all calls together. */
  readonly milliseconds: number;
  /** Of the time of all kernels. */
  readonly share: number;
  /** 0 where the launch does not count them: transforms, copies, sums. */
  readonly flops: number;
  /** Of everything it binds, each read or written once. */
  readonly bytes: number;
  readonly gflops: number;
  readonly gbs: number;
  /** Of the arithmetic ceiling; null where subgroup matrices multiply, whose units are faster than it and not measured. */
  readonly arithmeticShare: number | null;
  /** Of the copy's ceiling; above 1 where what it binds is in a cache, or bound and not used. */
  readonly bandwidthShare: number;
}

/** One launch: its time, and whether it multiplies subgroup matrices. */
export type Launch = KernelTime & { readonly variant: { readonly source: { readonly matrices: boolean } } };

export interface KernelProfile {
  readonly ceilings: Ceilings;
  /** Of all kernels. */
  readonly milliseconds: number;
  /** The longest first. */
  readonly kernels: readonly KernelRow[];
}

export interface ProfileOptions {
  readonly repeats: number;
  /** A row for each variant and each shape. */
  readonly shapes: boolean;
}

/** Profiles steps that have been warmed up. The ceilings are measured between them. */
export async function profileKernels(
  device: Device,
  training: TrainingSteps,
  { repeats, shapes }: ProfileOptions,
): Promise<KernelProfile> {
  using meter = new CeilingMeter(device);
  const profiles: Launch[][] = [];
  for (let i = 0; i < repeats; i++) {
    await meter.sample();
    profiles.push(await device.profile(() => training.record()));
  }
  return summarize(profiles, meter.ceilings, shapes);
}

/** Rows of the profiles of equal steps; times are medians over the steps. */
export function summarize(
  profiles: readonly (readonly Launch[])[],
  ceilings: Ceilings,
  shapes: boolean,
): KernelProfile {
  const nameOf = shapes ? ({ kernel }: KernelTime): string => kernel : namer(profiles[0]);
  const groups = new Map<string, { first: Launch; flops: number; bytes: number; calls: number; sums: number[] }>();
  profiles.forEach((profile, step) => {
    for (const time of profile) {
      const key = shapes ? `${time.kernel}|${shapeOf(time)}|${time.workgroups}` : nameOf(time);
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { first: time, flops: 0, bytes: 0, calls: 0, sums: profiles.map(() => 0) }));
      group.sums[step] += time.milliseconds;
      if (step > 0) continue;
      group.calls++;
      group.flops += time.flops;
      group.bytes += time.bytes;
    }
  });
  const all = [...groups.values()].map((group) => ({ ...group, milliseconds: median(group.sums) }));
  const total = all.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const kernels = all.map(({ first, milliseconds, flops, bytes, calls }): KernelRow => {
    const [gflops, gbs] = [flops / milliseconds / 1e6, bytes / milliseconds / 1e6];
    return {
      kernel: nameOf(first),
      shape: shapes ? shapeOf(first) : "",
      calls,
      milliseconds,
      share: milliseconds / total,
      flops,
      bytes,
      gflops,
      gbs,
      arithmeticShare: first.variant.source.matrices ? null : gflops / ceilings.gflops,
      bandwidthShare: gbs / ceilings.copyGBs,
    };
  });
  return { ceilings, milliseconds: total, kernels: kernels.sort((a, b) => b.milliseconds - a.milliseconds) };
}

/** More variants of one file than this make one row: kernels with shapes among their constants have dozens. */
const MOST_VARIANTS = 4;

const fileOf = (kernel: string): string => kernel.replace(/ \{.*$/, "");

function namer(times: readonly KernelTime[]): (time: KernelTime) => string {
  const variants = new Map<string, Set<string>>();
  for (const { kernel } of times) {
    const file = fileOf(kernel);
    variants.set(file, (variants.get(file) ?? new Set<string>()).add(kernel));
  }
  return ({ kernel }) => (variants.get(fileOf(kernel))!.size > MOST_VARIANTS ? fileOf(kernel) : kernel);
}

/** Fields of `Params` that say how large a launch is. Kernels without these have their sizes among the constants. */
const SIZES = [
  "x_size",
  "y_size",
  "dy_size",
  "taps",
  "window",
  "planes",
  "rows",
  "columns",
  "depth",
  "total",
  "vectors",
];

const shapeOf = ({ params }: KernelTime): string =>
  SIZES.filter((name) => name in params)
    .map((name) => `${name.replace("_size", "")} ${params[name].join("x")}`)
    .join(", ");
