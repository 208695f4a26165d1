// Reverse-mode differentiation. Ops record a node on their output; backward() walks the nodes in reverse order.
// Policy: gradients of leaves accumulate over backward() calls, gradients of everything else live only during the walk.
import { keep, scope } from "./scope.ts";
import { sameShape, showShape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/** One recorded operation: its inputs, and how a gradient of the output becomes gradients of the inputs. */
export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly Tensor[];
  /**
   * Gradients for the inputs that `needed` names, in the order of `inputs`; null where not needed. `into` has, for some inputs, a tensor
   * that the gradient may be written into and returned as: a kernel that does so spares a copy. `sums` has, for some, the sum of the
   * gradients so far: a kernel that adds to it in place, and returns it, spares a pass.
   */
  readonly backward: (
    dy: Tensor,
    needed: readonly boolean[],
    into: readonly (Tensor | null)[],
    sums: readonly (Tensor | null)[],
  ) => readonly (Tensor | null)[];
}

let recording = true;

/** Runs `work` without recording operations for gradients. */
export function noGrad<T>(work: () => T): T {
  const before = recording;
  recording = false;
  try {
    return work();
  } finally {
    recording = before;
  }
}

/** False inside of `noGrad`. */
export const recordsGradients = (): boolean => recording;

/** True if gradients can flow to `tensor`. */
const tracksGrad = (tensor: Tensor): boolean => tensor.requiresGrad || tensor.node !== null;

/** True inside `noGrad`-free code when any input tracks gradients: then an op records itself. */
export const shouldRecord = (inputs: readonly Tensor[]): boolean => recording && inputs.some(tracksGrad);

/** One gradient per named input, computed only if asked for; `into` and `sum`: see GraphNode. */
export type Gradients<Names extends string> = {
  readonly [name in Names]?: (dy: Tensor, into: Tensor | null, sum: Tensor | null) => Tensor;
};

/**
 * Declares how `output` was computed. `gradients` has one function per differentiable input; inputs without one get no
 * gradient. Returns `output`.
 */
export function differentiable<Names extends string>(
  op: string,
  inputs: { readonly [name in Names]: Tensor },
  output: Tensor,
  gradients: Gradients<Names>,
): Tensor {
  const names = Object.keys(inputs) as Names[];
  return differentiableJointly(
    op,
    names.map((name) => inputs[name]),
    output,
    (dy, needed, into, sums) =>
      names.map((name, i) => (needed[i] ? (gradients[name]?.(dy, into[i], sums[i]) ?? null) : null)),
  );
}

/** Like `differentiable`, for ops whose kernels yield several input gradients at once (batch norm). */
export function differentiableJointly(
  op: string,
  inputs: readonly Tensor[],
  output: Tensor,
  backward: GraphNode["backward"],
): Tensor {
  if (shouldRecord(inputs)) output.node = { op, inputs, backward };
  return output;
}

/** Where a leaf's gradient goes: flat parameters (see flat-parameters.ts) replace the default, which keeps it in `leaf.grad`. */
export interface GradientSink {
  /** Takes the sum of a backward pass, which may lie where `destination` said. */
  readonly deposit: (gradient: Tensor) => void;
  /** Where the gradient may be written at once; null where it has to be added to what is there. */
  readonly destination: () => Tensor | null;
}

const sinks = new WeakMap<Tensor, GradientSink>();

export function setGradientSink(leaf: Tensor, sink: GradientSink | null): void {
  if (sink) sinks.set(leaf, sink);
  else sinks.delete(leaf);
}

/** What the walk does with gradients itself: given by methods.ts, since ops stand above this file. */
export interface GradientOps {
  readonly add: (a: Tensor, b: Tensor) => Tensor;
  readonly copy: (x: Tensor) => Tensor;
}

/**
 * Computes gradients of every leaf with `requiresGrad` that `output` depends on, and accumulates them in `leaf.grad`.
 *
 * @param dy upstream gradient, of output's shape
 */
export function runBackward(output: Tensor, dy: Tensor, ops: GradientOps): void {
  if (!tracksGrad(output))
    throw new Error(`backward: ${output.toString()} does not depend on a tensor with requiresGrad`);
  if (!sameShape(output.shape, dy.shape)) {
    throw new Error(
      `backward: the gradient ${showShape(dy.shape)} must have the output's shape ${showShape(output.shape)}`,
    );
  }
  if (dy.dtype !== output.dtype)
    throw new Error(`backward: the gradient must be ${output.dtype} as the output, got ${dy.toString()}`);
  const pending = new Map<Tensor, Pending>([[output, { gradient: dy, owned: false }]]);
  noGrad(() => {
    for (const tensor of reverseOrder(output)) {
      const entry = pending.get(tensor);
      pending.delete(tensor);
      if (!entry) continue;
      if (tensor.requiresGrad) deposit(tensor, entry, ops);
      if (tensor.node) propagate(tensor.node, entry.gradient, pending, ops);
      if (entry.owned) entry.gradient.dispose();
    }
  });
}

/** The sum of the gradients of a tensor so far. Owned: the walk made it, and frees it. */
interface Pending {
  readonly gradient: Tensor;
  readonly owned: boolean;
}

function propagate(node: GraphNode, dy: Tensor, pending: Map<Tensor, Pending>, { add }: GradientOps): void {
  const needed = node.inputs.map(tracksGrad);
  // Only the first gradient of a leaf: a second is added to it, and must not be written over it.
  const into = node.inputs.map((input, i) =>
    needed[i] && !pending.has(input) && node.inputs.indexOf(input) === i
      ? (sinks.get(input)?.destination() ?? null)
      : null,
  );
  // Only a sum that nothing else sees: `add` hands one gradient to both of its inputs.
  const sums = node.inputs.map((input, i) => {
    const before = needed[i] && node.inputs.indexOf(input) === i ? pending.get(input) : undefined;
    return before?.owned && !before.gradient.shared ? before.gradient : null;
  });
  // The scope frees the temporaries of this one gradient at once (and gradients that a joint kernel yields unasked): the pool
  // then reuses them for the next.
  const gradients = scope(() =>
    node.backward(dy, needed, into, sums).map((gradient, i) => (needed[i] ? gradient : null)),
  );
  node.inputs.forEach((input, i) => {
    const gradient = gradients[i];
    if (!gradient || gradient === sums[i]) return;
    if (!sameShape(gradient.shape, input.shape)) {
      throw new Error(
        `${node.op}: the gradient of input ${i} is ${showShape(gradient.shape)}, the input ${showShape(input.shape)}`,
      );
    }
    // An op may hand its own dy on unchanged (add), or what it was given to write into; the walk must not free those.
    const shared = gradient === dy || gradient === into[i] ? gradient.view(gradient.shape) : gradient;
    const before = pending.get(input);
    if (!before) pending.set(input, { gradient: shared, owned: true });
    else {
      pending.set(input, { gradient: scope(() => add(before.gradient, shared)), owned: true });
      if (before.owned) before.gradient.dispose();
      shared.dispose();
    }
  });
}

function deposit(leaf: Tensor, { gradient, owned }: Pending, { add, copy }: GradientOps): void {
  const sink = sinks.get(leaf);
  if (sink) return sink.deposit(gradient);
  const before = leaf.grad;
  // Not another leaf's too (`add` hands one gradient to both of its inputs), nor the caller's.
  const own = (): Tensor => (owned && !gradient.shared ? gradient.view(gradient.shape) : copy(gradient));
  // Kept: a leaf's gradient outlives the scope of the step that computed it.
  leaf.grad = keep(before ? add(before, gradient) : own());
  before?.dispose();
}

/**
 * Every tensor that `output` depends on and gradients can reach, each before its inputs. The last input is looked at first, so that it comes
 * last: a residual block's shortcut (batchNorm's `add`) follows its main path, and a strided shortcut then adds to a quarter of
 * the gradient's pixels instead of writing them all.
 */
function reverseOrder(output: Tensor): Tensor[] {
  const order: Tensor[] = [];
  const seen = new Set<Tensor>([output]);
  // An explicit stack: a deep network would overflow the call stack.
  const entry = (tensor: Tensor) => ({ tensor, left: tensor.node?.inputs.length ?? 0 });
  const stack = [entry(output)];
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const input = top.tensor.node?.inputs[--top.left];
    if (!input) {
      order.push(top.tensor);
      stack.pop();
    } else if (!seen.has(input) && tracksGrad(input)) {
      seen.add(input);
      stack.push(entry(input));
    }
  }
  return order.reverse();
}
