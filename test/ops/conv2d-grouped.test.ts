import { beforeAll, describe, it } from "vitest";
import { conv2d } from "../../engine/ops/conv2d.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { checkConv2d, type Case } from "./conv2d-checks.ts";

beforeAll(testDevice);

describe("groups", () => {
  it.each<Case>([
    { x: [2, 5, 6, 8], weight: [3, 3, 1, 8], options: { groups: 8, padding: 1 } }, // depthwise, by vec4
    { x: [2, 7, 6, 6], weight: [3, 3, 1, 6], options: { groups: 6, padding: 1, stride: 2 } }, // depthwise, by single values
    { x: [1, 5, 5, 4], weight: [3, 3, 1, 12], options: { groups: 4 } }, // three outputs a channel
    { x: [2, 6, 5, 6], weight: [3, 2, 3, 10], options: { groups: 2, padding: [1, 0] } },
    { x: [1, 9, 10, 8], weight: [3, 3, 2, 4], options: { groups: 4, dilation: 2, padding: 2, stride: [1, 2] } },
    { x: [1, 10, 9, 4], weight: [2, 2, 2, 2], options: { groups: 2, stride: 3 } }, // gaps between the windows
    { x: [1, 3, 3, 3], weight: [3, 3, 1, 3], options: { groups: 3, padding: 4 } }, // windows that see nothing but padding
    { x: [3, 4, 4, 9], weight: [1, 1, 3, 3], options: { groups: 3, stride: 2 } }, // pixels that no window sees
    { x: [1, 8, 8, 4], weight: [7, 7, 1, 4], options: { groups: 4, padding: 3, stride: 2, dilation: [1, 2] } },
  ])("x $x weight $weight $options", (shape) => checkConv2d(shape, "portable"));

  it("run more than 65,535 workgroups", async () => {
    const x = randomArr([1, 1, 65_536 * 32 + 5, 2], 1);
    const weight = randomArr([1, 1, 1, 2], 2);
    const y = conv2d(toGpu(x), toGpu(weight), { groups: 2 });
    const data = await y.data();
    y.dispose();
    const shapes = { x: x.shape, weight: weight.shape };
    for (const at of [0, 65_535 * 64, 65_536 * 32 + 64, data.length - 1]) {
      expectClose([data[at]], [x.data[at] * weight.data[at % 2]], { op: "conv2d", shapes, options: { at }, terms: 1 });
    }
  });
});
