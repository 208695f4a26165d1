// The speed nets of Keller Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv 2404.00498), code airbench94 to 96.
import { gelu, maxPool2d, reshape } from "../../engine/ops/index.ts";
import { check, type Shape } from "../../engine/shape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { fanInUniform, type Initializer } from "../init.ts";
import { BatchNorm2d, convNorm } from "../layers/batch-norm.ts";
import { Conv2d } from "../layers/conv2d.ts";
import { Linear } from "../layers/linear.ts";
import { whole } from "../layers/options.ts";
import { MaxPool2d } from "../layers/pooling.ts";
import { Module, type ShapeVisitor } from "../module.ts";
import { symmetricEigen } from "../symmetric-eigen.ts";
import { Classifier } from "./classifier.ts";
import type { ModelOptions } from "./resnet.ts";

interface Architecture {
  readonly name: string;
  /** Channels of the three groups. */
  readonly widths: readonly [number, number, number];
  /** Convolutions of a group; with three there is a shortcut around the last two. */
  readonly depth: 2 | 3;
  /** Share of the new batch in batch norm's running statistics. */
  readonly momentum: number;
}

/** Filters of the whitening layer: the 12 directions of a 2 x 2 patch of three colours, and their negatives. */
const WHITENED = 24;
const PATCH = 12;
const LOGIT_SCALE = 1 / 9;
/** Added to the variances before their roots are divided by. */
const WHITENING_EPS = 5e-4;

/** PyTorch's start, but the first C filters pass their channel on: `dirac_` of the first C of K filters. */
const identityFirst =
  (inputs: number, outputs: number): Initializer =>
  (size, random) => {
    const weight = fanInUniform(inputs * 9)(size, random);
    for (let tap = 0; tap < 9; tap++) {
      for (let c = 0; c < inputs; c++) {
        for (let k = 0; k < Math.min(inputs, outputs); k++) {
          weight[(tap * inputs + c) * outputs + k] = tap === 4 && c === k ? 1 : 0;
        }
      }
    }
    return weight;
  };

const conv3x3 = (inputs: number, outputs: number): Conv2d =>
  new Conv2d(inputs, outputs, { kernel: 3, padding: 1, bias: false, initial: identityFirst(inputs, outputs) });

/** Batch norm that shifts and never scales. */
function shiftNorm(channels: number, momentum: number): BatchNorm2d {
  const norm = new BatchNorm2d(channels, { eps: 1e-12, momentum });
  norm.weight.requiresGrad = false;
  return norm;
}

/** Convolution, 2 x 2 maximum, then one or two more convolutions, each with batch norm and GELU. x [N,H,W,inputs] -> y [N,H/2,W/2,outputs]. */
class ConvGroup extends Module {
  readonly conv1: Conv2d;
  readonly pool = new MaxPool2d({ kernel: 2 });
  readonly norm1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly norm2: BatchNorm2d;
  readonly conv3: Conv2d | null;
  readonly norm3: BatchNorm2d | null;

  constructor(inputs: number, outputs: number, { depth, momentum }: Architecture) {
    super();
    this.conv1 = conv3x3(inputs, outputs);
    this.norm1 = shiftNorm(outputs, momentum);
    this.conv2 = conv3x3(outputs, outputs);
    this.norm2 = shiftNorm(outputs, momentum);
    this.conv3 = depth === 3 ? conv3x3(outputs, outputs) : null;
    this.norm3 = depth === 3 ? shiftNorm(outputs, momentum) : null;
  }

  override forward(x: Tensor): Tensor {
    return this.frugally(x, () => {
      const y1 = gelu(this.norm1.forward(this.pool.forward(this.conv1.forward(x))));
      const y2 = gelu(convNorm(this.conv2, this.norm2, y1));
      return this.conv3 && this.norm3 ? gelu(convNorm(this.conv3, this.norm3, y2, { add: y1 })) : y2;
    });
  }

  override outputShape(x: Shape, visit: ShapeVisitor): Shape {
    const parts = [this.conv1, this.pool, this.norm1, this.conv2, this.norm2, this.conv3, this.norm3];
    return parts.reduce<Shape>((shape, part) => part?.traceShape(shape, visit) ?? shape, x);
  }
}

/**
 * Whitening of 2 x 2 patches, three groups of convolutions, a maximum over what is left, one linear layer without bias.
 *
 * x [N,32,32,3] -> logits [N,classes], scaled by 1/9. Call `whiten` with training images before training; the whitening filters are not
 * trained. Modules: `whitening`, `group1` to `group3`, `fc`.
 */
export class Airbench extends Classifier {
  readonly name: string;
  readonly stem = "cifar";
  readonly classes: number;
  readonly whitening: Conv2d;
  readonly group1: ConvGroup;
  readonly group2: ConvGroup;
  readonly group3: ConvGroup;
  readonly fc: Linear;

  constructor(architecture: Architecture, { classes = 10, stem = "cifar", seed = 0 }: ModelOptions = {}) {
    super();
    this.name = architecture.name;
    check(stem === "cifar", this.name, () => `has only the stem "cifar"`);
    this.classes = whole(this.name, "classes", classes);
    const [first, second, third] = architecture.widths;
    this.whitening = new Conv2d(3, WHITENED, { kernel: 2 });
    this.whitening.weight.requiresGrad = false;
    this.group1 = new ConvGroup(WHITENED, first, architecture);
    this.group2 = new ConvGroup(first, second, architecture);
    this.group3 = new ConvGroup(second, third, architecture);
    this.fc = new Linear(third, classes, { bias: false });
    this.initialize(seed);
  }

  get stages(): string[] {
    return ["group1", "group2", "group3"];
  }

  override forward(x: Tensor): Tensor {
    const y = this.#groups().reduce((z, group) => group.forward(z), gelu(this.whitening.forward(x)));
    const [N, H, W, C] = y.shape;
    const pooled = reshape(maxPool2d(y, { kernel: [H, W], stride: [H, W], padding: [0, 0] }), [N, C]);
    return this.fc.forward(pooled).mul(LOGIT_SCALE);
  }

  override outputShape(x: Shape, visit: ShapeVisitor): Shape {
    const y = [this.whitening, ...this.#groups()].reduce<Shape>((shape, part) => part.traceShape(shape, visit), x);
    return this.fc.traceShape([y[0], y[3]], visit);
  }

  /**
   * Makes the first layer decorrelate patches: its filters are the eigenvectors of the patches' uncentred covariance over the roots of
   * their eigenvalues, and the same with the sign turned.
   *
   * @param images normalised, [n, height, width, 3] row by row; some thousands
   */
  whiten(images: ArrayLike<number>, height: number, width: number): void {
    const { values, vectors } = symmetricEigen(patchCovariance(images, height, width), PATCH);
    const weight = new Float32Array(PATCH * WHITENED);
    vectors.forEach((vector, k) => {
      const scale = 1 / Math.sqrt(values[k] + WHITENING_EPS);
      // The weight is [R,S,C,K], and a patch lies in the same order.
      vector.forEach((value, i) => {
        weight[i * WHITENED + k] = value * scale;
        weight[i * WHITENED + PATCH + k] = -value * scale;
      });
    });
    this.whitening.weight.write(weight);
  }

  #groups(): ConvGroup[] {
    return [this.group1, this.group2, this.group3];
  }
}

/** The mean of p pᵀ over all 2 x 2 patches p [R,S,C] of the images: [12, 12]. */
function patchCovariance(images: ArrayLike<number>, height: number, width: number): Float64Array {
  const sums = new Float64Array(PATCH * PATCH);
  const row = width * 3;
  const count = images.length / (height * row);
  const patch = new Float64Array(PATCH);
  for (let n = 0; n < count; n++) {
    for (let y = 0; y + 1 < height; y++) {
      for (let x = 0; x + 1 < width; x++) {
        const at = (n * height + y) * row + x * 3;
        for (let i = 0; i < 6; i++) [patch[i], patch[6 + i]] = [images[at + i], images[at + row + i]];
        for (let i = 0; i < PATCH; i++) for (let j = 0; j <= i; j++) sums[i * PATCH + j] += patch[i] * patch[j];
      }
    }
  }
  const patches = count * (height - 1) * (width - 1);
  return sums.map((_, at) => {
    const [i, j] = [Math.floor(at / PATCH), at % PATCH];
    return sums[Math.max(i, j) * PATCH + Math.min(i, j)] / patches;
  });
}

/** 94 % in 9.9 epochs; 1.97 million parameters. */
export const airbench94 = (options?: ModelOptions): Airbench =>
  new Airbench({ name: "airbench94", widths: [64, 256, 256], depth: 2, momentum: 0.4 }, options);

/** 95 % in 15 epochs; 4.61 million parameters. */
export const airbench95 = (options?: ModelOptions): Airbench =>
  new Airbench({ name: "airbench95", widths: [128, 384, 384], depth: 2, momentum: 0.4 }, options);

/** 96 % in 37 epochs; 9.92 million parameters. */
export const airbench96 = (options?: ModelOptions): Airbench =>
  new Airbench({ name: "airbench96", widths: [128, 384, 512], depth: 3, momentum: 0.1 }, options);
