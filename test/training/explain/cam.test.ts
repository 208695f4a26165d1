import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromData, type Device, type Tensor } from "../../../engine/index.ts";
import {
  Conv2d,
  Flatten,
  GlobalAvgPool,
  Linear,
  ReLU,
  resnet8,
  resnet18,
  Sequential,
  stateDict,
  type ResNet,
} from "../../../nn/index.ts";
import { camMethod, camMethods, defaultLayer, gradCam } from "../../../training/index.ts";
import { combineMaps, minMax, resizeMap } from "../../../training/explain/scale.ts";
import { mainComponent } from "../../../training/explain/eigen.ts";
import { testDevice, toGpu } from "../../support/gpu.ts";
import { randomArr } from "../../support/random.ts";
import { values } from "../../pytorch/formula.ts";

let device: Device;
let model: ResNet;
let images: Tensor;
beforeAll(async () => {
  device = await testDevice();
  model = resnet8({ classes: 5, seed: 3 });
  images = fromData(values("cam-images", 3 * 32 * 32 * 3), [3, 32, 32, 3]);
});
afterAll(() => {
  model.dispose();
  images.dispose();
});

describe("gradCam", () => {
  it("by default explains the predicted class at the default layer", async () => {
    const maps = await gradCam(model, images);
    const predicted = maps.logits.map((row) => [row.indexOf(Math.max(...row))]);
    expect(maps).toMatchObject({ shape: [3, 1, 32, 32], layers: ["layer3"], method: "grad-cam", classes: predicted });
    const same = await gradCam(model, images, { layer: "layer3", classes: predicted, method: "GradCAM" });
    expect(same.data).toEqual(maps.data);
    expect(Math.max(...maps.data)).toBeGreaterThan(0.999);
    expect(Math.min(...maps.data)).toBe(0);
  });

  it("gives each image its maps, whatever the batches and the other images", async () => {
    const whole = await gradCam(model, images, { classes: [4, 1], layers: ["layer2", "layer3"] });
    const classes = [
      [0, 2],
      [4, 1],
      [3, 3],
    ];
    const parts = await gradCam(model, images, { classes, layers: ["layer2", "layer3"], batchSize: 2 });
    expect(parts.shape).toEqual([3, 2, 32, 32]);
    expect(parts.map(1, 0)).toEqual(whole.map(1, 0));
    expect(parts.map(1, 1)).toEqual(whole.map(1, 1));
    expect(parts.map(2, 0)).toEqual(parts.map(2, 1));
    expect(parts.map(0, 0)).not.toEqual(whole.map(0, 0));
  });

  it("reads layers inside of blocks and beside the main way", async () => {
    const layers = ["layer2.0.downsample.1", "layer2.0.conv1", "conv1"];
    const together = await gradCam(model, images, { layers, classes: [0] });
    expect(together.data.every(Number.isFinite)).toBe(true);
    for (const layer of layers) {
      const { data } = await gradCam(model, images, { layer, classes: [0] });
      expect(Math.max(...data), layer).toBeGreaterThan(0.9);
    }
    // A stage and its last block are one and the same.
    const twice = await gradCam(model, images, { layers: ["layer2", "layer2.0"], classes: [0] });
    const once = await gradCam(model, images, { layer: "layer2", classes: [0] });
    twice.data.forEach((value, i) => expect(Math.abs(value - once.data[i])).toBeLessThan(1e-6));
  });

  it("leaves weights, statistics, gradients, frozen parameters, modes and memory as they were", async () => {
    model.train();
    model.module("layer1").eval();
    const frozen = model.freeze("layer2");
    const modes = model.modules().map((module) => module.training);
    const contents = async (): Promise<string> =>
      JSON.stringify([...(await stateDict(model))].map(([name, { data }]) => [name, String(data)]));
    const before = await contents();
    await gradCam(model, images);
    const { tensors, bytes } = device.memory();
    for (const method of camMethods) {
      await gradCam(model, images, { method, layers: ["layer3", "layer3.0.conv1"], classes: [1, 2], batchSize: 16 });
    }
    await expect(gradCam(model, images, { layer: "fc" })).rejects.toThrow('layer "fc" gives [3,5]');
    expect(device.memory()).toMatchObject({ tensors, bytes });
    expect(await contents()).toBe(before);
    expect(model.modules().map((module) => module.training)).toEqual(modes);
    expect(model.parameters().every(({ grad }) => grad === null)).toBe(true);
    const still = model.namedParameters().filter(([, { requiresGrad }]) => !requiresGrad);
    expect(still.map(([name]) => name)).toEqual(frozen);
    model.unfreeze();
  });

  it("explains a model of one's own", async () => {
    using own = new Sequential(
      new Conv2d(3, 6, { kernel: 3, stride: 2 }),
      new ReLU(),
      new GlobalAvgPool(),
      new Flatten(),
      new Linear(6, 4),
    );
    for (const method of camMethods) {
      const maps = await gradCam(own, images, { method, classes: [2, 0] });
      expect(maps.layers).toEqual(["1"]);
      expect(maps.data.every((value) => value >= 0 && value <= 1)).toBe(true);
    }
  });

  it("says what is wrong with what was asked for", async () => {
    const refusals: [Parameters<typeof gradCam>[2], string | RegExp][] = [
      [{ layer: "layer9" }, 'gradCam: ResNet: no module "layer9"; there are conv1, bn1, layer1, layer2, layer3, fc'],
      [{ layer: "layer3.5" }, 'no module "layer3.5"; there are layer3.0'],
      [{ layers: [] }, "gradCam: layers are empty"],
      [{ classes: [1, 5] }, "gradCam: there is no class 5; the model's are 0 to 4"],
      [{ classes: [1.5] }, "gradCam: there is no class 1.5"],
      [{ classes: [] }, "gradCam: classes are empty"],
      [{ classes: [[1], [2]] }, "gradCam: classes of 2 images were given for 3 images"],
      [{ classes: [[1], [2, 3], [1]] }, "gradCam: image 0 has 1 classes, image 1 has 2"],
      [{ classes: [[1], [], [1]] }, "gradCam: image 0 has 1 classes, image 1 has 0"],
      [{ method: "grad-cim" }, 'unknown method "grad-cim"; did you mean "grad-cam"? (known: grad-cam, grad-cam++'],
      [{ batchSize: 0 }, "batchSize 0 must be 1 or more"],
    ];
    for (const [options, message] of refusals) await expect(gradCam(model, images, options)).rejects.toThrow(message);
    using flat = toGpu(randomArr([3, 7], 1));
    await expect(gradCam(model, flat)).rejects.toThrow("gradCam: images must be [N,H,W,C]");
  });

  it("refuses logits that are no numbers", async () => {
    using broken = resnet8({ classes: 2 });
    broken.fc.bias!.write([NaN, 1]);
    await expect(gradCam(broken, images)).rejects.toThrow("logits are not finite");
  });
});

describe("defaultLayer", () => {
  it("is the last with at least 7 x 7 cells, else the last with several", () => {
    using large = resnet18({ stem: "imagenet" });
    using small = resnet18();
    expect(defaultLayer(large, 224)).toBe("layer4");
    expect(defaultLayer(large, 220)).toBe("layer4");
    expect(defaultLayer(large, 192)).toBe("layer3");
    expect(defaultLayer(small, 32)).toBe("layer3");
    expect(defaultLayer(small, 56)).toBe("layer4");
    expect(defaultLayer(small, [56, 32])).toBe("layer3");
    expect(defaultLayer(model, 32)).toBe("layer3");
    expect(defaultLayer(model, 6)).toBe("layer3");
    expect(defaultLayer(model, 4)).toBe("layer2");
  });
  it("says where there is none", () => {
    using flat = new Sequential(new Flatten(), new Linear(12, 2));
    expect(() => defaultLayer(flat, 2)).toThrow("has no part that gives [N,H,W,C]: name a layer");
  });
});

describe("names of methods", () => {
  it("are also those of pytorch-grad-cam", () => {
    const theirs = "GradCAM GradCAMPlusPlus HiResCAM LayerCAM XGradCAM EigenCAM ScoreCAM AblationCAM".split(" ");
    expect(theirs.map(camMethod)).toEqual([...camMethods]);
    expect(camMethods.map(camMethod)).toEqual([...camMethods]);
    expect(camMethod("gradcam++")).toBe("grad-cam++");
  });
});

describe("maps of layers", () => {
  it("are scaled, resized and averaged in this order", () => {
    const first = { map: Float64Array.of(-5, 2, 6, 4), size: [2, 2] as const };
    const second = { map: Float64Array.of(3), size: [1, 1] as const };
    // 0, 1/3, 1, 2/3 at the corners of 4 x 4 pixels; a map of one cell has no differences and is 0.
    const map = combineMaps([first, second], [4, 4]);
    expect(map[0]).toBe(0);
    expect(map[3]).toBeCloseTo(1 / 3, 6);
    expect(map[12]).toBeCloseTo(1, 6);
    expect(map[15]).toBeCloseTo(2 / 3, 6);
    expect(map[1]).toBeCloseTo(1 / 12, 6);
    expect(map[5]).toBeCloseTo((9 * 0 + 3 * (1 / 3) + 3 * 1 + 2 / 3) / 16, 6);
  });
  it("without anything positive are 0", () => {
    expect([...combineMaps([{ map: Float64Array.of(-1, -2), size: [1, 2] }], [1, 2])]).toEqual([0, 0]);
    expect([...minMax(Float64Array.of(7, 7))]).toEqual([0, 0]);
  });
  it("with corners that lie on each other", () => {
    expect([...resizeMap([0, 3], [1, 2], [2, 4], true)]).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
    expect([...resizeMap([5], [1, 1], [1, 3], true)]).toEqual([5, 5, 5]);
  });
});

describe("the main component", () => {
  it("is the projection on the direction of the largest variance, either way round", () => {
    // Rows along (3, 4) / 5 at -2, -1, 0, 3, and a smaller part at a right angle.
    const along = [-2, -1, 0, 3];
    const across = [0.1, -0.2, 0.1, 0];
    const points = along.flatMap((t, i) => [0.6 * t - 0.8 * across[i] + 7, 0.8 * t + 0.6 * across[i] - 2]);
    for (const sign of [1, -1]) {
      const got = mainComponent(
        points.map((value) => sign * value),
        2,
      );
      expect(Math.max(...got)).toBeGreaterThan(-Math.min(...got));
      along.forEach((t, i) => expect(Math.abs(got[i] - t)).toBeLessThan(0.05));
      const squares = got.reduce((sum, value) => sum + value ** 2, 0);
      expect(squares).toBeGreaterThan(along.reduce((sum, value) => sum + value ** 2, 0) - 1e-9);
    }
  });
  it("of what is the same everywhere is 0", () => {
    expect([...mainComponent([2, 3, 2, 3, 2, 3], 2)]).toEqual([0, 0, 0]);
    expect([...mainComponent([2, 3, 4, 2, 3, 4], 3)]).toEqual([0, 0]);
  });
});
