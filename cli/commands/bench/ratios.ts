// What bench/check.js compares: times divided by other times of the same run, which mean the same on a faster or slower machine.
import type { Device, KernelFamily } from "../../../engine/index.ts";
import { createModel } from "../../../nn/index.ts";
import type { Ceilings } from "./ceilings.ts";
import { profileKernels, type KernelRow } from "./kernels.ts";
import { timeSteps, warmUp } from "./measure.ts";
import { median } from "./median.ts";
import { TrainingSteps, type StepOptions } from "./steps.ts";

/** Names of what was measured, and how many times what it is compared with it takes. Less is better. */
export type Ratios = Readonly<Record<string, number>>;

export interface RatioOptions {
  readonly model: string;
  readonly batchSize: number;
  readonly imageSize: number;
  readonly rounds: number;
  /** The ones to compare with, where there are. */
  readonly stored: Ratios | null;
  readonly onPart: (name: string) => void;
}

/** Kernels that take less of a step are noise. Those that come and go around that share are compared as long as they are stored. */
const LEAST_SHARE = 0.01;
const LEAST_NEW_SHARE = 0.02;

/** Each kernel against the adapter's ceilings, and variants of the step against one another. */
export async function measureRatios(device: Device, options: RatioOptions): Promise<Ratios> {
  options.onPart("kernels");
  const kernels = await kernelRatios(device, options);
  const pairs: Record<string, number> = {};
  for (const pair of pairsOf(device)) {
    options.onPart(pair.name);
    pairs[pair.name] = await pairRatio(device, pair, options);
  }
  return { ...kernels, ...pairs };
}

/** Of a step in f32, in which no kernel multiplies subgroup matrices: for those there is no ceiling. */
async function kernelRatios(
  device: Device,
  { model, batchSize, imageSize, rounds, stored }: RatioOptions,
): Promise<Ratios> {
  using net = createModel(model);
  using training = new TrainingSteps(net, { batchSize, imageSize, precision: "f32" });
  await warmUp(device, training);
  const { kernels, ceilings } = await profileKernels(device, training, { repeats: rounds, shapes: false });
  return ratiosToCeilings(kernels, ceilings, { software: device.info.software, stored });
}

/**
 * Milliseconds over those that the work would take at a ceiling: of arithmetic where operations are counted, else of the copy. Software
 * GPUs spend their time on a load's instructions, whether the data comes from memory or not: there the ceiling is that of loads.
 */
export function ratiosToCeilings(
  kernels: readonly KernelRow[],
  ceilings: Ceilings,
  { software, stored }: { readonly software: boolean; readonly stored: Ratios | null },
): Ratios {
  const bytesPerMs = 1e6 * (software ? ceilings.loadGBs : ceilings.copyGBs);
  const atBest = ({ flops, bytes }: KernelRow): number =>
    flops > 0 ? flops / (1e6 * ceilings.gflops) : bytes / bytesPerMs;
  const sum = (of: (row: KernelRow) => number): number => kernels.reduce((total, row) => total + of(row), 0);
  const counts = ({ kernel, share }: KernelRow): boolean =>
    stored ? kernel in stored || share >= LEAST_NEW_SHARE : share >= LEAST_SHARE;
  return {
    "all kernels": sum(({ milliseconds }) => milliseconds) / sum(atBest),
    ...Object.fromEntries(kernels.filter(counts).map((row) => [row.kernel, row.milliseconds / atBest(row)])),
  };
}

/** Two ways to do the same step. */
interface Pair {
  readonly name: string;
  readonly fast: Variant;
  readonly slow: Variant;
}

interface Variant extends Partial<StepOptions> {
  readonly family?: KernelFamily;
  readonly winograd?: boolean;
}

/** Those that exist on this device. */
function pairsOf({ family }: Device): Pair[] {
  const pairs: Pair[] = [
    { name: "captured / eager", fast: {}, slow: { eager: true } },
    { name: "Winograd / direct", fast: {}, slow: { winograd: false } },
    { name: "mixed / f32", fast: { precision: "mixed" }, slow: {} },
  ];
  if (family !== "portable") pairs.push({ name: `${family} / portable`, fast: {}, slow: { family: "portable" } });
  return pairs;
}

/** The median of ratios that were measured one after the other, so that bursts of other work fall out. */
async function pairRatio(device: Device, pair: Pair, options: RatioOptions): Promise<number> {
  const ratios: number[] = [];
  using fast = new Contender(device, pair.fast, options);
  using slow = new Contender(device, pair.slow, options);
  await fast.prepare();
  await slow.prepare();
  for (let round = 0; round < options.rounds; round++) ratios.push((await fast.time()) / (await slow.time()));
  return median(ratios);
}

/** About how long one measurement of a contender should take. */
const MILLISECONDS = 500;

class Contender implements Disposable {
  readonly #device: Device;
  readonly #variant: Variant;
  readonly #model: ReturnType<typeof createModel>;
  readonly #training: TrainingSteps;
  #steps = 1;

  constructor(device: Device, variant: Variant, { model, batchSize, imageSize }: RatioOptions) {
    this.#device = device;
    this.#variant = variant;
    this.#model = createModel(model);
    this.#training = new TrainingSteps(this.#model, { batchSize, imageSize, precision: "f32", ...variant });
  }

  /** Warms up, and finds how many steps make a measurement. */
  async prepare(): Promise<void> {
    await this.#with(async () => {
      await warmUp(this.#device, this.#training);
      const { stepMs } = await timeSteps(this.#device, this.#training, 1);
      this.#steps = Math.min(20, Math.max(1, Math.round(MILLISECONDS / stepMs)));
    });
  }

  /** Milliseconds of a step. */
  async time(): Promise<number> {
    return (await this.#with(() => timeSteps(this.#device, this.#training, this.#steps))).stepMs;
  }

  /** Runs `work` with the device as the variant wants it. */
  async #with<T>(work: () => Promise<T>): Promise<T> {
    const device = this.#device;
    const { family, winograd } = device;
    device.family = this.#variant.family ?? family;
    device.winograd = this.#variant.winograd ?? winograd;
    try {
      return await work();
    } finally {
      device.family = family;
      device.winograd = winograd;
    }
  }

  [Symbol.dispose](): void {
    this.#training.dispose();
    this.#model[Symbol.dispose]();
  }
}
