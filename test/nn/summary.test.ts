import { describe, expect, it } from "vitest";
import { createModel, formatSummary, Linear, modelNames, resnet18, Sequential, summarize } from "../../nn/index.ts";

const table = (name: string): string[] => formatSummary(summarize(createModel(name))).split("\n");

describe("summary", () => {
  it("prints torchsummary's table of ResNet-18", () => {
    const lines = table("resnet18");
    expect(lines.slice(0, 10)).toEqual([
      "----------------------------------------------------------------",
      "        Layer (type)               Output Shape         Param #",
      "================================================================",
      "            Conv2d-1           [-1, 64, 32, 32]           1,728",
      "       BatchNorm2d-2           [-1, 64, 32, 32]             128",
      "            Conv2d-3           [-1, 64, 32, 32]          36,864",
      "       BatchNorm2d-4           [-1, 64, 32, 32]             128",
      "            Conv2d-5           [-1, 64, 32, 32]          36,864",
      "       BatchNorm2d-6           [-1, 64, 32, 32]             128",
      "        BasicBlock-7           [-1, 64, 32, 32]               0",
    ]);
    // The shortcut comes after the second batch norm, the block after both.
    expect(lines.slice(15, 22)).toEqual([
      "           Conv2d-13          [-1, 128, 16, 16]          73,728",
      "      BatchNorm2d-14          [-1, 128, 16, 16]             256",
      "           Conv2d-15          [-1, 128, 16, 16]         147,456",
      "      BatchNorm2d-16          [-1, 128, 16, 16]             256",
      "           Conv2d-17          [-1, 128, 16, 16]           8,192",
      "      BatchNorm2d-18          [-1, 128, 16, 16]             256",
      "       BasicBlock-19          [-1, 128, 16, 16]               0",
    ]);
    expect(lines.slice(-12)).toEqual([
      "       BasicBlock-48            [-1, 512, 4, 4]               0",
      "           Linear-49                   [-1, 10]           5,130",
      "================================================================",
      "Total params: 11,173,962",
      "Trainable params: 11,173,962",
      "Non-trainable params: 0",
      "----------------------------------------------------------------",
      "Input size (MB): 0.01",
      "Forward/backward pass size (MB): 11.25",
      "Params size (MB): 42.63",
      "Estimated Total Size (MB): 53.89",
      "----------------------------------------------------------------",
    ]);
    expect(lines).toHaveLength(3 + 49 + 10);
  });

  it("makes 56 x 56 of 32 x 32 with the padded stem: a published table's total", () => {
    const lines = formatSummary(summarize(resnet18({ stem: "padded" }))).split("\n");
    expect(lines.find((line) => line.startsWith("Forward/backward"))).toBe("Forward/backward pass size (MB): 34.45");
    expect(lines.find((line) => line.includes("BasicBlock-48"))).toMatch(/\[-1, 512, 7, 7\]/);
  });

  it("has ResNet-34's totals", () => {
    const lines = table("resnet34");
    expect(lines).toHaveLength(3 + 89 + 10);
    expect(lines.slice(-9, -1)).toEqual([
      "Total params: 21,282,122",
      "Trainable params: 21,282,122",
      "Non-trainable params: 0",
      "----------------------------------------------------------------",
      "Input size (MB): 0.01",
      "Forward/backward pass size (MB): 19.06",
      "Params size (MB): 81.18",
      "Estimated Total Size (MB): 100.26",
    ]);
  });

  it.each(modelNames)("counts every parameter of %s and names every row", (name) => {
    const model = createModel(name);
    const { rows, parameters } = summarize(model);
    expect(parameters).toBe(model.parameterCount());
    expect(rows.map((row) => model.module(row.name).typeName)).toEqual(rows.map((row) => row.layer.split("-")[0]));
    expect(rows.at(-1)?.outputShape).toEqual([10]);
  });

  it("follows the ImageNet stem at 224 pixels", () => {
    const { rows } = summarize(resnet18({ stem: "imagenet", classes: 1000 }), { imageSize: 224 });
    const shapes = new Map(rows.map((row) => [row.name, row.outputShape]));
    expect(shapes.get("conv1")).toEqual([64, 112, 112]);
    expect(shapes.get("maxpool")).toEqual([64, 56, 56]);
    expect(shapes.get("layer4.1")).toEqual([512, 7, 7]);
    expect(shapes.get("fc")).toEqual([1000]);
  });

  it("tells trained from frozen parameters", () => {
    const model = resnet18();
    model.freeze();
    model.unfreeze("fc");
    const text = formatSummary(summarize(model));
    expect(text).toContain("Trainable params: 5,130\nNon-trainable params: 11,168,832\n");
  });

  it("refuses shapes that don't fit", () => {
    expect(() => summarize(resnet18(), { channels: 4 })).toThrow("Conv2d: needs [N,H,W,3], x is [1,32,32,4]");
    expect(() => summarize(new Sequential(new Linear(5, 2)))).toThrow("Linear: needs [...,5], x is [1,32,32,3]");
  });

  it("rounds exact ties to the even digit, as C does", () => {
    const summary = {
      ...summarize(resnet18()),
      inputMegabytes: 0.125,
      passMegabytes: 2.375,
      parameterMegabytes: 0.625,
    };
    const text = formatSummary(summary);
    expect(text).toContain("Input size (MB): 0.12\n");
    expect(text).toContain("pass size (MB): 2.38\n");
    expect(text).toContain("Params size (MB): 0.62\n");
  });
});
