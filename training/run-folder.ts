// A run folder: config.json, metrics.jsonl, steps.jsonl, state.safetensors, last.safetensors, best.safetensors.
// state.safetensors alone decides where a run stands: it is replaced whole, last of all, and on resume the others are cut back to it.
import { files } from "#files";
import type { ChoiceTable, Device } from "../engine/index.ts";
import { exportWeights, type ExportInfo } from "../nn/index.ts";
import { betterEpoch } from "./best-epoch.ts";
import { decodeState, encodeState, type BestEpoch, type RunState } from "./checkpoint.ts";
import type { EpochReport, Position, TrainEvent } from "./events.ts";
import type { Trainer } from "./trainer.ts";

/** config.json: all settings resolved. `model` also says what is written into the weight files. */
export interface RunConfig {
  readonly model: ExportInfo;
  readonly [setting: string]: unknown;
}

const CONFIG = "config.json";
const METRICS = "metrics.jsonl";
const STEPS = "steps.jsonl";
const STATE = "state.safetensors";
const LAST = "last.safetensors";
const BEST = "best.safetensors";
const RUN_FILES = [CONFIG, METRICS, STEPS, STATE, LAST, BEST];
/** What makes a run worth keeping. */
const SAVED_FILES = [STATE, LAST, BEST];
/** What continuing takes. */
const RESUME_FILES = [CONFIG, STATE];
/** Lines of steps.jsonl that are written at once. */
const STEP_LINES = 256;

/**
 * What config.json says about the machine: its adapter, and the kernels that were chosen, which decide the last bits. Those measured
 * in earlier runs count too: a last batch that is not full may use them only after this was written.
 */
export function environment(device: Device): Environment {
  const { info, family, winograd, choices } = device;
  return { device: info, kernelFamily: family, winograd, kernels: { ...choices.used, ...choices.measured } };
}

interface Environment {
  readonly device: Device["info"];
  readonly kernelFamily: Device["family"];
  readonly winograd: Device["winograd"];
  /** By op and shape, the variant that an op uses. */
  readonly kernels: ChoiceTable;
}

/** Throws one line where the folder that holds such files is not free for a new run. */
export function refuseHeld(dir: string, holds: (name: string) => boolean): void {
  const held = RUN_FILES.find(holds);
  if (held === undefined) return;
  // A run in its first epoch looks like one that failed there, so that it is not for us to replace it.
  const advice = RESUME_FILES.every(holds)
    ? `, or continue it with --resume ${dir}`
    : SAVED_FILES.some(holds)
      ? ""
      : ", or remove the folder if that run is over: it has saved nothing";
  throw new Error(`${dir} holds another run (${held}): choose another --out${advice}`);
}

/**
 * Makes the folder of a new run and writes config.json.
 *
 * @throws Error of one line where the folder holds a run already (nothing is overwritten) or cannot be written
 */
export async function createRunFolder(dir: string, config: RunConfig): Promise<RunFolder> {
  const path = files.absolute(dir);
  if (await files.exists(path)) {
    if (!(await files.stat(path)).directory) throw new Error(`${dir} is a file, not a folder: choose another --out`);
    const names = (await files.list(path)).map(({ name }) => name);
    refuseHeld(dir, (name) => names.includes(name));
  }
  await writing(dir, "make it writable or choose another --out", async () => {
    await files.makeDirectory(path);
    await files.writeAtomic(`${path}/${CONFIG}`, `${JSON.stringify(config, null, 2)}\n`);
    await files.writeAtomic(`${path}/${METRICS}`, "");
    await files.writeAtomic(`${path}/${STEPS}`, "");
  });
  return new RunFolder(dir, config, null);
}

/**
 * Opens the folder of a run to continue it: `folder.state` is where it stands. What metrics.jsonl and steps.jsonl say past that is cut
 * off when the run goes on (`folder.cutBack()`), not before: a look at a run must not change it.
 *
 * @throws Error of one line where there is no such run, nothing was saved yet, or a file is damaged
 */
export async function openRunFolder(dir: string): Promise<RunFolder> {
  const path = files.absolute(dir);
  if (!(await files.exists(`${path}/${CONFIG}`))) {
    const what = (await files.exists(path)) ? `${dir} holds no run (it has no ${CONFIG})` : `there is no folder ${dir}`;
    throw new Error(`${what}: give --resume the --out folder of an earlier run`);
  }
  const config = parseConfig(await files.readText(`${path}/${CONFIG}`), `${dir}/${CONFIG}`);
  if (!(await files.exists(`${path}/${STATE}`))) {
    throw new Error(
      `${dir} has no ${STATE}: that run was ended before anything was saved; start it again with another --out`,
    );
  }
  const state = decodeState(await files.read(`${path}/${STATE}`), `${dir}/${STATE}`);
  return new RunFolder(dir, config, state);
}

/** Writes a run's files. The order of calls is `record(event)` for every event, `saveState` after "epoch" and "end". */
export class RunFolder {
  /** As given, for messages. */
  readonly dir: string;
  readonly config: RunConfig;
  /** Where the run stood when it was opened; null for a new one. */
  readonly state: RunState | null;
  readonly #path: string;
  #best: BestEpoch | null;
  #stepLines: string[] = [];
  #metricLines: string[] = [];
  /** An epoch better than all before was recorded, and its weights are not written yet. */
  #bestIsNew = false;
  #saved: Position | null;
  /** metrics.jsonl and steps.jsonl may say more than `state`. */
  #ahead: boolean;
  #last: EpochReport | null = null;
  /** Bytes of metrics.jsonl and steps.jsonl as this object left them: where they have others, somebody else continues the run. */
  readonly #sizes = new Map([STEPS, METRICS].map((name) => [name, 0]));

  constructor(dir: string, config: RunConfig, state: RunState | null) {
    this.dir = dir;
    this.config = config;
    this.state = state;
    this.#path = files.absolute(dir);
    this.#best = state?.best ?? null;
    this.#saved = state?.position ?? null;
    this.#ahead = state !== null;
  }

  /** The best epoch so far, by the images held out for that, else by the test set. Of equal ones the first. */
  get best(): BestEpoch | null {
    return this.#best;
  }

  /** The last epoch so far, of a run that is continued after `cutBack()`. */
  get last(): EpochReport | null {
    return this.#last;
  }

  /** The path of one of the run's files. */
  file(name: string): string {
    return `${this.#path}/${name}`;
  }

  /** Notes a "step" or "epoch" event in its file; others are ignored. Lines may wait for the next `saveState`. */
  async record(event: TrainEvent): Promise<void> {
    if (event.type === "step") {
      const { step, epoch, lr, momentum, loss } = event;
      this.#stepLines.push(`${JSON.stringify({ step, epoch, lr, momentum, loss })}\n`);
      if (this.#stepLines.length >= STEP_LINES) await this.flush();
    } else if (event.type === "epoch") {
      this.#metricLines.push(`${JSON.stringify(event.report)}\n`);
      this.#last = event.report;
      this.#consider(event.report);
      await this.flush();
    }
  }

  /** Writes lines that wait. */
  async flush(): Promise<void> {
    const [steps, metrics] = [this.#stepLines.join(""), this.#metricLines.join("")];
    this.#stepLines = [];
    this.#metricLines = [];
    if (steps || metrics) await this.cutBack();
    await this.#writing(async () => {
      if (steps) await this.#append(STEPS, steps);
      if (metrics) await this.#append(METRICS, metrics);
    });
  }

  async #append(name: string, lines: string): Promise<void> {
    const { size } = await files.stat(this.file(name));
    if (size !== this.#sizes.get(name)) throw new TakenOverError(this.dir);
    await files.append(this.file(name), lines);
    this.#sizes.set(name, size + new TextEncoder().encode(lines).length);
  }

  /**
   * Saves all that continuing needs, and the weights: last.safetensors, best.safetensors after a best epoch, state.safetensors.
   * Nothing is written where nothing has happened since the last time.
   */
  async saveState(trainer: Trainer, position: Position = trainer.position): Promise<void> {
    await this.flush();
    if (JSON.stringify(position) === JSON.stringify(this.#saved)) return;
    const state = await encodeState(trainer, position, this.#best);
    const weights = await trainer.withAverage(() => exportWeights(trainer.model, this.config.model));
    await this.#writing(async () => {
      await files.writeAtomic(this.file(LAST), weights);
      if (this.#bestIsNew) await files.writeAtomic(this.file(BEST), weights);
      await files.writeAtomic(this.file(STATE), state);
    });
    this.#bestIsNew = false;
    this.#saved = position;
  }

  /** Removes, once, what the metrics files say past `state`: a run that was killed had written more than it had saved. */
  async cutBack(): Promise<void> {
    if (!this.#ahead) return;
    this.#ahead = false;
    const { step, epoch } = this.state!.position;
    await this.#writing(async () => {
      await this.#keepLines(STEPS, (line) => Number(line["step"]) < step);
      const reports = await this.#keepLines(METRICS, (line) => Number(line["epoch"]) <= epoch);
      this.#last = reports.length === 0 ? null : (JSON.parse(reports.at(-1)!) as EpochReport);
    });
  }

  /** Returns the lines kept. */
  async #keepLines(name: string, keep: (line: Record<string, unknown>) => boolean): Promise<string[]> {
    const path = this.file(name);
    const found = await files.exists(path);
    const text = found ? await files.readText(path) : "";
    const kept = text.split("\n").filter((line) => {
      const value = parseLine(line);
      return value !== null && keep(value);
    });
    const result = kept.map((line) => `${line}\n`).join("");
    if (result !== text || !found) await files.writeAtomic(path, result);
    this.#sizes.set(name, new TextEncoder().encode(result).length);
    return kept;
  }

  #writing(work: () => Promise<void>): Promise<void> {
    const saved = this.#saved;
    const advice = "make room there and make it writable, then";
    if (!saved) return writing(this.dir, `${advice} begin again with another --out: nothing is saved yet`, work);
    return writing(this.dir, `${advice} --resume ${this.dir} goes on from step ${saved.step}`, work);
  }

  #consider(report: EpochReport): void {
    const best = betterEpoch(this.#best, report);
    if (best !== this.#best) this.#bestIsNew = true;
    this.#best = best;
  }
}

/** Two processes that continue one run: the first to notice leaves it to the other. */
class TakenOverError extends Error {
  constructor(dir: string) {
    super(`another process continues the run in ${dir}: this one stops, and nothing is lost`);
  }
}

/** Null for an empty line and for one that was cut off while it was written. */
function parseLine(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" ? (value as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

function isConfig(config: Record<string, unknown> | null): config is RunConfig {
  const model = config?.["model"];
  return typeof model === "object" && model !== null;
}

function parseConfig(text: string, origin: string): RunConfig {
  const config = parseLine(text);
  if (!isConfig(config)) throw new Error(`${origin} is damaged: it is not the JSON that a run writes`);
  return config;
}

/** Says in one line that a folder cannot be written, and the system's reason. */
async function writing<T>(dir: string, advice: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof TakenOverError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`cannot write into ${dir} (${reason}): ${advice}`, { cause });
  }
}
