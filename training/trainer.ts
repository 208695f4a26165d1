// The Trainer: what one step of training is. training/fit.ts makes a run of steps.
import {
  capture,
  everyRun,
  permutation,
  scope,
  tune,
  type Captured,
  type Tensor,
  type TuneOptions,
} from "../engine/index.ts";
import { Dropout, checkStateDict, stateDict, type Module, type StateDict } from "../nn/index.ts";
import type { AugmentStep } from "./augment-grammar.ts";
import { Averages, type AveragesState } from "./averaging.ts";
import type { DeviceDataset } from "./data/device-dataset.ts";
import { checkClasses } from "./evaluate.ts";
import { START, type Position, type TrainEvent } from "./events.ts";
import { fitEvents, type FitOptions } from "./fit.ts";
import { crossEntropy, type Loss } from "./losses.ts";
import { LossScaler, type LossScaleState } from "./loss-scaling.ts";
import type { Optimizer, OptimizerState } from "./optimizers/index.ts";
import type { Precision } from "./recipe.ts";
import type { Rates } from "./schedules/index.ts";
import { batchLoss, listed, stepTensors } from "./step-batches.ts";
import { imagesPerEpoch, stepsOf, stepsPerEpoch } from "./step-count.ts";
import type { StepResult } from "./metrics.ts";
import { checkOptions, type StepAt, type TrainerOptions } from "./trainer-options.ts";

/** What a step leaves: it belongs to the scope around. */
export interface StepOutput {
  /** The mean loss of the step's images, a scalar. */
  readonly loss: Tensor;
  /** Of each batch: logits [N, classes], and labels u32 [N] (of mixed images the dominant ones). */
  readonly batches: readonly { readonly logits: Tensor; readonly labels: Tensor }[];
}

/** All that a trainer has learned and where it stands, on the host, to the bit. */
export interface TrainerSnapshot {
  readonly weights: StateDict;
  readonly optimizer: OptimizerState;
  readonly averages: AveragesState;
  /** In mixed precision. */
  readonly lossScale?: LossScaleState;
  readonly position: Position;
}

type Counted = { readonly count: number };

/**
 * Trains a model. Every step is a pure function of the weights, the optimizer's state and (seed, epoch, step): equal runs give equal
 * bits, also across an interruption.
 */
export class Trainer implements Disposable {
  readonly model: Module;
  readonly optimizer: Optimizer;
  readonly loss: Loss;
  readonly seed: number;
  readonly batchSize: number;
  readonly augment: readonly AugmentStep[];
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  readonly clipGrad: number | null;
  readonly accumulate: number;
  readonly mixup: number | undefined;
  readonly cutmix: number | undefined;
  readonly precision: Precision;
  readonly #scaler: LossScaler | null;
  readonly #averages: Averages;
  readonly #beforeStep: ((at: StepAt) => void) | undefined;
  readonly #captured: Captured<Tensor[], StepOutput>;
  /** Of the first batch of the step, counted over the whole run: what dropout draws by. */
  #batchNumber = 0;
  /** The images of the step under way. */
  #dataset: DeviceDataset | null = null;
  /** How many classes the model tells apart, once it ran. */
  #outputs = Infinity;
  /** Where the last `fit()` stands: right while it is suspended in an "epoch" or "end" event, and after it has returned. */
  position: Position = START;
  /** Steps before `position` that the last `fit()` was left before it could report: one that continues there begins with them. */
  readonly unreported: StepResult[] = [];

  constructor(options: TrainerOptions) {
    checkOptions(options);
    const { model, optimizer } = options;
    this.model = model;
    this.optimizer = optimizer;
    this.loss = options.loss ?? crossEntropy();
    this.seed = options.seed ?? 0;
    this.batchSize = options.batchSize ?? 128;
    this.augment = options.augment ?? [];
    this.shuffle = options.shuffle ?? true;
    this.dropLast = options.dropLast ?? false;
    this.clipGrad = options.clipGrad ?? null;
    this.accumulate = options.accumulate ?? 1;
    this.mixup = options.mixup;
    this.cutmix = options.cutmix;
    this.precision = options.precision ?? "f32";
    this.#scaler = this.precision === "mixed" ? new LossScaler(optimizer) : null;
    this.#averages = new Averages(model, options.ema, options.lookahead);
    this.#beforeStep = options.beforeStep;
    const [parameters, modules] = [model.parameters(), model.modules()];
    this.#captured = capture((...tensors: Tensor[]) => this.#update(tensors), {
      name: "the training step",
      // What is frozen decides which gradients are computed, and a part that was put into `eval()` keeps its statistics.
      key: () =>
        [
          ...parameters.map(({ requiresGrad }) => (requiresGrad ? "" : "f")),
          ...modules.map(({ training }) => (training ? "" : "e")),
        ].join(),
    });
  }

  /** Images of a full step. */
  get stepImages(): number {
    return this.batchSize * this.accumulate;
  }

  /** Steps of an epoch over `train`; the last one may not be full. */
  stepsPerEpoch({ count }: Counted): number {
    return stepsPerEpoch(count, this);
  }

  /** Steps of a whole run; of a fraction of an epoch those that begin in it. */
  steps(train: Counted, { epochs }: { readonly epochs: number }): number {
    return stepsOf(epochs, this.stepsPerEpoch(train));
  }

  /** The images of `epoch` (from 1), in order: all, or with `dropLast` those that fill batches. */
  order({ count }: Counted, epoch: number): Uint32Array {
    const all = this.shuffle ? permutation(count, this.seed, epoch) : Uint32Array.from({ length: count }, (_, i) => i);
    return all.subarray(0, imagesPerEpoch(count, this));
  }

  /**
   * One step: forward, backward, update. Waits for nothing. Call it in a `scope()`.
   *
   * @param indices the step's images: up to `stepImages` of them
   * @param rates set before the update; null keeps the optimizer's own
   */
  step(train: DeviceDataset, indices: Uint32Array, at: StepAt, rates: Rates | null): StepOutput {
    const { model, optimizer } = this;
    this.#averages.begin(at.steps);
    this.#beforeStep?.(at);
    if (rates) optimizer.setLr(rates.lr);
    if (rates?.momentum !== undefined) optimizer.setMomentum(rates.momentum);
    if (!model.training) model.train();
    this.#batchNumber = at.step * this.accumulate;
    return scope(() => {
      const output = this.#captured(...this.#batches(train, indices, at));
      this.#averages.step(at.step + 1, at.steps);
      return output;
    });
  }

  /** Compiles the kernels of a step over these images, in parallel. Changes nothing. */
  async compile(train: DeviceDataset, indices: Uint32Array, at: StepAt): Promise<void> {
    if (!this.model.training) this.model.train();
    const batches = scope(() => this.#batches(train, indices, at));
    await this.#captured.compile(...batches);
    for (const tensor of batches) tensor.dispose();
  }

  /**
   * Bytes of the device's memory that a step over this many of the images takes while it runs, beside weights and images. Runs nothing.
   *
   * @throws where a tensor of the step is larger than the adapter binds
   */
  stepBytes(train: DeviceDataset, images: number): number {
    if (!this.model.training) this.model.train();
    const indices = this.order(train, 1).subarray(0, images);
    const batches = scope(() => this.#batches(train, indices, { epoch: 1, step: 0 }));
    try {
      return this.#captured.bytes(...batches);
    } finally {
      for (const tensor of batches) tensor.dispose();
    }
  }

  /**
   * Measures the kernels that a step over these images has to choose from (see `tune()`), and compiles the chosen ones. Without it
   * the fixed table counts.
   *
   * @returns how many choices were measured
   */
  async tune(train: DeviceDataset, options: TuneOptions = {}): Promise<number> {
    const at = { epoch: 1, step: 0 };
    const indices = this.order(train, 1).subarray(0, this.stepImages);
    for (let all = 0; ;) {
      await this.compile(train, indices, at);
      const measured = await tune(options);
      all += measured;
      if (measured === 0 || options.signal?.aborted) return all;
    }
  }

  /** What is replayed: gradients of the mean loss of all images, clipping, update. */
  #update(tensors: readonly Tensor[]): StepOutput {
    const { model, optimizer } = this;
    const batches = listed(tensors, this);
    const count = batches.reduce((sum, { images }) => sum + images.shape[0], 0);
    const dropouts = [...model.modules()].filter((module) => module instanceof Dropout);
    optimizer.zeroGrad();
    const outputs = batches.map((batch, i) =>
      scope(() => {
        const { images } = batch;
        everyRun(() => dropouts.forEach((dropout) => (dropout.step = this.#batchNumber + i)));
        const logits = model.forward(this.#scaler ? images.to("f16") : images).to("f32");
        this.#outputs = logits.shape[1];
        if (this.#dataset) checkClasses("Trainer", this.#outputs, this.#dataset);
        const mean = batchLoss(this.loss, logits, batch);
        const part = images.shape[0] === count ? mean : mean.mul(images.shape[0] / count);
        (this.#scaler?.scale(part) ?? part).backward();
        return { loss: part, logits };
      }),
    );
    const loss = outputs.map((output) => output.loss).reduce((sum, part) => sum.add(part));
    this.#scaler?.unscale();
    if (this.clipGrad !== null) optimizer.clipGradNorm(this.clipGrad);
    optimizer.step();
    return { loss, batches: outputs.map(({ logits }, i) => ({ logits, labels: batches[i].labels })) };
  }

  #batches(train: DeviceDataset, indices: Uint32Array, at: StepAt): Tensor[] {
    this.#dataset = train;
    checkClasses("Trainer", this.#outputs, train); // a step that is replayed does not
    return stepTensors(train, indices, at, this);
  }

  /**
   * Trains for `epochs` epochs in all and evaluates after each: one stream of events, in order. Leaving the loop stops cleanly after
   * the step under way, as aborting `signal` does; `position` then says where to continue, and a `fit()` that does begins with the
   * steps that are not reported yet.
   *
   * @throws DivergedError where a loss is not finite
   */
  fit(train: DeviceDataset, options: FitOptions): AsyncGenerator<TrainEvent, void, undefined> {
    return fitEvents(this, train, options);
  }

  /** Runs `work` with the moving average in the model, where there is one: what is tested and exported. */
  async withAverage<T>(work: () => Promise<T>): Promise<T> {
    const giveBack = this.borrowAverage();
    try {
      return await work();
    } finally {
      giveBack?.();
    }
  }

  /** Puts the moving average into the model until the returned function is called; null where there is none. */
  borrowAverage(): (() => void) | null {
    return this.#averages.borrow();
  }

  /** Reads everything that training changes. `restore` puts it back, to the bit. */
  async snapshot(): Promise<TrainerSnapshot> {
    const [weights, optimizer, averages, lossScale] = await Promise.all([
      stateDict(this.model),
      this.optimizer.state(),
      this.#averages.state(),
      this.#scaler?.read(),
    ]);
    return { weights, optimizer, averages, ...(lossScale && { lossScale }), position: this.position };
  }

  /** @throws Error of one line, changing nothing, where the snapshot is of another model, optimizer or precision, or has other averages */
  restore({ weights, optimizer, averages, lossScale, position }: TrainerSnapshot, origin = "the snapshot"): void {
    if ((lossScale !== undefined) !== (this.#scaler !== null)) {
      const saved = lossScale ? "mixed" : "f32";
      throw new Error(`${origin} was saved with precision ${saved}, not ${this.precision}: continue with the same`);
    }
    this.#averages.check(averages, position.step, origin);
    const loadWeights = checkStateDict(this.model, weights, { origin });
    this.optimizer.checkState(optimizer);
    loadWeights();
    this.optimizer.loadState(optimizer);
    this.#averages.loadState(averages);
    if (lossScale) this.#scaler?.load(lossScale);
    this.position = position;
  }

  /** Steps of the run that were skipped because gradients overflowed; null in f32, which has no such steps. */
  async skippedSteps(): Promise<number | null> {
    return this.#scaler ? (await this.#scaler.read()).skipped : null;
  }

  /** Frees the averages, and the memory that steps keep for replays. Model and optimizer belong to who made them. */
  dispose(): void {
    this.#averages.dispose();
    this.#captured.dispose();
    this.#scaler?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
