// What a step does, as a list: ops run "dry", on buffers that do not exist yet. capture.ts makes recordings, program.ts runs them.
import type { Device } from "./gpu/device.ts";
import { bufferSize, type PooledBuffer } from "./gpu/buffers.ts";
import type { BoundBuffer, Dispatch, Recorder } from "./gpu/dispatch.ts";
import type { Tensor } from "./tensor.ts";

/** A buffer that was allocated while recording. */
export interface VirtualBuffer {
  readonly buffer: PooledBuffer;
  /** Of allocation. Equal recordings number their buffers equally. */
  readonly index: number;
  /** Items that bind it first and last; -1: none does. */
  first: number;
  last: number;
  /** The first item that writes it; -1: none does. */
  written: number;
  /** What the host put into it, before anything used it. */
  readonly uploads: Pick<Upload, "bytes" | "offset">[];
  /** No tensor has let go of it yet. */
  alive: boolean;
}

/** What a dispatch binds: a buffer of the recording, part of an argument, or something that was there before. */
export type Source =
  | { readonly kind: "virtual"; readonly virtual: VirtualBuffer }
  | { readonly kind: "argument"; readonly index: number; readonly offset: number }
  | { readonly kind: "outside"; readonly buffer: PooledBuffer; readonly generation: number };

export interface RecordedDispatch {
  readonly dispatch: Dispatch;
  /** One for each of `dispatch.buffers`. */
  readonly sources: readonly Source[];
}

/** What the host puts into a buffer. */
export interface Upload {
  readonly buffer: PooledBuffer;
  readonly bytes: Uint8Array;
  readonly offset: number;
}

/** A host effect that belongs to every run: see `everyRun`. */
export interface Effect {
  readonly effect: () => void;
  /** What it wrote when it was recorded. The first run, which is the recorded one, writes that. */
  readonly uploads: readonly Upload[];
}

export type Item = RecordedDispatch | Effect;

export const isEffect = (item: Item): item is Effect => "effect" in item;

export class Recording implements Recorder {
  readonly items: Item[] = [];
  readonly virtuals: VirtualBuffer[] = [];
  readonly #owned = new Map<PooledBuffer, VirtualBuffer>();
  readonly #device: Device;
  readonly #arguments: readonly BoundBuffer[];
  readonly #rehearsal: boolean;
  /** Buffers that were there before and that the step let go of: dispatches that have not run yet may read them. */
  readonly #released: PooledBuffer[] = [];
  /** Of the effect that runs now. */
  #uploads: Upload[] | null = null;

  /** @param rehearsal effects are left out: the recording is only looked at */
  constructor(device: Device, args: readonly Tensor[], rehearsal: boolean) {
    this.#device = device;
    this.#rehearsal = rehearsal;
    this.#arguments = args.map((tensor) => {
      const { buffer, offset, byteLength } = tensor.location("capture");
      return { buffer, offset, size: Math.max(16, Math.ceil(byteLength / 16) * 16) };
    });
  }

  /** Runs `work` dry. */
  run<T>(work: () => T): T {
    this.#device.recorder = this;
    try {
      return work();
    } finally {
      this.#device.recorder = null;
    }
  }

  get dispatches(): readonly RecordedDispatch[] {
    return this.items.filter((item): item is RecordedDispatch => !isEffect(item));
  }

  /** What tensors still hold when the step is over: its results, and what it keeps. */
  get lasting(): readonly VirtualBuffer[] {
    return this.virtuals.filter(({ alive }) => alive);
  }

  /** The recording's own buffer behind a tensor, if it is one. */
  virtualOf(tensor: Tensor): VirtualBuffer | undefined {
    return this.#owned.get(tensor.location("capture").buffer);
  }

  allocate(bytes: number): PooledBuffer {
    const buffer: PooledBuffer = {
      id: -1,
      gpu: null as never, // until the plan gives it one
      size: bufferSize(bytes, this.#device.limits),
      generation: 0,
      lastSubmit: -1,
    };
    const index = this.virtuals.length;
    const virtual = { buffer, index, first: -1, last: -1, written: -1, uploads: [], alive: true };
    this.virtuals.push(virtual);
    this.#owned.set(buffer, virtual);
    return buffer;
  }

  release(buffer: PooledBuffer): void {
    const virtual = this.#owned.get(buffer);
    if (virtual) virtual.alive = false;
    else this.#released.push(buffer);
  }

  /** Frees what the step freed of what was there before: once its dispatches are encoded, or never will be. */
  releaseOutside(): void {
    for (const buffer of this.#released.splice(0)) this.#device.release(buffer);
  }

  encode(dispatch: Dispatch): void {
    if (this.#uploads) throw new Error(`capture: an effect of every run may not launch ${dispatch.kernel.source.name}`);
    const at = this.items.length;
    const sources = dispatch.buffers.map((bound, i) => {
      const source = this.#source(bound);
      if (source.kind === "virtual") {
        const { virtual } = source;
        if (virtual.first < 0) virtual.first = at;
        virtual.last = at;
        if (virtual.written < 0 && dispatch.kernel.source.bindings[i].access !== "read") virtual.written = at;
      }
      return source;
    });
    this.items.push({ dispatch, sources });
  }

  upload(buffer: PooledBuffer, data: ArrayBufferView, offset: number): void {
    const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength).slice();
    const virtual = this.#owned.get(buffer);
    if (this.#uploads && !virtual) return void this.#uploads.push({ buffer, bytes, offset });
    if (!virtual) {
      throw new Error(
        "capture: a captured step cannot write into a tensor that was there before: it would be written once, not at every call. " +
          "Write before the call, or pass the tensor as an argument",
      );
    }
    if (virtual.first >= 0) {
      throw new Error("capture: a captured step cannot write from the host into a tensor that it has used already");
    }
    virtual.uploads.push({ bytes, offset });
  }

  /** Runs a host effect now and notes it for the replays. What it uploads waits for its place among the dispatches. */
  effect(effect: () => void): void {
    if (this.#rehearsal) return;
    const uploads: Upload[] = [];
    this.items.push({ effect, uploads });
    const outer = this.#uploads;
    this.#uploads = uploads;
    try {
      effect();
    } finally {
      this.#uploads = outer;
    }
  }

  #source({ buffer, offset, size }: BoundBuffer): Source {
    const virtual = this.#owned.get(buffer);
    if (virtual) return { kind: "virtual", virtual };
    const index = this.#arguments.findIndex(
      (own) => own.buffer === buffer && offset >= own.offset && offset + size <= own.offset + own.size,
    );
    if (index >= 0) return { kind: "argument", index, offset: offset - this.#arguments[index].offset };
    return { kind: "outside", buffer, generation: buffer.generation };
  }
}

/**
 * How `now` differs from what was recorded `before`, in words, or null. A replay repeats the recording, so whatever would be
 * different at another call would be silently wrong.
 */
export function difference(before: Recording, now: Recording): string | null {
  for (let i = 0; i < Math.max(before.items.length, now.items.length); i++) {
    const [a, b] = [before.items.at(i), now.items.at(i)];
    if (!a || !b) return `it has ${now.dispatches.length} dispatches now, ${before.dispatches.length} when recorded`;
    if (isEffect(a) || isEffect(b)) {
      if (isEffect(a) && isEffect(b)) continue;
      return `other host effects come before ${nameOf(isEffect(a) ? b : a)}`;
    }
    const what = dispatchDifference(a, b);
    if (what) return what;
  }
  const changed = before.virtuals.find(({ uploads }, i) => !sameUploads(uploads, now.virtuals[i]?.uploads ?? []));
  return changed ? "it uploads other values than when recorded; pass a tensor as an argument instead" : null;
}

const nameOf = (item: Item): string => (isEffect(item) ? "an effect" : item.dispatch.kernel.source.name);

function dispatchDifference(a: RecordedDispatch, b: RecordedDispatch): string | null {
  const name = nameOf(a);
  if (a.dispatch.kernel !== b.dispatch.kernel) {
    return `it runs ${b.dispatch.kernel.label} now where it ran ${a.dispatch.kernel.label} when recorded`;
  }
  if (a.dispatch.groups.some((n, i) => n !== b.dispatch.groups[i]))
    return `${name} has another grid than when recorded`;
  const { bindings, params } = a.dispatch.kernel.source;
  for (const [i, { name: binding }] of bindings.entries()) {
    if (!sameSource(a, b, i)) {
      return `${name} binds another tensor as ${binding} than when recorded; pass what changes as an argument`;
    }
  }
  const live = new Set([...(a.dispatch.live?.names ?? []), ...(b.dispatch.live?.names ?? [])]);
  for (const [field, { offset, length, type }] of Object.entries(params.fields)) {
    if (live.has(field)) continue;
    const [before, now] = [a, b].map(({ dispatch }) =>
      show(dispatch.params!.subarray(offset, offset + 4 * length), type),
    );
    if (before !== now) {
      return `the number ${field} of ${name} is ${now} now and was ${before} when recorded; pass a tensor instead, or (in an op) a function`;
    }
  }
  return null;
}

function sameSource(a: RecordedDispatch, b: RecordedDispatch, i: number): boolean {
  const [x, y] = [a.sources[i], b.sources[i]];
  const [from, to] = [a.dispatch.buffers[i], b.dispatch.buffers[i]];
  if (from.size !== to.size) return false;
  if (x.kind === "virtual") {
    return y.kind === "virtual" && x.virtual.index === y.virtual.index && from.offset === to.offset;
  }
  if (x.kind === "argument") return y.kind === "argument" && x.index === y.index && x.offset === y.offset;
  return y.kind === "outside" && x.buffer === y.buffer && x.generation === y.generation && from.offset === to.offset;
}

function show(bytes: Uint8Array, type: string): string {
  const { buffer, byteOffset, byteLength } = bytes;
  const view = type === "f32" ? Float32Array : type === "i32" ? Int32Array : Uint32Array;
  return [...new view(buffer as ArrayBuffer, byteOffset, byteLength / 4)].join(", ");
}

type Uploads = VirtualBuffer["uploads"];

const sameUploads = (a: Uploads, b: Uploads): boolean =>
  a.length === b.length && a.every(({ bytes, offset }, i) => offset === b[i].offset && sameBytes(bytes, b[i].bytes));

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
