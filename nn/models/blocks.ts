// The two residual blocks of He et al., "Deep Residual Learning for Image Recognition" (2015), with torchvision's names.
import type { Shape } from "../../engine/shape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { BatchNorm2d, convNorm } from "../layers/batch-norm.ts";
import { Conv2d } from "../layers/conv2d.ts";
import { Sequential } from "../layers/sequential.ts";
import { Module, type ShapeVisitor } from "../module.ts";

/** What makes a stage's blocks: the width of the inner convolutions and the stride of the first of them with a stride. */
export type BlockClass = {
  new (inputs: number, width: number, stride: number): Module;
  /** Channels of the block's result, in widths. */
  readonly expansion: number;
};

const conv3x3 = (inputs: number, outputs: number, stride = 1): Conv2d =>
  new Conv2d(inputs, outputs, { kernel: 3, stride, padding: 1, bias: false });

const conv1x1 = (inputs: number, outputs: number, stride = 1): Conv2d =>
  new Conv2d(inputs, outputs, { kernel: 1, stride, bias: false });

/** The shortcut: a projection where the shape changes, else null for the input itself. */
function shortcut(inputs: number, outputs: number, stride: number): Sequential | null {
  if (inputs === outputs && stride === 1) return null;
  return new Sequential(conv1x1(inputs, outputs, stride), new BatchNorm2d(outputs));
}

/** `relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))`. x [N,H,W,inputs] -> y [N,H/stride,W/stride,width]. */
export class BasicBlock extends Module {
  static readonly expansion = 1;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly downsample: Sequential | null;

  constructor(inputs: number, width: number, stride: number) {
    super();
    this.conv1 = conv3x3(inputs, width, stride);
    this.bn1 = new BatchNorm2d(width);
    this.conv2 = conv3x3(width, width);
    this.bn2 = new BatchNorm2d(width);
    this.downsample = shortcut(inputs, width, stride);
  }

  override forward(x: Tensor): Tensor {
    return this.frugally(x, () => {
      const y = convNorm(this.conv1, this.bn1, x, { relu: true });
      const add = this.downsample?.forward(x) ?? x;
      return convNorm(this.conv2, this.bn2, y, { add, relu: true });
    });
  }

  override outputShape(x: Shape, visit: ShapeVisitor): Shape {
    return traceBlock([this.conv1, this.bn1, this.conv2, this.bn2], this.downsample, x, visit);
  }
}

/**
 * `relu(bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x)))))))) + shortcut(x))`, with 1x1, 3x3 and 1x1 convolutions. The stride is on the
 * 3x3, as in torchvision. x [N,H,W,inputs] -> y [N,H/stride,W/stride,4 width].
 */
export class Bottleneck extends Module {
  static readonly expansion = 4;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly downsample: Sequential | null;

  constructor(inputs: number, width: number, stride: number) {
    super();
    const outputs = width * Bottleneck.expansion;
    this.conv1 = conv1x1(inputs, width);
    this.bn1 = new BatchNorm2d(width);
    this.conv2 = conv3x3(width, width, stride);
    this.bn2 = new BatchNorm2d(width);
    this.conv3 = conv1x1(width, outputs);
    this.bn3 = new BatchNorm2d(outputs);
    this.downsample = shortcut(inputs, outputs, stride);
  }

  override forward(x: Tensor): Tensor {
    return this.frugally(x, () => {
      const y1 = convNorm(this.conv1, this.bn1, x, { relu: true });
      const y2 = convNorm(this.conv2, this.bn2, y1, { relu: true });
      const add = this.downsample?.forward(x) ?? x;
      return convNorm(this.conv3, this.bn3, y2, { add, relu: true });
    });
  }

  override outputShape(x: Shape, visit: ShapeVisitor): Shape {
    return traceBlock([this.conv1, this.bn1, this.conv2, this.bn2, this.conv3, this.bn3], this.downsample, x, visit);
  }
}

/** The shortcut comes after the main branch, as in the tables that people compare with. */
function traceBlock(branch: readonly Module[], downsample: Module | null, x: Shape, visit: ShapeVisitor): Shape {
  const y = branch.reduce((shape, layer) => layer.traceShape(shape, visit), x);
  downsample?.traceShape(x, visit);
  return y;
}
