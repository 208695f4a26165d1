// The kernels of one training step: what runs, on how much, and for how long.
import type { Device, DispatchTime } from "../../engine/index.ts";
import { scope } from "../../engine/index.ts";
import { buildRun, type DeviceDataset, type Run } from "../../training/index.ts";
import type { RecipeForm } from "../protocol.ts";
import { refuseTooLarge } from "./memory.ts";
import { needData, working, type State } from "./state.ts";
import { settingsOf } from "./train.ts";

/** One variant of a kernel: a file, with some of its declarations replaced. */
export interface KernelText {
  /** "conv2d/portable", below shaders/. */
  readonly file: string;
  readonly constants: Readonly<Record<string, string>>;
  readonly wgsl: string;
  readonly bindings: readonly { readonly name: string; readonly access: string }[];
}

export interface DispatchRow {
  /** Its place in `kernels`. */
  readonly kernel: number;
  readonly grid: readonly [number, number];
  readonly milliseconds: number;
  /** 0 where it does not count them. */
  readonly flops: number;
  readonly bytes: number;
  /** Bytes of each binding. */
  readonly bound: readonly number[];
  readonly params: Readonly<Record<string, readonly number[]>>;
}

export interface StepListing {
  readonly model: string;
  /** How many the step is over: the batch size, or all training images where there are fewer. */
  readonly images: number;
  /** How the times were taken: see `Device.profile`. */
  readonly by: "timestamps" | "waiting";
  /** A whole step as it runs in training. */
  readonly stepMilliseconds: number;
  readonly dispatches: readonly DispatchRow[];
  readonly kernels: readonly KernelText[];
}

export type ListingProgress = "compiling" | "warming up" | { readonly done: number; readonly count: number };

/** Browsers round timestamps to a tenth of a millisecond or so: with more zeros than this they say nothing. */
const MOST_ZEROS = 0.05;

export function kernelCalls(state: State) {
  return {
    /** Lists the kernels of a step by the form's recipe, on a model of its own; null where `halt` ended it. */
    async listKernels(form: RecipeForm, watch: (progress: ListingProgress) => void): Promise<StepListing | null> {
      const { raw, data } = needData(state);
      const device = state.device!;
      const settings = settingsOf(form, raw);
      using run = buildRun(settings);
      return await working(state, async (signal) => {
        await refuseTooLarge(device, run.trainer, data.train);
        const steps = new Steps(run, data.train);
        watch("compiling");
        await steps.compile();
        watch("warming up");
        const stepMilliseconds = await warmUp(device, steps, signal);
        if (stepMilliseconds === null) return null;
        const { by, times } = await measure(device, steps, { signal, stepMilliseconds }, watch);
        if (signal.aborted) return null;
        return { model: settings.model, images: steps.images, by, stepMilliseconds, ...listed(times) };
      });
    },
  };
}

/** Steps over the first images of the run. */
class Steps {
  readonly #run: Run;
  readonly #train: DeviceDataset;
  readonly #indices: Uint32Array;
  #step = 0;

  constructor(run: Run, train: DeviceDataset) {
    this.#run = run;
    this.#train = train;
    this.#indices = run.trainer.order(train, 1).subarray(0, run.trainer.stepImages);
  }

  get images(): number {
    return this.#indices.length;
  }

  async compile(): Promise<void> {
    await this.#run.trainer.compile(this.#train, this.#indices, { epoch: 1, step: 0 });
  }

  readonly next = (): void => {
    const at = { epoch: 1, step: this.#step++, steps: 1000 };
    scope(() => void this.#run.trainer.step(this.#train, this.#indices, at, null));
  };
}

/** Two steps that record the program, and one more that is replayed and timed. */
async function warmUp(device: Device, { next }: Steps, signal: AbortSignal): Promise<number | null> {
  let start = 0;
  for (let i = 0; i < 3; i++) {
    if (signal.aborted) return null;
    start = performance.now();
    next();
    await device.idle();
  }
  return performance.now() - start;
}

async function measure(
  device: Device,
  { next }: Steps,
  { signal, stepMilliseconds }: { readonly signal: AbortSignal; readonly stepMilliseconds: number },
  watch: (progress: ListingProgress) => void,
): Promise<{ by: StepListing["by"]; times: readonly DispatchTime[] }> {
  if (device.gpu.features.has("timestamp-query")) {
    const times = await stamped(device, next, stepMilliseconds);
    const zeros = times.filter(({ milliseconds }) => milliseconds <= 0).length;
    if (zeros <= MOST_ZEROS * times.length) return { by: "timestamps", times };
  }
  let told = performance.now();
  const onProgress = (done: number, count: number): void => {
    if (performance.now() - told < 200) return;
    told = performance.now();
    watch({ done, count });
  };
  return { by: "waiting", times: await device.profile(next, { by: "waiting", signal, onProgress }) };
}

/** Of a few equal steps, where they are short: each time is the median, which other work on the machine disturbs less. */
async function stamped(device: Device, next: () => void, stepMilliseconds: number): Promise<readonly DispatchTime[]> {
  const repeats = stepMilliseconds < 500 ? 5 : stepMilliseconds < 2000 ? 3 : 1;
  const profiles: (readonly DispatchTime[])[] = [];
  for (let i = 0; i < repeats; i++) profiles.push(await device.profile(next));
  return profiles[0].map((time, i) => {
    const all = profiles.flatMap((profile) => profile[i]?.milliseconds ?? []).sort((a, b) => a - b);
    return { ...time, milliseconds: all[all.length >> 1] };
  });
}

/** As plain data, the texts once each. */
function listed(times: readonly DispatchTime[]): Pick<StepListing, "dispatches" | "kernels"> {
  const variants = [...new Set(times.map(({ variant }) => variant))];
  const dispatches = times.map(({ variant, grid, milliseconds, flops, bytes, bound, params }) => ({
    kernel: variants.indexOf(variant),
    grid,
    milliseconds,
    flops,
    bytes,
    bound,
    params,
  }));
  const kernels = variants.map(({ source, constants, wgsl }) => ({
    file: source.name,
    constants: Object.fromEntries(Object.entries(constants).map(([name, value]) => [name, String(value)])),
    wgsl,
    bindings: source.bindings.map(({ name, access }) => ({ name, access })),
  }));
  return { dispatches, kernels };
}
