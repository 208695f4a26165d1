// The learning-rate range test: train with a growing rate, watch the loss, and put everything back.
import { currentDevice, scope } from "../../engine/index.ts";
import { Dropout } from "../../nn/index.ts";
import type { DeviceDataset } from "../data/device-dataset.ts";
import { evaluateBatches } from "../evaluate.ts";
import { InFlight } from "../in-flight.ts";
import { rememberModes } from "../modes.ts";
import type { Trainer } from "../trainer.ts";
import { lrFinderSettings, type LrFinderOptions, type LrFinderSettings } from "./options.ts";
import { RangeCurve } from "./range-curve.ts";
import { indexOfLowest, rangeRates, type LossSeries } from "./series.ts";
import { FEW_POINTS, LEAST_POINTS, showRate, suggestRates, type LrSuggestion, type RangeStop } from "./suggest.ts";

export interface LrFinderResult extends LossSeries, LrSuggestion {
  readonly stopped: RangeStop;
  readonly settings: LrFinderSettings;
}

/** A range test whose curve holds no answer; what was measured is in `result`. */
export class RangeTestError extends Error {
  override name = "RangeTestError";
  readonly result: LrFinderResult;

  constructor(message: string, result: LrFinderResult) {
    super(`findLearningRate: ${message}`);
    this.result = result;
  }
}

/**
 * The learning-rate range test of `trainer` on `train`: trains with the trainer's own batches, augmentation, loss and clipping at rates
 * that grow from `startLr` to `endLr`, until the loss diverges or is not finite. Past the end of an epoch the next one begins. Afterwards, also when it throws
 * or is aborted, the trainer is as it was, bit for bit: weights, statistics, optimizer, position.
 *
 * The loss of an iteration is its batch's mean before the update, so it shows what the rates before did; with `validation` that of all
 * those images after the update. Where the test was interrupted too early for a suggestion, that is NaN.
 *
 * @throws RangeTestError where the loss diverges at once, or never falls
 */
export async function findLearningRate(
  trainer: Trainer,
  train: DeviceDataset,
  options: LrFinderOptions = {},
): Promise<LrFinderResult> {
  const settings = lrFinderSettings(options);
  const { startLr, endLr, iterations, mode } = settings;
  const curve = new RangeCurve(rangeRates(startLr, endLr, iterations, mode), settings);
  const putBack = await remember(trainer);
  try {
    await measure(new RangeTest(trainer, train, options, curve), settings, options.signal);
  } finally {
    putBack();
  }
  const stopped = curve.stopped ?? curve.interrupt();
  return checked({
    ...curve.series,
    stopped,
    settings,
    ...suggestRates(curve.series, stopped, iterations, settings.method),
  });
}

/** The trainer's snapshot, and what is no part of one. Returns what puts them back. */
async function remember(trainer: Trainer): Promise<() => void> {
  const { model, optimizer } = trainer;
  const putBackModes = rememberModes(model);
  const draws = model.modules().flatMap((module) => (module instanceof Dropout ? [{ module, step: module.step }] : []));
  const frozen = model.parameters().map((parameter) => ({ parameter, requiresGrad: parameter.requiresGrad }));
  const snapshot = await trainer.snapshot();
  return () => {
    trainer.restore(snapshot);
    optimizer.zeroGrad();
    putBackModes();
    for (const { module, step } of draws) module.step = step;
    // A `beforeStep` may have frozen some.
    for (const { parameter, requiresGrad } of frozen) parameter.requiresGrad = requiresGrad;
  };
}

async function measure(test: RangeTest, { iterations }: LrFinderSettings, signal?: AbortSignal): Promise<void> {
  try {
    for (let k = 0; k < iterations && !test.over && !signal?.aborted; k++) await test.step(k);
    await test.finish();
  } finally {
    await test.settled();
  }
}

/** Steps, and their losses on the way back from the GPU. */
class RangeTest {
  readonly #trainer: Trainer;
  readonly #train: DeviceDataset;
  readonly #options: LrFinderOptions;
  readonly #curve: RangeCurve;
  readonly #rates: readonly number[];
  readonly #reads = new InFlight();
  #epoch = 0;
  #order: Uint32Array = new Uint32Array(0);

  constructor(trainer: Trainer, train: DeviceDataset, options: LrFinderOptions, curve: RangeCurve) {
    this.#trainer = trainer;
    this.#train = train;
    this.#options = options;
    this.#curve = curve;
    this.#rates = curve.lrs;
  }

  get over(): boolean {
    return this.#curve.stopped !== null;
  }

  /** Trains iteration `k`. The losses known when it returns are those of a step or two before: waiting for its own would idle the GPU. */
  async step(k: number): Promise<void> {
    const { validation } = this.#options;
    const loss = this.#update(k);
    if (validation) {
      await loss;
      await this.#addValidation(validation);
      return;
    }
    this.#reads.push(loss.then((value) => this.#add(value)));
    await this.#reads.waitFor(currentDevice().info.software ? 1 : 2);
  }

  /** Waits for the losses under way. */
  finish(): Promise<void> {
    return this.#reads.waitFor(0);
  }

  /** The same for clearing up: whether they fail or not. */
  settled(): Promise<void> {
    return this.#reads.settled();
  }

  #update(k: number): Promise<number> {
    const trainer = this.#trainer;
    const stepsPerEpoch = trainer.stepsPerEpoch(this.#train);
    const epoch = 1 + Math.floor(k / stepsPerEpoch);
    if (epoch !== this.#epoch) this.#order = trainer.order(this.#train, epoch);
    this.#epoch = epoch;
    const first = (k % stepsPerEpoch) * trainer.stepImages;
    const indices = this.#order.subarray(first, first + trainer.stepImages);
    let reading!: Promise<number>;
    scope(() => {
      const { loss } = trainer.step(
        this.#train,
        indices,
        { epoch, step: k, steps: this.#rates.length },
        { lr: this.#rates[k] },
      );
      reading = loss.item();
    });
    reading.catch(() => undefined);
    return reading;
  }

  async #addValidation(images: DeviceDataset): Promise<void> {
    const { model, batchSize } = this.#trainer;
    const batches = evaluateBatches(model, images, { batchSize });
    try {
      while (!this.#options.signal?.aborted) {
        const { done, value } = await batches.next();
        if (done) return this.#add(value.loss);
      }
    } finally {
      await batches.return(undefined as never);
    }
  }

  #add(loss: number): void {
    if (this.over) return;
    this.#curve.add(loss);
    const { length, lastSmoothed } = this.#curve;
    const [lr, iterations] = [this.#rates[length - 1], this.#rates.length];
    this.#options.onProgress?.({ done: length, iterations, lr, loss, smoothed: lastSmoothed });
  }
}

/** Returns the result, or throws where it would be no answer to rely on. */
function checked(result: LrFinderResult): LrFinderResult {
  const { stopped, window, suggestions, settings, losses } = result;
  const { reason, iteration } = stopped;
  if (reason === "interrupted") return result;
  const start = showRate(settings.startLr);
  if (reason === "not-finite" && iteration === 0 && settings.loss === "train") {
    const what = "before any update: the weights or the images are not finite, or far too large";
    throw new RangeTestError(`the loss is ${losses[0]} ${what}`, result);
  }
  const broke = reason !== "done";
  const usable = result.smoothed.slice(window.from, window.to);
  if (broke && usable.length < LEAST_POINTS) {
    const what = `the loss broke down at once (${brief(losses[0])} to ${brief(losses[iteration])} in ${iteration + 1} iterations,`;
    throw new RangeTestError(`${what} from ${start}): lower --start-lr`, result);
  }
  if (suggestions.valley === null || (broke && indexOfLowest(usable) === 0)) {
    const more = usable.length < FEW_POINTS ? ", raise --iterations" : "";
    const trained = "or there is nothing left to learn";
    throw new RangeTestError(`the loss never fell from ${start} on: lower --start-lr${more}, ${trained}`, result);
  }
  return result;
}

const brief = (loss: number): string => (Number.isFinite(loss) ? String(Number(loss.toPrecision(3))) : String(loss));
