// Training as a user does, on a few of the built-in images.
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readCheckpoint } from "../../nn/index.ts";
import { png, picture, put, temporaryFolder } from "../training/data/fixtures.ts";
import { runCli, startCli, type Finished } from "./run-cli.ts";

const cwd = temporaryFolder();
const env = { KILN_CACHE: join(cwd, "cache") };

const RECIPE = ["--model", "resnet8", "--limit", "100", "--limit-test", "40", "--batch-size", "20", "--epochs", "4"]
  .concat("--seed", "3", "--augment", "pad-crop:2,flip", "--validation", "0.2", "--clip-grad", "5")
  .concat("--label-smoothing", "0.1");
/** A report takes longer than these trainings; one test below has one. */
RECIPE.push("--no-report");
const STEPS_PER_EPOCH = 4; // of 100 images, 20 are held out: 80 / 20

const read = (path: string): Buffer => readFileSync(join(cwd, path));
const lines = (path: string): Record<string, unknown>[] =>
  read(path)
    .toString()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
/** Without what the clock decides. */
const metrics = (path: string): Record<string, unknown>[] =>
  lines(path).map((line) => ({ ...line, seconds: 0, imagesPerSecond: 0 }));
const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;
const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 20) {
    if (waited > 60_000) throw new Error(`waited in vain for ${what}`);
    await sleep(20);
  }
}

let whole: Finished;
let secondsToExit: number;
beforeAll(async () => {
  whole = await runCli("train", [...RECIPE, "--out", "whole", "--json"], { cwd, env });
  secondsToExit = (Date.now() - statSync(join(cwd, "whole/state.safetensors")).mtimeMs) / 1000;
});

describe("train", () => {
  it("writes the run folder", () => {
    expect([whole.status, whole.stderr.match(/^train:.*/m)]).toEqual([0, null]);
    const names = readdirSync(join(cwd, "whole"));
    const isEvents = (name: string): boolean => /^events\.out\.tfevents\.\d{10}\.kiln$/.test(name);
    expect(names.filter(isEvents)).toHaveLength(1);
    expect(names.filter((name) => !isEvents(name)).sort()).toEqual(
      [
        "best.safetensors",
        "config.json",
        "last.safetensors",
        "metrics.jsonl",
        "state.safetensors",
        "steps.jsonl",
      ].sort(),
    );
    const config = json(read("whole/config.json").toString());
    expect(config).toMatchObject({
      model: { name: "resnet8", stem: "cifar", classes: 10, imageSize: 32 },
      settings: {
        optimizer: "sgd",
        lr: 0.1,
        momentum: 0.9,
        weightDecay: 5e-4,
        schedule: "onecycle",
        epochs: 4,
        seed: 3,
      },
      data: { name: "shapes", train: 80, validation: 20, test: 40, skipped: 0 },
    });
    expect(Object.keys(config)).toEqual(expect.arrayContaining(["device", "kernelFamily", "versions"]));
    const epochs = lines("whole/metrics.jsonl");
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    const fields = ["epoch", "lr", "trainLoss", "trainAccuracy", "testLoss", "testAccuracy"];
    for (const line of epochs) {
      expect(Object.keys(line)).toEqual([
        ...fields,
        "validationLoss",
        "validationAccuracy",
        "seconds",
        "imagesPerSecond",
      ]);
    }
    const steps = lines("whole/steps.jsonl");
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 4 * STEPS_PER_EPOCH }, (_, i) => i));
    for (const line of steps) expect(Object.keys(line)).toEqual(["step", "epoch", "lr", "momentum", "loss"]);
    // PyTorch's OneCycleLR begins at max_lr / 25 with the highest momentum.
    expect(steps[0]).toMatchObject({ epoch: 1, momentum: 0.95 });
    expect(steps[0]["lr"]).toBeCloseTo(0.1 / 25, 12);
  });

  it("prints one JSON document, and the table to stderr", () => {
    const result = json(whole.stdout);
    const [best] = lines("whole/metrics.jsonl").sort(
      (a, b) =>
        Number(b["validationAccuracy"]) - Number(a["validationAccuracy"]) || Number(a["epoch"]) - Number(b["epoch"]),
    );
    expect(result).toMatchObject({
      out: "whole",
      model: "resnet8",
      data: "shapes",
      epochs: 4,
      steps: 4 * STEPS_PER_EPOCH,
      interrupted: false,
      best: { by: "validation", epoch: best["epoch"], accuracy: best["validationAccuracy"] },
      last: lines("whole/metrics.jsonl").at(-1),
    });
    expect(whole.stdout.trim().split("\n")).toHaveLength(1);
    expect(whole.stderr).toMatch(
      /^ *epoch +lr +train loss +train acc +test loss +test acc +val acc +seconds +img\/s$/m,
    );
  });

  it("is over when the last file is written", () => {
    expect(secondsToExit).toBeLessThan(2);
  });

  // That a second Ctrl-C ends the process at once is not tested: it takes steps of several seconds.
  it("saves on Ctrl-C, and continues to the same bits", async () => {
    const run = startCli("train", [...RECIPE, "--out", "broken"], { cwd, env });
    await until("the first epoch", () => existsSync(join(cwd, "broken/state.safetensors")));
    run.child.kill("SIGINT");
    const { status, stderr } = await run.finished;
    expect(status).toBe(130);
    expect(stderr).toContain("node cli/train.js --resume broken");
    const done = lines("broken/steps.jsonl").length;
    expect(done).toBeLessThan(4 * STEPS_PER_EPOCH);
    expect(stderr).toContain(`saved at step ${done}`);

    const other = await runCli("train", ["--resume", "broken", "--lr", "0.2"], { cwd, env });
    expect([other.status, other.stderr]).toEqual([2, "train: --lr 0.2 is not the run's (0.1): leave it out\n"]);

    const resumed = await runCli("train", ["--resume", "broken", "--no-report"], { cwd, env });
    expect(resumed.status).toBe(0);
    for (const file of ["last.safetensors", "best.safetensors", "state.safetensors", "steps.jsonl"]) {
      expect(read(`broken/${file}`).equals(read(`whole/${file}`)), file).toBe(true);
    }
    expect(metrics("broken/metrics.jsonl")).toEqual(metrics("whole/metrics.jsonl"));
  });

  it("repeats a run from its config.json", async () => {
    const { status } = await runCli("train", ["--config", "whole/config.json", "--no-report", "--out", "again"], {
      cwd,
      env,
    });
    expect(status).toBe(0);
    expect(read("again/last.safetensors").equals(read("whole/last.safetensors"))).toBe(true);
    const [settings, first] = ["again", "whole"].map((run) => json(read(`${run}/config.json`).toString())["settings"]);
    expect(settings).toEqual(first);
  });

  it("does nothing more to a run that is done but to write its report", async () => {
    const before = read("whole/state.safetensors");
    const again = await runCli("train", ["--resume", "whole"], { cwd, env });
    expect([again.status, again.stdout.split("\n")[0]]).toEqual([0, "nothing left to do: whole has all its 4 epochs"]);
    expect(read("whole/state.safetensors").equals(before)).toBe(true);
    expect(again.stdout).toContain("report in whole/report.html\n");
    const page = read("whole/report.html").toString();
    expect(page).toContain("resnet8 on shapes");
    expect(page).not.toMatch(/(src|href)="https?:/);
    const pictures = readdirSync(join(cwd, "whole/pictures"));
    for (const name of ["loss.png", "confusion.png", "misclassified.png"]) expect(pictures).toContain(name);
  });

  it("tells of a run that is done how it ended", async () => {
    const again = await runCli("train", ["--resume", "whole", "--no-report", "--json"], { cwd, env });
    expect(json(again.stdout)["last"]).toEqual(lines("whole/metrics.jsonl").at(-1));
  });

  it("goes on with the family of kernels that the run began with", async () => {
    const config = json(read("whole/config.json").toString());
    expect(whole.stderr).toContain(` ${String(config["kernelFamily"])} kernels)\n`);
    const other = config["kernelFamily"] === "portable" ? "workgroup" : "portable";
    cpSync(join(cwd, "whole"), join(cwd, "other"), { recursive: true });
    writeFileSync(join(cwd, "other/config.json"), JSON.stringify({ ...config, kernelFamily: other }));
    const again = await runCli("train", ["--resume", "other", "--no-report"], { cwd, env });
    expect([again.status, again.stderr]).toEqual([0, expect.stringContaining(` ${other} kernels)\n`)]);
  });

  it("says where to name the photos of a run that have moved, and that a --split is the run's own", async () => {
    cpSync(join(cwd, "whole"), join(cwd, "moved"), { recursive: true });
    const config = json(read("moved/config.json").toString());
    Object.assign(config["settings"] as object, { data: "/nowhere", split: 0.8 });
    writeFileSync(join(cwd, "moved/config.json"), JSON.stringify(config));
    for (const part of ["train", "test"]) {
      for (const kind of ["ant", "bee"]) put(join(cwd, "parted", part, kind, "1.png"), png(9, 9, picture(1)));
    }
    const resume = (...args: string[]): Promise<Finished> =>
      runCli("train", ["--resume", "moved", ...args], { cwd, env });
    const missing = await resume();
    expect([missing.status, missing.stderr]).toEqual([
      1,
      "train: /nowhere, which the run is trained on, is not there: name its new place,\n" +
        "  node cli/train.js --resume moved --data FOLDER\n",
    ]);
    // A look at a run changes nothing of it, whatever is asked.
    const ahead = read("moved/steps.jsonl").toString() + '{"step":999}\n';
    writeFileSync(join(cwd, "moved/steps.jsonl"), ahead);
    expect((await resume("--epochs", "9")).status).toBe(2);
    expect(read("moved/steps.jsonl").toString()).toBe(ahead);
    const other = await resume("--data", "parted");
    expect(other.status).toBe(2);
    expect(other.stderr).toMatch(/^train: the settings of moved do not fit .*--split.*\n {2}.* --data FOLDER\n$/);
    expect(other.stderr).not.toContain("leave");
  });

  it("finds the rate first with --lr auto, and trains by it with everything else on", async () => {
    const more = ["--lr", "auto:steepest", "--ema", "0.9", "--mixup", "0.2", "--accumulate", "2", "--tta", "mirror"];
    const flags = [
      ...RECIPE,
      "--epochs",
      "1.5",
      "--batch-size",
      "10",
      ...more,
      "--schedule",
      "linear:total_iters=1+cosine",
      "--out",
      "auto",
    ];
    const { status, stdout, stderr } = await runCli("train", flags, { cwd, env });
    expect([status, stderr.match(/^train:.*/m)]).toEqual([0, null]);
    const { suggestion, suggestions } = json(read("auto/lr-finder.json").toString()) as {
      suggestion: number;
      suggestions: Record<string, number>;
    };
    expect(suggestion).toBe(suggestions["steepest"]);
    expect(stdout).toMatch(/^Suggested LR: \d\.\d\dE-\d\d$/m);
    expect(json(read("auto/config.json").toString())["settings"]).toMatchObject({
      lr: suggestion,
      epochs: 1.5,
      ema: 0.9,
    });
    for (const name of ["lr-finder.svg", "lr-finder.png"]) expect(existsSync(join(cwd, "auto", name))).toBe(true);
    // 80 images in steps of 20 are 4 steps an epoch, 6 in one and a half; the first epoch is the warm-up's, at a third.
    expect(lines("auto/steps.jsonl").map(({ epoch }) => epoch)).toEqual([1, 1, 1, 1, 2, 2]);
    expect(lines("auto/steps.jsonl")[0]["lr"]).toBeCloseTo(suggestion / 3, 12);
    expect(lines("auto/steps.jsonl")[4]["lr"]).toBeCloseTo(suggestion, 12);
    expect(lines("auto/metrics.jsonl")).toHaveLength(2);
    const again = await runCli("train", ["--resume", "auto", "--no-report"], { cwd, env });
    expect([again.status, again.stdout.split("\n")[0]]).toEqual([0, "nothing left to do: auto has all its 1.5 epochs"]);
  });

  it("keeps the steps of a run that diverges", async () => {
    // From the second epoch on.
    const schedule = ["--schedule", "linear:start_factor=1e-25,total_iters=1"];
    const flags = [...RECIPE, "--lr", "1e20", ...schedule, "--clip-grad", "1e30", "--out", "diverged"];
    const { status, stderr } = await runCli("train", flags, { cwd, env });
    expect(status).toBe(1);
    const step = Number(
      /^train: loss is \w+ at step (\d+) .*: lower --lr; the next run needs another --out \(diverged keeps these steps\)$/m.exec(
        stderr,
      )![1],
    );
    expect(step).toBeGreaterThan(STEPS_PER_EPOCH);
    expect(lines("diverged/steps.jsonl").map((line) => line["step"])).toEqual(
      Array.from({ length: step }, (_, i) => i),
    );
    const again = await runCli("train", ["--resume", "diverged"], { cwd, env });
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(/^train: loss is .*: begin another run, with a lower --lr and another --out$/m);
  });

  it("tells what --lr auto found, with --json", async () => {
    const auto = ["--epochs", "1", "--batch-size", "4", "--lr", "auto", "--no-report", "--json", "--out", "found"];
    const again = await runCli("train", [...RECIPE, ...auto], { cwd, env });
    const { suggestion, suggestions, method } = json(read("found/lr-finder.json").toString());
    expect([again.status, json(again.stdout)["lrFinder"]]).toEqual([0, { lr: suggestion, method, suggestions }]);
  });

  it("says that a run has ended early, then and afterwards", async () => {
    // Nothing moves, so no epoch is better than the first.
    const still = ["--init", "whole/last.safetensors", "--freeze", "--lr", "1e-30", "--limit", "40"];
    const flags = [...still, "--limit-test", "20", "--early-stop", "1", "--no-report", "--out", "early"];
    const first = await runCli("train", flags, { cwd, env });
    const words = "ended early: no better test loss for 1 epoch\n";
    expect([first.status, first.stdout]).toEqual([0, expect.stringContaining(`${words}trained in `)]);
    const again = await runCli("train", ["--resume", "early", "--no-report"], { cwd, env });
    expect([again.status, again.stdout]).toEqual([
      0,
      expect.stringContaining(`${words}nothing left to do: early ended in epoch 2\n`),
    ]);
  });

  it("counts as interrupted where the report was", async () => {
    cpSync(join(cwd, "whole"), join(cwd, "a run"), { recursive: true });
    const run = startCli("train", ["--resume", "a run", "--json"], { cwd, env });
    await until("the end of training", () => run.stderr().includes("weights in"));
    run.child.kill("SIGINT");
    const { status, stderr } = await run.finished;
    expect([status, stderr.trimEnd().split("\n").at(-1)]).toEqual([
      130,
      "warning: no report was written (it was interrupted); train.js --resume 'a run' writes it",
    ]);
  });

  it("starts from weights, with another number of classes, and trains the last layer only", async () => {
    for (const [i, kind] of ["ant", "bee"].entries()) {
      for (let n = 0; n < 8; n++) put(join(cwd, "img", kind, `${n}.png`), png(40, 32, picture(8 * i + n)));
    }
    const flags = [
      "--data",
      "img",
      "--split",
      "0.5",
      "--init",
      "whole/last.safetensors",
      "--freeze",
      "--epochs",
      "2",
      "--optimizer",
      "adam",
    ];
    const { status, stderr, stdout } = await runCli(
      "train",
      [...flags, "--batch-size", "4", "--no-report", "--out", "tuned"],
      {
        cwd,
        env,
      },
    );
    expect(stderr).toMatch(/^model {3}resnet8, 77,522 parameters, 130 of them trained$/m);
    expect(stderr).toMatch(/made a fresh fc \(the file's is for 10 classes\)/);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^best test accuracy .* in epoch \d \(chosen by the test set/m);
    const [old, tuned] = ["whole", "tuned"].map((run) => readCheckpoint(read(`${run}/last.safetensors`), run));
    expect(tuned.metadata).toMatchObject({ model: { name: "resnet8", classes: 2 }, classes: ["ant", "bee"] });
    for (const [name, { data }] of old.tensors) {
      if (!name.startsWith("fc.")) expect(tuned.tensors.get(name)!.data, name).toEqual(data);
    }
    expect(lines("tuned/metrics.jsonl")[1]["trainLoss"]).toBeLessThan(
      lines("tuned/metrics.jsonl")[0]["trainLoss"] as number,
    );
    const wrong = await runCli("train", ["--init", "whole/last.safetensors", "--model", "resnet20", "--out", "no"], {
      cwd,
      env,
    });
    const state = await runCli("train", ["--init", "whole/state.safetensors", "--out", "no"], { cwd, env });
    expect([state.status, state.stderr]).toEqual([
      2,
      "train: whole/state.safetensors is the state for --resume: the weights are whole/best.safetensors beside it\n",
    ]);
    const words = "--model resnet20 is not what whole/last.safetensors says (resnet8): leave it out";
    expect([wrong.status, wrong.stderr]).toEqual([2, `train: ${words}\n`]);
    expect(existsSync(join(cwd, "no"))).toBe(false);
  });
});
