import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KernelChoices, type Device } from "../../engine/index.ts";
import {
  exportWeights,
  readCheckpoint,
  readSafetensors,
  resnet8,
  writeSafetensors,
  type ExportInfo,
  type ResNet,
} from "../../nn/index.ts";
import {
  Adam,
  createRunFolder,
  environment,
  openRunFolder,
  restoreTrainer,
  SGD,
  Trainer,
  type EpochEvent,
  type Position,
  type TrainerOptions,
} from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { temporaryFolder } from "./data/fixtures.ts";

const root = temporaryFolder();
const info: ExportInfo = {
  name: "resnet8",
  stem: "cifar",
  classes: 10,
  imageSize: 32,
  mean: [0.5, 0.5, 0.5],
  std: [0.2, 0.2, 0.2],
};
let device: Device;
let model: ResNet;
let trainer: Trainer;
let folders = 0;
const fresh = (): string => join(root, `run${folders++}`);

beforeAll(async () => {
  device = await testDevice();
  model = resnet8({ classes: 10, seed: 5 });
  trainer = new Trainer({
    model,
    optimizer: new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 }),
    batchSize: 8,
    seed: 3,
  });
});
afterAll(() => {
  trainer.optimizer.dispose();
  model.dispose();
});

const at = (step: number, epoch: number): Position => ({
  step,
  epoch,
  running: { steps: 0, samples: 0, loss: 0, correct: 0 },
});
const epochEvent = (epoch: number, testAccuracy: number, validationAccuracy?: number): EpochEvent => ({
  type: "epoch",
  report: {
    epoch,
    lr: 0.1,
    trainLoss: 1 / 3,
    trainAccuracy: 0.5,
    testLoss: 2 / 3,
    testAccuracy,
    seconds: 1.5,
    imagesPerSecond: 10,
    ...(validationAccuracy === undefined ? {} : { validationLoss: 1, validationAccuracy }),
  },
  position: at(epoch * 10, epoch),
});

/** A folder with one saved epoch. */
async function savedRun(): Promise<string> {
  const dir = fresh();
  const folder = await createRunFolder(dir, { model: info });
  await folder.record(epochEvent(1, 0.25));
  await folder.saveState(trainer, at(10, 1));
  return dir;
}

describe("createRunFolder", () => {
  it("writes the settings as given, and the files of DESIGN 5", async () => {
    const dir = join(fresh(), "below");
    const config = { model: info, lr: 0.1, epochs: 3, ...environment(device) };
    const folder = await createRunFolder(dir, config);
    expect(JSON.parse(readFileSync(join(dir, "config.json"), "utf8"))).toEqual(JSON.parse(JSON.stringify(config)));
    expect([config.kernelFamily, config.winograd]).toEqual([device.family, device.winograd]);
    await folder.record({ type: "step", step: 0, epoch: 1, lr: 0.1 / 3, momentum: 0.9, loss: 1 / 7 });
    await folder.record(epochEvent(1, 0.25));
    const step = readFileSync(join(dir, "steps.jsonl"), "utf8");
    expect(step).toBe('{"step":0,"epoch":1,"lr":0.03333333333333333,"momentum":0.9,"loss":0.14285714285714285}\n');
    const line = JSON.parse(readFileSync(join(dir, "metrics.jsonl"), "utf8")) as object;
    expect(Object.keys(line)).toEqual(
      "epoch lr trainLoss trainAccuracy testLoss testAccuracy seconds imagesPerSecond".split(" "),
    );
  });

  it("records the kernels that were measured before, whether or not an op has used them", () => {
    const choices = new KernelChoices();
    const variants = ["a", "b"] as const;
    const choice = { op: "op", variants, fixed: "a", flops: 1, inputs: [], run: () => undefined } as const;
    choices.choose({ ...choice, shape: "whole" });
    choices.choose({ ...choice, shape: "measured" });
    choices.load({ "op measured": "b", "op rest": "b" });
    const { kernels } = environment({ choices } as unknown as Device);
    expect(kernels).toEqual({ "op whole": "a", "op measured": "b", "op rest": "b" });
    const resumed = new KernelChoices();
    resumed.load(kernels);
    for (const shape of ["whole", "measured", "rest"]) {
      expect(resumed.choose({ ...choice, shape })).toBe(choices.choose({ ...choice, shape }));
    }
  });

  it("refuses the folder of another run and changes nothing there", async () => {
    const dir = await savedRun();
    const before = readFileSync(join(dir, "config.json"));
    const text = `${dir} holds another run (config.json): choose another --out, or continue it with --resume ${dir}`;
    await expect(createRunFolder(dir, { model: info, lr: 7 })).rejects.toThrow(text);
    expect(readFileSync(join(dir, "config.json"))).toEqual(before);
  });

  it("says nothing of resuming where that is not possible", async () => {
    for (const [name, advice] of [
      ["best.safetensors", ""],
      ["steps.jsonl", ", or remove the folder if that run is over: it has saved nothing"],
    ]) {
      const dir = fresh();
      mkdirSync(dir);
      writeFileSync(join(dir, name), "");
      await expect(createRunFolder(dir, { model: info })).rejects.toThrow(
        new Error(`${dir} holds another run (${name}): choose another --out${advice}`),
      );
    }
  });

  it("leaves a run alone that has saved nothing: it may be in its first epoch", async () => {
    const dir = fresh();
    const begun = await createRunFolder(dir, { model: info, lr: 7 });
    await begun.record(epochEvent(1, 0.25));
    const attempt = createRunFolder(dir, { model: info });
    await expect(attempt).rejects.toThrow("or remove the folder if that run is over: it has saved nothing");
    expect(JSON.parse(readFileSync(join(dir, "config.json"), "utf8"))).toMatchObject({ lr: 7 });
  });

  it("takes an empty folder and one with other files", async () => {
    const dir = fresh();
    mkdirSync(dir);
    writeFileSync(join(dir, "notes.txt"), "mine");
    await createRunFolder(dir, { model: info });
    expect(readFileSync(join(dir, "notes.txt"), "utf8")).toBe("mine");
  });

  it("says in one line that it cannot write", async () => {
    const file = fresh();
    writeFileSync(file, "");
    await expect(createRunFolder(file, { model: info })).rejects.toThrow(`${file} is a file, not a folder`);
    const below = join(file, "run");
    const error = await createRunFolder(below, { model: info }).catch((cause: unknown) => cause as Error);
    expect((error as Error).message).toMatch(
      /^cannot write into .*run \(.*\): make it writable or choose another --out$/,
    );
  });
});

describe("saveState", () => {
  it("says where it cannot write how the run goes on", async () => {
    const dir = await savedRun();
    const folder = await openRunFolder(dir);
    await folder.cutBack();
    rmSync(join(dir, "last.safetensors"));
    mkdirSync(join(dir, "last.safetensors"));
    const message = await folder.saveState(trainer, at(20, 2)).catch((error: unknown) => (error as Error).message);
    expect(message).toContain(`cannot write into ${dir} (`);
    expect(message).toContain(`then --resume ${dir} goes on from step 10`);
  });

  it("exports the last weights and those of the best epoch, the first of equal ones", async () => {
    const dir = fresh();
    const folder = await createRunFolder(dir, { model: info });
    const read = (name: string): Buffer => readFileSync(join(dir, name));
    const bias = await model.fc.bias!.data();
    for (const [epoch, accuracy, best] of [
      [1, 0.25, 1],
      [2, 0.5, 2],
      [3, 0.5, 2],
      [4, 0.4, 2],
    ] as const) {
      model.fc.bias!.write(bias.map(() => epoch));
      const before = existsSync(join(dir, "best.safetensors")) ? read("best.safetensors") : null;
      await folder.record(epochEvent(epoch, accuracy));
      await folder.saveState(trainer, at(epoch * 10, epoch));
      expect(folder.best).toEqual({ epoch: best, accuracy: best === 1 ? 0.25 : 0.5 });
      expect(read("last.safetensors").equals(await exportWeights(model, info))).toBe(true);
      expect(read("best.safetensors").equals(best === epoch ? read("last.safetensors") : before!)).toBe(true);
    }
    model.fc.bias!.write(bias);
    const { metadata, tensors } = readCheckpoint(read("best.safetensors"), "best");
    expect(metadata.model).toEqual({ name: "resnet8", stem: "cifar", classes: 10, imageSize: 32 });
    expect(metadata.mean).toEqual(info.mean);
    expect(tensors.get("layer2.0.downsample.0.weight")?.shape).toEqual([32, 16, 1, 1]);
    expect(tensors.get("bn1.num_batches_tracked")?.dtype).toBe("I64");
  });

  it("chooses by the images held out where there are such", async () => {
    const folder = await createRunFolder(fresh(), { model: info });
    await folder.record(epochEvent(1, 0.2, 0.9));
    await folder.record(epochEvent(2, 0.8, 0.3));
    expect(folder.best).toEqual({ epoch: 1, accuracy: 0.9 });
  });

  it("does not save weights that are lost", async () => {
    const dir = await savedRun();
    const before = readFileSync(join(dir, "state.safetensors"));
    const folder = await openRunFolder(dir);
    const bias = await model.fc.bias!.data();
    model.fc.bias!.write(bias.map((value, i) => (i === 3 ? NaN : value)));
    await expect(folder.saveState(trainer, at(20, 2))).rejects.toThrow("fc.bias is not finite after step 20");
    model.fc.bias!.write(bias);
    expect(readFileSync(join(dir, "state.safetensors")).equals(before)).toBe(true);
  });
});

describe("openRunFolder", () => {
  const state = (dir: string): string => join(dir, "state.safetensors");

  it("continues with the best epoch so far", async () => {
    const folder = await openRunFolder(await savedRun());
    expect(folder.best).toEqual({ epoch: 1, accuracy: 0.25 });
    expect(folder.state!.position).toEqual(at(10, 1));
    expect(folder.config.model).toEqual(info);
  });

  it("lets one of two processes go on", async () => {
    const dir = await savedRun();
    const [one, other] = [await openRunFolder(dir), await openRunFolder(dir)];
    const epochs = (): number[] => {
      const lines = readFileSync(join(dir, "metrics.jsonl"), "utf8").trimEnd().split("\n");
      return lines.map((line) => (JSON.parse(line) as { epoch: number }).epoch);
    };
    const message = `another process continues the run in ${dir}: this one stops, and nothing is lost`;
    await one.cutBack();
    await other.cutBack();
    await one.record(epochEvent(2, 0.5));
    await expect(other.record(epochEvent(2, 0.5))).rejects.toThrow(message);
    await one.record(epochEvent(3, 0.75));
    expect(epochs()).toEqual([1, 2, 3]);
    // A third one goes back to what was saved, and has the folder from then on.
    const third = await openRunFolder(dir);
    await third.record(epochEvent(2, 0.5));
    await expect(one.record(epochEvent(4, 0.75))).rejects.toThrow(message);
    await third.record(epochEvent(3, 0.75));
    expect(epochs()).toEqual([1, 2, 3]);
  });

  it("says what is missing or damaged", async () => {
    await expect(openRunFolder(join(root, "nowhere"))).rejects.toThrow(/^there is no folder .*nowhere: give --resume/);
    const empty = fresh();
    mkdirSync(empty);
    await expect(openRunFolder(empty)).rejects.toThrow("holds no run (it has no config.json)");
    const unsaved = fresh();
    await createRunFolder(unsaved, { model: info });
    await expect(openRunFolder(unsaved)).rejects.toThrow("ended before anything was saved");
    const cut = await savedRun();
    writeFileSync(state(cut), readFileSync(state(cut)).subarray(0, 50_000));
    await expect(openRunFolder(cut)).rejects.toThrow(/state\.safetensors is cut/);
    const weights = await savedRun();
    writeFileSync(state(weights), readFileSync(join(weights, "last.safetensors")));
    await expect(openRunFolder(weights)).rejects.toThrow("holds weights, not the state of a run");
    const broken = await savedRun();
    writeFileSync(join(broken, "config.json"), "{");
    await expect(openRunFolder(broken)).rejects.toThrow("config.json is damaged");
  });

  it("refuses a state of another version and one that makes no sense", async () => {
    const dir = await savedRun();
    const { tensors, metadata } = readSafetensors(readFileSync(state(dir)), "state");
    const rewrite = (change: object): void => {
      const text = JSON.stringify({ ...(JSON.parse(metadata["kiln.state"]) as object), ...change });
      writeFileSync(state(dir), writeSafetensors(tensors, { "kiln.state": text }));
    };
    rewrite({ version: 99 });
    await expect(openRunFolder(dir)).rejects.toThrow("is a state of version 99, this Kiln reads 1");
    rewrite({ position: { step: -1 } });
    await expect(openRunFolder(dir)).rejects.toThrow("is damaged");
  });

  it("refuses a trainer of another making", async () => {
    const saved = (await openRunFolder(await savedRun())).state!;
    const attempt = (options: Partial<TrainerOptions>): void => {
      const optimizer = options.optimizer ?? new SGD((options.model ?? model).parameters(), { lr: 0.1, momentum: 0.9 });
      try {
        restoreTrainer(new Trainer({ model, batchSize: 8, seed: 3, ...options, optimizer }), saved);
      } finally {
        optimizer.dispose();
      }
    };
    expect(() => attempt({ batchSize: 4 })).toThrow("was saved with batch size 8, not 4");
    expect(() => attempt({ seed: 4 })).toThrow("was saved with seed 3, not 4");
    using wide = resnet8({ classes: 7 });
    expect(() => attempt({ model: wide })).toThrow(/"fc\.(weight|bias)" is .* in the file, .* in the model/);
    expect(() => attempt({ optimizer: new Adam(resnet8().parameters()) })).toThrow("the optimizer SGD, not Adam");
  });
});
