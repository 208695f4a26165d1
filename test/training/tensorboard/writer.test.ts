import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { files } from "#files";
import { Linear } from "../../../nn/index.ts";
import type { EpochReport, Position, TrainEvent } from "../../../training/index.ts";
import { histogramOf } from "../../../training/tensorboard/histogram.ts";
import { crc32c, frameRecord, maskedCrc, readRecords } from "../../../training/tensorboard/record.ts";
import { recordRun, recordWeights, resumeAt } from "../../../training/tensorboard/run.ts";
import { TensorBoardWriter } from "../../../training/tensorboard/writer.ts";
import { testDevice } from "../../support/gpu.ts";
import { randomArr } from "../../support/random.ts";
import { temporaryFolder } from "../data/fixtures.ts";
import { double, doubles, eventsOf, field, has, part, text, valuesOf } from "./decode.ts";

const root = temporaryFolder();
const ascii = (line: string): Uint8Array => new TextEncoder().encode(line);
const filesIn = (folder: string): string[] => readdirSync(folder).map((name) => join(folder, name));
const tagsIn = (folder: string): string[] =>
  filesIn(folder).flatMap((path) => valuesOf(readFileSync(path)).map(([step, tag]) => `${step} ${tag}`));

describe("TFRecord", () => {
  it("has CRC-32C's published check values", () => {
    expect(crc32c(ascii("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
    expect(maskedCrc(ascii("123456789"))).toBe((((0xe3069283 >>> 15) | (0xe3069283 << 17)) + 0xa282ead8) >>> 0);
  });

  it("frames records and reads them back, up to the first damaged one", () => {
    const records = ["one", "", "three"].map(ascii);
    const file = Buffer.concat(records.map(frameRecord));
    expect([...readRecords(file)].map((record) => Buffer.from(record).toString())).toEqual(["one", "", "three"]);
    for (let cut = file.length - 21; cut < file.length; cut++) {
      expect([...readRecords(file.subarray(0, cut))]).toHaveLength(2);
    }
    for (const at of [0, 8, 13, 16]) {
      const damaged = Buffer.from(file);
      damaged[at] ^= 4;
      expect([...readRecords(damaged)], `byte ${at}`).toEqual([]);
    }
  });
});

describe("histogramOf", () => {
  it("counts every value in its bucket: limits 1e-12 * 1.1^n, zero, and their negatives", () => {
    const values = [-3, -1e-13, 0, 1e-13, 0.5, 0.5, 2.5e-12, 1e30, NaN, Infinity];
    const { bucketLimit, bucket, ...figures } = histogramOf(values)!;
    const finite = values.slice(0, 8);
    expect(figures).toEqual({
      min: -3,
      max: 1e30,
      num: 8,
      sum: finite.reduce((sum, value) => sum + value, 0),
      sumSquares: finite.reduce((sum, value) => sum + value * value, 0),
    });
    const holds = (value: number): number => bucket[bucketLimit.findIndex((limit) => limit > value)];
    expect([-3, -1e-13, 0, 0.5, 2.5e-12, 1e30].map(holds)).toEqual([1, 1, 2, 2, 1, 1]);
    expect(bucket.reduce((sum, count) => sum + count, 0)).toBe(8);
    expect(bucketLimit.at(-1)).toBe(Number.MAX_VALUE);
    expect([bucket[0], bucket.at(-1)]).toEqual([1, 1]);
    // Two empty buckets never stand side by side.
    expect(bucket.some((count, i) => i > 0 && count === 0 && bucket[i - 1] === 0)).toBe(false);
  });

  it("agrees with a search of the limits for values of all sizes, and on the limits themselves", () => {
    const limits = [1e-12];
    while (limits.at(-1)! * 1.1 < 1e20) limits.push(limits.at(-1)! * 1.1);
    const all = [...limits.map((limit) => -limit).reverse(), 0, ...limits];
    for (const value of [...all, ...all.map((limit) => limit * 1.03), 1e-300, -1e-300, -1e25]) {
      const upper = all.find((limit) => limit > value) ?? Number.MAX_VALUE;
      const { bucketLimit, bucket } = histogramOf([value])!;
      expect([bucketLimit, bucket], String(value)).toEqual([[upper], [1]]);
    }
  });

  it("is null without a finite value", () => {
    expect(histogramOf([NaN, Infinity])).toBeNull();
    expect(histogramOf([])).toBeNull();
  });
});

describe("TensorBoardWriter", () => {
  it("writes scalars, images, histograms and text that an independent reader finds", async () => {
    const folder = join(root, "all");
    const writer = await TensorBoardWriter.open(folder);
    const values = randomArr([100], 3).data;
    const png = Uint8Array.of(0x89, 0x50, 0, 255);
    writer.scalar("loss/train", 1.5, 7);
    writer.image("samples", png, 40, 30, 2 ** 33);
    writer.histogram("weights/fc", values, 8);
    writer.histogram("weights/none", [NaN], 8);
    writer.text("config", "größe **1**", 0);
    await writer.close();

    const [path] = filesIn(folder);
    expect(path).toMatch(/events\.out\.tfevents\.\d{10}\.kiln$/);
    const file = readFileSync(path);
    const [version] = eventsOf(file);
    expect(text(version, 3)).toBe("brain.Event:2");
    expect(Math.abs(double(version, 1) - Date.now() / 1000)).toBeLessThan(60);
    const [scalar, image, histogram, note, ...rest] = valuesOf(file);
    expect(rest).toEqual([]);
    expect(scalar.slice(0, 2)).toEqual([7, "loss/train"]);
    expect(part(scalar[2], 2).readFloatLE()).toBe(1.5);
    expect(image.slice(0, 2)).toEqual([2 ** 33, "samples"]);
    const [height, width, colorspace] = [1, 2, 3].map((id) => field(part(image[2], 4), id).varint);
    expect({ height, width, colorspace }).toEqual({ height: 30, width: 40, colorspace: 3 });
    expect(part(image[2], 4, 4).equals(png)).toBe(true);
    const histo = part(histogram[2], 5);
    expect([double(histo, 1), double(histo, 2)]).toEqual([Math.min(...values), Math.max(...values)]);
    expect(double(histo, 3)).toBe(100);
    expect(double(histo, 4)).toBeCloseTo(values.reduce((sum, value) => sum + value, 0));
    expect(double(histo, 5)).toBeCloseTo(values.reduce((sum, value) => sum + value * value, 0));
    const [limits, counts] = [doubles(histo, 6), doubles(histo, 7)];
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(100);
    limits.forEach((limit, i) => {
      const below = values.filter((value) => value < limit && value >= (limits[i - 1] ?? -Infinity)).length;
      expect(counts[i]).toBe(below);
    });
    expect(note.slice(0, 2)).toEqual([0, "config"]);
    expect(field(part(note[2], 8), 1).varint).toBe(7);
    expect(field(part(note[2], 8, 2, 2), 1).varint).toBe(1);
    expect(text(note[2], 8, 8)).toBe("größe **1**");
    expect(text(note[2], 9, 1, 1)).toBe("text");
  });

  it("starts a file of its own each time, its name after the others", async () => {
    const folder = join(root, "again");
    const paths = [];
    for (let i = 0; i < 3; i++) paths.push((await TensorBoardWriter.open(folder)).path);
    expect(new Set(paths).size).toBe(3);
    expect([...paths].sort()).toEqual(paths);
  });
});

const sums = (steps: number): Position["running"] => ({ steps, samples: steps, loss: 1, correct: 0 });
const stepEvent = (step: number): TrainEvent => ({
  type: "step",
  step,
  epoch: 1 + Math.floor(step / 3),
  lr: 0.1,
  momentum: 0.9,
  loss: 2 - step / 10,
});
const report = (epoch: number): EpochReport => ({
  epoch,
  lr: 0.1,
  trainLoss: 1.25,
  trainAccuracy: 0.5,
  testLoss: null,
  testAccuracy: null,
  validationLoss: 1.75,
  validationAccuracy: 0.25,
  seconds: 1,
  imagesPerSecond: 64,
});
const epochEvent = (epoch: number): TrainEvent => ({
  type: "epoch",
  report: report(epoch),
  position: { step: epoch * 3, epoch, running: sums(0) },
});

describe("a run", () => {
  beforeAll(testDevice);

  it("becomes figures of steps and epochs on one axis; what there is not is left out", async () => {
    const folder = join(root, "run");
    const writer = await TensorBoardWriter.open(folder);
    for (const event of [stepEvent(0), stepEvent(1), stepEvent(2), epochEvent(1)]) await recordRun(writer, event);
    const model = new Linear(3, 2);
    await recordWeights(writer, model, { step: 3, epoch: 1, running: sums(0) });
    const values = valuesOf(readFileSync(writer.path));
    const scalars = values.filter(([, , value]) => has(value, 2));
    expect(scalars.map(([step, tag, value]) => [step, tag, part(value, 2).readFloatLE()])).toEqual([
      ...[0, 1, 2].flatMap((step) => [
        [step, "step/loss", Math.fround(2 - step / 10)],
        [step, "step/lr", Math.fround(0.1)],
        [step, "step/momentum", Math.fround(0.9)],
      ]),
      [2, "loss/train", 1.25],
      [2, "loss/validation", 1.75],
      [2, "accuracy/train", 0.5],
      [2, "accuracy/validation", 0.25],
      [2, "epoch/number", 1],
      [2, "epoch/images per second", 64],
    ]);
    const histograms = values.filter(([, , value]) => has(value, 5));
    expect(histograms.map(([step, tag]) => `${step} ${tag}`)).toEqual(["2 weights/weight", "2 weights/bias"]);
    expect(double(part(histograms[0][2], 5), 3)).toBe(6);
    model.dispose();
  });

  it.each([
    // Killed in the second epoch, which was saved after its first step; and after its evaluation, saved before it.
    { saved: { step: 4, epoch: 1, running: sums(1) }, steps: 4, epochs: 1 },
    { saved: { step: 6, epoch: 1, running: sums(3) }, steps: 6, epochs: 1 },
    { saved: { step: 6, epoch: 2, running: sums(0) }, steps: 6, epochs: 2 },
    { saved: { step: 1, epoch: 0, running: sums(1) }, steps: 1, epochs: 0 },
  ])("resumed at step $saved.step of epoch $saved.epoch has nothing twice", async ({ saved, steps, epochs }) => {
    const folder = join(root, `resumed-${saved.step}-${saved.epoch}`);
    const killed = await TensorBoardWriter.open(folder);
    killed.text("config", "settings", 0);
    for (let step = 0; step < 8; step++) {
      await recordRun(killed, stepEvent(step));
      if (step % 3 === 2) await recordRun(killed, epochEvent((step + 1) / 3));
    }
    killed.scalar("report/confusion", 1, saved.step - 1); // made again when the run is over
    await killed.flush();
    await files.appendBytes(killed.path, Uint8Array.of(9, 0, 0, 0));

    const resumed = await TensorBoardWriter.open(folder, resumeAt(saved));
    const kept = tagsIn(folder);
    expect(kept.filter((line) => line.endsWith(" step/loss"))).toHaveLength(steps);
    expect(kept.filter((line) => line.endsWith(" loss/train"))).toHaveLength(epochs);
    expect(kept).toContain("0 config");
    expect(kept.filter((line) => line.includes("report/"))).toEqual([]);
    for (let step = saved.step; step < 9; step++) await recordRun(resumed, stepEvent(step));
    for (let epoch = saved.epoch + 1; epoch <= 3; epoch++) await recordRun(resumed, epochEvent(epoch));
    const all = tagsIn(folder);
    expect(new Set(all).size).toBe(all.length);
    expect(all.filter((line) => line.endsWith(" step/loss"))).toHaveLength(9);
    expect(all.filter((line) => line.endsWith(" loss/train"))).toHaveLength(3);
    // The new file says where it starts, for a TensorBoard that has read the old one.
    const [, start] = eventsOf(readFileSync(resumed.path));
    expect([field(start, 2).varint, field(part(start, 7), 1).varint]).toEqual([saved.step, 1]);
  });
});
