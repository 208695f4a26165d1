// Evaluating as a user does, the weights of two small runs: of the built-in images and of a folder.
import { cpSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { png, picture, put, temporaryFolder } from "../training/data/fixtures.ts";
import { runCli, type Finished } from "./run-cli.ts";

const cwd = temporaryFolder();
const env = { KILN_CACHE: join(cwd, "cache") };

const read = (path: string): Buffer => readFileSync(join(cwd, path));
const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;
const lines = (path: string): Record<string, unknown>[] => read(path).toString().split("\n").filter(Boolean).map(json);

let whole: Finished;
beforeAll(async () => {
  const shapes = ["--limit", "100", "--limit-test", "40", "--batch-size", "20", "--epochs", "2", "--out", "whole"];
  whole = await runCli("train", ["--model", "resnet8", ...shapes, "--no-report", "--json"], { cwd, env });
  for (const [i, kind] of ["ant", "bee"].entries()) {
    for (let n = 0; n < 8; n++) put(join(cwd, "img", kind, `${n}.png`), png(40, 32, picture(8 * i + n)));
  }
  const folder = ["--data", "img", "--split", "0.5", "--init", "whole/last.safetensors", "--epochs", "1"];
  const { status } = await runCli("train", [...folder, "--batch-size", "4", "--no-report", "--out", "halves"], {
    cwd,
    env,
  });
  expect([whole.status, status]).toEqual([0, 0]);
});

describe("evaluate", () => {
  it("finds what training found, and writes logits in data-set order", async () => {
    const flags = ["--checkpoint", "whole/best.safetensors", "--limit-test", "40", "--batch-size", "16"];
    const run = await runCli("evaluate", [...flags, "--logits", "logits.jsonl", "--out", "whole", "--json"], {
      cwd,
      env,
    });
    expect(run.status).toBe(0);
    const result = json(run.stdout);
    const best = lines("whole/metrics.jsonl")[Number((json(whole.stdout)["best"] as { epoch: number }).epoch) - 1];
    expect(result["accuracy"]).toBeCloseTo(best["testAccuracy"] as number, 12);
    expect(result["loss"]).toBeCloseTo(best["testLoss"] as number, 5);
    expect({ ...json(read("whole/evaluation.json").toString()), out: "whole" }).toEqual(result);
    const logits = lines("logits.jsonl") as { index: number; label: number; logits: number[] }[];
    expect(logits.map(({ index }) => index)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    const right = logits.filter((line) => line.logits.indexOf(Math.max(...line.logits)) === line.label).length;
    expect(right / 40).toBeCloseTo(result["accuracy"] as number, 12);
    const confusion = result["confusion"] as number[][];
    expect(confusion.map((row) => row.reduce((sum, n) => sum + n, 0))).toEqual(new Array(10).fill(4));
    expect(confusion.reduce((sum, row, i) => sum + row[i], 0)).toBe(right);
    expect(result).toMatchObject({ tta: "none", misclassified: 40 - right, count: 40 });
    for (const name of ["top5Accuracy", "macro", "confusionNormalised", "calibration", "confusedPairs"]) {
      expect(result[name], name).not.toBeUndefined();
    }
    expect((result["mistakes"] as unknown[]).length).toBe(40 - right);
    for (const name of ["class-accuracy", "confusion", "confusion-normalised", "calibration", "misclassified"]) {
      expect(read(`whole/${name}.png`).subarray(1, 4).toString()).toBe("PNG");
    }
    const views = await runCli("evaluate", [...flags, "--tta", "six", "--out", "six", "--json"], { cwd, env });
    expect(json(views.stdout)["loss"]).not.toBe(result["loss"]);
  });

  it("gives every class of a smaller folder the number that the checkpoint has for it", async () => {
    for (const part of ["train", "test"]) {
      for (const kind of ["star", "square"]) put(join(cwd, "two", part, kind, "1.png"), png(40, 32, picture(9)));
    }
    const flags = ["--checkpoint", "whole/last.safetensors", "--data", "two", "--out", "two-out"];
    const { status, stderr } = await runCli("evaluate", flags, { cwd, env });
    expect([status, stderr.match(/^warning.*/m)]).toEqual([0, null]);
    const { perClass } = json(read("two-out/evaluation.json").toString());
    const counts = (perClass as { class: string; count: number }[]).filter(({ count }) => count > 0);
    expect(counts).toMatchObject([
      { class: "square", count: 1 },
      { class: "star", count: 1 },
    ]);
    const wrong = await runCli("evaluate", [...flags, "--model", "resnet20"], { cwd, env });
    expect([wrong.status, wrong.stderr]).toEqual([
      2,
      "evaluate: --model resnet20 is not what whole/last.safetensors says (resnet8): leave it out\n",
    ]);
  });

  it("takes the data that the run was trained on, split as it was", async () => {
    const flags = ["--checkpoint", "halves/last.safetensors", "--out", "half"];
    const run = await runCli("evaluate", flags, { cwd, env });
    expect([run.status, run.stderr.match(/^warning.*/m)]).toEqual([0, null]);
    const last = lines("halves/metrics.jsonl").at(-1)!;
    expect(json(read("half/evaluation.json").toString())).toMatchObject({ count: 8, accuracy: last["testAccuracy"] });
    const other = await runCli("evaluate", [...flags, "--split", "0.75"], { cwd, env });
    expect([other.status, other.stderr]).toEqual([
      0,
      expect.stringMatching(/^warning: the model was trained with --split 0.5: with 0.75 it may have seen some/m),
    ]);
    // All of a folder may test, and results that are sent nowhere get a folder each, also in the same second.
    const all = ["--checkpoint", "halves/last.safetensors", "--split", "0"];
    const folders = (): number => (existsSync(join(cwd, "runs")) ? readdirSync(join(cwd, "runs")).length : 0);
    const before = folders();
    const both = await Promise.all([1, 2].map(() => runCli("evaluate", all, { cwd, env })));
    for (const { status, stderr } of both) {
      expect([status, stderr]).toEqual([0, expect.stringMatching(/^data {4}img: 16 test images, 32 x 32$/m)]);
    }
    expect(folders()).toBe(before + 2);
    cpSync(join(cwd, "halves"), join(cwd, "elsewhere"), { recursive: true });
    const config = json(read("elsewhere/config.json").toString());
    put(
      join(cwd, "elsewhere/config.json"),
      JSON.stringify({ settings: { ...(config["settings"] as object), data: "gone" } }),
    );
    const gone = await runCli("evaluate", ["--checkpoint", "elsewhere/last.safetensors"], { cwd, env });
    expect([gone.status, gone.stderr]).toEqual([
      2,
      "evaluate: elsewhere/last.safetensors was trained on gone, which is not there: name its place with --data\n",
    ]);
  });

  it("takes the built-in images for weights of such classes alone", async () => {
    cpSync(join(cwd, "whole/last.safetensors"), join(cwd, "shapes.safetensors"));
    cpSync(join(cwd, "halves/last.safetensors"), join(cwd, "alone.safetensors"));
    const [same, other, named] = await Promise.all([
      runCli("evaluate", ["--checkpoint", "shapes.safetensors", "--limit-test", "10"], { cwd, env }),
      runCli("evaluate", ["--checkpoint", "alone.safetensors"], { cwd, env }),
      runCli("evaluate", ["--checkpoint", "alone.safetensors", "--data", "shapes"], { cwd, env }),
    ]);
    expect([same.status, same.stderr]).toEqual([0, expect.stringMatching(/^data {4}shapes: 10 test images/m)]);
    expect([other.status, other.stderr]).toEqual([
      2,
      "evaluate: alone.safetensors tells ant, bee apart, and no config.json beside it says where their images are: " +
        "name the data with --data\n",
    ]);
    expect([named.status, named.stderr.trim().split("\n").at(-1)]).toEqual([
      1,
      "evaluate: the model tells 2 classes apart, the data has 10: give the --data that it is for",
    ]);
  });

  it("refuses data of which the checkpoint knows some classes only, and says how to test on all images", async () => {
    for (const kind of ["star", "zebra"]) put(join(cwd, "zoo/test", kind, "1.png"), png(40, 32, picture(9)));
    const weights = ["--checkpoint", "whole/best.safetensors"];
    const [partly, undivided] = await Promise.all([
      runCli("evaluate", [...weights, "--data", "zoo", "--split", "0"], { cwd, env }),
      runCli("evaluate", [...weights, "--data", "img"], { cwd, env }),
    ]);
    expect([partly.status, partly.stderr]).toEqual([
      1,
      expect.stringMatching(
        /^evaluate: zebra is not a class of the checkpoint \(\w+, \w+, \w+, \.\.\.\): leave its folder out of the data$/m,
      ),
    ]);
    expect([undivided.status, undivided.stderr]).toEqual([
      1,
      "evaluate: data: img has no test images beside it (test/<class>/...); give --split 0 to test on all its images\n",
    ]);
  });

  it("names a run's weights where its folder or its state is given", async () => {
    const [folder, state] = await Promise.all(
      ["whole", "whole/state.safetensors"].map((path) => runCli("evaluate", ["--checkpoint", path], { cwd, env })),
    );
    expect([folder.status, folder.stderr]).toEqual([
      1,
      "evaluate: --checkpoint whole: it is a folder, name a file in it, such as whole/best.safetensors\n",
    ]);
    expect([state.status, state.stderr]).toEqual([
      2,
      "evaluate: whole/state.safetensors is the state for --resume: the weights are whole/best.safetensors beside it\n",
    ]);
  });
});
