// A recorded step, ready to run again and again: dispatches with their buffers planned and bound.
import type { PooledBuffer } from "./gpu/buffers.ts";
import type { Device } from "./gpu/device.ts";
import { bytesOf, type BoundBuffer, type Dispatch } from "./gpu/dispatch.ts";
import type { Arena, Lifetime } from "./plan.ts";
import {
  isEffect,
  type Effect,
  type RecordedDispatch,
  type Recording,
  type Source,
  type VirtualBuffer,
} from "./recording.ts";
import { Storage, type Tensor } from "./tensor.ts";

/** A buffer that each run brings along: an argument's or a result's. */
interface Varying {
  /** Which of the dispatch's buffers. */
  readonly at: number;
  readonly slot: number;
  /** From the start of the argument. */
  readonly offset: number;
}

interface Step {
  readonly dispatch: Dispatch & { readonly buffers: BoundBuffer[] };
  readonly varying: readonly Varying[];
}

/** Where a program's buffers are. */
interface Slot {
  buffer: PooledBuffer;
  offset: number;
}

export class Program implements Disposable {
  readonly recording: Recording;
  readonly #device: Device;
  readonly #steps: readonly (Step | Effect)[];
  /** Arguments, then results. */
  readonly #slots: Slot[] = [];
  readonly #results: readonly VirtualBuffer[];
  readonly #arguments: number;
  readonly #constants: readonly PooledBuffer[];
  /** Of the planned buffers. */
  readonly #places = new Map<PooledBuffer, PooledBuffer>();
  /** What must still be alive when the program runs again: tensors from outside, and those that the step keeps. */
  readonly #outside: { readonly buffer: PooledBuffer; readonly generation: number; readonly user: string }[] = [];

  /** @param results the recording's buffers that the step returns: every run gets fresh ones */
  constructor(
    device: Device,
    recording: Recording,
    args: readonly Tensor[],
    results: readonly VirtualBuffer[],
    arena: Arena,
  ) {
    this.#device = device;
    this.recording = recording;
    this.#results = results;
    this.#arguments = args.length;
    const inner = recording.virtuals.filter(({ alive }) => !alive); // results, and what the step keeps, are not
    const constants = inner.filter(({ uploads }) => uploads.length > 0);
    const planned = plannedBuffers(recording);
    const places = arena.assign(planned.map(lifetimeOf));
    planned.forEach(({ buffer }, i) => this.#places.set(buffer, places[i]));
    for (const virtual of [...recording.lasting, ...constants]) materialize(device, virtual);
    this.#constants = constants.map(({ buffer }) => buffer);
    for (const kept of recording.lasting) {
      if (kept.written < 0 || results.includes(kept)) continue;
      this.#outside.push({ buffer: kept.buffer, generation: kept.buffer.generation, user: writerOf(recording, kept) });
    }
    for (let i = 0; i < args.length + results.length; i++) this.#slots.push({ buffer: null as never, offset: 0 });
    this.#steps = recording.items.map((item) => (isEffect(item) ? item : this.#prepare(item)));
  }

  /** A result that only the host wrote: every run would need that again. */
  get uploadsResult(): boolean {
    return this.#results.some(({ uploads }) => uploads.length > 0);
  }

  /** The first run: with the results, numbers and effects of the recording. */
  runRecorded(args: readonly Tensor[]): void {
    this.#results.forEach(({ buffer }, i) => this.#setSlot(args.length + i, buffer, 0));
    this.#run(args, false);
  }

  /** Runs again and returns a storage for each result. */
  replay(args: readonly Tensor[]): Storage[] {
    for (const { buffer, generation, user } of this.#outside) {
      if (buffer.generation === generation) continue;
      throw new Error(
        `capture: a tensor that ${user} uses was freed since the step was recorded, and its memory may hold something else; ` +
          "keep it, or pass it as an argument",
      );
    }
    const storages = this.#results.map(({ buffer }) => new Storage(this.#device, buffer.size));
    storages.forEach(({ buffer }, i) => this.#setSlot(args.length + i, buffer, 0));
    this.#run(args, true);
    return storages;
  }

  #run(args: readonly Tensor[], again: boolean): void {
    args.forEach((tensor, i) => {
      const { buffer, offset } = tensor.location("capture");
      this.#setSlot(i, buffer, offset);
    });
    for (const step of this.#steps) {
      if ("effect" in step) {
        if (again) step.effect();
        else for (const { buffer, bytes, offset } of step.uploads) this.#device.upload(buffer, bytes, offset);
      } else this.#encode(step, again);
    }
  }

  #encode({ dispatch, varying }: Step, again: boolean): void {
    for (const { at, slot, offset } of varying) {
      const { buffer, offset: start } = this.#slots[slot];
      dispatch.buffers[at] = { buffer, offset: start + offset, size: dispatch.buffers[at].size };
    }
    const { live } = dispatch;
    this.#device.encode(live && again ? { ...dispatch, params: live.repack() } : dispatch);
  }

  #setSlot(slot: number, buffer: PooledBuffer, offset: number): void {
    this.#slots[slot].buffer = buffer;
    this.#slots[slot].offset = offset;
  }

  #prepare({ dispatch, sources }: RecordedDispatch): Step {
    const varying: Varying[] = [];
    sources.forEach((source, at) => {
      if (source.kind === "argument") varying.push({ at, slot: source.index, offset: source.offset });
      else if (source.kind === "outside") this.#noteOutside(source, dispatch);
      else {
        const result = this.#results.indexOf(source.virtual);
        if (result >= 0) varying.push({ at, slot: this.#arguments + result, offset: dispatch.buffers[at].offset });
      }
    });
    const buffers = dispatch.buffers.map((bound) => ({
      ...bound,
      buffer: this.#places.get(bound.buffer) ?? bound.buffer,
    }));
    if (varying.length > 0) return { dispatch: { ...dispatch, buffers }, varying };
    return { dispatch: { ...dispatch, buffers, prepared: this.#device.prepare(dispatch.kernel, buffers) }, varying };
  }

  #noteOutside({ buffer, generation }: Source & { kind: "outside" }, { kernel }: Dispatch): void {
    if (this.#outside.some((other) => other.buffer === buffer)) return;
    this.#outside.push({ buffer, generation, user: kernel.source.name });
  }

  /** A line a dispatch: kernel and constants, grid, buffers, bytes, floating-point operations. */
  toString(): string {
    const names = new Map<PooledBuffer, string>();
    const nameOf = ({ buffer }: BoundBuffer, source: Source): string => {
      if (source.kind === "argument") return `argument${source.index}`;
      const result = source.kind === "virtual" ? this.#results.indexOf(source.virtual) : -1;
      if (result >= 0) return `result${result}`;
      if (!names.has(buffer)) names.set(buffer, `${source.kind === "outside" ? "outside" : "planned"}${names.size}`);
      return names.get(buffer)!;
    };
    const rows = this.recording.dispatches.map(({ dispatch, sources }, i) => {
      const { kernel, groups, buffers, flops } = dispatch;
      const bound = buffers.map((b, j) => `${kernel.source.bindings[j].name}=${nameOf(b, sources[j])}`).join(" ");
      return [
        `${i}`,
        kernel.label,
        groups.join(" x "),
        bound,
        bytesOf(buffers).toLocaleString("en"),
        flops.toLocaleString("en"),
      ];
    });
    return table([["#", "kernel", "grid", "buffers", "bytes", "flops"], ...rows]);
  }

  /** Frees what it uploaded. The planned buffers belong to the arena. */
  dispose(): void {
    for (const buffer of this.#constants) this.#device.release(buffer);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

const writerOf = ({ items }: Recording, { written }: VirtualBuffer): string =>
  (items[written] as RecordedDispatch).dispatch.kernel.source.name;

/** @throws where a kernel writes into what the host has uploaded: a replay would not upload it again */
export function refuseWrittenUploads(recording: Recording): void {
  const written = recording.virtuals.find((each) => !each.alive && each.uploads.length > 0 && each.written >= 0);
  if (!written) return;
  throw new Error(
    `capture: ${writerOf(recording, written)} writes into a tensor that the step uploads; a replay would not upload it again`,
  );
}

/** The buffers that only live within a run: what can share memory. */
export const plannedBuffers = ({ virtuals }: Recording): VirtualBuffer[] =>
  virtuals.filter(({ alive, uploads, first }) => !alive && uploads.length === 0 && first >= 0);

export const lifetimeOf = ({ buffer: { size }, first, last }: VirtualBuffer): Lifetime => ({ size, first, last });

/** Gives a buffer of the recording memory of its own, unless it has some, and what the host put into it. */
export function materialize(device: Device, { buffer, uploads }: VirtualBuffer): void {
  if (buffer.id >= 0) return;
  const { id, gpu, lastSubmit } = device.allocate(buffer.size);
  buffer.id = id;
  buffer.gpu = gpu;
  buffer.lastSubmit = lastSubmit; // dispatches that are not submitted yet may still read what was there
  for (const { bytes, offset } of uploads) device.upload(buffer, bytes, offset);
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
