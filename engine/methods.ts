// Attaches ops to Tensor as methods: `x.relu()` is `relu(x)`. The one file that knows both sides, so that tensors and ops do
// not import each other.
import * as ops from "./ops/index.ts";
import { runBackward } from "./autograd.ts";
import { empty, Tensor } from "./tensor.ts";

/** The ops that are methods. Each takes the tensor first, and the method the rest. */
const methods = {
  relu: ops.relu,
  leakyRelu: ops.leakyRelu,
  gelu: ops.gelu,
  silu: ops.silu,
  sigmoid: ops.sigmoid,
  tanh: ops.tanh,
  exp: ops.exp,
  log: ops.log,
  sqrt: ops.sqrt,
  abs: ops.abs,
  neg: ops.neg,
  square: ops.square,
  reciprocal: ops.reciprocal,
  scale: ops.scale,
  shift: ops.shift,
  add: ops.add,
  sub: ops.sub,
  mul: ops.mul,
  div: ops.div,
  pow: ops.pow,
  maximum: ops.maximum,
  minimum: ops.minimum,
  equal: ops.equal,
  sum: ops.sum,
  mean: ops.mean,
  max: ops.max,
  min: ops.min,
  variance: ops.variance,
  argmax: ops.argmax,
  reshape: ops.reshape,
  permute: ops.permute,
  broadcastTo: ops.broadcastTo,
  slice: ops.slice,
  pad: ops.pad,
  gather: ops.gather,
  softmax: ops.softmax,
  logSoftmax: ops.logSoftmax,
  matmul: ops.matmul,
  conv2d: ops.conv2d,
  batchNorm: ops.batchNorm,
  maxPool2d: ops.maxPool2d,
  avgPool2d: ops.avgPool2d,
  globalAvgPool: ops.globalAvgPool,
  to: ops.cast,
  dropout: ops.dropout,
  resizeBilinear: ops.resizeBilinear,
  crossEntropy: ops.crossEntropy,
};

type Methods = {
  [name in keyof typeof methods]: (typeof methods)[name] extends (x: Tensor, ...rest: infer Rest) => Tensor
    ? (...rest: Rest) => Tensor
    : never;
};

declare module "./tensor.ts" {
  interface Tensor extends Methods {
    /** Computes the gradients of everything with `requiresGrad` that this depends on. A scalar needs no `dy`. */
    backward(dy?: Tensor): void;
  }
}

for (const [name, op] of Object.entries(methods)) {
  const method = function (this: Tensor, ...rest: unknown[]): Tensor {
    return (op as (x: Tensor, ...rest: unknown[]) => Tensor)(this, ...rest);
  };
  Object.defineProperty(Tensor.prototype, name, { value: method, writable: true, configurable: true });
}

Tensor.prototype.backward = function (dy) {
  if (!dy && this.size !== 1) {
    throw new Error(`backward: ${this.toString()} is not a scalar, so the upstream gradient must be given`);
  }
  const seed = dy ?? ops.ones(this.shape, this.dtype);
  runBackward(this, seed, { add: ops.add, copy: (x) => ops.copyInto(empty(x.shape, x.dtype), x) });
  if (!dy) seed.dispose();
};
