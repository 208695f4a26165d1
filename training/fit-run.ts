// What a run of training keeps between steps: how far it has come, and what is in flight.
import { currentDevice, scope } from "../engine/index.ts";
import type { DeviceDataset } from "./data/device-dataset.ts";
import { compileEvaluation, evaluateBatches, type Evaluation } from "./evaluate.ts";
import { DivergedError, EMPTY_SUMS, type EpochReport, type ProgressEvent, type TrainEvent } from "./events.ts";
import type { FitOptions } from "./fit.ts";
import { InFlight, stepsInFlight } from "./in-flight.ts";
import { addStep, RateMeter, StepLog, type StepResult } from "./metrics.ts";
import { Monitors } from "./monitors.ts";
import { ratesAt, type Rates } from "./schedules/index.ts";
import type { Trainer } from "./trainer.ts";

const READ_EVERY_MS = 500;
const now = (): number => performance.now();

/** The steps of `fitEvents`. */
export class FitRun {
  readonly #trainer: Trainer;
  readonly #train: DeviceDataset;
  readonly #options: FitOptions;
  readonly #steps: number;
  readonly #stepsPerEpoch: number;
  readonly monitors: Monitors;
  readonly #log = new StepLog();
  readonly #inFlight = new InFlight();
  readonly #reads = new InFlight();
  /** Steps recorded; those of `trainer.position` are read too. */
  #recorded: number;
  /** The first step is read and reported at once: whoever waits sees that it goes on. */
  #lastRead = -Infinity;
  #lastProgress = -Infinity;
  #lastSave = now();
  #evaluationSeconds = 0;
  /** The epoch under way: when it began (or was resumed), images and training time since then, the rate at its first step. */
  #epoch = { start: now(), images: 0, seconds: 0, lr: 0, rate: new RateMeter(0) };

  constructor(
    trainer: Trainer,
    train: DeviceDataset,
    options: FitOptions,
    size: { steps: number; stepsPerEpoch: number },
  ) {
    this.#trainer = trainer;
    this.#train = train;
    this.#options = options;
    this.#steps = size.steps;
    this.#stepsPerEpoch = size.stepsPerEpoch;
    this.monitors = new Monitors(options, trainer.position);
    this.#recorded = trainer.position.step;
    // Those of another run, or of a moment that is not continued.
    if (trainer.unreported.at(-1)?.step !== this.#recorded - 1) trainer.unreported.length = 0;
  }

  /** Compiles what a whole step and an evaluation need: in parallel, instead of one kernel after the other during the first. */
  async compile(): Promise<void> {
    const [epoch, step] = [this.#trainer.position.epoch + 1, this.#recorded];
    if (step >= this.#steps) return;
    const indices = this.#trainer.order(this.#train, epoch).subarray(0, this.#trainer.stepImages);
    await this.#trainer.compile(this.#train, indices, { epoch, step, steps: this.#steps });
    const { model, batchSize } = this.#trainer;
    const { validation, heldOut, tta } = this.#options;
    const evaluated = validation ?? heldOut;
    if (evaluated) await compileEvaluation(model, evaluated, { batchSize, tta });
  }

  /** The rest of the current epoch. False where it was stopped. */
  async *trainEpoch(): AsyncGenerator<TrainEvent, boolean, undefined> {
    const { signal } = this.#options;
    const epoch = this.#trainer.position.epoch + 1;
    const first = (epoch - 1) * this.#stepsPerEpoch;
    const end = Math.min(first + this.#stepsPerEpoch, this.#steps);
    const order = this.#trainer.order(this.#train, epoch);
    this.#epoch = { start: now(), images: 0, seconds: 0, lr: this.#lrAt(first), rate: new RateMeter(0) };
    while (this.#recorded < end && !signal?.aborted) {
      this.#step(epoch, order, this.#recorded - first);
      await this.#inFlight.waitFor(stepsInFlight());
      if (this.#log.full || now() - this.#lastRead > READ_EVERY_MS) this.#startRead();
      // The read before this one is done by now, as its step is; waiting for it only shows whether it failed.
      await this.#reads.waitFor(1);
      yield* this.#report();
      if (now() - this.#lastSave > 1000 * (this.#options.saveEvery ?? Infinity)) yield* this.#save();
    }
    await this.#drain();
    this.#epoch.seconds = (now() - this.#epoch.start) / 1000;
    yield* this.#report();
    return this.#recorded === end && !signal?.aborted;
  }

  /** Evaluates, closes the epoch and reports it. False where it was stopped: then the epoch stays open, all its steps done. */
  async *evaluateEpoch(): AsyncGenerator<TrainEvent, boolean, undefined> {
    const start = now();
    const { validation, heldOut } = this.#options;
    const giveBack = this.#trainer.borrowAverage();
    let test: Evaluation | null | undefined;
    let chosen: Evaluation | null | undefined;
    try {
      test = validation ? yield* this.#evaluate(validation) : undefined;
      chosen = heldOut && test !== null ? yield* this.#evaluate(heldOut) : undefined;
    } finally {
      giveBack?.();
    }
    if (test === null || chosen === null) return false;
    this.#evaluationSeconds = (now() - start) / 1000;
    const { running, step, epoch: done } = this.#trainer.position;
    const { lr, images, seconds } = this.#epoch;
    const skippedSteps = await this.#trainer.skippedSteps();
    const report: EpochReport = {
      epoch: done + 1,
      lr,
      trainLoss: running.loss / running.samples,
      trainAccuracy: running.correct / running.samples,
      testLoss: test?.loss ?? null,
      testAccuracy: test?.accuracy ?? null,
      ...(chosen && { validationLoss: chosen.loss, validationAccuracy: chosen.accuracy }),
      seconds: seconds + this.#evaluationSeconds,
      imagesPerSecond: images === 0 ? 0 : images / seconds,
      ...(skippedSteps !== null && { skippedSteps }),
    };
    this.monitors.observe(report);
    this.#trainer.position = { step, epoch: done + 1, running: EMPTY_SUMS, ...this.monitors.state() };
    yield { type: "epoch", report, position: this.#trainer.position };
    return true;
  }

  /** Waits for the GPU and frees the log. After this the trainer's position counts every step that was recorded. */
  async close(): Promise<void> {
    try {
      await this.#drain();
      await this.#inFlight.waitFor(0);
    } finally {
      this.#log.dispose();
    }
  }

  async *#save(): AsyncGenerator<TrainEvent> {
    await this.#drain();
    yield* this.#report();
    yield { type: "save", position: this.#trainer.position };
    this.#lastSave = now();
  }

  #step(epoch: number, order: Uint32Array, stepInEpoch: number): void {
    const trainer = this.#trainer;
    const { stepImages, optimizer } = trainer;
    const step = this.#recorded;
    const indices = order.subarray(stepInEpoch * stepImages, (stepInEpoch + 1) * stepImages);
    scope(() => {
      const output = trainer.step(this.#train, indices, { epoch, step, steps: this.#steps }, this.#rates(step));
      const { lr, momentum } = optimizer;
      this.#log.add({ step, epoch, lr, momentum, samples: indices.length }, output);
    });
    this.#recorded++;
    this.#inFlight.push(currentDevice().idle());
  }

  #rates(step: number): Rates | null {
    const { schedule } = this.#options;
    return schedule ? ratesAt(schedule, step) : null;
  }

  #lrAt(step: number): number {
    return this.#rates(step)?.lr ?? this.#trainer.optimizer.lr;
  }

  #startRead(): void {
    this.#lastRead = now();
    this.#reads.push(this.#log.read().then((results) => results.forEach((result) => this.#take(result))));
  }

  /** Waits for every figure; the position has come as far as the steps then. */
  async #drain(): Promise<void> {
    this.#startRead();
    await this.#reads.waitFor(0);
  }

  /** Moves the position over what was read. Reads finish in order: the GPU does. */
  #take(result: StepResult): void {
    const { position, unreported } = this.#trainer;
    this.#trainer.position = { ...position, step: position.step + 1, running: addStep(position.running, result) };
    this.#epoch.images += result.samples;
    unreported.push(result);
  }

  *#report(): Generator<TrainEvent> {
    for (let result; (result = this.#trainer.unreported.shift());) {
      const { step, epoch, lr, momentum, loss } = result;
      if (!Number.isFinite(loss)) throw new DivergedError(result);
      yield { type: "step", step, epoch, lr, momentum, loss };
    }
    if (now() - this.#lastProgress > READ_EVERY_MS && this.#epoch.images > 0) yield this.#progress();
  }

  #progress(): ProgressEvent {
    this.#lastProgress = now();
    const { step, epoch, running } = this.#trainer.position;
    const { start, images, rate } = this.#epoch;
    const imagesPerSecond = rate.update((now() - start) / 1000, images);
    const { stepImages } = this.#trainer;
    const imagesLeft = (this.#steps - step) * Math.min(stepImages, this.#train.count / this.#stepsPerEpoch);
    const evaluationsLeft = Math.ceil(this.#options.epochs) - epoch;
    return {
      type: "progress",
      step,
      steps: this.#steps,
      epoch: epoch + 1,
      imagesPerSecond,
      loss: running.loss / running.samples,
      accuracy: running.correct / running.samples,
      secondsLeft: imagesLeft / imagesPerSecond + evaluationsLeft * this.#evaluationSeconds,
    };
  }

  async *#evaluate(dataset: DeviceDataset): AsyncGenerator<TrainEvent, Evaluation | null> {
    const { model, batchSize, position } = this.#trainer;
    const batches = evaluateBatches(model, dataset, { batchSize, tta: this.#options.tta });
    try {
      for (;;) {
        if (this.#options.signal?.aborted) return null;
        const { done, value } = await batches.next();
        if (done) return value;
        if (now() - this.#lastProgress < READ_EVERY_MS) continue;
        this.#lastProgress = now();
        yield { type: "evaluating", epoch: position.epoch + 1, done: value, count: dataset.count };
      }
    } finally {
      await batches.return(undefined as never);
    }
  }
}
