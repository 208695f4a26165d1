// What train.js answers to everyday mistakes, found without a process or a device.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Output } from "../../cli/commands/shared/output.ts";
import { trainCommand } from "../../cli/commands/train/flags.ts";
import { refuseAmongImages } from "../../cli/commands/train/out.ts";
import { describeParameters, warnOfStem, type Settings } from "../../cli/commands/train/settings.ts";
import { EpochTable } from "../../cli/commands/train/table.ts";
import { refuseTooLarge } from "../../cli/commands/train/too-large.ts";
import { tuneKernels } from "../../cli/commands/train/tune.ts";
import { KernelChoices, type Device, type TuneOptions } from "../../engine/index.ts";
import { resnet8 } from "../../nn/index.ts";
import type { DeviceDataset, EpochReport, Trainer } from "../../training/index.ts";
import { temporaryFolder } from "../training/data/fixtures.ts";
import { trainFlags } from "./train-flags.ts";

const root = temporaryFolder();

function fakeOutput(): { output: Output; lines: string[] } {
  const lines: string[] = [];
  const note = (line: string): void => void lines.push(line);
  return { output: { json: false, bar: null, note, warn: note } as unknown as Output, lines };
}

/** What the command line is answered. */
function answer(...typed: string[]): string {
  let text = "";
  const command = trainCommand().configureOutput({ writeErr: (part) => void (text += part) });
  expect(() => command.parse(typed, { from: "user" })).toThrow();
  return text.trim();
}

describe("flags", () => {
  it.each([
    ["--learning-rate 0.1", "it is --lr here"],
    ["--learning_rate=0.1", "it is --lr here"],
    ["--wd 0.1", "it is --weight-decay here"],
    ["-b 64", "it is --batch-size here"],
    ["--amp", "it is --precision mixed here"],
    ["--pretrained", "it is --init FILE here"],
    ["--num-classes 3", "it is --classes here"],
    ["--warmup-epochs 5", "it is --schedule linear:total_iters=5+cosine here, of 5 epochs"],
    ["--no-augment", "it is --augment none here"],
    ["--workers 4", "leave it out, the images of --data are decoded once, on all cores"],
    ["--frobnicate", "see --help"],
  ])("of other tools: %s", (typed, advice) => {
    const words = typed.split(" ");
    expect(answer(...words)).toBe(`train: unknown option '${words[0]}': ${advice}`);
  });

  it("do not take the next flag for their value", () => {
    expect(() => trainFlags("--out", "--no-report")).toThrow(/^--out needs a value, got the flag --no-report$/);
    expect(() => trainFlags("--lr", "--json")).toThrow(/^--lr needs a value, got the flag --json$/);
    expect(trainFlags("--out", "-x").out).toBe("-x");
  });
});

describe("a --config file", () => {
  const read = (text: string): ReturnType<typeof trainFlags> => {
    const file = join(root, "flags.json");
    writeFileSync(file, text);
    return trainFlags("--config", file);
  };

  it("that is not JSON is told where", () => {
    expect(() => read('{\n  "epochs": 3,\n}')).toThrow(/flags\.json is not JSON: line 3, column 1: \S/);
    expect(() => read('{"epochs": tru}')).toThrow(/flags\.json is not JSON: \S.*[^\n]$/);
    expect(() => read("[1]")).toThrow(/flags\.json is not a JSON object, as in /);
  });

  it("has one near name suggested, or all", () => {
    expect(() => read('{"batch_size": 8}')).toThrow(/unknown flag "batch_size"; did you mean "batchSize"\?$/);
    expect(() => read('{"zzzzz": 8}')).toThrow(/unknown flag "zzzzz" \(known: data, .*\)$/);
  });

  it("may write flags as the command line does, or as config.json", () => {
    expect(read('{"noReport": true, "batchSize": 8}')).toMatchObject({ report: false, batchSize: 8 });
    expect(read('{"no-report": true, "--batch-size": 8}')).toMatchObject({ report: false, batchSize: 8 });
  });
});

describe("a run among the images", () => {
  const [plain, parted] = ["plain", "parted"].map((name) => join(root, name));
  for (const kind of ["ant", "bee"]) {
    mkdirSync(join(plain, kind), { recursive: true });
    for (const part of ["train", "test"]) mkdirSync(join(parted, part, kind), { recursive: true });
  }

  it.each([
    [plain, plain],
    [plain, join(plain, "runs", "a")],
    [parted, join(parted, "train", "a")],
  ])("of %s is refused in %s", async (data, out) => {
    const words = `a run in ${out} would lie among the images of ${data}, as if it were a class`;
    await expect(refuseAmongImages({ data, out })).rejects.toThrow(words);
  });

  it.each([
    [plain, join(root, "runs")],
    [plain, join(plain, ".runs")],
    [plain, `${plain}-runs`],
    [parted, parted],
    [parted, join(parted, "runs", "a")],
    ["shapes", "shapes/a"],
  ])("of %s is none in %s", async (data, out) => {
    await expect(refuseAmongImages({ data, out })).resolves.toBeUndefined();
  });
});

describe("a batch that is too large", () => {
  const refuse = (fits: number, batchSize = 5000): Promise<void> => {
    const stepBytes = (_: DeviceDataset, images: number): number => {
      if (images > fits) throw new Error("conv2d: y needs a binding");
      return images;
    };
    const trainer = { batchSize, stepImages: 2 * batchSize, stepBytes } as unknown as Trainer;
    return refuseTooLarge({} as Device, trainer, { count: 100_000 } as DeviceDataset);
  };

  it("is refused with one that fits", async () => {
    await expect(refuse(600)).rejects.toThrow("--batch-size 5000 is too much for this adapter: 512 fits");
    await expect(refuse(512, 1024)).rejects.toThrow("--batch-size 1024 is too much for this adapter: 512 fits");
    await expect(refuse(1)).rejects.toThrow("1 fits");
    await expect(refuse(0)).rejects.toThrow("conv2d: y needs a binding");
    await expect(refuse(10_000)).resolves.toBeUndefined();
  });

  it("is refused where the memory is missing", async () => {
    const canAllocate = (bytes: number): Promise<boolean> => Promise.resolve(bytes <= 2 ** 30);
    const device = { info: { software: false }, canAllocate } as unknown as Device;
    const trainer = { batchSize: 64, stepImages: 64, stepBytes: (_: unknown, n: number) => n * 2 ** 26 };
    const refused = refuseTooLarge(device, trainer as unknown as Trainer, { count: 1000 } as DeviceDataset);
    await expect(refused).rejects.toThrow("--batch-size 64 is too much for this adapter: 16 fits");
  });
});

it("the stem for small images is warned of with large ones", () => {
  const { output, lines } = fakeOutput();
  for (const [stem, imageSize] of [
    ["cifar", 64],
    ["imagenet", 224],
    ["cifar", 224],
  ] as const)
    // prettier-ignore
    warnOfStem({ stem, imageSize } as Settings, output);
  expect(lines).toEqual([
    "the cifar stem is for about 32 pixels: --stem imagenet for 224, with resnet18, resnet34 or resnet50",
  ]);
});

it("parameters that are frozen are not counted as trained", () => {
  const model = resnet8();
  expect(describeParameters(model)).toBe("78,042 parameters");
  for (const [name, parameter] of model.namedParameters()) parameter.requiresGrad = name.startsWith("fc.");
  expect(describeParameters(model)).toBe("78,042 parameters, 650 of them trained");
});

it("an epoch of which nothing was left to train has no speed", () => {
  const report: EpochReport = { epoch: 2, lr: 0.1, trainLoss: 1, trainAccuracy: 0.5, testLoss: 1, testAccuracy: 0.5, seconds: 0.3, imagesPerSecond: 0 }; // prettier-ignore
  expect(new EpochTable({ validation: false }).row(report)).toMatch(/ 0\.3 +-$/);
});

it("tuning says what it does before the first measurement, once", async () => {
  const { output, lines } = fakeOutput();
  const tune = (_: DeviceDataset, { onProgress }: TuneOptions): Promise<number> => {
    onProgress?.(0, 2);
    expect(lines).toHaveLength(1);
    onProgress?.(1, 2);
    return Promise.resolve(2);
  };
  const info = { vendor: "acme", architecture: "", name: "no such GPU", description: "driver 1.0" };
  const device = { info, family: "workgroup", choices: new KernelChoices() } as unknown as Device;
  await tuneKernels(device, { tune } as unknown as Trainer, null as never, null, output);
  expect(lines).toEqual([
    "tuning  measuring kernels, once for these shapes on this adapter",
    expect.stringMatching(/^tuning {2}2 kernels measured in /),
  ]);
});
