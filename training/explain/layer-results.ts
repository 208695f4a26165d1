// What layers compute for a batch of images, and the gradients of logits there.
import { fromData, noGrad, scope, type Tensor } from "../../engine/index.ts";
import { probe, type Module } from "../../nn/index.ts";
import { inEvaluation } from "../modes.ts";
import type { LayerResult } from "./methods.ts";
import type { Size } from "./scale.ts";

/** What one layer computes for a batch. */
export interface LayerBatch {
  readonly size: Size;
  readonly images: readonly LayerResult[];
}

/**
 * Runs synchronous work with the model in evaluation mode and its parameters frozen, so that neither statistics nor accumulated
 * gradients change; mode and parameters are then as before. Tensors that it makes are freed, but for what it returns.
 */
export function untouched<T>(model: Module, work: () => T): T {
  const trained = model.parameters().filter((parameter) => parameter.requiresGrad);
  for (const parameter of trained) parameter.requiresGrad = false;
  try {
    return inEvaluation(model, () => scope(work));
  } finally {
    for (const parameter of trained) parameter.requiresGrad = true;
  }
}

/** The logits of each image, and what the layers compute. */
export async function readLayers(
  model: Module,
  images: Tensor,
  names: readonly string[],
): Promise<{ logits: Float32Array[]; layers: LayerBatch[] }> {
  const { result, taps } = untouched(model, () => noGrad(() => probe(model, names, () => model.forward(images))));
  // Two names may mean one tensor: a stage and its last block.
  const shapes = names.map((name) => taps[name].shape);
  const [logits, ...activations] = await readAll([result, ...names.map((name) => taps[name])]);
  const count = images.shape[0];
  const layers = names.map((name, i) => {
    checkShape(name, shapes[i]);
    const [, height, width, channels] = shapes[i];
    const parts = splitRows(activations[i], count);
    return {
      size: [height, width] as const,
      images: parts.map((part) => ({ places: height * width, channels, activations: part })),
    };
  });
  return { logits: splitRows(logits, count), layers };
}

/**
 * The gradients of logits at the layers: `[layer][k][image]` of [places * channels], for the k-th class of each image. In evaluation mode
 * images do not touch each other, so that one pass serves a whole batch.
 *
 * @param classes [N][K]
 */
export async function readGradients(
  model: Module,
  images: Tensor,
  names: readonly string[],
  classes: readonly (readonly number[])[],
): Promise<Float32Array[][][]> {
  const gradients = untouched(model, () => {
    const x = images.view(images.shape);
    // Parameters are frozen: something has to make the ops record themselves.
    x.requiresGrad = true;
    const { result: logits, taps } = probe(model, names, () => model.forward(x));
    x.requiresGrad = false;
    const seeds = classes[0].map((_, k) =>
      oneHot(
        classes.map((ofImage) => ofImage[k]),
        logits.shape,
      ),
    );
    return names.flatMap((name) => seeds.map((seed) => gradientAt(logits, taps[name], seed)));
  });
  const read = await readAll(gradients);
  const perLayer = classes[0].length;
  return names.map((_, layer) =>
    read.slice(layer * perLayer, (layer + 1) * perLayer).map((all) => splitRows(all, classes.length)),
  );
}

/** The gradient stops at `tap`, so that what lies before it costs nothing. */
function gradientAt(logits: Tensor, tap: Tensor, seed: Tensor): Tensor {
  const { node } = tap;
  tap.node = null;
  tap.requiresGrad = true;
  try {
    logits.backward(seed);
    const { grad } = tap;
    if (!grad) throw new Error("gradCam: the logits do not depend on a layer");
    return grad;
  } finally {
    tap.grad = null;
    tap.requiresGrad = false;
    tap.node = node;
  }
}

function oneHot(classes: readonly number[], shape: readonly number[]): Tensor {
  const values = new Float32Array(shape[0] * shape[1]);
  classes.forEach((label, i) => (values[i * shape[1] + label] = 1));
  return fromData(values, shape);
}

function checkShape(name: string, shape: readonly number[]): void {
  if (shape.length === 4) return;
  throw new Error(
    `gradCam: layer "${name}" gives [${shape.join(",")}], a map needs [N,H,W,C]: choose a layer before it`,
  );
}

/** Reads tensors back and frees them. */
async function readAll(tensors: readonly Tensor[]): Promise<Float32Array[]> {
  try {
    return (await Promise.all(tensors.map((tensor) => tensor.data()))) as Float32Array[];
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

export function splitRows(values: Float32Array, count: number): Float32Array[] {
  const size = values.length / count;
  return Array.from({ length: count }, (_, i) => values.subarray(i * size, (i + 1) * size));
}
