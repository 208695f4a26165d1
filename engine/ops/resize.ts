// Resizing of images. x [N,H,W,C] -> y [N,height,width,C], the gradient gathered (deterministic, no atomics).
import { kernels } from "../../shaders/kernels.ts";
import { differentiable } from "../autograd.ts";
import { launch } from "../launch.ts";
import { ceilDiv, check } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";

/** Beyond this the kernels' u32 arithmetic, (2 * output + 1) * input, would wrap. */
const LARGEST_SIDE = 32_768;

/**
 * Bilinear interpolation with half-pixel centres, as PyTorch's `interpolate(mode="bilinear", align_corners=False)`: no
 * anti-aliasing filter when it shrinks.
 *
 * @param height rows of the result, 1 to 32,768; likewise `width`
 */
export function resizeBilinear(x: Tensor, height: number, width: number): Tensor {
  const op = "resizeBilinear";
  check(x.rank === 4 && x.dtype === "f32" && x.size > 0, op, () => `x must be f32 [N,H,W,C], got ${x.toString()}`);
  const [N, H, W, C] = x.shape as [number, number, number, number];
  for (const side of [height, width, H, W]) {
    check(
      Number.isInteger(side) && side >= 1 && side <= LARGEST_SIDE,
      op,
      () => `sides must be 1 to ${LARGEST_SIDE} pixels: ${H} x ${W} to ${height} x ${width}`,
    );
  }
  const vector = C % 4 === 0 ? 4 : 1;
  const constants = { Element: vector === 4 ? "vec4f" : "f32" };
  const params = { channels: C / vector, x_size: [H, W], y_size: [height, width] };
  const y = empty([N, height, width, C]);
  const elements = y.size / vector;
  launch(kernels.resize.bilinear, {
    bindings: { x, y },
    constants,
    params: { ...params, elements },
    workgroups: ceilDiv(elements, 64),
  });
  return differentiable(op, { x }, y, {
    x: (dy) => {
      const dx = empty(x.shape);
      const elements = x.size / vector;
      launch(kernels.resize.bilinearGradient, {
        bindings: { dy, dx },
        constants,
        params: { ...params, elements },
        workgroups: ceilDiv(elements, 64),
      });
      return dx;
    },
  });
}
