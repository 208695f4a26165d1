// Residual networks with torchvision's names.
import { globalAvgPool } from "../../engine/ops/index.ts";
import { check, showShape, type Shape } from "../../engine/shape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { BatchNorm2d, convNorm } from "../layers/batch-norm.ts";
import { Conv2d } from "../layers/conv2d.ts";
import { Linear } from "../layers/linear.ts";
import { whole } from "../layers/options.ts";
import { MaxPool2d } from "../layers/pooling.ts";
import { Sequential } from "../layers/sequential.ts";
import type { ShapeVisitor } from "../module.ts";
import { BasicBlock, Bottleneck, type BlockClass } from "./blocks.ts";
import { Classifier } from "./classifier.ts";

/**
 * "cifar": 3x3, no pooling, for images of about 32 pixels. "padded": the same with a border of 13, which makes 56 of 32 pixels and 7 x 7
 * cells of the last stage. "imagenet": 7x7 with stride 2 and 3x3 max pooling, for 224.
 */
export type Stem = (typeof STEMS)[number];
export const STEMS = ["cifar", "padded", "imagenet"] as const;

/** Height and width of the images, in pixels, that a stem is for where nothing else is said. */
export const stemImageSize = (stem: Stem): number => (stem === "imagenet" ? 224 : 32);

export interface ModelOptions {
  /** Number of classes. Default 10. */
  classes?: number;
  /** Default "cifar". The CIFAR family (resnet8 to resnet56) has no "imagenet". */
  stem?: Stem;
  /** Decides the starting weights. Default 0. */
  seed?: number;
}

export interface Architecture {
  readonly name: string;
  readonly block: BlockClass;
  /** Channels (before expansion) and number of blocks of each stage. */
  readonly stages: readonly (readonly [width: number, blocks: number])[];
}

/**
 * Stem, three or four stages of residual blocks, global average pooling, one linear layer.
 *
 * x [N,H,W,3] -> logits [N,classes]. Each stage but the first halves the image. Modules: `conv1`, `bn1`, `layer1` ... `layer4`
 * (or `layer3`), `fc`; see `probe` for reading their results.
 */
export class ResNet extends Classifier {
  readonly name: string;
  readonly stem: Stem;
  readonly classes: number;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly maxpool: MaxPool2d | null;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4: Sequential | null;
  readonly fc: Linear;

  constructor({ name, block, stages }: Architecture, { classes = 10, stem = "cifar", seed = 0 }: ModelOptions = {}) {
    super();
    this.name = name;
    this.stem = stem;
    this.classes = whole(name, "classes", classes);
    check(STEMS.includes(stem), name, () => `stem must be ${STEMS.join(", ")}, not ${String(stem)}`);
    const small = stem !== "imagenet";
    const first = stages[0][0];
    this.conv1 = new Conv2d(3, first, {
      kernel: small ? 3 : 7,
      stride: small ? 1 : 2,
      padding: { cifar: 1, padded: 13, imagenet: 3 }[stem],
      bias: false,
    });
    this.bn1 = new BatchNorm2d(first);
    this.maxpool = small ? null : new MaxPool2d({ kernel: 3, stride: 2, padding: 1 });
    let inputs = first;
    const layers = stages.map(([width, count], stage) => {
      const blocks = Array.from({ length: count }, (_, i) => {
        const made = new block(inputs, width, i === 0 && stage > 0 ? 2 : 1);
        inputs = width * block.expansion;
        return made;
      });
      return new Sequential(...blocks);
    });
    this.layer1 = layers[0];
    this.layer2 = layers[1];
    this.layer3 = layers[2];
    this.layer4 = layers[3] ?? null;
    this.fc = new Linear(inputs, classes);
    this.initialize(seed);
  }

  /** Names of the stages, first to last. */
  get stages(): string[] {
    return this.layer4 ? ["layer1", "layer2", "layer3", "layer4"] : ["layer1", "layer2", "layer3"];
  }

  override forward(x: Tensor): Tensor {
    return this.fc.forward(globalAvgPool(this.features(x)));
  }

  /** What the last stage computes, before pooling: [N,H',W',channels]. */
  features(x: Tensor): Tensor {
    const [, , , C] = x.shape;
    check(x.rank === 4 && C === 3, this.name, () => `needs images [N,H,W,3], x is ${showShape(x.shape)}`);
    let y = convNorm(this.conv1, this.bn1, x, { relu: true });
    if (this.maxpool) y = this.maxpool.forward(y);
    for (const layer of this.#stages()) y = layer.forward(y);
    return y;
  }

  override outputShape(x: Shape, visit: ShapeVisitor): Shape {
    const stem = [this.conv1, this.bn1, ...(this.maxpool ? [this.maxpool] : [])];
    const y = [...stem, ...this.#stages()].reduce<Shape>((shape, module) => module.traceShape(shape, visit), x);
    return this.fc.traceShape([y[0], y[3]], visit);
  }

  #stages(): Sequential[] {
    return [this.layer1, this.layer2, this.layer3, ...(this.layer4 ? [this.layer4] : [])];
  }
}

const imagenetStages = (...blocks: [number, number, number, number]): Architecture["stages"] =>
  blocks.map((count, i) => [64 * 2 ** i, count]);

/** 18 layers; 11,173,962 parameters with 10 classes and the CIFAR stem. */
export const resnet18 = (options?: ModelOptions): ResNet =>
  new ResNet({ name: "resnet18", block: BasicBlock, stages: imagenetStages(2, 2, 2, 2) }, options);

/** 34 layers; 21,282,122 parameters with 10 classes and the CIFAR stem. */
export const resnet34 = (options?: ModelOptions): ResNet =>
  new ResNet({ name: "resnet34", block: BasicBlock, stages: imagenetStages(3, 4, 6, 3) }, options);

/** 50 layers in bottlenecks; 23,520,842 parameters with 10 classes and the CIFAR stem. */
export const resnet50 = (options?: ModelOptions): ResNet =>
  new ResNet({ name: "resnet50", block: Bottleneck, stages: imagenetStages(3, 4, 6, 3) }, options);

/** The CIFAR paper's nets of 6n+2 layers, 16, 32 and 64 channels wide; shortcuts are projections where the shape changes. */
function cifarResNet(depth: number, options: ModelOptions = {}): ResNet {
  const name = `resnet${depth}`;
  check(options.stem !== "imagenet", name, () => 'has no stem "imagenet": choose resnet18, resnet34 or resnet50');
  const count = (depth - 2) / 6;
  return new ResNet({ name, block: BasicBlock, stages: [16, 32, 64].map((width) => [width, count] as const) }, options);
}

/** 8 layers; 78,042 parameters with 10 classes. For tests and slow machines. */
export const resnet8 = (options?: ModelOptions): ResNet => cifarResNet(8, options);
/** 20 layers; 272,474 parameters with 10 classes. */
export const resnet20 = (options?: ModelOptions): ResNet => cifarResNet(20, options);
/** 32 layers; 466,906 parameters with 10 classes. */
export const resnet32 = (options?: ModelOptions): ResNet => cifarResNet(32, options);
/** 44 layers; 661,338 parameters with 10 classes. */
export const resnet44 = (options?: ModelOptions): ResNet => cifarResNet(44, options);
/** 56 layers; 855,770 parameters with 10 classes. */
export const resnet56 = (options?: ModelOptions): ResNet => cifarResNet(56, options);
