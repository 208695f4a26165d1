// What is wrong on the command line or on the disk ends in a line or two and exit status 1 or 2, without a device being opened.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it, describe } from "vitest";
import { main as train } from "../../cli/commands/train.ts";
import { writeSafetensors } from "../../nn/index.ts";
import { cifarBytes, png, picture, put, temporaryFolder } from "../training/data/fixtures.ts";
import { runHere } from "./run-here.ts";
import { runCli, type CliOptions, type Finished } from "./run-cli.ts";

const cwd = temporaryFolder();
/** Dawn finds no adapter with this, so whatever is refused with it was refused before a device was opened. */
const NO_ADAPTER = { VK_DRIVER_FILES: "/nonexistent", VK_ICD_FILENAMES: "/nonexistent" };
const options: CliOptions = { cwd, env: { ...NO_ADAPTER, KILN_CACHE: join(cwd, "cache") } };

function expectRefusal({ status, stdout, stderr }: Finished, message: RegExp, wanted: number): void {
  const lines = stderr
    .trim()
    .split("\n")
    .filter((line) => !/^(data|warning:) /.test(line));
  expect({ stderr, matches: message.test(lines.join("\n")) }).toEqual({ stderr, matches: true });
  expect(lines.length).toBeLessThanOrEqual(2);
  expect(stderr).not.toMatch(/^\s+at |node:internal|ReferenceError|TypeError/m);
  expect(stdout).toBe("");
  expect(status).toBe(wanted);
}

const words = (line: string): string[] => line.split(" ").filter(Boolean);

/** Two at a time: one would leave a core idle while Node starts. */
async function refuseAll(name: string, cases: readonly (readonly [string, RegExp])[], status: number): Promise<void> {
  for (let i = 0; i < cases.length; i += 2) {
    const pair = cases.slice(i, i + 2);
    const results = await Promise.all(pair.map(([args]) => runCli(name, words(args), options)));
    results.forEach((result, j) => expectRefusal(result, pair[j][1], status));
  }
}

describe("wrong use (exit status 2)", () => {
  it("train", async () => {
    writeFileSync(join(cwd, "flags.json"), JSON.stringify({ epohcs: 3 }));
    writeFileSync(join(cwd, "range.json"), JSON.stringify({ "batch-size": 0 }));
    for (const part of ["train", "test", "val"]) {
      for (const kind of ["ant", "bee"]) put(join(cwd, "parted", part, kind, "1.png"), png(9, 9, picture(1)));
    }
    writeFileSync(join(cwd, "run.json"), JSON.stringify({ settings: { epochs: 3, lr: 0.1 } }));
    writeFileSync(join(cwd, "nested.json"), JSON.stringify({ config: "flags.json" }));
    const cases: readonly (readonly [string, RegExp])[] = [
      ["--epoch 3", /^train: unknown option '--epoch'; did you mean --epochs\?$/],
      ["--frobnicate", /^train: unknown option '--frobnicate'/],
      ["extra", /^train: unexpected "extra"/],
      ["--lr", /^train: option '--lr <rate>' argument missing$/],
      ["--model resnet19", /^train: unknown model "resnet19"; did you mean "resnet18"\? \(known: resnet8, /],
      ["--schedule cosin", /^train: --schedule: unknown schedule "cosin"; did you mean "cosine"\?/],
      ["--schedule multistep", /milestones is missing/],
      ["--augment flp", /^train: --augment: unknown augmentation "flp"; did you mean "flip"\?/],
      ["--epochs 0", /^train: --epochs must be a number above 0, not 0$/],
      ["--mixup 1e308", /^train: --mixup must be a number above 0 and at most 1000000, not 1e308$/],
      ["--cutmix 0", /^train: --cutmix must be a number above 0 and at most 1000000, not 0$/],
      ["--lr abc", /^train: --lr must be a number above 0, or auto, auto:valley, .*, not abc$/],
      ["--lr auto:slope", /^train: --lr must be a number above 0, or auto, .*auto:steepest.*, not auto:slope$/],
      [
        "--lr auto --schedule onecycle:max_lr=1",
        /^train: --lr auto would change nothing: --schedule gives all rates itself; /,
      ],
      [
        "--preset s0 --config run.json",
        /^train: --preset s0 would change nothing: run.json has all settings of a run; leave one of the two out$/,
      ],
      ["--preset s9", /^train: unknown preset "s9"; did you mean "s0"\?/],
      [
        "--preset airbench94 --model resnet8",
        /^train: --preset airbench94 is a recipe for airbench94 alone: leave --model out$/,
      ],
      ["--schedule plateau+cosine", /^train: --schedule: schedule plateau: cannot be joined/],
      ["--ema 1", /^train: --ema must be a number between 0 and 1, not 1$/],
      ["--tta all", /^train: --tta must be none, mirror or six, not all$/],
      ["--lr NaN", /^train: --lr must be a number above 0, or auto, .*, not NaN$/],
      ["--batch-size -3", /^train: --batch-size must be a whole number from 1, not -3$/],
      ["--limit 1.5", /^train: --limit must be a whole number from 1, not 1.5$/],
      ["--momentum 1", /^train: --momentum must be a number from 0 to below 1, not 1$/],
      ["--label-smoothing 2", /^train: --label-smoothing must be a number from 0 to 1, not 2$/],
      ["--split 1", /^train: --split must be a number between 0 and 1/],
      ["--mean 0.5,0.5 --std 1,1,1", /^train: --mean must be three numbers/],
      [
        "--mean 0.5,0.5,0.5 --std 2,2,2",
        /^train: --std must be three numbers, each a number above 0 and at most 1, .*, not 2,2,2$/,
      ],
      [
        "--data shapes --image-size 64",
        /^train: data: the images of shapes are 32 x 32, --image-size 64 .*; leave it out$/,
      ],
      [
        "--data shapes --resize squash",
        /^train: data: the images of shapes need no --resize squash, .*; leave it out$/,
      ],
      [
        "--schedule plateau:monitor=validation-loss",
        /^train: --schedule: plateau: there is no validationLoss to watch: hold images out for validation, or watch another/,
      ],
      ["--data shapes --split 0.5", /^train: data: shapes has a test set already, --split .*; leave it out$/],
      [
        "--data parted --split 0.5",
        /^train: data: parted has test\/ already, so --split does not apply; leave it out$/,
      ],
      [
        "--data parted --validation 0.5 --limit 8",
        /^train: data: parted has a validation folder already; leave --validation out/,
      ],
      ["--mean 0.5,0.5,0.5", /^train: --mean and --std go together/],
      ["--nesterov --optimizer adam", /^train: --nesterov is for --optimizer sgd/],
      ["--optimizer lion", /^train: --optimizer must be sgd, adam or adamw, not lion$/],
      ["--momentum 0 --schedule onecycle", /^train: --schedule: onecycle moves .*cycle_momentum=false$/],
      ["--momentum 0 --schedule cyclic", /^train: --schedule: cyclic moves .*cycle_momentum=false$/],
      ["--limit 10 --drop-last", /^train: --drop-last: 10 images make no batch of 128, .*: lower the batch size$/],
      ["--limit 10 --schedule onecycle:total_steps=5", /^train: --schedule: oneCycle: step 10 lies past totalSteps 5/],
      ["--model resnet20 --stem imagenet", /resnet20: has no stem "imagenet"/],
      ["--freeze", /^train: --freeze needs --init/],
      ["--classes 3 --limit 8", /^train: --classes 3 is too few, the data has 10/],
      ["--config flags.json", /^train: flags.json: unknown flag "epohcs"; did you mean "epochs"\?/],
      ["--config range.json", /^train: --batch-size must be a whole number from 1, not 0$/],
      ["--config nested.json", /^train: nested.json: config cannot be set in a file$/],
      ["--config missing.json", /^train: --config missing.json: there is no such file$/],
      [
        "--data parted --model airbench94 --image-size 8",
        /^train: images of 8 x 8 are too small for airbench94 \(.*\): raise --image-size$/,
      ],
      [
        "--data parted --image-size 4 --model resnet8 --limit 1",
        /^train: the last batch of an epoch has one image, .*: add --drop-last or choose another --batch-size$/,
      ],
      ["--data parted --image-size 4 --model resnet8 --batch-size 1", /^train: each batch has one image, .*: raise/],
      ["--augment cutout:100 --limit 8", /^train: --augment: .*a square of 100 pixels does not fit/],
    ];
    for (const [args, message] of cases) expectRefusal(await runHere(train, words(args), options), message, 2);
    // In processes of their own: one for each place that refuses (the parser, a file's flags, the data, the model, the augmentations).
    const own = ["--epoch 3", "--config range.json", "--data parted --split 0.5", "--limit 10 --drop-last", "--augment cutout:100 --limit 8"]; // prettier-ignore
    const kept = cases.filter(([args]) => own.includes(args));
    expect(kept).toHaveLength(own.length);
    await refuseAll("train", kept, 2);
  });

  it("the other commands", async () => {
    await refuseAll(
      "evaluate",
      [["--data shapes", /^evaluate: required option '--checkpoint <file>' not specified$/]],
      2,
    );
    await refuseAll("summary", [["--classes 0", /^summary: --classes must be a whole number from 1, not 0$/]], 2);
    await refuseAll("bench", [["--steps none", /^bench: --steps must be a whole number from 1, not none$/]], 2);
    await refuseAll("doctor", [["--jsn", /^doctor: unknown option '--jsn'; did you mean --json\?$/]], 2);
  });
});

describe("what cannot be done (exit status 1)", () => {
  it("data that is missing, empty or damaged", async () => {
    mkdirSync(join(cwd, "empty"));
    mkdirSync(join(cwd, "loop/train"), { recursive: true });
    symlinkSync("ant", join(cwd, "loop/train/ant"));
    const labels = [[1], [2], [3]];
    for (const folder of ["cut", "label"]) {
      for (let i = 1; i <= 5; i++) put(join(cwd, folder, `data_batch_${i}.bin`), cifarBytes(labels));
      put(join(cwd, folder, "test_batch.bin"), cifarBytes(labels));
    }
    put(join(cwd, "cut/data_batch_2.bin"), cifarBytes(labels).subarray(0, 5000));
    put(join(cwd, "label/data_batch_3.bin"), cifarBytes([[1], [11], [3]]));
    await refuseAll(
      "train",
      [
        ["--data nowhere", /^train: data: "nowhere" is not there/],
        ["--data empty", /^train: data: empty is empty/],
        ["--data cut", /data_batch_2\.bin/],
        ["--data label", /data_batch_3\.bin.*11/],
        ["--data flags.json", /^train: data: flags.json is a file/],
        [
          "--data loop",
          /^train: data: loop\/train cannot be read \(ELOOP.*\); make it readable or take it out of the data$/,
        ],
      ],
      1,
    );
  });

  it("images that cannot be decoded are left out with a count, or refused with --strict", async () => {
    for (const part of ["train", "test"]) {
      for (const [i, kind] of ["ant", "bee"].entries())
        put(join(cwd, "img", part, kind, "1.png"), png(9, 9, picture(i)));
    }
    put(join(cwd, "img/train/bee/2.png"), "no image");
    const lenient = await runCli("train", ["--data", "img", "--no-report"], options);
    expect(lenient.stderr).toMatch(/^warning: .*\b1\b.*$/m);
    expect(lenient.stderr).toMatch(/^data {4}img: 2 training, 2 test images, 2 classes, 32 x 32$/m);
    expectRefusal(await runCli("train", ["--data", "img", "--strict"], options), /cannot decode .*bee\/2\.png/, 1);
  });

  it("checkpoints that are missing, cut, absurd or no weights", async () => {
    const whole = writeSafetensors(
      new Map([["fc.weight", { dtype: "F32", shape: [2, 3], data: new Float32Array(6) }]]),
      {},
    );
    writeFileSync(join(cwd, "whole.safetensors"), whole);
    writeFileSync(join(cwd, "cut.safetensors"), whole.subarray(0, whole.length - 7));
    writeFileSync(join(cwd, "absurd.safetensors"), Buffer.concat([Buffer.alloc(8, 0xff), Buffer.from("{}")]));
    await refuseAll(
      "evaluate",
      [
        ["--checkpoint nowhere.safetensors", /^evaluate: --checkpoint nowhere\.safetensors: there is no such file$/],
        ["--checkpoint cut.safetensors", /cut\.safetensors/],
        ["--checkpoint absurd.safetensors", /absurd\.safetensors/],
        ["--checkpoint whole.safetensors --model resnet8", /whole\.safetensors is of another model/],
      ],
      1,
    );
    await refuseAll("train", [["--init cut.safetensors", /cut\.safetensors/]], 1);
    await refuseAll("evaluate", [["--checkpoint whole.safetensors", /name it with --model/]], 2);
  });

  it("folders that cannot be written, and runs that exist already, which stay as they are", async () => {
    writeFileSync(join(cwd, "file"), "mine");
    put(join(cwd, "run/config.json"), "{}");
    put(join(cwd, "weights/best.safetensors"), "");
    for (const name of ["config.json", "state.safetensors"]) put(join(cwd, "whole", name), "");
    await refuseAll(
      "train",
      [
        ["--out file", /file is a file, not a folder/],
        ["--out file/below", /file is a file, not a folder/],
        [
          "--out run",
          /run holds another run \(config\.json\): choose another --out, or remove the folder .* saved nothing$/,
        ],
        ["--out weights", /weights holds another run \(best\.safetensors\): choose another --out$/],
        ["--out whole", /whole holds another run \(config\.json\): .*--resume whole$/],
        ["--resume run", /run\/config\.json is damaged/],
        ["--resume empty", /empty holds no run/],
        ["--resume nowhere", /there is no folder nowhere/],
      ],
      1,
    );
    await refuseAll(
      "evaluate",
      [["--checkpoint none --logits file", /^evaluate: --logits file exists and is something else/]],
      1,
    );
    symlinkSync(join(cwd, "file"), join(cwd, "link"));
    for (const name of ["link", "/dev/null"].filter((each) => existsSync(resolve(cwd, each)))) {
      const refusal = new RegExp(`^evaluate: --logits ${name} is not a plain file: name another$`);
      await refuseAll("evaluate", [[`--checkpoint none --logits ${name}`, refusal]], 1);
    }
    // Nobody can write there, root included.
    if (existsSync("/proc/self")) {
      const logits = "--checkpoint none --logits /proc/logits.jsonl";
      await refuseAll("evaluate", [[logits, /^evaluate: --logits .*: \/proc cannot be written to \(/]], 1);
      await refuseAll(
        "train",
        [["--resume /proc", /^train: --resume \/proc: .*; make it writable, or copy the run/]],
        1,
      );
    }
    expect(readFileSync(join(cwd, "file"), "utf8")).toBe("mine");
    expect(readFileSync(join(cwd, "run/config.json"), "utf8")).toBe("{}");
  });

  it.runIf(existsSync("/dev/full"))("a full disk behind standard output", async () => {
    const { status, stderr } = await runCli("summary", [], { ...options, stdout: "/dev/full" });
    expect(stderr).toMatch(/^summary: cannot write to standard output \(ENOSPC.*\)\n$/);
    expect(status).toBe(1);
  });

  it("no adapter of that name", async () => {
    const message = /^doctor: no WebGPU adapter named "frob" was found; there is /;
    expectRefusal(await runCli("doctor", ["--adapter", "frob"], { cwd }), message, 1);
  });

  it("no adapter", async () => {
    const unset = /no WebGPU adapter .*; VK_DRIVER_FILES is set to \/nonexistent, which is not there: unset it, or /;
    const answers = new RegExp(unset.source.replace(".*;", "answers:"));
    expectRefusal(await runCli("doctor", [], options), answers, 1);
    const json = await runCli("doctor", ["--json"], options);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, adapter: null });
    expectRefusal(await runCli("bench", ["--model", "resnet8"], options), unset, 1);
    const train = await runCli("train", ["--limit", "8", "--out", "none"], options);
    expectRefusal(train, /^train: no WebGPU adapter was found/, 1);
    expect(existsSync(join(cwd, "none"))).toBe(false);
  });
});

describe("--help", () => {
  it("names what a flag can be", async () => {
    const { stdout } = await runCli("find-lr", ["--help"], options);
    const text = stdout.replace(/\s+/g, " ");
    expect(text).toMatch(/--method <name> .*valley, steepest, minimum, slide; all are printed/);
    expect(text).toMatch(/--tune <mode> on: .*; off: /);
  });

  it("shows every flag with its default", async () => {
    const commands = ["train", "find-lr", "evaluate", "explain", "compare", "summary", "bench", "doctor"];
    const results = await Promise.all(commands.map((name) => runCli(name, ["--help"], options)));
    for (const { status, stdout, stderr } of results) {
      expect([status, stderr]).toEqual([0, ""]);
      const flags = stdout
        .split(/\n {2}(?=-)/)
        .slice(1)
        .map((text) => text.replace(/\s+/g, " "));
      expect(flags.length).toBeGreaterThan(2);
      for (const text of flags) if (!text.startsWith("-h,")) expect(text).toMatch(/\(default: .+\)/);
    }
  });
});
