// Class activation maps: where in an image a model sees what speaks for a class.
import { slice, type Tensor } from "../../engine/index.ts";
import type { Module } from "../../nn/index.ts";
import { defaultLayer } from "./default-layer.ts";
import { readGradients, readLayers, type LayerBatch } from "./layer-results.ts";
import {
  ablationWeights,
  camMethod,
  eigenMap,
  gradientWeights,
  scoreWeights,
  weightedSum,
  type CamMethod,
} from "./methods.ts";
import { ablatedLogits, maskedLogits } from "./perturb.ts";
import { combineMaps, type Size } from "./scale.ts";

export interface CamOptions {
  /** A module's name as in `model.namedModules()`: "layer3", "layer4.1". Default: see `defaultLayer`. */
  readonly layer?: string | undefined;
  /** Several, whose maps are averaged. */
  readonly layers?: readonly string[] | undefined;
  /** The same for all images, [K], or for each its own, [N][K]. Default: what the model predicts. */
  readonly classes?: readonly number[] | readonly (readonly number[])[] | undefined;
  /** Default "grad-cam". The names that pytorch-grad-cam gives its classes do too. */
  readonly method?: CamMethod | (string & {}) | undefined;
  /** Images at once, and masked images of score-cam and ablation-cam. Default 32. */
  readonly batchSize?: number | undefined;
}

/** Maps in 0..1 of N images and K classes each. */
export interface CamMaps {
  /** [N, K, H, W]: of the images' size. */
  readonly shape: readonly [number, number, number, number];
  readonly data: Float32Array;
  /** [N][K] */
  readonly classes: readonly (readonly number[])[];
  readonly layers: readonly string[];
  readonly method: CamMethod;
  /** [N][number of classes]: what the model said. */
  readonly logits: readonly Float32Array[];
  /** One map, [H * W], row by row; shares memory with `data`. */
  map(image: number, k: number): Float32Array;
}

/**
 * Class activation maps by Grad-CAM (Selvaraju et al., 2017) or one of its relatives, with the numbers of pytorch-grad-cam: per layer the
 * weighted sum of channels, its negative part cut off, scaled to 0..1, resized bilinearly to the image; averaged over layers, scaled to
 * 0..1. A map without anything positive is 0 everywhere. Gradients are of logits, not of probabilities. eigen-cam knows no classes: its
 * maps are the same for all; its sign, which an SVD leaves open, makes the end further from zero hot.
 *
 * The model runs in evaluation mode, which is put back; weights, statistics and accumulated gradients stay as they are. Forward and
 * backward passes run on the GPU; what follows is a few thousand numbers a map, done on the host in f64.
 *
 * @param images [N, H, W, 3], normalised as for training
 * @throws where a layer or class does not exist, or `classes` are not of as many images
 */
export async function gradCam(model: Module, images: Tensor, options: CamOptions = {}): Promise<CamMaps> {
  const { batchSize = 32 } = options;
  if (images.rank !== 4) throw new Error(`gradCam: images must be [N,H,W,C], not ${images.toString()}`);
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new Error(`gradCam: batchSize ${batchSize} must be 1 or more`);
  const [count, height, width] = images.shape;
  const method = camMethod(options.method ?? "grad-cam");
  const layers = chooseLayers(model, options, [height, width]);
  const wanted = classesOfEach(options.classes, count);
  const results: ImageResult[] = [];
  for (let first = 0; first < count; first += batchSize) {
    const end = Math.min(first + batchSize, count);
    const batch = slice(images, [{ start: first, end }]);
    try {
      results.push(...(await explainBatch(model, batch, layers, method, wanted?.slice(first, end), batchSize)));
    } finally {
      batch.dispose();
    }
  }
  return joinResults(results, { layers, method, size: [height, width] });
}

interface ImageResult {
  readonly logits: Float32Array;
  readonly classes: readonly number[];
  /** For each class. */
  readonly maps: readonly Float32Array[];
}

async function explainBatch(
  model: Module,
  images: Tensor,
  names: readonly string[],
  method: CamMethod,
  wanted: readonly (readonly number[])[] | undefined,
  batchSize: number,
): Promise<ImageResult[]> {
  const [, height, width] = images.shape;
  const { logits, layers } = await readLayers(model, images, names);
  checkLogits(logits);
  const classes = wanted ?? logits.map((row) => [row.indexOf(Math.max(...row))]);
  checkClasses(classes, logits[0].length);
  const work = { model, images, names, logits, layers, classes, batchSize };
  const maps = await layerMaps(method, work);
  return logits.map((row, image) => ({
    logits: row,
    classes: classes[image],
    maps: classes[image].map((_, k) =>
      combineMaps(
        layers.map(({ size }, layer) => ({ size, map: maps[layer][image][k] })),
        [height, width],
      ),
    ),
  }));
}

interface BatchWork {
  readonly model: Module;
  readonly images: Tensor;
  readonly names: readonly string[];
  readonly logits: readonly Float32Array[];
  readonly layers: readonly LayerBatch[];
  readonly classes: readonly (readonly number[])[];
  readonly batchSize: number;
}

/** `[layer][image][k]` of [places] */
async function layerMaps(method: CamMethod, work: BatchWork): Promise<Float64Array[][][]> {
  const { layers, classes } = work;
  const weigh = gradientWeights[method];
  if (weigh) {
    const gradients = await readGradients(work.model, work.images, work.names, classes);
    return layers.map(({ images }, layer) =>
      images.map((result, image) =>
        classes[image].map((_, k) => weightedSum(result, weigh(result, gradients[layer][k][image]))),
      ),
    );
  }
  if (method === "eigen-cam") {
    return layers.map(({ images }) =>
      images.map((result, image) => {
        const map = eigenMap(result);
        return classes[image].map(() => map);
      }),
    );
  }
  return perturbedMaps(method, work);
}

/** score-cam and ablation-cam: as many forward passes as the layer has channels, for all classes together. */
async function perturbedMaps(
  method: CamMethod,
  { model, images, names, logits, layers, classes, batchSize }: BatchWork,
): Promise<Float64Array[][][]> {
  const [count, height, width] = images.shape;
  const pixels = (await images.data()) as Float32Array;
  const size = pixels.length / count;
  const maps: Float64Array[][][] = [];
  for (const [i, layer] of layers.entries()) {
    const ofLayer: Float64Array[][] = [];
    for (const [n, result] of layer.images.entries()) {
      const image = { size: [height, width] as const, pixels: pixels.subarray(n * size, (n + 1) * size) };
      const changed =
        method === "score-cam"
          ? await maskedLogits(model, image, result, layer.size, batchSize)
          : await ablatedLogits(model, image, names[i], result, layer.size, batchSize);
      ofLayer.push(
        classes[n].map((label) => {
          const scores = changed.map((row) => row[label]);
          const weights = method === "score-cam" ? scoreWeights(scores) : ablationWeights(logits[n][label], scores);
          return weightedSum(result, weights);
        }),
      );
    }
    maps.push(ofLayer);
  }
  return maps;
}

function chooseLayers(model: Module, { layer, layers }: CamOptions, size: Size): readonly string[] {
  const named = layers ?? (layer === undefined ? undefined : [layer]);
  if (named === undefined) return [defaultLayer(model, size)];
  if (named.length === 0) throw new Error("gradCam: layers are empty; leave them out for the default");
  for (const name of named) {
    try {
      model.module(name);
    } catch (cause) {
      throw new Error(`gradCam: ${(cause as Error).message}`, { cause });
    }
  }
  return named;
}

/** [N][K]; undefined where the prediction is meant. */
function classesOfEach(classes: CamOptions["classes"], count: number): readonly (readonly number[])[] | undefined {
  if (classes === undefined) return undefined;
  const [first] = classes;
  if (first === undefined) throw new Error("gradCam: classes are empty; leave them out for the predicted ones");
  if (typeof first === "number") return new Array<readonly number[]>(count).fill(classes as readonly number[]);
  const each = classes as readonly (readonly number[])[];
  if (each.length !== count)
    throw new Error(`gradCam: classes of ${each.length} images were given for ${count} images`);
  const uneven = each.findIndex((some) => some.length !== first.length || some.length === 0);
  if (uneven >= 0)
    throw new Error(
      `gradCam: image 0 has ${first.length} classes, image ${uneven} has ${each[uneven].length}: give each as many, at least 1`,
    );
  return each;
}

function checkClasses(classes: readonly (readonly number[])[], outputs: number): void {
  for (const label of classes.flat()) {
    if (Number.isInteger(label) && label >= 0 && label < outputs) continue;
    throw new Error(`gradCam: there is no class ${label}; the model's are 0 to ${outputs - 1}`);
  }
}

function checkLogits(logits: readonly Float32Array[]): void {
  const bad = logits.findIndex((row) => !row.every(Number.isFinite));
  if (bad >= 0) throw new Error("gradCam: the model's logits are not finite: its weights or the images are broken");
}

function joinResults(
  results: readonly ImageResult[],
  { layers, method, size }: { layers: readonly string[]; method: CamMethod; size: Size },
): CamMaps {
  const [height, width] = size;
  const places = height * width;
  const perImage = results[0].maps.length;
  const data = new Float32Array(results.length * perImage * places);
  results.forEach(({ maps }, n) => maps.forEach((map, k) => data.set(map, (n * perImage + k) * places)));
  return {
    shape: [results.length, perImage, height, width],
    data,
    classes: results.map(({ classes }) => classes),
    layers,
    method,
    logits: results.map((result) => result.logits),
    map: (image, k) => data.subarray((image * perImage + k) * places, (image * perImage + k + 1) * places),
  };
}
