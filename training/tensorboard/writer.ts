// Event files that TensorBoard reads: `tensorboard --logdir FOLDER`.
import { files } from "#files";
import { decodeEvent, encodeEvent, type SummaryValue, type TensorBoardEvent } from "./event.ts";
import { histogramOf } from "./histogram.ts";
import { frameRecord, readRecords } from "./record.ts";

/** TensorBoard merges the files of a folder in the order of their names, and takes any with "tfevents" in it. */
const NAME = /^events\.out\.tfevents\.(\d{10})\.kiln$/;
const nameOf = (seconds: number): string => `events.out.tfevents.${String(seconds).padStart(10, "0")}.kiln`;
const VERSION = "brain.Event:2";
const SESSION_START = 1;
const RGB = 3;
const DT_STRING = 7;
/** Bytes that wait before they are written. */
const BUFFERED = 1 << 16;

const wallTime = (): number => Date.now() / 1000;

/** Which events of an interrupted run to keep. */
export interface Resume {
  /** Steps done: the new file says that a session starts here, and a TensorBoard that is open forgets what came later. */
  readonly step: number;
  readonly keeps: (step: number, tag: string) => boolean;
}

/** Writes one event file. Values wait in memory until `flush` or until there are many; steps count from 0. */
export class TensorBoardWriter {
  readonly path: string;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Starts a new event file in `folder`, which is made where it is missing. With `resume` the files that are there are cut back first:
   * only what `keeps` says stays, so nothing appears twice.
   */
  static async open(folder: string, resume?: Resume): Promise<TensorBoardWriter> {
    const path = files.absolute(folder);
    await files.makeDirectory(path);
    const held = (await files.list(path)).map(({ name }) => NAME.exec(name)).filter((match) => match !== null);
    if (resume) for (const [name] of held) await cutBack(`${path}/${name}`, resume);
    const latest = Math.max(0, ...held.map(([, seconds]) => Number(seconds)));
    const writer = new TensorBoardWriter(`${path}/${nameOf(Math.max(latest + 1, Math.floor(wallTime())))}`);
    writer.#write({ wallTime: wallTime(), fileVersion: VERSION });
    if (resume) writer.#write({ wallTime: wallTime(), step: resume.step, sessionLog: { status: SESSION_START } });
    await writer.flush();
    return writer;
  }

  /** One number, stored as f32. Tags are grouped by what stands before their first slash. */
  scalar(tag: string, value: number, step: number): void {
    this.#add(step, { tag, simpleValue: value });
  }

  /** Several numbers of one step by their tags, in one record. */
  scalars(values: Readonly<Record<string, number>>, step: number): void {
    this.#add(step, ...Object.entries(values).map(([tag, simpleValue]) => ({ tag, simpleValue })));
  }

  /** A PNG of `width` x `height`. */
  image(tag: string, png: Uint8Array, width: number, height: number, step: number): void {
    this.#add(step, { tag, image: { height, width, colorspace: RGB, encodedImageString: png } });
  }

  /** The distribution of `values`; nothing where none of them is finite. */
  histogram(tag: string, values: ArrayLike<number>, step: number): void {
    const histo = histogramOf(values);
    if (histo) this.#add(step, { tag, histo });
  }

  /** Text, shown as Markdown. */
  text(tag: string, text: string, step: number): void {
    const stringVal = [new TextEncoder().encode(text)];
    const tensor = { dtype: DT_STRING, tensorShape: { dim: [{ size: 1 }] }, stringVal };
    this.#add(step, { tag, tensor, metadata: { pluginData: { pluginName: "text" } } });
  }

  /** Whether enough waits that it should be flushed. */
  get full(): boolean {
    return this.#bytes >= BUFFERED;
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    if (this.#parts.length === 0) return;
    const bytes = joined(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    try {
      await files.appendBytes(this.path, bytes);
    } catch (cause) {
      throw new Error(`cannot write ${this.path} (${(cause as Error).message}): make room there`, { cause });
    }
  }

  /** Writes what waits; the file needs no other ending. */
  close(): Promise<void> {
    return this.flush();
  }

  #add(step: number, ...value: SummaryValue[]): void {
    this.#write({ wallTime: wallTime(), step, summary: { value } });
  }

  #write(event: TensorBoardEvent): void {
    const record = frameRecord(encodeEvent(event));
    this.#parts.push(record);
    this.#bytes += record.length;
  }
}

/** Takes out of a file what `keeps` refuses, and a last record that was cut off when the run was killed. */
async function cutBack(path: string, { keeps }: Resume): Promise<void> {
  const file = await files.read(path);
  const kept: Uint8Array[] = [];
  for (const record of readRecords(file)) {
    const { step = 0, summary } = decodeEvent(record);
    if (!summary || summary.value.every(({ tag }) => keeps(step, tag))) kept.push(frameRecord(record));
  }
  const bytes = joined(kept);
  if (bytes.length !== file.length) await files.writeAtomic(path, bytes);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
