// Element-wise functions of two tensors with NumPy's broadcasting: one row each, formula beside gradients.
// a [...], b [...] -> y [... broadcast].
import { kernels } from "../../shaders/kernels.ts";
import { differentiable } from "../autograd.ts";
import { launch } from "../launch.ts";
import { opScope } from "../scope.ts";
import { broadcastShapes, ceilDiv, check, sameShape, sizeOf, stridesOf, type Shape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { bitsOf, single, storedAs, throughSingle } from "./cast.ts";
import { full } from "./copy.ts";
import { sumTo } from "./reduce-axes.ts";
import { collapse, inVectors, packAxes, stretchedStrides } from "./strided.ts";
import { neg, reciprocal, scale, shift, square } from "./unary.ts";

interface BinaryRow {
  /** WGSL for y, of `a: T` and `b: T` (T is f32 or vec4f). */
  y: string;
  /** WGSL for da and db, of `a`, `b`, `y` and `dy`. */
  da: string;
  db: string;
}

const rows = {
  add: { y: "a + b", da: "dy", db: "dy" },
  sub: { y: "a - b", da: "dy", db: "-dy" },
  mul: { y: "a * b", da: "dy * b", db: "dy * a" },
  div: { y: "a / b", da: "dy / b", db: "-dy * y / b" },
  // Where both are equal each gets half, as in PyTorch.
  maximum: { y: "larger(a, b)", da: "dy * (step(b, a) - 0.5 * T(a == b))", db: "dy * (step(a, b) - 0.5 * T(a == b))" },
  minimum: { y: "smaller(a, b)", da: "dy * (step(a, b) - 0.5 * T(a == b))", db: "dy * (step(b, a) - 0.5 * T(a == b))" },
  pow: {
    y: "power(a, b)",
    da: "select(dy * b * power(a, b - 1.0), T(0.0), b == T(0.0))",
    db: "select(T(0.0), dy * y * log(a), a > T(0.0))",
  },
  equal: { y: "T(a == b)", da: "T(0.0)", db: "T(0.0)" },
} satisfies Record<string, BinaryRow>;

type Op = keyof typeof rows;

/** How the kernels walk over y and its operands. */
function walk(op: Op, a: Tensor, b: Tensor, shape: Shape) {
  const loads = [repetition(a.shape, shape), repetition(b.shape, shape)];
  const regular = loads.every((load) => load !== "strided");
  const scalars = collapse(op, {
    shape,
    strides: [a, b, null].map((t) => (t ? stretchedStrides(t.shape, shape) : stridesOf(shape))),
  });
  const inFours = regular ? null : inVectors(scalars);
  const vectors = regular || inFours !== null;
  const block = inFours ?? scalars;
  const size = vectors ? ceilDiv(sizeOf(shape), 4) : sizeOf(shape);
  const load = (name: "a" | "b", which: number): string => {
    const how = vectors || loads[which] === "same" ? loads[which] : "strided";
    return LOADS[how](name);
  };
  return {
    constants: {
      T: vectors ? "vec4f" : "f32",
      STRIDED: !regular,
      load_a: load("a", 0),
      load_b: load("b", 1),
    },
    params: {
      size,
      rank: block.shape.length,
      a_period: ceilDiv(a.size, 4),
      b_period: ceilDiv(b.size, 4),
      axes: packAxes(block),
    },
    workgroups: ceilDiv(size, ELEMENTS_PER_WORKGROUP),
  };
}

/** 64 invocations of 4 elements or vec4s. */
const ELEMENTS_PER_WORKGROUP = 64 * 4;

/** The WGSL that reads an operand for element i of y: see shaders/elementwise/binary.wgsl. */
const LOADS = {
  same: (name: string) => `unpack(${name}[i])`,
  period: (name: string) => `${name}[i % params.${name}_period]`,
  one: (name: string) => `T(${name}[0].x)`,
  strided: (name: string) => `${name}[at.${name === "a" ? "x" : "y"}]`,
};

function repetition(operand: Shape, y: Shape): keyof typeof LOADS {
  const size = sizeOf(operand);
  if (size === sizeOf(y)) return "same";
  if (size === 1) return "one";
  const lead = operand.findIndex((n) => n !== 1);
  const own = operand.slice(lead);
  return size % 4 === 0 && sameShape(own, y.slice(y.length - own.length)) ? "period" : "strided";
}

function binary(op: Op, a: Tensor, b: Tensor): Tensor {
  const { dtype } = a;
  const floats = dtype !== "u32" && b.dtype === dtype;
  check(floats, op, () => `needs two f32 or two f16 tensors, got ${a.toString()} and ${b.toString()}; cast one`);
  // Sums of gradients are the one frequent case in f16.
  if (dtype === "f16" && !(op === "add" && sameShape(a.shape, b.shape))) {
    return throughSingle(a, (wide) => binary(op, wide, single(b)));
  }
  const shape = broadcastShapes(op, a.shape, b.shape);
  const row = rows[op];
  const y = empty(shape, dtype);
  const { constants, params, workgroups } = walk(op, a, b, shape);
  launch(kernels.elementwise.binary, {
    bindings: { a, b, y },
    constants: { ...constants, ...bitsOf(constants.T), ...storedAs(dtype), apply: row.y },
    params,
    workgroups,
  });
  const gradient = (formula: string, operand: Tensor) => (dy: Tensor) => {
    // Sums are shorter than what they sum: negate afterwards.
    if (formula === "dy") return sumTo(dy, operand.shape);
    if (formula === "-dy") return neg(sumTo(dy, operand.shape));
    const dx = empty(shape);
    const bindings = { a, b, y, dy, dx };
    launch(kernels.elementwise.binaryGradient, {
      bindings,
      constants: { ...constants, gradient: formula },
      params,
      workgroups,
    });
    return sumTo(dx, operand.shape);
  };
  return differentiable(op, { a, b }, y, { a: gradient(row.da, a), b: gradient(row.db, b) });
}

/** A tensor, or a number that is combined with every element. */
export type Operand = Tensor | number;

/** The op on two tensors, or on a tensor and a number. */
function operate(op: Op, a: Operand, b: Operand): Tensor {
  if (typeof a !== "number" && typeof b !== "number") return binary(op, a, b);
  const other = typeof a === "number" ? b : a;
  if (typeof other === "number") throw new Error(`${op}: needs a tensor, got two numbers`);
  // In f16 the number itself may overflow or vanish.
  return throughSingle(other, (wide) => {
    const operand = (n: Operand): Tensor => (typeof n === "number" ? full([], n) : wide);
    return binary(op, operand(a), operand(b));
  });
}

/** a + b. */
export function add(a: Operand, b: Operand): Tensor {
  if (typeof a !== "number" && typeof b === "number") return shift(a, b);
  if (typeof a === "number" && typeof b !== "number") return shift(b, a);
  return operate("add", a, b);
}

/** a - b. */
export function sub(a: Operand, b: Operand): Tensor {
  if (typeof a !== "number" && typeof b === "number") return shift(a, -b);
  if (typeof a === "number" && typeof b !== "number") return opScope(() => shift(neg(b), a));
  return operate("sub", a, b);
}

/** a * b. */
export function mul(a: Operand, b: Operand): Tensor {
  if (typeof a !== "number" && typeof b === "number") return scale(a, b);
  if (typeof a === "number" && typeof b !== "number") return scale(b, a);
  return operate("mul", a, b);
}

/** a / b. */
export function div(a: Operand, b: Operand): Tensor {
  if (typeof a === "number" && typeof b !== "number") return throughSingle(b, (wide) => scale(reciprocal(wide), a));
  return operate("div", a, b);
}

/** The larger of a and b. Where they are equal each gets half of the gradient, as in PyTorch. */
export const maximum = (a: Operand, b: Operand): Tensor => operate("maximum", a, b);
/** The smaller of a and b. Where they are equal each gets half of the gradient, as in PyTorch. */
export const minimum = (a: Operand, b: Operand): Tensor => operate("minimum", a, b);
/**
 * a to the power of b. A negative a needs whole exponents (otherwise the result is undefined, usually NaN). The gradient by b
 * is 0 where a is not positive.
 */
export function pow(a: Operand, b: Operand): Tensor {
  // The general formula goes through a logarithm, and loses digits.
  if (b === 2 && typeof a !== "number") return square(a);
  return operate("pow", a, b);
}

/** 1 where a and b are equal, else 0, in their type. No gradient flows. */
export const equal = (a: Operand, b: Operand): Tensor => operate("equal", a, b);
