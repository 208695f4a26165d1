// The methods that need no gradient but many forward passes: what the logits become where only one channel is shown, or one is missing.
import { fromData, noGrad, type Tensor } from "../../engine/index.ts";
import { ResNet, Sequential, type Module } from "../../nn/index.ts";
import { splitRows, untouched } from "./layer-results.ts";
import type { LayerResult } from "./methods.ts";
import { resizeMap, type Size } from "./scale.ts";

/** An image on the host, [H, W, C]. */
export interface HostImage {
  readonly size: Size;
  readonly pixels: Float32Array;
}

/** Score-CAM: the logits [channels][classes] of the image multiplied by each channel, which is scaled to 0..1 at the image's size. */
export function maskedLogits(
  model: Module,
  image: HostImage,
  layer: LayerResult,
  layerSize: Size,
  batchSize: number,
): Promise<Float32Array[]> {
  const { channels, activations, places } = layer;
  const depth = image.pixels.length / (image.size[0] * image.size[1]);
  return inBatches(channels, batchSize, (first, count) => {
    const masked = new Float32Array(count * image.pixels.length);
    for (let c = 0; c < count; c++) {
      const channel = Float32Array.from({ length: places }, (_, place) => activations[place * channels + first + c]);
      const mask = stretched(resizeMap(channel, layerSize, image.size, true));
      image.pixels.forEach((value, i) => (masked[c * image.pixels.length + i] = value * mask[Math.floor(i / depth)]));
    }
    return untouched(model, () => noGrad(() => model.forward(fromData(masked, [count, ...image.size, depth]))));
  });
}

/** The 1e-8 keeps a channel that is the same everywhere at 0. */
function stretched(map: Float64Array): Float64Array {
  let [low, high] = [Infinity, -Infinity];
  for (const value of map) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return map.map((value) => (value - low) / (high - low + 1e-8));
}

/**
 * Ablation-CAM: the logits [channels][classes] with each channel of the layer put out: set to 0 where the layer's lowest value is 0
 * (after ReLU), else to 1e7 below the lowest.
 */
export function ablatedLogits(
  model: Module,
  image: HostImage,
  name: string,
  layer: LayerResult,
  layerSize: Size,
  batchSize: number,
): Promise<Float32Array[]> {
  const { channels, activations } = layer;
  const depth = image.pixels.length / (image.size[0] * image.size[1]);
  const lowest = activations.reduce((low, value) => Math.min(low, value), Infinity);
  const out = lowest === 0 ? 0 : lowest - 1e7;
  const once = onlyWay(model, name);
  return inBatches(channels, batchSize, (first, count) => {
    const ablated = new Float32Array(count * activations.length);
    for (let c = 0; c < count; c++) {
      const copy = activations.slice();
      for (let at = first + c; at < copy.length; at += channels) copy[at] = out;
      ablated.set(copy, c * activations.length);
    }
    return untouched(model, () =>
      noGrad(() => {
        const copies = once ? 1 : count;
        const pixels = new Float32Array(copies * image.pixels.length);
        for (let i = 0; i < copies; i++) pixels.set(image.pixels, i * image.pixels.length);
        const x = fromData(pixels, [copies, ...image.size, depth]);
        return forwardWith(model, name, fromData(ablated, [count, ...layerSize, channels]), x);
      }),
    );
  });
}

/** The model's result where the module's own is replaced. */
function forwardWith(model: Module, name: string, result: Tensor, x: Tensor): Tensor {
  const module = model.module(name);
  try {
    // An own property shadows the method. A view: what is returned belongs to the caller's scope, which may free it.
    module.forward = () => result.view(result.shape);
    return model.forward(x);
  } finally {
    Reflect.deleteProperty(module, "forward");
  }
}

/**
 * Whether all that comes after the module depends on the image through it alone: a stage of a ResNet, or a block of one. What comes
 * before it then has to run for one image only.
 */
function onlyWay(model: Module, name: string): boolean {
  if (!(model instanceof ResNet)) return false;
  const parents = name.split(".").slice(0, -1);
  return parents.every((_, i) => model.module(parents.slice(0, i + 1).join(".")) instanceof Sequential);
}

/** Logits for channels 0 .. channels - 1, by `work` for `count` channels from `first` on. */
async function inBatches(
  channels: number,
  batchSize: number,
  work: (first: number, count: number) => Tensor,
): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  for (let first = 0; first < channels; first += batchSize) {
    const count = Math.min(batchSize, channels - first);
    const logits = work(first, count);
    const values = (await logits.data().finally(() => logits.dispose())) as Float32Array;
    all.push(...splitRows(values, count));
  }
  return all;
}
