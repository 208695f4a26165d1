// explain.js as a user runs it: pictures, maps.json, what it prints, and what it refuses.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PNG } from "pngjs";
import { beforeAll, describe, expect, it } from "vitest";
import { pictureNames } from "../../cli/commands/explain/pictures.ts";
import { mapsDocument } from "../../cli/commands/explain/result.ts";
import { exportWeights, resnet8 } from "../../nn/index.ts";
import { testDevice } from "../support/gpu.ts";
import { picture, png, temporaryFolder } from "../training/data/fixtures.ts";
import { runCli, type Finished } from "./run-cli.ts";

const cwd = temporaryFolder();
const NO_ADAPTER = { VK_DRIVER_FILES: "/nonexistent", VK_ICD_FILENAMES: "/nonexistent" };
const NAMES = ["ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen", "ibis", "jay"];

beforeAll(async () => {
  await testDevice();
  using model = resnet8({ seed: 5 });
  const info = { name: "resnet8", stem: "cifar", classes: 10, imageSize: 32 } as const;
  const normalised = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
  writeFileSync(join(cwd, "shapes.safetensors"), await exportWeights(model, { ...info, ...normalised }));
  const named = { ...info, ...normalised, classNames: NAMES };
  writeFileSync(join(cwd, "named.safetensors"), await exportWeights(model, named));
  writeFileSync(join(cwd, "bare.safetensors"), await exportWeights(model, info));
  writeFileSync(join(cwd, "wide.png"), png(50, 20, picture(1)));
  const alpha = new PNG({ width: 9, height: 30 });
  alpha.data.fill(77);
  writeFileSync(join(cwd, "alpha.png"), PNG.sync.write(alpha));
  const grey = PNG.sync.write(new PNG({ width: 40, height: 40 }), { colorType: 0 });
  mkdirSync(join(cwd, "sub"));
  writeFileSync(join(cwd, "sub/wide.png"), grey);
  writeFileSync(join(cwd, "text.png"), "no picture");
});

const explain = (args: string, env = {}): Promise<Finished> =>
  runCli("explain", args.split(" ").filter(Boolean), { cwd, env });

interface Written {
  readonly maps: readonly {
    readonly index?: number;
    readonly path?: string;
    readonly image?: string;
    readonly layer: string;
    readonly class: string;
    readonly method: string;
    readonly map: readonly (readonly number[])[];
  }[];
  readonly images: readonly { readonly prediction: string; readonly truth?: string; readonly picture: string }[];
  readonly faithfulness?: Readonly<Record<string, number>>;
}

function written(out: string): Written {
  return JSON.parse(readFileSync(join(cwd, out, "maps.json"), "utf8")) as Written;
}

const sizeOf = (path: string): number[] => {
  const { width, height } = PNG.sync.read(readFileSync(join(cwd, path)));
  return [width, height];
};

describe("pictures", () => {
  it("have names of their own, also where those of the images end alike", () => {
    const names = pictureNames(["a.png", "a.jpg", "a_2.png", "A.webp"].map((image) => ({ image })));
    expect(names).toEqual(["image-a.png", "image-a_2.png", "image-a_2_2.png", "image-A_3.png"]);
  });
});

describe("maps.json", () => {
  const set = {
    count: 0,
    height: 1,
    width: 2,
    channels: 3 as const,
    images: new Uint8Array(),
    labels: new Uint8Array(),
    skipped: 0,
  };
  const one = { subject: { index: 7 }, probabilities: [1, 0], prediction: 0, layers: ["layer3"], classes: [0, 1] };
  const maps = [Float32Array.of(0, 1), Float32Array.of(0.5, 0.1)];
  const parts = (count: number): string[] => {
    const explained = Array.from({ length: count }, () => ({ ...one, maps }));
    return [...mapsDocument(explained, ["a", "b"], "grad-cam", set, { images: [] })].map((part) =>
      Buffer.from(part).toString(),
    );
  };

  it("is written a map at a time: all of them may not fit into a string", () => {
    const written = parts(3);
    expect(written.filter((part) => part.includes('"map":'))).toHaveLength(6);
    const map = { index: 7, layer: "layer3", class: "b", method: "grad-cam", map: [[0.5, 0.100000001]] };
    expect((JSON.parse(written.join("")) as { maps: unknown[] }).maps[5]).toEqual(map);
  });

  it("may be without any", () => expect(JSON.parse(parts(0).join(""))).toEqual({ maps: [], images: [] }));
});

describe("explain.js", () => {
  it("explains one's own images of any size and kind", async () => {
    const files = "wide.png alpha.png sub/wide.png";
    const flags = "--class cow,0 --layer layer2,layer3 --method LayerCAM --out own";
    const { status, stdout, stderr } = await explain(`--checkpoint named.safetensors --image ${files} ${flags}`);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const { maps, images } = written("own");
    expect(maps.map(({ image, layer, class: name, method }) => ({ image, layer, class: name, method }))).toEqual(
      files
        .split(" ")
        .flatMap((image) =>
          ["cow", "ant"].map((name) => ({ image, layer: "layer2,layer3", class: name, method: "layer-cam" })),
        ),
    );
    for (const { map } of maps) {
      expect([map.length, new Set(map.map((row) => row.length))]).toEqual([32, new Set([32])]);
      expect(map.flat().every((value) => value >= 0 && value <= 1)).toBe(true);
    }
    expect(images.map((image) => image.picture)).toEqual(["image-wide.png", "image-alpha.png", "image-wide_2.png"]);
    // The image and two maps, seven times as large, each in a cell 16 wider with lines of words below it.
    expect(sizeOf("own/image-wide.png")).toEqual([3 * 240, 240 + 2 * (3 * 12.5 + 4)]);
    expect(readdirSync(join(cwd, "own")).sort()).toEqual([...images.map((image) => image.picture), "maps.json"].sort());
    const blocks = stdout.trim().split(/\n(?=\S)/);
    expect(blocks).toHaveLength(3);
    for (const block of blocks)
      expect(block).toMatch(
        /^\S+\.png(\n {2}\w+ +\d+\.\d\d %){5}\n {2}image-\w+\.png: the image, cow( \(predicted\))?, ant/,
      );
  });

  it("shows of the most confident mistakes predicted and true class and their difference", async () => {
    const flags = "--misclassified 3 --limit-test 12 --faithfulness --json --out wrong";
    const { status, stdout, stderr } = await explain(`--checkpoint shapes.safetensors --data shapes ${flags}`);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const { maps, images, faithfulness } = written("wrong");
    expect(images).toHaveLength(3);
    expect(maps).toHaveLength(6);
    for (const [i, { prediction, truth, picture }] of images.entries()) {
      expect(truth).not.toBe(prediction);
      expect([maps[2 * i].class, maps[2 * i + 1].class]).toEqual([prediction, truth]);
      expect(maps[2 * i]).toMatchObject({ index: maps[2 * i + 1].index, layer: "layer3", method: "grad-cam" });
      expect(sizeOf(`wrong/${picture}`)).toEqual([4 * 240, 240 + 2 * (3 * 12.5 + 4)]);
    }
    expect(Object.keys(faithfulness!)).toEqual([
      "confidenceDrop",
      "confidenceIncrease",
      "roadMorf",
      "roadLerf",
      "roadCombined",
      "pointingAccuracy",
      "heatInside",
      "chance",
    ]);
    expect(JSON.parse(stdout)).toEqual({
      images,
      method: "grad-cam",
      layers: ["layer3"],
      faithfulness,
      out: "wrong",
    });
  });

  it("takes test images by number, in the order given, and all classes", async () => {
    const flags =
      "--index 7,2-3 --class all --data shapes --limit-test 8 --out all --image-weight 0.7 --color-map viridis";
    const { status, stdout, stderr } = await explain(`--checkpoint shapes.safetensors ${flags}`);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const { maps } = written("all");
    expect(maps.map(({ index }) => index)).toEqual([7, 2, 3].flatMap((index) => new Array<number>(10).fill(index)));
    expect(new Set(maps.map((map) => map.class)).size).toBe(10);
    expect(stderr).not.toContain("earlier");
    const again = await explain("--checkpoint shapes.safetensors --index 3 --data shapes --limit-test 8 --out all");
    expect(again.stderr).toContain("of an earlier time, not in maps.json: 2 pictures, such as test-2.png\n");
    expect(stdout).toMatch(/^test image 7, truly \w+\n/);
    expect(stdout).toContain("test-7.png: the image, maps of 10 classes\n");
    expect(sizeOf("all/test-7.png")).toEqual([6 * 240, 2 * (240 + 2 * (3 * 12.5 + 4))]);
  });

  it("says which file of the data's folder a test image is", async () => {
    for (const part of ["train", "test"]) {
      for (const name of NAMES) {
        mkdirSync(join(cwd, "photos", part, name), { recursive: true });
        writeFileSync(join(cwd, "photos", part, name, `my ${name}.png`), png(32, 32, picture(1)));
      }
    }
    const { status, stdout, stderr } = await explain(
      "--checkpoint named.safetensors --data photos --index 4 --out photo",
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const { maps, images } = written("photo");
    const [{ path }] = maps;
    expect(path).toMatch(/^test\/(\w+)\/my \1\.png$/);
    expect(images[0]).toMatchObject({
      index: 4,
      path,
      picture: expect.stringMatching(/^test-4-my_\w+\.png$/) as string,
    });
    expect(stdout).toMatch(new RegExp(`^test image 4 \\(${path}\\), truly \\w+\n`));
  });

  it("refuses what is wrong before a device is opened", async () => {
    const at = "--checkpoint named.safetensors";
    const cases: [string, number, RegExp][] = [
      ["--image wide.png", 2, /^explain: required option '--checkpoint <file>' not specified$/],
      [at, 2, /^explain: which images\? give --image FILE\.\.\., --index I,J or --misclassified N$/],
      [`${at} --image wide.png --index 3`, 2, /exclude each other/],
      [`${at} --index 3,x`, 2, /^explain: --index must be numbers of test images/],
      [`${at} --image wide.png --method gradcim`, 2, /--method: unknown method "gradcim"; did you mean "grad-cam"\?/],
      [`${at} --image wide.png --layer layer9`, 2, /--layer: .*"layer9"; there are conv1, bn1, layer1, layer2, layer3/],
      [`${at} --image wide.png --layer fc`, 2, /^explain: --layer fc has no places to show: choose of conv1, bn1/],
      [`${at} --image wide.png --class 10`, 2, /--class 10: there is no such class; there are 0 to 9: ant, bee/],
      [`${at} --image wide.png --class owl`, 2, /--class owl: there is no such class/],
      [`${at} --image wide.png --color-map pink`, 2, /^explain: --color-map must be jet, viridis/],
      [`--checkpoint bare.safetensors --image wide.png`, 2, /give --mean and --std/],
      [
        `${at} --index 3`,
        2,
        /^explain: named\.safetensors tells ant, bee, cow, \.\.\. apart, and no config\.json .* --data$/,
      ],
      [`--checkpoint shapes.safetensors --index 8 --limit-test 8`, 2, /--index 8: shapes has the test images 0 to 7/],
      [`${at} --image nowhere.png`, 1, /^explain: --image nowhere\.png: there is no such file$/],
      [`${at} --image text.png`, 1, /^explain: --image text\.png: it cannot be decoded/],
    ];
    for (let i = 0; i < cases.length; i += 2) {
      const some = cases.slice(i, i + 2);
      const results = await Promise.all(some.map(([args]) => explain(`${args} --out refused`, NO_ADAPTER)));
      results.forEach(({ status, stdout, stderr }, j) => {
        const lines = stderr
          .trim()
          .split("\n")
          .filter((line) => !/^(data|warning:) /.test(line));
        expect(lines.join("\n")).toMatch(some[j][2]);
        expect([status, stdout, lines.length > 2]).toEqual([some[j][1], "", false]);
      });
    }
    expect(readdirSync(cwd)).not.toContain("refused");
  });

  it("prints every flag with its default", async () => {
    const { status, stdout } = await explain("--help", NO_ADAPTER);
    expect(status).toBe(0);
    const flags = stdout.split(/\n {2}(?=-)/).slice(1);
    expect(flags.length).toBeGreaterThan(20);
    for (const text of flags) {
      if (!text.startsWith("-h,")) expect(text.replace(/\s+/g, " ")).toMatch(/\(default: .+\)/);
    }
  });
});
