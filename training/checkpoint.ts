// state.safetensors: everything that continuing a run needs, and nothing that differs between equal runs (no time, path or host).
import { readSafetensors, writeSafetensors, type SafeTensor, type StateDict } from "../nn/index.ts";
import type { AveragesState } from "./averaging.ts";
import type { Position } from "./events.ts";
import type { LossScaleState } from "./loss-scaling.ts";
import type { OptimizerState } from "./optimizers/index.ts";
import type { Trainer } from "./trainer.ts";

const VERSION = 1;
const KEY = "kiln.state";
const MODEL = "model.";
const OPTIMIZER = "optimizer.";
const EMA = "ema.";
const SLOW = "lookahead.";

/** The epoch (from 1) whose weights are in best.safetensors, and its accuracy. */
export interface BestEpoch {
  readonly epoch: number;
  readonly accuracy: number;
}

/** What a state file holds. */
export interface RunState {
  readonly position: Position;
  readonly best: BestEpoch | null;
  readonly seed: number;
  readonly batchSize: number;
  /** Batches a step; older states do not say. */
  readonly accumulate?: number;
  /** "SGD", "Adam" or "AdamW". */
  readonly optimizerName: string;
  readonly optimizer: OptimizerState;
  readonly weights: StateDict;
  /** The moving average and lookahead's slow weights, where the run has them. */
  readonly averages: AveragesState;
  /** In mixed precision. */
  readonly lossScale?: LossScaleState;
  /** The file's name, for messages. */
  readonly origin: string;
}

/** The state of a trainer as the bytes of a safetensors file. Equal states give equal bytes. */
export async function encodeState(
  trainer: Trainer,
  position: Position,
  best: BestEpoch | null,
): Promise<Uint8Array<ArrayBuffer>> {
  const { weights, optimizer, averages, lossScale } = await trainer.snapshot();
  refuseLost(weights, position);
  const tensors = new Map<string, SafeTensor>();
  for (const [name, tensor] of weights) tensors.set(MODEL + name, tensor);
  for (const [name, data] of Object.entries(optimizer.tensors)) {
    tensors.set(OPTIMIZER + name, flat(data));
  }
  for (const [name, data] of averages.ema ?? []) tensors.set(EMA + name, flat(data));
  for (const [name, data] of averages.slow ?? []) tensors.set(SLOW + name, flat(data));
  const rest = {
    version: VERSION,
    position,
    best,
    seed: trainer.seed,
    batchSize: trainer.batchSize,
    accumulate: trainer.accumulate,
    optimizerName: trainer.optimizer.name,
    optimizer: optimizer.scalars,
    ...(lossScale && { lossScale }),
  };
  return writeSafetensors(tensors, { [KEY]: JSON.stringify(rest) });
}

const flat = (data: Float32Array): SafeTensor => ({
  dtype: "F32",
  shape: [data.length],
  data: Float32Array.from(data),
});

/**
 * Reads a state file.
 *
 * @param origin the file's name, for messages
 * @throws Error of one line where it is cut, no state, or of another version
 */
export function decodeState(bytes: Uint8Array, origin: string): RunState {
  const { tensors, metadata } = readSafetensors(bytes, origin);
  const text = Object.hasOwn(metadata, KEY) ? metadata[KEY] : undefined;
  if (text === undefined) throw new Error(`${origin} holds weights, not the state of a run: give it to --init instead`);
  const rest = parse(text);
  if (rest?.["version"] !== VERSION) {
    const version = JSON.stringify(rest?.["version"] ?? "unknown");
    throw new Error(
      `${origin} is a state of version ${version}, this Kiln reads ${VERSION}: continue it with the Kiln that wrote it`,
    );
  }
  if (!isRest(rest)) throw new Error(`${origin} is damaged: its metadata entry ${KEY} makes no sense`);
  const weights: StateDict = new Map();
  for (const [name, tensor] of tensors) if (name.startsWith(MODEL)) weights.set(name.slice(MODEL.length), tensor);
  const moments = Object.fromEntries(below(tensors, OPTIMIZER));
  const [ema, slow] = [below(tensors, EMA), below(tensors, SLOW)];
  const averages = { ...(ema.size > 0 && { ema }), ...(slow.size > 0 && { slow }) };
  return { ...rest, optimizer: { tensors: moments, scalars: rest.optimizer }, weights, averages, origin };
}

/** The flat arrays under a prefix, by what follows it. */
function below(tensors: ReadonlyMap<string, SafeTensor>, prefix: string): Map<string, Float32Array> {
  const found = new Map<string, Float32Array>();
  for (const [name, tensor] of tensors) {
    if (name.startsWith(prefix) && tensor.dtype === "F32") found.set(name.slice(prefix.length), tensor.data);
  }
  return found;
}

/**
 * Puts a trainer where the state was taken: weights, running statistics, optimizer. Continue with
 * `trainer.fit(train, { startFrom: state.position, ... })`.
 *
 * @throws Error of one line, changing nothing, where the trainer is not of the same making
 */
export function restoreTrainer(trainer: Trainer, state: RunState): void {
  const { origin } = state;
  const differs = (what: string, inState: unknown, here: unknown): void => {
    if (inState === here) return;
    throw new Error(`${origin} was saved with ${what} ${String(inState)}, not ${String(here)}: continue with the same`);
  };
  differs("the optimizer", state.optimizerName, trainer.optimizer.name);
  differs("batch size", state.batchSize, trainer.batchSize);
  differs("seed", state.seed, trainer.seed);
  differs("accumulate", state.accumulate ?? trainer.accumulate, trainer.accumulate);
  checkMoments(trainer, state);
  trainer.restore(state, origin);
}

/** Saving broken weights would replace the last good ones. A loss can stay finite over them: where relu makes 0 of NaN. */
function refuseLost(weights: StateDict, { step, running }: Position): void {
  for (const [name, { dtype, data }] of weights) {
    if (dtype !== "F32" || data.every(Number.isFinite)) continue;
    throw new Error(`training has diverged: ${name} is not finite after step ${step}, nothing was saved; lower --lr`);
  }
  if (!Number.isFinite(running.loss)) {
    throw new Error(`training has diverged: a loss before step ${step} is not finite, nothing was saved; lower --lr`);
  }
}

/** Weights of another model are told by their names and shapes; moments would only be told by their sizes, so count them first. */
function checkMoments(trainer: Trainer, { optimizer, weights, origin }: RunState): void {
  const names = trainer.model.namedParameters().map(([name]) => name);
  const known = names.filter((name) => weights.has(name)).length;
  if (known < names.length)
    throw new Error(`${origin} is of another model: it lacks ${names.length - known} of ${names.length} parameters`);
  const kinds = new Set(Object.keys(optimizer.tensors).map((name) => name.slice(0, name.lastIndexOf("."))));
  for (const kind of kinds) {
    const count = Object.keys(optimizer.tensors).filter((name) => name.startsWith(`${kind}.`)).length;
    const here = trainer.optimizer.parameters.length;
    if (count !== here) throw new Error(`${origin} has ${kind} for ${count} parameters, the optimizer has ${here}`);
  }
}

type Rest = Pick<
  RunState,
  "position" | "best" | "seed" | "batchSize" | "accumulate" | "optimizerName" | "lossScale"
> & {
  optimizer: Record<string, number>;
};

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumber = (value: unknown): boolean => Number.isFinite(value);

function isRest(value: Record<string, unknown>): value is Record<string, unknown> & Rest {
  const { position, best, seed, batchSize, accumulate = 1, optimizerName, optimizer, lossScale = {} } = value;
  return (
    isPosition(position) &&
    isObject(lossScale) &&
    Object.values(lossScale).every(isNumber) &&
    (best === null || (isObject(best) && isCount(best["epoch"]) && isNumber(best["accuracy"]))) &&
    isCount(seed) &&
    isCount(batchSize) &&
    isCount(accumulate) &&
    typeof optimizerName === "string" &&
    isObject(optimizer) &&
    Object.values(optimizer).every(isNumber)
  );
}

function isPosition(value: unknown): value is Position {
  if (!isObject(value) || !isCount(value["step"]) || !isCount(value["epoch"])) return false;
  const { running, schedule = {}, earlyStop = {} } = value;
  if (!isObject(running) || !isObject(schedule) || !isObject(earlyStop)) return false;
  if (![schedule, earlyStop].every((numbers) => Object.values(numbers).every(isNumber))) return false;
  return ["steps", "samples", "correct"].every((key) => isCount(running[key])) && isNumber(running["loss"]);
}
