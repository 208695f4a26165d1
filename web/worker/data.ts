// Images: loading them, and showing them.
import { classCounts, defaultAugment, loadRaw, toDevice, type RawDataset } from "../../training/index.ts";
import type { DataLimits, DataReport } from "../protocol.ts";
import type { State } from "./state.ts";

export function dataCalls(state: State) {
  return {
    async loadShapes(limits: DataLimits = {}): Promise<DataReport> {
      return takeData(state, await loadRaw("shapes", limits));
    },
  };
}

/** Puts images onto the device, in place of those before. */
export function takeData(state: State, raw: RawDataset, warnings: readonly string[] = []): DataReport {
  if (state.working) throw new Error("a training is under way: press Stop first");
  const data = toDevice(raw);
  state.data?.dispose();
  state.raw = raw;
  state.data = data;
  return describeData(raw, warnings);
}

const describeData = (raw: RawDataset, warnings: readonly string[]): DataReport => ({
  name: raw.name,
  classes: raw.classes,
  imageSize: raw.train.height,
  train: raw.train.count,
  test: raw.test.count,
  counts: classCounts(raw.train, raw.classes),
  defaultAugment: defaultAugment(raw),
  warnings,
});
