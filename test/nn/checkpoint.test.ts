import { describe, expect, it } from "vitest";
import {
  exportWeights,
  modelFromCheckpoint,
  stemOf,
  readCheckpoint,
  readCheckpointMetadata,
  resnet18,
  resnet8,
  stateDict,
} from "../../nn/index.ts";
import { digestsOf, renamed } from "../support/state-dicts.ts";

describe("checkpoints", () => {
  const info = {
    name: "resnet8",
    stem: "cifar",
    classes: 3,
    imageSize: 32,
    classNames: ["cat", "dog", "ship"],
    mean: [0.5, 0.25, 0.125],
    std: [0.2, 0.3, 0.4],
  } as const;

  it("return model, numbers and metadata", async () => {
    const model = resnet8({ classes: 3, seed: 8 });
    const bytes = await exportWeights(model, info);
    const checkpoint = readCheckpoint(bytes, "w.safetensors");
    expect(checkpoint.metadata).toEqual({
      model: { name: "resnet8", stem: "cifar", classes: 3, imageSize: 32 },
      classes: ["cat", "dog", "ship"],
      mean: [0.5, 0.25, 0.125],
      std: [0.2, 0.3, 0.4],
    });
    const again = modelFromCheckpoint(checkpoint, "w.safetensors");
    expect(again.classes).toBe(3);
    expect(await digestsOf(again)).toEqual(await digestsOf(model));
    expect(Buffer.compare(await exportWeights(again, info), bytes)).toBe(0);
  });

  it("of others need the model's name; classes and stem are read off", async () => {
    const tensors = renamed(await stateDict(resnet18({ classes: 6, stem: "imagenet" })), (name) => `module.${name}`);
    const model = modelFromCheckpoint({ tensors, metadata: {} }, "w", { name: "resnet18" });
    expect([model.classes, model.stem]).toEqual([6, "imagenet"]);
    expect(stemOf({ tensors, metadata: {} })).toBe("imagenet");
    const info = { name: "resnet18", stem: "cifar", classes: 6, imageSize: 32 } as const;
    expect(stemOf({ tensors, metadata: { model: info } })).toBe("cifar");
    expect(() => modelFromCheckpoint({ tensors, metadata: {} }, "w")).toThrow(
      "w doesn't say which model it is: name it (resnet8,",
    );
  });

  it.each([
    [
      { "kiln.model": "resnet18" },
      "w: its metadata entry kiln.model is not a model's name, stem, classes and imageSize in JSON",
    ],
    [{ "kiln.model": '{"name":"resnet18","stem":"cifar","classes":0,"imageSize":32}' }, "kiln.model is not"],
    [{ "kiln.classes": '["a",2]' }, "w: its metadata entry kiln.classes is not a JSON list of names"],
    [{ "kiln.mean": "0.5" }, "kiln.mean is not a JSON list of three numbers"],
    [{ "kiln.mean": '[0.5,"0.5",0.5]' }, "kiln.mean is not a JSON list of three numbers"],
    [{ "kiln.std": "[0.2]" }, "kiln.std is not a JSON list of three numbers above 0"],
    [{ "kiln.std": "[0.2,0,0.2]" }, "kiln.std is not a JSON list of three numbers above 0"],
    [{ "kiln.split": "1" }, "w: its metadata entry kiln.split is not a number between 0 and 1"],
    [
      { "kiln.model": '{"name":"resnet8","stem":"cifar","classes":3,"imageSize":32}', "kiln.classes": '["a"]' },
      "w: its metadata names 1 classes for a model of 3",
    ],
  ] as [Record<string, string>, string][])("refuses the metadata %j", (metadata, message) => {
    expect(() => readCheckpointMetadata(metadata, "w")).toThrow(message);
  });

  it("knows the share that trained", () => {
    expect(readCheckpointMetadata({ "kiln.split": "0.8" }, "w")).toEqual({ split: 0.8 });
  });

  it("ignores other metadata", () => {
    expect(readCheckpointMetadata({ format: "pt" }, "w")).toEqual({});
  });
});
