// Kernels that do one thing as fast as the adapter can: what a benchmark compares other kernels with. Not ops: they compute nothing useful.
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { launch } from "../launch.ts";
import { ceilDiv, check } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";

/** What a kernel has been given to do. */
export interface Work {
  readonly y: Tensor;
  readonly flops: number;
  /** Loaded and stored, cached or not. */
  readonly bytes: number;
}

/** Of the arithmetic kernel. The chain of each number x stays between x and `offset / (1 - factor)`, far from infinities and denormals. */
export const CHAIN = { factor: 0.999, offset: 0.0005, perRound: 32 } as const;
/** Elements of x of the load kernel, and vec4s that it loads a round. */
export const TABLE = { elements: 1024, perRound: 8 } as const;

const INVOCATIONS = 64;

/** Multiply-adds in registers: y = two chains of `32 * rounds` from each element of x [n], n a multiple of 4. */
export function runArithmetic(x: Tensor, rounds: number): Work {
  checkInput("runArithmetic", x, x.size);
  const y = empty(x.shape);
  const vectors = x.size / 4;
  const { factor, offset, perRound } = CHAIN;
  const flops = 2 * 2 * perRound * rounds * x.size;
  launch(kernels.ceilings.arithmetic, {
    bindings: { x, y },
    params: { vectors, rounds, factor, offset },
    workgroups: ceilDiv(vectors, INVOCATIONS),
    flops,
  });
  return { y, flops, bytes: 8 * x.size };
}

/** y = x, n a multiple of 4. */
export function runCopy(x: Tensor): Work {
  checkInput("runCopy", x, x.size);
  const y = empty(x.shape);
  const vectors = x.size / 4;
  launch(kernels.ceilings.copy, {
    bindings: { x, y },
    params: { vectors },
    constants: currentDevice().info.software ? { place: "first + i" } : {},
    workgroups: ceilDiv(vectors, INVOCATIONS * 4),
  });
  return { y, flops: 0, bytes: 8 * x.size };
}

/** Loads from a cache: y [n] = sums of `8 * rounds` vec4s of x [1024]; n a multiple of 4. */
export function runLoads(x: Tensor, n: number, rounds: number): Work {
  checkInput("runLoads", x, TABLE.elements);
  const y = empty([n]);
  const vectors = n / 4;
  const loads = TABLE.perRound * rounds * vectors;
  const flops = 4 * loads;
  launch(kernels.ceilings.load, {
    bindings: { x, y },
    params: { vectors, rounds },
    constants: { TABLE: TABLE.elements / 4 },
    workgroups: ceilDiv(vectors, INVOCATIONS),
    flops,
  });
  return { y, flops, bytes: 16 * loads + 4 * n };
}

function checkInput(name: string, x: Tensor, size: number): void {
  const fits = x.dtype === "f32" && x.size === size && size % 4 === 0 && size > 0;
  check(
    fits,
    name,
    () => `x must be f32 with ${x.size === size ? "a multiple of 4" : size} elements, got ${x.toString()}`,
  );
}
