// Element-wise functions of one tensor: one row each, formula beside gradient. x [...] -> y [...], any shape.
import { kernels } from "../../shaders/kernels.ts";
import { differentiable } from "../autograd.ts";
import { launch } from "../launch.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { storedAs } from "./cast.ts";

/** Elements per workgroup of the element-wise kernels: 64 invocations of 4 vec4. */
const ELEMENTS_PER_WORKGROUP = 64 * 4 * 4;

interface UnaryRow {
  /** WGSL for y, of `x: vec4f` and `params.a`. */
  y: string;
  /** WGSL for dx, of `x`, `y`, `dy` and `params.a`. */
  dx: string;
}

const rows = {
  // Not max(x, 0): that makes 0 of NaN on some drivers, and a net that has diverged would look alive.
  relu: { y: "select(x, vec4f(0.0), x < vec4f(0.0))", dx: "select(dy, vec4f(0.0), y <= vec4f(0.0))" },
  leakyRelu: { y: "select(params.a * x, x, x > vec4f(0.0))", dx: "select(params.a * dy, dy, x > vec4f(0.0))" },
  gelu: { y: "x * normal_distribution(x)", dx: "dy * (normal_distribution(x) + x * normal_density(x))" },
  silu: { y: "x / (1.0 + exp(-x))", dx: "dy * (1.0 + x - y) / (1.0 + exp(-x))" },
  sigmoid: { y: "1.0 / (1.0 + exp(-x))", dx: "dy * y * (1.0 - y)" },
  // Beyond 10 the float nearest to tanh is 1; some drivers compute tanh by exp and overflow there. Not clamp(): see relu.
  tanh: { y: "select(tanh(x), sign(x), abs(x) > vec4f(10.0))", dx: "dy * (1.0 - y * y)" },
  exp: { y: "exp(x)", dx: "dy * y" },
  log: { y: "log(x)", dx: "dy / x" },
  sqrt: { y: "sqrt(x)", dx: "0.5 * dy / y" },
  abs: { y: "abs(x)", dx: "dy * sign(x)" },
  neg: { y: "-x", dx: "-dy" },
  square: { y: "x * x", dx: "2.0 * x * dy" },
  reciprocal: { y: "1.0 / x", dx: "-dy * y * y" },
  scale: { y: "params.a * x", dx: "params.a * dy" },
  shift: { y: "x + params.a", dx: "dy" },
} satisfies Record<string, UnaryRow>;

function unary(op: keyof typeof rows, x: Tensor, a = 0): Tensor {
  if (x.dtype === "u32") throw new Error(`${op}: needs an f32 or f16 tensor, got ${x.toString()}`);
  const row = rows[op];
  const y = empty(x.shape, x.dtype);
  const params = { vectors: ceilDiv(x.size, 4), a };
  const workgroups = ceilDiv(x.size, ELEMENTS_PER_WORKGROUP);
  const stored = storedAs(x.dtype);
  launch(kernels.elementwise.unary, { bindings: { x, y }, constants: { ...stored, apply: row.y }, params, workgroups });
  return differentiable(op, { x }, y, {
    x: (dy) => {
      const dx = empty(x.shape, x.dtype);
      const constants = { ...stored, gradient: row.dx };
      launch(kernels.elementwise.unaryGradient, { bindings: { x, y, dy, dx }, constants, params, workgroups });
      return dx;
    },
  });
}

/** max(x, 0). The gradient at 0 is 0, as in PyTorch. */
export const relu = (x: Tensor): Tensor => unary("relu", x);
/** x where x > 0, else slope * x. */
export const leakyRelu = (x: Tensor, options: { slope?: number } = {}): Tensor =>
  unary("leakyRelu", x, options.slope ?? 0.01);
/** x times the normal distribution function of x: the exact form, PyTorch's default. */
export const gelu = (x: Tensor): Tensor => unary("gelu", x);
/** x * sigmoid(x). */
export const silu = (x: Tensor): Tensor => unary("silu", x);
export const sigmoid = (x: Tensor): Tensor => unary("sigmoid", x);
export const tanh = (x: Tensor): Tensor => unary("tanh", x);
export const exp = (x: Tensor): Tensor => unary("exp", x);
/** Natural logarithm. */
export const log = (x: Tensor): Tensor => unary("log", x);
export const sqrt = (x: Tensor): Tensor => unary("sqrt", x);
/** |x|. The gradient at 0 is 0. */
export const abs = (x: Tensor): Tensor => unary("abs", x);
export const neg = (x: Tensor): Tensor => unary("neg", x);
export const square = (x: Tensor): Tensor => unary("square", x);
export const reciprocal = (x: Tensor): Tensor => unary("reciprocal", x);
/** factor * x, for a number. */
export const scale = (x: Tensor, factor: number): Tensor => unary("scale", x, factor);
/** x + offset, for a number. */
export const shift = (x: Tensor, offset: number): Tensor => unary("shift", x, offset);
