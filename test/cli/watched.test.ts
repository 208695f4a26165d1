// What Ctrl-C ends: evaluating and explaining, between two batches.
import { beforeAll, describe, expect, it } from "vitest";
import { explainAll } from "../../cli/commands/explain/maps.ts";
import type { ExplainFlags } from "../../cli/commands/explain/flags.ts";
import { evaluateWatched } from "../../cli/commands/shared/evaluate.ts";
import { Output } from "../../cli/commands/shared/output.ts";
import { resnet8, type ResNet } from "../../nn/index.ts";
import { evaluate, type DeviceDataset } from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { tinyTest } from "../support/tiny-data.ts";

const output = new Output();
/** Aborts as the n-th batch is asked for. */
function counted(
  data: DeviceDataset,
  n: number,
): { images: DeviceDataset; signal: AbortSignal; batches: () => number } {
  const controller = new AbortController();
  let batches = 0;
  const note = <T>(value: T): T => {
    if (++batches === n) controller.abort();
    return value;
  };
  const images = new Proxy(data, {
    get: (target, name) => {
      if (name === "batch") return (indices: Uint32Array) => note(target.batch(indices));
      if (name === "images") return (indices: readonly number[]) => note(target.images(indices));
      return Reflect.get(target, name, target) as unknown;
    },
  });
  return { images, signal: controller.signal, batches: () => batches };
}

beforeAll(() => testDevice());

async function withModel(work: (model: ResNet, data: DeviceDataset) => Promise<void>): Promise<void> {
  using model = resnet8({ seed: 5 });
  using data = tinyTest(12);
  await work(model, data);
}

describe("evaluateWatched", () => {
  it("gives what evaluate gives, in batches of the size asked for", () =>
    withModel(async (model, data) => {
      const { images, signal, batches } = counted(data, Infinity);
      const result = await evaluateWatched(model, images, { batchSize: 5, signal }, output);
      expect(result).toEqual(await evaluate(model, data, { batchSize: 5, logits: true }));
      expect(batches()).toBe(3);
    }));

  it("ends after the batch under way", () =>
    withModel(async (model, data) => {
      const { images, signal, batches } = counted(data, 2);
      expect(await evaluateWatched(model, images, { batchSize: 5, signal }, output)).toBeNull();
      expect(batches()).toBe(2);
      expect(await evaluateWatched(model, images, { batchSize: 5, signal }, output)).toBeNull();
      expect(batches()).toBe(2);
    }));
});

describe("explainAll", () => {
  const flags = { method: "grad-cam", batchSize: 5 } as ExplainFlags;
  const subjects = Array.from({ length: 12 }, (_, index) => ({ index }));
  const visit = (): Promise<void> => Promise.resolve();

  it("tests no image where the classes are given", () =>
    withModel(async (model, data) => {
      const { images, signal, batches } = counted(data, Infinity);
      const explained = await explainAll({ model, data: images, subjects, classes: [3], signal }, flags, output, visit);
      expect(explained!.map(({ classes }) => classes)).toEqual(subjects.map(() => [3]));
      expect(batches()).toBe(3);
    }));

  it.each([1, 4])("ends after batch %i, of testing or of explaining", (n) =>
    withModel(async (model, data) => {
      const { images, signal, batches } = counted(data, n);
      const work = { model, data: images, subjects, classes: undefined, signal };
      expect(await explainAll(work, flags, output, visit)).toBeNull();
      expect(batches()).toBe(n);
    }),
  );
});
