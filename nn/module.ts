// The base of everything with parameters. A subclass declares its parts as fields and computes in `forward()`.
import { shouldRecord } from "../engine/autograd.ts";
import { scope } from "../engine/scope.ts";
import type { Shape } from "../engine/shape.ts";
import type { Tensor } from "../engine/tensor.ts";
import { randomForName } from "./init.ts";
import { Counter, Parameter, State } from "./parameter.ts";

/** Called after each module of a traced model, in call order, with the shape of its result. */
export type ShapeVisitor = (module: Module, output: Shape) => void;

/**
 * A part of a model. Fields that hold a `Parameter`, a `State`, a `Counter` or another module are found by themselves, in the order of
 * their declaration, and so is what lies in arrays and plain objects. Names are PyTorch's: `layer1.0.conv1.weight`, camelCase fields as
 * snake_case (`runningMean` is `running_mean`), items of arrays by index, those of objects by key. JavaScript's own private fields
 * (`#conv`) and Maps are not looked into: what lies there is neither trained nor saved.
 *
 * ```ts
 * class Mlp extends Module {
 *   readonly fc1 = new Linear(784, 64);
 *   readonly fc2 = new Linear(64, 10);
 *   override forward(x: Tensor): Tensor {
 *     return this.fc2.forward(this.fc1.forward(x).relu());
 *   }
 * }
 * ```
 */
export abstract class Module implements Disposable {
  /** True while training: batch norm uses the batch's statistics and dropout drops. Set by `train()` and `eval()`. */
  training = true;

  abstract forward(x: Tensor): Tensor;

  /** The shape of `forward`'s result for an input of shape `x`, without a device. A module with parts calls their `traceShape`, with `visit`. */
  outputShape(x: Shape, visit: ShapeVisitor): Shape {
    void [x, visit];
    throw new Error(`${this.typeName}: has no outputShape(), so no table can be made of it`);
  }

  /** `outputShape`, then reports this module to `visit`. */
  traceShape(x: Shape, visit: ShapeVisitor): Shape {
    const y = this.outputShape(x, visit);
    visit(this, y);
    return y;
  }

  /** The name in tables and in `toString()`. */
  get typeName(): string {
    return this.constructor.name;
  }

  /** Sub-modules by name, in order. */
  namedChildren(): [string, Module][] {
    return this.#held().filter((entry): entry is [string, Module] => entry[1] instanceof Module);
  }

  /** This module (named "") and all below it, each once, parents first. */
  namedModules(): [string, Module][] {
    const found = new Map<Module, string>();
    const walk = (name: string, module: Module): void => {
      if (found.has(module)) return;
      found.set(module, name);
      for (const [child, below] of module.namedChildren()) walk(name ? `${name}.${child}` : child, below);
    };
    walk("", this);
    return [...found].map(([module, name]) => [name, module]);
  }

  modules(): Module[] {
    return this.namedModules().map(([, module]) => module);
  }

  /** The module of that name. Throws, listing the nearest names, where there is none. */
  module(name: string): Module {
    const all = this.namedModules();
    const found = all.find(([each]) => each === name);
    if (found) return found[1];
    const parent = name.slice(0, Math.max(0, name.lastIndexOf(".")));
    const base = all.some(([each]) => each === parent) ? parent : "";
    const near = this.module(base)
      .namedChildren()
      .map(([child]) => (base ? `${base}.${child}` : child));
    throw new Error(`${this.typeName}: no module "${name}"; there are ${near.join(", ")}`);
  }

  /** Parameters, running statistics and counters in the order of PyTorch's state dict: a module's own, then its children's. */
  namedEntries(): [string, Parameter | State | Counter][] {
    const entries = new Map<Parameter | State | Counter, string>();
    for (const [prefix, module] of this.namedModules()) {
      for (const [name, value] of module.ownEntries()) {
        if (!entries.has(value)) entries.set(value, prefix ? `${prefix}.${name}` : name);
      }
    }
    return [...entries].map(([value, name]) => [name, value]);
  }

  /** What this module holds itself: parameters first, then statistics and counters. */
  ownEntries(): [string, Parameter | State | Counter][] {
    const values = this.#held();
    const isParameter = (entry: [string, unknown]): entry is [string, Parameter] => entry[1] instanceof Parameter;
    const isState = (entry: [string, unknown]): entry is [string, State | Counter] =>
      entry[1] instanceof State || entry[1] instanceof Counter;
    return [...values.filter(isParameter), ...values.filter(isState)];
  }

  namedParameters(): [string, Parameter][] {
    return this.namedEntries().filter((entry): entry is [string, Parameter] => entry[1] instanceof Parameter);
  }

  parameters(): Parameter[] {
    return this.namedParameters().map(([, parameter]) => parameter);
  }

  /** Running statistics, by PyTorch's names. */
  namedState(): [string, State][] {
    return this.namedEntries().filter((entry): entry is [string, State] => entry[1] instanceof State);
  }

  /** Host-side counts (`num_batches_tracked`). */
  namedCounters(): [string, Counter][] {
    return this.namedEntries().filter((entry): entry is [string, Counter] => entry[1] instanceof Counter);
  }

  /** How many numbers training changes (frozen ones included). */
  parameterCount(): number {
    return this.parameters().reduce((sum, parameter) => sum + parameter.size, 0);
  }

  /** Draws all parameters anew, each from the stream of (seed, its name), and resets statistics and counts. */
  initialize(seed: number): this {
    for (const [name, entry] of this.namedEntries()) {
      if (entry instanceof Counter) entry.value = 0;
      else entry.reinitialize(() => randomForName(seed, name));
    }
    for (const [name, module] of this.namedModules()) module.reseed(seed, name);
    return this;
  }

  /** Called by `initialize()`: for modules that draw random numbers while they run. */
  reseed(seed: number, name: string): void {
    void [seed, name];
  }

  /** Switches this module and all below to training. */
  train(mode = true): this {
    for (const module of this.modules()) module.training = mode;
    return this;
  }

  /** Switches this module and all below to evaluation. */
  eval(): this {
    return this.train(false);
  }

  /**
   * Keeps parameters from being trained: those below `prefix` ("layer1", "layer1.0.conv1"), or all. Batch norm's running
   * statistics still move in training mode, as in PyTorch. Throws where nothing has that prefix. Returns the names.
   */
  freeze(prefix = ""): string[] {
    return this.#setRequiresGrad("freeze", prefix, false);
  }

  /** Undoes `freeze`. Adam wants a new optimizer then: its moments of these parameters are fresh, its bias correction is not. */
  unfreeze(prefix = ""): string[] {
    return this.#setRequiresGrad("unfreeze", prefix, true);
  }

  /** What the fields hold, by name. */
  #held(): [string, unknown][] {
    return Object.entries(this).flatMap(([field, value]) => unfolded(diskName(field), value));
  }

  #setRequiresGrad(caller: string, prefix: string, value: boolean): string[] {
    const below = this.namedParameters().filter(([name]) => isBelow(prefix, name));
    if (below.length === 0) {
      const known = this.namedChildren().map(([name]) => name);
      throw new Error(`${caller}: no parameter's name begins with "${prefix}"; the parts are ${known.join(", ")}`);
    }
    for (const [, parameter] of below) parameter.requiresGrad = value;
    return below.map(([name]) => name);
  }

  /** Runs part of a forward pass. In evaluation without gradients, what it made on the way is freed at its end already. */
  protected frugally(x: Tensor, work: () => Tensor): Tensor {
    return this.training || shouldRecord([x, ...this.parameters()]) ? work() : scope(work);
  }

  /** Frees the memory of all parameters and statistics. */
  dispose(): void {
    for (const [, entry] of this.namedEntries()) if (!(entry instanceof Counter)) entry.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The options worth printing: what `toString()` shows in brackets. */
  extraRepr(): string {
    return "";
  }

  /** The tree of modules, as PyTorch prints it. */
  toString(): string {
    const children = this.namedChildren();
    if (children.length === 0) return `${this.typeName}(${this.extraRepr()})`;
    const lines = children.map(([name, child]) => `(${name}): ${child.toString()}`.replaceAll("\n", "\n  "));
    return `${this.typeName}(${this.extraRepr()}\n  ${lines.join("\n  ")}\n)`;
  }
}

/** A value, or what an array or a plain object holds, however deep; `around` is where it lies. */
function unfolded(name: string, value: unknown, around: readonly unknown[] = []): [string, unknown][] {
  if (!isFolded(value) || around.includes(value)) return [[name, value]];
  return Object.entries(value).flatMap(([key, item]) => unfolded(`${name}.${key}`, item, [...around, value]));
}

const isFolded = (value: unknown): value is object =>
  Array.isArray(value) ||
  (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype);

/** True for `prefix` itself and what follows it after a dot. */
const isBelow = (prefix: string, name: string): boolean =>
  prefix === "" || name === prefix || name.startsWith(`${prefix}.`);

/** runningMean -> running_mean */
const diskName = (field: string): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
