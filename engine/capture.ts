// capture(step): the same step, recorded once for each shape of its arguments and replayed from then on.
import { recordsGradients } from "./autograd.ts";
import { describeArguments, variantOf, type CaptureArgument } from "./capture-key.ts";
import { currentDevice } from "./current.ts";
import type { Device } from "./gpu/device.ts";
import { Arena, planPlaces } from "./plan.ts";
import { lifetimeOf, materialize, plannedBuffers, Program, refuseWrittenUploads } from "./program.ts";
import { difference, Recording, type VirtualBuffer } from "./recording.ts";
import { asTemplate, rebuild, strip, templateDifference, tensorsIn, type Template } from "./results.ts";
import { belongsToScope, scope } from "./scope.ts";
import { Tensor } from "./tensor.ts";

export interface CaptureOptions<A extends readonly CaptureArgument[]> {
  /** For messages; default "the captured step". */
  readonly name?: string;
  /** Whatever else decides what the step does (which layers are frozen, say): another key is another program. */
  readonly key?: (...args: A) => string;
}

/** A captured step: call it as the step itself. */
export interface Captured<A extends readonly CaptureArgument[], T> extends Disposable {
  (...args: A): T;
  /**
   * Compiles the kernels that these arguments need, in parallel. Runs nothing and has no effects.
   *
   * @throws where the step's first call would compute tensors that last (a gradient, say, which is zeros from then on)
   */
  compile(...args: A): Promise<void>;
  /**
   * Bytes of the device's memory that the step takes with these arguments, beside what is there already. Runs nothing.
   *
   * @throws where a tensor of the step is larger than the adapter binds
   */
  bytes(...args: A): number;
  /** What it has recorded: a line a dispatch. */
  toString(): string;
  /** Frees the memory of its programs. What it has returned stays. */
  dispose(): void;
}

let active: Recording | null = null;

/**
 * Runs a host effect (counting steps, say) of an op or optimizer. In a captured step, whose code runs once, it is repeated at each
 * replay, in its place among the dispatches. It may write into tensors that were there before, in that place too, but not launch kernels.
 */
export function everyRun(effect: () => void): void {
  if (active) active.effect(effect);
  else effect();
}

/** Runs `work` dry. */
function record<R>(recording: Recording, work: () => R): R {
  active = recording;
  try {
    // The scope closes while recording: what it frees are buffers of the recording.
    return recording.run(() => scope(work));
  } finally {
    active = null;
  }
}

/** After a failure: what the step did until then is done, as without `capture(`. Gradients and moments have what the host believes. */
function settleFailure(device: Device, recording: Recording, args: readonly Tensor[]): void {
  try {
    using arena = new Arena(device);
    using program = new Program(device, recording, args, [], arena);
    program.runRecorded(args);
  } catch {
    // Where the device is lost, say: the failure before is the one to report.
  } finally {
    recording.releaseOutside();
  }
}

/** Programs that a step may have: more than a few shapes of arguments mean that something changes that should not. */
const MOST_PROGRAMS = 32;

/**
 * Makes a step that is recorded at its first call for each shape of its arguments, and replayed afterwards without running its code:
 * the buffers between its kernels are planned by last use, and pipelines, bind groups and grids are ready. Without `capture(` the
 * program computes the same, bit for bit.
 *
 * The step must be synchronous and do the same at every call. The 2nd, 4th, 8th, ... call records again and compares: numbers that
 * change, tensors that change without being arguments, and other branches throw an Error that names the kernel. So do reading
 * back, and writing into tensors that were there before. The call that is refused has had its effects. Tensors that the step returns
 * belong to the caller's scope and have no graph: call `backward()` inside. The first call may prepare lasting state (gradients,
 * moments); the second must be like the third.
 */
export function capture<A extends readonly CaptureArgument[], T>(
  step: (...args: A) => T,
  options: CaptureOptions<A> = {},
): Captured<A, T> {
  const programs = new Programs(step, options);
  const captured = (...args: A): T => programs.call(args);
  return Object.assign(captured, {
    compile: (...args: A) => programs.compile(args),
    bytes: (...args: A) => programs.bytes(args),
    toString: () => programs.toString(),
    dispose: () => programs.dispose(),
    [Symbol.dispose]: () => programs.dispose(),
  });
}

interface Entry<T> {
  readonly variant: string;
  readonly program: Program;
  readonly result: Template<T>;
  /** Those that succeeded. */
  calls: number;
  /** The call that records again and compares. */
  readonly check: number;
}

/** A recording that has run. */
interface Made<T> {
  readonly program: Program;
  readonly result: T;
  readonly template: Template<T>;
  /** The tensors of `result` that the step made, unless it keeps one of them. */
  readonly own: readonly Tensor[];
  readonly keeps: boolean;
}

class Programs<A extends readonly CaptureArgument[], T> {
  readonly #step: (...args: A) => T;
  readonly #name: string;
  readonly #key: ((...args: A) => string) | undefined;
  readonly #entries = new Map<string, Entry<T>>();
  #arena: { readonly device: Device; readonly arena: Arena } | null = null;

  constructor(step: (...args: A) => T, { name = "the captured step", key }: CaptureOptions<A>) {
    this.#step = step;
    this.#name = name;
    this.#key = key;
  }

  call(args: A): T {
    // A captured step within one that is being recorded is part of it.
    if (active) return this.#step(...args);
    const device = this.#deviceOf();
    const tensors = this.#tensors(args);
    const key = this.#keyOf(args, device);
    const entry = this.#entries.get(key);
    if (!entry) return this.#start(key, args, tensors);
    if (entry.calls + 1 === entry.check) return this.#verify(key, entry, args, tensors);
    const storages = entry.program.replay(tensors);
    entry.calls++;
    return rebuild(entry.result, storages, args);
  }

  async compile(args: A): Promise<void> {
    if (this.#entries.has(this.#keyOf(args, this.#deviceOf()))) return;
    const { dispatches } = this.#rehearse("compile", args);
    await this.#deviceOf().compile([...new Set(dispatches.map(({ dispatch }) => dispatch.kernel))]);
  }

  bytes(args: A): number {
    const lifetimes = plannedBuffers(this.#rehearse("bytes", args)).map(lifetimeOf);
    return planPlaces(lifetimes).sizes.reduce((sum, size) => sum + size, 0);
  }

  /** Goes through the step without running it. Tensors that last from then on (parameters that came to the device just now) are made. */
  #rehearse(what: string, args: A): Recording {
    if (active) throw new Error(`${what}: ${this.#name} is part of a step that is being recorded; do this before`);
    const device = this.#deviceOf();
    const recording = new Recording(device, this.#tensors(args), true);
    let computed: VirtualBuffer[];
    try {
      record(recording, () => void this.#step(...args));
    } finally {
      const { lasting } = recording;
      computed = lasting.filter(({ uploads }) => uploads.length === 0);
      // Gradients and moments, which nothing will compute.
      for (const { buffer, uploads } of computed) uploads.push({ bytes: new Uint8Array(buffer.size), offset: 0 });
      for (const virtual of lasting) materialize(device, virtual);
      recording.releaseOutside();
    }
    if (computed.length > 0) {
      throw new Error(`${what}: ${this.#name} computes lasting tensors at its first call; call it instead`);
    }
    return recording;
  }

  toString(): string {
    return [...this.#entries].map(([key, { program }]) => `${this.#name} ${key}\n${program.toString()}`).join("\n\n");
  }

  dispose(): void {
    for (const { program } of this.#entries.values()) program.dispose();
    this.#entries.clear();
    this.#arena?.arena.dispose();
    this.#arena = null;
  }

  #start(key: string, args: A, tensors: readonly Tensor[]): T {
    const variant = variantOf(this.#deviceOf());
    if (this.#entries.size === MOST_PROGRAMS) this.#forgetOthers(variant);
    if (this.#entries.size === MOST_PROGRAMS) {
      throw new Error(
        `capture: ${this.#name} got more than ${MOST_PROGRAMS} shapes of arguments; it suits steps that repeat`,
      );
    }
    const { program, result, template } = this.#make(args, tensors);
    this.#entries.set(key, { variant, program, result: template, calls: 1, check: 2 });
    return result;
  }

  /** Programs of kernels that are no longer chosen: they may never be asked for again. */
  #forgetOthers(variant: string): void {
    for (const [key, entry] of this.#entries) {
      if (entry.variant === variant) continue;
      entry.program.dispose();
      this.#entries.delete(key);
    }
  }

  /** Records again. The call runs what was recorded now; it only decides whether the next may be replays. */
  #verify(key: string, entry: Entry<T>, args: A, tensors: readonly Tensor[]): T {
    const { program, result, template, own, keeps } = this.#make(args, tensors);
    const calls = entry.calls + 1;
    const what =
      (program.uploadsResult ? "it returns a tensor that it uploads; pass it as an argument" : null) ??
      (keeps ? "it returns a tensor that it also keeps; return a copy" : null) ??
      difference(entry.program.recording, program.recording) ??
      templateDifference(entry.result, template);
    entry.program.dispose();
    this.#entries.set(key, {
      ...entry,
      program,
      result: template,
      calls,
      check: what === null ? 2 * calls : calls + 1,
    });
    // The first call may have prepared something (moments, a gradient to add to): then the second counts.
    if (what !== null && calls > 2) {
      for (const tensor of own) tensor.dispose();
      this.dispose();
      throw new Error(`capture: ${this.#name} does not do the same at each call: ${what}`);
    }
    return result;
  }

  /** Records, and runs what was recorded. */
  #make(args: A, tensors: readonly Tensor[]): Made<T> {
    const device = this.#deviceOf();
    const recording = new Recording(device, tensors, false);
    let own: Tensor[] = [];
    try {
      let keeps = false;
      const result = record(recording, () => {
        const returned = this.#step(...args);
        if (returned instanceof Promise) {
          throw new Error(`capture: ${this.#name} returned a Promise; read results back after the call`);
        }
        keeps = tensorsIn(returned).some((tensor) => recording.virtualOf(tensor) && !belongsToScope(tensor));
        return returned;
      });
      const returned = tensorsIn(result).filter((tensor) => recording.virtualOf(tensor));
      if (!keeps) own = returned;
      refuseWrittenUploads(recording);
      const results = [...new Set(returned.map((tensor) => recording.virtualOf(tensor)!))];
      for (const tensor of returned) strip(tensor);
      const template = asTemplate(result, args, (tensor) => results.indexOf(recording.virtualOf(tensor)!));
      const program = new Program(device, recording, tensors, results, this.#arenaOf(device));
      program.runRecorded(tensors);
      recording.releaseOutside();
      return { program, result, template, own, keeps };
    } catch (error) {
      settleFailure(device, recording, tensors);
      for (const tensor of own) tensor.dispose();
      throw error;
    }
  }

  #deviceOf(): Device {
    const device = currentDevice();
    if (this.#arena && this.#arena.device !== device) {
      throw new Error(`capture: ${this.#name} was recorded on another device than the current one`);
    }
    return device;
  }

  #arenaOf(device: Device): Arena {
    this.#arena ??= { device, arena: new Arena(device) };
    return this.#arena.arena;
  }

  #tensors(args: A): Tensor[] {
    return args.flatMap((argument, i) => {
      if (typeof argument === "string" || typeof argument === "boolean") return [];
      const what = `capture: argument ${i} of ${this.#name}`;
      if (!(argument instanceof Tensor)) {
        throw new Error(
          `${what} is ${String(argument)}: it would become a constant; pass a tensor, a string or a boolean`,
        );
      }
      if (argument.requiresGrad) throw new Error(`${what} requires a gradient: make that tensor inside of the step`);
      return [argument];
    });
  }

  #keyOf(args: A, device: Device): string {
    return [
      describeArguments(args),
      variantOf(device),
      ...(recordsGradients() ? [] : ["no gradients"]),
      this.#key?.(...args) ?? "",
    ]
      .join(" ")
      .trimEnd();
  }
}
