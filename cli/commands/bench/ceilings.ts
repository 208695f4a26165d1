// What the adapter can do at best, measured: the scale on which kernels are judged.
import { fromData, noise, scope, type Device, type Tensor } from "../../../engine/index.ts";
import { runArithmetic, runCopy, runLoads, TABLE, type Work } from "../../../engine/ops/ceilings.ts";
import { median } from "./median.ts";

/** Rates in units of 1e9 a second. */
export interface Ceilings {
  /** f32 operations in registers; a multiply-add is two. */
  readonly gflops: number;
  /** Bytes read from memory and written back, both counted. */
  readonly copyGBs: number;
  /** Bytes loaded by invocations from the nearest cache. */
  readonly loadGBs: number;
}

interface Sizes {
  /** Elements that the copy moves: far more than caches hold. */
  readonly copied: number;
  /** Elements that the other two compute. */
  readonly computed: number;
}

const SOFTWARE: Sizes = { copied: 2 ** 24, computed: 2 ** 15 };
const HARDWARE: Sizes = { copied: 2 ** 26, computed: 2 ** 22 };

/** How long one launch should run: long beside what starting it costs. */
const MILLISECONDS = 10;
const MOST_ROUNDS = 2 ** 22;

/** Measures the three ceilings as often as it is asked to; between other measurements, so that all see the same machine. */
export class CeilingMeter implements Disposable {
  readonly #device: Device;
  readonly #copied: Tensor;
  readonly #computed: Tensor;
  readonly #table: Tensor;
  readonly #samples: Ceilings[] = [];
  #rounds: { arithmetic: number; loads: number } | null = null;

  /** @param sizes smaller ones, for tests */
  constructor(device: Device, sizes?: Partial<Sizes>) {
    this.#device = device;
    const { copied, computed } = { ...(device.info.software ? SOFTWARE : HARDWARE), ...sizes };
    const random = (size: number): Tensor => fromData(noise(size, 1), [size]);
    this.#copied = random(Math.min(copied, device.limits.maxStorageBufferBindingSize / 4));
    this.#computed = random(computed);
    this.#table = random(TABLE.elements);
  }

  /** One launch of each kernel. */
  async sample(): Promise<Ceilings> {
    this.#rounds ??= await this.#calibrate();
    const { arithmetic, loads } = this.#rounds;
    const [computed, copied, loaded] = await this.#time([
      () => runArithmetic(this.#computed, arithmetic),
      () => runCopy(this.#copied),
      () => runLoads(this.#table, this.#computed.size, loads),
    ]);
    const ceilings = {
      gflops: computed.flops / computed.milliseconds / 1e6,
      copyGBs: copied.bytes / copied.milliseconds / 1e6,
      loadGBs: loaded.bytes / loaded.milliseconds / 1e6,
    };
    this.#samples.push(ceilings);
    return ceilings;
  }

  /** Medians of the samples so far. */
  get ceilings(): Ceilings {
    const of = (name: keyof Ceilings): number => median(this.#samples.map((sample) => sample[name]));
    return { gflops: of("gflops"), copyGBs: of("copyGBs"), loadGBs: of("loadGBs") };
  }

  /** Doubles the rounds until they take long enough to tell how many fill the time. */
  async #calibrate(): Promise<{ arithmetic: number; loads: number }> {
    const calibrate = async (run: (rounds: number) => Work): Promise<number> => {
      await this.#time([() => run(1)]); // compiles
      for (let rounds = 8; ; rounds *= 2) {
        const [{ milliseconds }] = await this.#time([() => run(rounds)]);
        if (milliseconds > MILLISECONDS / 4 || rounds >= MOST_ROUNDS)
          return Math.max(1, Math.min(MOST_ROUNDS, Math.round((rounds * MILLISECONDS) / milliseconds)));
      }
    };
    const arithmetic = await calibrate((rounds) => runArithmetic(this.#computed, rounds));
    const loads = await calibrate((rounds) => runLoads(this.#table, this.#computed.size, rounds));
    await this.#time([() => runCopy(this.#copied)]); // the first use of memory costs more
    return { arithmetic, loads };
  }

  async #time(runs: readonly (() => Work)[]): Promise<(Omit<Work, "y"> & { milliseconds: number })[]> {
    const works: Work[] = [];
    const times = await this.#device.profile(() =>
      scope(() => {
        for (const run of runs) works.push(run());
      }),
    );
    return works.map(({ flops, bytes }, i) => ({ flops, bytes, milliseconds: times[i].milliseconds }));
  }

  dispose(): void {
    for (const tensor of [this.#copied, this.#computed, this.#table]) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
