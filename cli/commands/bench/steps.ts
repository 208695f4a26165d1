// Training steps on random images, as everything here measures them.
import { crossEntropy, scope, type Tensor } from "../../../engine/index.ts";
import type { Module } from "../../../nn/index.ts";
import { DeviceDataset, SGD, Trainer, type ImageSet, type Precision } from "../../../training/index.ts";

export interface StepOptions {
  readonly batchSize: number;
  readonly imageSize: number;
  readonly precision: Precision;
  /** Without capture: every step runs its code and makes its dispatches. Default false. */
  readonly eager?: boolean;
  readonly optimizer?: { readonly lr: number; readonly momentum: number; readonly weightDecay: number };
}

const OPTIMIZER = { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 };
const CLASSES = 10;

/** Forward, loss, backward and SGD with momentum, always on the same images: all that a step of the Trainer does. */
export class TrainingSteps implements Disposable {
  readonly parameters: number;
  readonly trainer: Trainer;
  readonly images: DeviceDataset;
  readonly #optimizer: SGD;
  readonly #eager: boolean;
  readonly #indices: Uint32Array;
  #step = 0;

  constructor(model: Module, { batchSize, imageSize, precision, eager = false, optimizer = OPTIMIZER }: StepOptions) {
    this.parameters = model.parameters().reduce((sum, { size }) => sum + size, 0);
    this.images = randomImages(batchSize, imageSize);
    this.#optimizer = new SGD(model.parameters(), optimizer);
    this.trainer = new Trainer({ model, optimizer: this.#optimizer, batchSize, precision });
    this.#eager = eager;
    this.#indices = this.trainer.order(this.images, 1);
  }

  /** Compiles the kernels of a step in parallel, as the Trainer's `fit()` does. */
  async compile(): Promise<void> {
    if (!this.#eager) await this.trainer.compile(this.images, this.#indices, { epoch: 1, step: 0, steps: 1 });
  }

  /** Hands one step to the GPU, and waits for nothing. */
  record(): void {
    scope(() => void this.#next());
  }

  /** One step from its start to its end; returns its loss. */
  async runOne(): Promise<number> {
    const loss = scope(() => this.#next());
    const value = await loss.item();
    loss.dispose();
    return value;
  }

  #next(): Tensor {
    if (this.#eager) return this.#nextEager();
    return this.trainer.step(this.images, this.#indices, { epoch: 1, step: this.#step++ }, null).loss;
  }

  #nextEager(): Tensor {
    const { model, optimizer } = this.trainer;
    optimizer.zeroGrad();
    const { images, labels } = this.images.batch(this.#indices);
    const loss = crossEntropy(model.forward(images), labels);
    loss.backward();
    optimizer.step();
    return loss;
  }

  dispose(): void {
    this.trainer.dispose();
    this.#optimizer.dispose();
    this.images.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function randomImages(count: number, size: number): DeviceDataset {
  // Any bytes do, but not zeros: a GPU can be faster on those.
  let state = 1;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
  const set: ImageSet = {
    count,
    height: size,
    width: size,
    channels: 3,
    images: Uint8Array.from({ length: count * size * size * 3 }, random),
    labels: Uint8Array.from({ length: count }, () => random() % CLASSES),
    skipped: 0,
  };
  const classes = Array.from({ length: CLASSES }, (_, i) => `class ${i}`);
  return new DeviceDataset(set, { classes, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] });
}
