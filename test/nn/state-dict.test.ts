import { beforeAll, describe, expect, it } from "vitest";
import {
  BatchNorm2d,
  initFrom,
  Linear,
  loadStateDict,
  Module,
  resnet18,
  resnet8,
  Sequential,
  stateDict,
  type StateDict,
} from "../../nn/index.ts";
import { readAll, transpose } from "../../nn/layout.ts";
import type { SafeTensor } from "../../nn/safetensors.ts";
import { testDevice } from "../support/gpu.ts";
import { digests, digestsOf, renamed, trainedState } from "../support/state-dicts.ts";

const f32 = (
  shape: number[],
  data: number[] = new Array<number>(shape.reduce((a, b) => a * b, 1)).fill(1),
): SafeTensor => ({
  dtype: "F32",
  shape,
  data: Float32Array.from(data),
});

describe("transpose", () => {
  it("moves axes as numpy.transpose", () => {
    // [R,S,C,K] = [1,2,2,3] to [K,C,R,S]
    const values = Float32Array.from({ length: 12 }, (_, i) => i);
    expect([...transpose(values, [1, 2, 2, 3], [3, 2, 0, 1])]).toEqual([0, 6, 3, 9, 1, 7, 4, 10, 2, 8, 5, 11]);
    expect([...transpose(values, [3, 4], [1, 0])]).toEqual([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
    expect(transpose(values, [3, 4], [0, 1])).toBe(values);
  });
});

describe("stateDict", () => {
  it("has PyTorch's layouts and types", async () => {
    const layer = new Linear(2, 3);
    layer.weight.write([1, 2, 3, 4, 5, 6]);
    const norm = new BatchNorm2d(2);
    norm.numBatchesTracked.value = 12;
    const state = await stateDict(new Sequential(layer, norm));
    expect(state.get("0.weight")).toEqual({ dtype: "F32", shape: [3, 2], data: Float32Array.of(1, 4, 2, 5, 3, 6) });
    expect(state.get("1.num_batches_tracked")).toEqual({ dtype: "I64", shape: [], data: BigInt64Array.of(12n) });
    expect(state.get("1.running_var")).toEqual({ dtype: "F32", shape: [2], data: Float32Array.of(1, 1) });
  });

  it("returns through loadStateDict to the same numbers", async () => {
    const state = await trainedState();
    const other = resnet8({ seed: 12 });
    expect(await digestsOf(other)).not.toEqual(digests(state));
    const report = loadStateDict(other, state);
    expect(await digestsOf(other)).toEqual(digests(state));
    expect(report).toEqual({ loaded: [...state.keys()], missing: [], unexpected: [] });
  });

  it.each<[string, (name: string) => string]>([
    ["the common CIFAR names", (name) => name.replace(".downsample.", ".shortcut.").replace(/^fc\./, "linear.")],
    ["DataParallel's prefix", (name) => `module.${name}`],
    ["both", (name) => `module.${name.replace(".downsample.", ".shortcut.").replace(/^fc\./, "linear.")}`],
    ["torch.compile's prefix", (name) => `_orig_mod.${name}`],
    ["both prefixes", (name) => `_orig_mod.module.${name}`],
  ])("accepts %s", async (_, rename) => {
    const state = await trainedState();
    const other = resnet8({ seed: 12 });
    const names = renamed(state, rename);
    expect([...names.keys()]).not.toEqual([...state.keys()]);
    loadStateDict(other, names);
    expect(await digestsOf(other)).toEqual(digests(state));
  });

  it("prefers a model's own name to an alias", () => {
    const model = new (class extends Module {
      readonly linear = new Linear(1, 1, { bias: false });
      override forward = (): never => {
        throw new Error("unused");
      };
    })();
    loadStateDict(model, new Map([["linear.weight", f32([1, 1], [5])]]));
    expect(model.linear.weight.hostValues()).toEqual(Float32Array.of(5));
  });

  it("converts half floats", () => {
    const layer = new Linear(1, 2, { bias: false });
    loadStateDict(layer, new Map([["weight", { dtype: "F16", shape: [2, 1], data: Uint16Array.of(0x3c00, 0xc000) }]]));
    expect([...layer.weight.hostValues()!]).toEqual([1, -2]);
    loadStateDict(layer, new Map([["weight", { dtype: "BF16", shape: [2, 1], data: Uint16Array.of(0x4040, 0x3f80) }]]));
    expect([...layer.weight.hostValues()!]).toEqual([3, 1]);
  });

  it("does without counts, which old files lack", async () => {
    const state = await trainedState();
    for (const name of [...state.keys()]) if (name.endsWith("num_batches_tracked")) state.delete(name);
    expect(loadStateDict(resnet8(), state).missing).toEqual([]);
  });
});

describe("files that don't fit", () => {
  const load =
    (state: StateDict, model: Module = resnet8()) =>
    (): unknown =>
      loadStateDict(model, state, { origin: "w.safetensors" });

  it("names the tensor and both shapes, and changes nothing", async () => {
    const state = await trainedState();
    state.set("layer2.0.conv1.weight", f32([32, 16, 1, 1]));
    const model = resnet8({ seed: 1 });
    const before = await digestsOf(model);
    expect(load(state, model)).toThrow(
      'w.safetensors: "layer2.0.conv1.weight" is [32,16,1,1] in the file, [32,16,3,3] in the model',
    );
    expect(await digestsOf(model)).toEqual(before);
  });

  it("says what another stem or number of classes needs", async () => {
    const imagenet = await stateDict(resnet18({ stem: "imagenet" }));
    expect(load(imagenet, resnet18())).toThrow(
      '"conv1.weight" is [64,3,7,7] in the file, [64,3,3,3] in the model (the file has the stem "imagenet": build the model with it)',
    );
    expect(load(await trainedState(), resnet8({ classes: 3 }))).toThrow(
      '"fc.weight" is [10,64] in the file, [3,64] in the model (the file is for 10 classes)',
    );
  });

  it("lists the first missing and unexpected names, and their number", async () => {
    const state = await trainedState();
    for (const name of ["conv1.weight", "bn1.weight", "bn1.bias", "fc.bias"]) state.delete(name);
    state.set("layer9.weight", f32([1]));
    expect(load(state)).toThrow(
      'w.safetensors is of another model: it lacks 4 of the model\'s tensors ("conv1.weight", "bn1.weight", "bn1.bias" and 1 more), ' +
        'it has 1 that the model lacks ("layer9.weight")',
    );
    expect(load(new Map([["x", f32([1])]]))).toThrow("w.safetensors holds no tensor of this model: it lacks");
  });

  it("may be loaded in part with strict: false, and says what is amiss", async () => {
    const state = await trainedState();
    const weight = state.get("conv1.weight")!;
    const report = loadStateDict(
      resnet8(),
      new Map([
        ["conv1.weight", weight],
        ["head.weight", f32([1])],
      ]),
      { strict: false },
    );
    expect(report.loaded).toEqual(["conv1.weight"]);
    expect(report.missing).toContain("fc.bias");
    expect(report.unexpected).toEqual(["head.weight"]);
  });

  it("refuses two tensors for one name, integer weights, and counts that are none", async () => {
    const state = await trainedState();
    expect(load(new Map([...state, ["linear.bias", f32([10])]]))).toThrow(
      '"fc.bias" and "linear.bias" are both the model\'s "fc.bias"',
    );
    const integers: SafeTensor = { dtype: "I32", shape: [10], data: new Int32Array(10) };
    expect(load(new Map([...state, ["fc.bias", integers]]))).toThrow('"fc.bias" has the type I32, weights are F32');
    expect(load(new Map([...state, ["bn1.num_batches_tracked", f32([], [-3])]]))).toThrow(
      '"bn1.num_batches_tracked" is -3, not a count',
    );
  });
});

describe("initFrom", () => {
  it("keeps the trunk and a fresh classifier where the number of classes differs", async () => {
    const state = await trainedState();
    const model = resnet8({ classes: 4, seed: 5 });
    const fresh = (await digestsOf(model))["fc.weight"];
    const { message, missing } = initFrom(model, state, { origin: "w.safetensors" });
    expect(message).toBe(
      `w.safetensors: loaded ${state.size - 2} tensors; made a fresh fc (the file's is for 10 classes)`,
    );
    expect(missing).toEqual(["fc.weight", "fc.bias"]);
    const after = await digestsOf(model);
    expect(after["fc.weight"]).toBe(fresh);
    for (const [name, digest] of Object.entries(digests(state)))
      if (!name.startsWith("fc.")) expect(after[name]).toBe(digest);
  });

  it("takes the classifier where it fits, and does without one", async () => {
    const state = await trainedState();
    const model = resnet8({ seed: 5 });
    expect(initFrom(model, state, { origin: "w" }).message).toBe(`w: loaded ${state.size} tensors`);
    expect(await digestsOf(model)).toEqual(digests(state));
    const trunk = new Map([...state].filter(([name]) => !name.startsWith("fc.")));
    expect(initFrom(resnet8(), trunk, { origin: "w" }).message).toBe(
      `w: loaded ${trunk.size} tensors; made a fresh fc (the file has none)`,
    );
  });

  it("still refuses another trunk", async () => {
    const state = await trainedState();
    state.delete("layer1.0.conv1.weight");
    expect(() => initFrom(resnet8({ classes: 4 }), state, { origin: "w" })).toThrow(
      'lacks 1 of the model\'s tensors ("layer1.0.conv1.weight")',
    );
    expect(() => initFrom(resnet18(), state, { origin: "w" })).toThrow("w is of another model");
  });
});

describe("on a device", () => {
  beforeAll(testDevice);

  it("reads back tensors of their own, in one buffer, and not used yet", async () => {
    using model = new Sequential(new Linear(3, 5), new Linear(2, 4), new Linear(6, 7));
    const parameters = model.parameters();
    const want = parameters.map((parameter) => parameter.initialValues());
    const { fromData } = await import("../../engine/index.ts");
    // The first two lie in one buffer, apart from each other; the next two have their own; the rest has none.
    const flat = fromData(new Float32Array(256), [256]);
    [parameters[0], parameters[1]].forEach((parameter, i) => {
      const part = flat.range(64 + 64 * i, parameter.shape);
      part.write(want[i]);
      parameter.rebase(part);
      part.dispose();
    });
    parameters[2].location();
    parameters[3].location();
    const got = await readAll(parameters);
    expect(parameters.map((parameter) => got.get(parameter))).toEqual(want);
    expect(parameters[4].hostValues()).not.toBeNull();
    flat.dispose();
  });
});
