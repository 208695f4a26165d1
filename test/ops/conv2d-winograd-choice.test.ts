import { beforeAll, describe, expect, it } from "vitest";
import { currentDevice, type Device } from "../../engine/index.ts";
import type { Geometry } from "../../engine/ops/conv2d-geometry.ts";
import { winogradTile, winogradTiles } from "../../engine/ops/conv2d-winograd-choice.ts";
import { testDevice, withFamily, withWinograd } from "../support/gpu.ts";

beforeAll(testDevice);

describe("the choice of Winograd's tiles", () => {
  const layer = (N: number, size: number, C: number, K = C, change: Partial<Geometry> = {}): Geometry => ({
    x: [N, size, size, C],
    y: [N, size, size, K],
    weight: [3, 3, C, K],
    stride: [1, 1],
    padding: [1, 1],
    dilation: [1, 1],
    groups: 1,
    ...change,
  });
  const chosen = (g: Geometry, setting: Device["winograd"] = true) => withWinograd(setting, () => winogradTile(g));

  it.each([
    ["ResNet-18 on CIFAR", layer(32, 32, 64), 4],
    ["", layer(32, 16, 128), 4],
    ["", layer(32, 8, 256), 4],
    ["", layer(32, 4, 512), 4],
    ["where tiles of 4 would be mostly padding", layer(32, 2, 256), 2],
    ["too few tiles to pay for the weights' transform", layer(1, 4, 512), null],
    ["no work at all beside it", layer(32, 1, 256), null],
    ["small models: not worth compiling", layer(32, 32, 32), null],
    ["the last stage of ResNet-20: not worth compiling", layer(128, 8, 64), null],
    ["few channels on one side", layer(32, 32, 4, 64), null],
  ])("%s", async (_why, g, tile) => expect(await chosen(g)).toBe(tile));

  it.each([
    ["small models: measured where there are many such layers", layer(128, 16, 32), [4]],
    ["", layer(128, 8, 64), [4]],
    ["tiles that may be as fast as the others", layer(32, 5, 256), [2, 4]],
    ["tiles of 4 would be mostly padding", layer(32, 2, 256), [2]],
    ["transforms would take longer than the products", layer(128, 32, 16), []],
  ])("is measured: %s", (_why, g, tiles) => expect(winogradTiles(g)).toEqual(tiles));

  it("never has planes larger than a binding", async () => {
    const planes = 36 * 8 * 8 * 256 * 4; // bytes for an image
    const images = Math.floor(currentDevice().limits.maxStorageBufferBindingSize / planes);
    expect(await chosen(layer(images, 32, 256))).toBe(4);
    expect(await chosen(layer(images + 1, 32, 256))).toBeNull();
  });

  it.each<[string, Partial<Geometry>]>([
    ["stride", { stride: [1, 2] }],
    ["dilation", { dilation: [2, 1] }],
    ["groups", { groups: 2 }],
    ["1 x 1 windows", { weight: [1, 1, 64, 64] }],
    ["3 x 5 windows", { weight: [3, 5, 64, 64] }],
    ["an input gradient with negative padding", { padding: [1, 3] }],
  ])("never with %s", async (_why, change) => expect(await chosen(layer(32, 32, 64, 64, change), 4)).toBeNull());

  it("can be switched off", async () => expect(await chosen(layer(32, 32, 64), false)).toBeNull());

  it("is not for the portable kernels", () =>
    withFamily("portable", () => expect(winogradTile(layer(32, 32, 64))).toBeNull()));
});
