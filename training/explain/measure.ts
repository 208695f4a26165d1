// How faithful each method's maps are, on images whose truth is known.
import type { Module } from "../../nn/index.ts";
import type { DeviceDataset } from "../data/device-dataset.ts";
import { gradCam } from "./cam.ts";
import { confidenceChange, type ConfidenceChange } from "./confidence.ts";
import { camMethods, type CamMethod } from "./methods.ts";
import { pointing, type Pointing } from "./pointing.ts";
import { road, type Road, type RoadOptions } from "./road.ts";

export interface MeasureOptions extends RoadOptions {
  /** Default all. */
  readonly methods?: readonly CamMethod[] | undefined;
  /** Default: see `gradCam`. */
  readonly layer?: string | undefined;
  /** Which images of the data set; default its first 100. */
  readonly indices?: readonly number[] | undefined;
}

/** Means over the images, for the map of each image's true class. */
export interface MethodFigures {
  readonly method: CamMethod;
  readonly images: number;
  /** Null where the data set has no boxes. */
  readonly pointing: Omit<Pointing, "maps"> | null;
  readonly confidence: ConfidenceChange["mean"];
  readonly road: Road["mean"];
}

/** Measures one method after the other. ROAD draws the same noise for each. */
export async function* measureMethods(
  model: Module,
  data: DeviceDataset,
  options: MeasureOptions = {},
): AsyncGenerator<MethodFigures, void, undefined> {
  const { methods = camMethods, batchSize = 64 } = options;
  const { layer, indices = Array.from({ length: Math.min(100, data.count) }, (_, i) => i) } = options;
  if (indices.length === 0) throw new Error("measureMethods: no images were chosen");
  const classes = indices.map((i) => [data.labels[i]]);
  const boxes = data.raw.boxes && indices.flatMap((i) => [...data.raw.boxes!.subarray(i * 4, i * 4 + 4)]);
  const images = data.images(indices);
  try {
    for (const method of methods) {
      const maps = await gradCam(model, images, { method, classes, layer, batchSize });
      const { mean: confidence } = await confidenceChange(model, images, maps, { batchSize });
      const { mean } = await road(model, images, maps, options);
      yield {
        method,
        images: indices.length,
        pointing: boxes ? summary(pointing(maps, boxes)) : null,
        confidence,
        road: mean,
      };
    }
  } finally {
    images.dispose();
  }
}

function summary({ count, accuracy, heatInside, chance, empty }: Pointing): Omit<Pointing, "maps"> {
  return { count, accuracy, heatInside, chance, empty };
}
