// Who frees a tensor. Every tensor belongs to the innermost scope that was open when it was made, and is freed with it.
// Outside any scope a tensor lives until its dispose().
import type { Tensor } from "./tensor.ts";

const stack: Set<Tensor>[] = [];

/**
 * Runs `work` and frees every tensor made inside, except those that it returns (alone, or in an array or plain object, also
 * nested), those given to `keep()`, and leaves' gradients. What is returned belongs to the scope around. `work` must be
 * synchronous: a scope that stayed open over an `await` would catch tensors of unrelated code, so a Promise throws.
 */
export function scope<T>(work: () => T): T {
  const born = new Set<Tensor>();
  stack.push(born);
  let result: T;
  try {
    result = work();
  } catch (error) {
    stack.pop();
    for (const tensor of born) tensor.dispose();
    throw error;
  }
  stack.pop();
  if (result instanceof Promise) {
    for (const tensor of born) tensor.dispose();
    throw new Error("scope: the function returned a Promise; read results back outside of the scope");
  }
  forEachTensor(result, (tensor) => {
    if (born.delete(tensor)) adopt(tensor);
  });
  for (const tensor of born) tensor.dispose();
  return result;
}

/**
 * For an op that is made of others: frees what lies between, unless the result has a graph, which needs it. Then all belongs to the scope
 * around.
 */
export function opScope(work: () => Tensor): Tensor {
  const born = new Set<Tensor>();
  stack.push(born);
  let keepsAll = false;
  try {
    const result = work();
    keepsAll = result.node !== null;
    if (!keepsAll && born.delete(result)) stack.at(-2)?.add(result);
    return result;
  } finally {
    stack.pop();
    for (const tensor of born)
      if (keepsAll) adopt(tensor);
      else tensor.dispose();
  }
}

/** Takes a tensor out of its scope: it lives until its `dispose()`. Returns it. */
export function keep<T extends Tensor>(tensor: T): T {
  for (const born of stack) born.delete(tensor);
  return tensor;
}

/** Whether something will free what is made now. */
export const insideScope = (): boolean => stack.length > 0;

/** Whether a scope that is open will free a tensor. */
export const belongsToScope = (tensor: Tensor): boolean => stack.some((born) => born.has(tensor));

/** Registers a new tensor with the innermost scope. */
export function adopt(tensor: Tensor): void {
  stack[stack.length - 1]?.add(tensor);
}

/** Visits every tensor in a value: alone, or in arrays and plain objects, also nested. */
export function forEachTensor(value: unknown, visit: (tensor: Tensor) => void): void {
  if (typeof value !== "object" || value === null) return;
  // Not `instanceof`: this file comes before the class.
  if ("location" in value && typeof value.location === "function") visit(value as Tensor);
  else if (Array.isArray(value)) for (const item of value as unknown[]) forEachTensor(item, visit);
  else if (Object.getPrototypeOf(value) === Object.prototype)
    for (const item of Object.values(value)) forEachTensor(item, visit);
}
