// What the tests of matmul's kernels share.
import { matmul } from "../../engine/index.ts";
import { matmul as reference, type MatmulOptions } from "../reference/matmul.ts";
import { toGpu } from "../support/gpu.ts";
import { pick, sampledGradient } from "../support/gradient.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

export interface Case {
  a: number[];
  b: number[];
  options?: MatmulOptions;
}

/** Forward and both gradients. */
export async function checkProduct({ a: aShape, b: bShape, options = {} }: Case): Promise<void> {
  const a = randomArr(aShape, 1);
  const b = randomArr(bShape, 2);
  const inputs = [toGpu(a, { requiresGrad: true }), toGpu(b, { requiresGrad: true })];
  const y = matmul(inputs[0], inputs[1], options);
  const want = reference(a, b, options);
  const how = { shapes: { a: aShape, b: bShape }, options };
  const K = aShape.at(options.transposeA ? -2 : -1)!;
  expectClose({ data: await y.data(), shape: y.shape }, want, { ...how, op: "matmul", terms: K });
  const dy = randomArr(want.shape, 3);
  y.backward(toGpu(dy));
  for (const [which, name] of ["a", "b"].entries()) {
    const g = sampledGradient((v) => reference(v[0], v[1], options), [a, b], which, dy, { count: 12, seed: 4 });
    const terms = Math.ceil(dy.data.length / Math.min(aShape.at(options.transposeA ? -1 : -2)!, want.shape.at(-1)!));
    const got = pick(await inputs[which].grad!.data(), g.indices);
    expectClose(got, g, { ...how, op: `matmul d${name}`, terms });
  }
}
