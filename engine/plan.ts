// Which buffers of a recording can share memory: those that are not in use at the same time.
import type { Device } from "./gpu/device.ts";
import type { PooledBuffer } from "./gpu/buffers.ts";

/** From the first to the last item of a program that uses a buffer of `size` bytes. */
export interface Lifetime {
  readonly size: number;
  readonly first: number;
  readonly last: number;
}

interface Place {
  readonly size: number;
  readonly taken: Lifetime[];
}

/**
 * Gives each lifetime a place so that no two that overlap share one; places are as large as their largest.
 * Largest first, into the place that fits best: within a few percent of the least possible for networks, whose buffers have few sizes.
 * (A buffer cannot be cut into parts instead: WebGPU refuses to bind one buffer for reading and for writing in one dispatch.)
 *
 * @param existing sizes of places that are there already; the result may use them
 * @returns the place of each lifetime, and the size of every place: the existing ones, then new ones
 */
export function planPlaces(
  lifetimes: readonly Lifetime[],
  existing: readonly number[] = [],
): { readonly places: readonly number[]; readonly sizes: readonly number[] } {
  const all: Place[] = existing.map((size) => ({ size, taken: [] }));
  const places = new Array<number>(lifetimes.length);
  const order = lifetimes.map((_, i) => i).sort((a, b) => lifetimes[b].size - lifetimes[a].size || a - b);
  for (const i of order) {
    const own = lifetimes[i];
    let best = -1;
    all.forEach(({ size, taken }, at) => {
      if (size < own.size || (best >= 0 && all[best].size <= size)) return;
      if (taken.every(({ first, last }) => last < own.first || first > own.last)) best = at;
    });
    if (best < 0) best = all.push({ size: own.size, taken: [] }) - 1;
    all[best].taken.push(own);
    places[i] = best;
  }
  return { places, sizes: all.map(({ size }) => size) };
}

/** The memory of the programs of one captured step: they never run at the same time, so they share it. */
export class Arena implements Disposable {
  readonly #device: Device;
  readonly #buffers: PooledBuffer[] = [];

  constructor(device: Device) {
    this.#device = device;
  }

  /** A buffer for each lifetime. */
  assign(lifetimes: readonly Lifetime[]): PooledBuffer[] {
    const { places, sizes } = planPlaces(lifetimes, this.#buffers.map(({ size }) => size)); // prettier-ignore
    for (const size of sizes.slice(this.#buffers.length)) this.#buffers.push(this.#device.allocate(size));
    return places.map((at) => this.#buffers[at]);
  }

  dispose(): void {
    for (const buffer of this.#buffers.splice(0)) this.#device.release(buffer);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
