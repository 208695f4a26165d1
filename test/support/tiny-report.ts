// A small run with its report, for tests of what was written.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { resnet8 } from "../../nn/index.ts";
import {
  createRunFolder,
  DeviceDataset,
  environment,
  oneCycle,
  SGD,
  Trainer,
  type Dataset,
  type ImageSet,
} from "../../training/index.ts";
import { writeReport } from "../../training/report/report.ts";
import { testDevice } from "./gpu.ts";
import { testImages, trainImages } from "./tiny-data.ts";

/** Names that would be tags and attributes if nobody escaped them. */
export const EVIL_CLASS = `<img src=x onerror="alert(1)">&amp;'`;

/** The built-in images with one class renamed. Dispose of it. */
export function tinyDataset(classes: readonly string[], train: ImageSet, test: ImageSet): Dataset {
  const info = { classes, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } as const;
  const parts = { train: new DeviceDataset(train, info), test: new DeviceDataset(test, info) };
  const dispose = (): void => Object.values(parts).forEach((part) => part.dispose());
  return { name: "tiny <shapes>", ...info, ...parts, dispose, [Symbol.dispose]: dispose };
}

/** Trains two epochs of three steps into `dir`, and writes the report; returns its text and the names of the files. */
export async function tinyReport(dir: string): Promise<{ html: string; names: readonly string[] }> {
  const device = await testDevice();
  const classes = [EVIL_CLASS, "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii", "jj"];
  using data = tinyDataset(classes, trainImages(24), testImages(20));
  const model = resnet8({ classes: 10, seed: 5 });
  const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
  const trainer = new Trainer({ model, optimizer, batchSize: 8, seed: 3 });
  try {
    const info = {
      name: "resnet8",
      stem: "cifar",
      classes: 10,
      imageSize: 32,
      mean: data.mean,
      std: data.std,
    } as const;
    const settings = { seed: 3, augment: "pad-crop:4,flip", lr: 0.05 };
    const folder = await createRunFolder(dir, { model: info, settings, ...environment(device) });
    const schedule = oneCycle({ maxLr: 0.05, totalSteps: 6 });
    for await (const event of trainer.fit(data.train, { epochs: 2, schedule, validation: data.test })) {
      await folder.record(event);
    }
    await folder.flush();
    const names = await writeReport({ dir, model, data });
    return { html: readFileSync(join(dir, "report.html"), "utf8"), names };
  } finally {
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  }
}
