// One check for any op: forward against the float64 reference, gradients against its central differences.
import { scope, type Tensor } from "../../engine/index.ts";
import type { Arr } from "../reference/array.ts";
import { toGpu } from "./gpu.ts";
import { kindsOf, stored, type FloatType } from "./half.ts";
import { numericGradient, type Reference } from "./gradient.ts";
import { randomArr } from "./random.ts";
import { expectClose, type Comparison } from "./tolerance.ts";

type Allowed = Omit<Comparison, "op" | "shapes">;

export interface OpCheck {
  op: string;
  /** Name -> values, in the order in which `run` and `reference` take them. */
  inputs: Readonly<Record<string, Arr>>;
  run: (...inputs: Tensor[]) => Tensor;
  reference: (...inputs: Arr[]) => Arr;
  /** The kind of arithmetic forward; see tolerance.ts. */
  forward: Allowed;
  /** The same for gradients, possibly by input and upstream gradient. Left out: no gradient is checked. */
  gradient?: Allowed | ((name: string, dy: Arr) => Allowed);
  /** Upstream gradient; default random. */
  dy?: Arr;
  /** Type of the inputs, which are rounded to it, and of their gradients; default "f32". */
  dtype?: FloatType;
}

/** Runs the op with every input tracked, and compares the output and all gradients. */
export async function checkOp({
  op,
  inputs,
  run,
  reference,
  forward,
  gradient,
  dy,
  dtype = "f32",
}: OpCheck): Promise<void> {
  const names = Object.keys(inputs);
  const values = Object.values(inputs).map((value) => stored(value, dtype));
  const shapes = Object.fromEntries(names.map((name, i) => [name, values[i].shape]));
  const want = reference(...values);
  const upstream = stored(dy ?? randomArr(want.shape, 977), dtype);
  const tensors = values.map((value) => toGpu(value, { dtype, requiresGrad: gradient !== undefined }));
  const y = scope(() => {
    const y = run(...tensors);
    if (gradient) y.backward(toGpu(upstream, { dtype: y.dtype }));
    return y;
  });
  try {
    expectClose({ data: await y.data(), shape: y.shape }, want, {
      op,
      shapes,
      ...forward,
      kind: kindsOf(forward.kind ?? "sum", y.dtype as FloatType),
    });
    if (!gradient) return;
    const f: Reference = (arrays) => reference(...arrays);
    for (const [i, name] of names.entries()) {
      const how = typeof gradient === "function" ? gradient(name, upstream) : gradient;
      const grad = tensors[i].grad;
      if (!grad) throw new Error(`${op}: ${name} got no gradient`);
      const got = { data: await grad.data(), shape: grad.shape };
      const kind = kindsOf(how.kind ?? "sum", dtype);
      expectClose(got, numericGradient(f, values, i, upstream), {
        op: `${op} gradient of ${name}`,
        shapes,
        ...how,
        kind,
      });
    }
  } finally {
    for (const tensor of [...tensors, y]) {
      tensor.grad?.dispose();
      tensor.dispose();
    }
  }
}
