// Picking slices by index: x [outer, n, inner], indices [m] -> y [outer, m, inner].
import { kernels } from "../../shaders/kernels.ts";
import { differentiable } from "../autograd.ts";
import { launch } from "../launch.ts";
import { ceilDiv, check, normalizeAxis, showShape, sizeOf } from "../shape.ts";
import { empty, fromData, type Tensor } from "../tensor.ts";
import { throughSingle } from "./cast.ts";

/**
 * The slices `indices` of x along `axis` (default 0), in that order, repeats allowed: PyTorch's index_select. Indices are numbers,
 * which are checked, or a u32 tensor [M], whose values past the end are clamped to the last slice.
 */
export function gather(x: Tensor, indices: Tensor | ArrayLike<number>, axis = 0): Tensor {
  if (x.dtype === "f16") return throughSingle(x, (wide) => gather(wide, indices, axis));
  const along = normalizeAxis("gather", x.rank, axis);
  const n = x.shape[along];
  const at = "location" in indices ? indices : checkedIndices(indices, n);
  check(at.dtype === "u32" && at.rank === 1, "gather", () => `indices must be u32 [M], got ${at.toString()}`);
  const m = at.size;
  check(n > 0 || m === 0, "gather", () => `axis ${along} of ${showShape(x.shape)} has no slices`);
  const y = empty([...x.shape.slice(0, along), m, ...x.shape.slice(along + 1)], x.dtype);
  const slice = sizeOf(x.shape.slice(along + 1));
  const vectors = slice % 4 === 0;
  const inner = vectors ? slice / 4 : slice;
  const elements = (t: Tensor): number => (vectors ? t.size / 4 : t.size);
  launch(kernels.gather.gather, {
    bindings: { x, indices: at, y },
    constants: { T: vectors ? "vec4u" : "u32" },
    params: { size: elements(y), n, m, inner },
    workgroups: ceilDiv(elements(y), 64),
  });
  return differentiable("gather", { x }, y, {
    x: (dy) => {
      const dx = empty(x.shape);
      launch(kernels.gather.gatherGradient, {
        bindings: { dy, indices: at, dx },
        constants: { T: vectors ? "vec4f" : "f32" },
        params: { size: elements(dx), n, m, inner },
        workgroups: ceilDiv(elements(dx), 64),
      });
      return dx;
    },
  });
}

function checkedIndices(indices: ArrayLike<number>, n: number): Tensor {
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i];
    const inside = Number.isInteger(index) && index >= 0 && index < n;
    check(inside, "gather", () => `index ${index} (at ${i}) is not in 0..${n - 1}`);
  }
  return fromData(indices, [indices.length], "u32");
}
