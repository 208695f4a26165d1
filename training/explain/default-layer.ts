import type { Module } from "../../nn/index.ts";
import { sizePair, type Size } from "./scale.ts";

/** With fewer cells in a row a map is one blob. ImageNet's models have 7 x 7 at the end, at 224 pixels. */
const CELLS = 7;

/** A module whose result has places: [N, height, width, C]. */
export interface SpatialLayer {
  readonly name: string;
  readonly height: number;
  readonly width: number;
}

/**
 * The modules that maps can be made of, in the order in which they finish. No device is needed.
 *
 * @param imageSize height and width in pixels
 * @throws where the model does not know its shapes (`Module.outputShape`)
 */
export function spatialLayers(model: Module, imageSize: number | Size): SpatialLayer[] {
  const names = new Map(model.namedModules().map(([name, module]) => [module, name]));
  const layers: SpatialLayer[] = [];
  model.traceShape([1, ...sizePair(imageSize), 3], (module, [, height, width, channels]) => {
    const name = names.get(module);
    if (name && channels !== undefined) layers.push({ name, height, width });
  });
  return layers;
}

/**
 * The layer whose maps are used where none is named: of the model's own parts (stages) the last with at least 7 x 7 cells for images of
 * this size; where all are smaller, the last with any. layer3 for ResNet-18 at 32 pixels, layer4 at 224.
 *
 * @param imageSize height and width in pixels
 * @throws where the model does not know its shapes or has no part with places
 */
export function defaultLayer(model: Module, imageSize: number | Size): string {
  const parts = new Set(model.namedChildren().map(([name]) => name));
  const stages = spatialLayers(model, imageSize).filter(({ name }) => parts.has(name));
  const withCells = (least: number): SpatialLayer | undefined =>
    stages.findLast(({ height, width }) => Math.min(height, width) >= least);
  const chosen = withCells(CELLS) ?? withCells(2) ?? stages.at(-1);
  if (!chosen) throw new Error(`gradCam: ${model.typeName} has no part that gives [N,H,W,C]: name a layer`);
  return chosen.name;
}
