// `--config RUN/config.json`: the settings of a run, and which of them fit other images.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../training/data/fixtures.ts";
import { trainFlags } from "./train-flags.ts";

describe("a run's config.json", () => {
  const root = temporaryFolder();
  const photos = join(root, "photos");
  const settings = {
    data: photos,
    classes: 2,
    mean: [0.5, 0.5, 0.5],
    std: [0.2, 0.2, 0.2],
    split: 0.8,
    imageSize: 64,
    resize: "squash",
    model: "resnet8",
    epochs: 7,
    augment: "flip",
  };
  const file = join(root, "config.json");
  writeFileSync(file, JSON.stringify({ model: {}, settings }));

  it("gives all settings on the same images", () => {
    expect(trainFlags("--config", file)).toMatchObject(settings);
    expect(trainFlags("--config", file, "--data", photos, "--epochs", "3")).toMatchObject({ ...settings, epochs: 3 });
  });

  it("gives none on others that follow from its images", () => {
    const { data, classes, imageSize, resize, model, epochs, augment } = settings;
    const rest = { model, epochs, augment };
    const elsewhere = trainFlags("--config", file, "--data", `${data}-2`);
    expect(elsewhere).toMatchObject({ ...rest, imageSize, resize });
    expect(elsewhere).not.toMatchObject({ classes });
    for (const name of ["mean", "std", "split"]) expect(elsewhere).not.toHaveProperty(name);
    const builtIn = trainFlags("--config", file, "--data", "shapes", "--classes", "12");
    expect(builtIn).toMatchObject({ ...rest, classes: 12, resize: "crop" });
    expect(builtIn).not.toHaveProperty("imageSize");
  });
});
