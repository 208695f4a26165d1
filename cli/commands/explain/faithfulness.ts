// Does the model go by what the maps show? Figures over all maps.
import type { Classifier } from "../../../nn/index.ts";
import { confidenceChange, pointing, road, type ImageSet } from "../../../training/index.ts";
import { percent } from "../shared/output.ts";
import type { BatchVisitor } from "./maps.ts";

type Figures = Record<string, number>;

/** Means over all maps; those that need boxes only where the data has such. */
export class Faithfulness {
  readonly #sums = new Map<string, number>();
  readonly #batchSize: number;
  #maps = 0;

  /** @param batchSize the most images that go through the model at once */
  constructor(batchSize: number) {
    this.#batchSize = batchSize;
  }

  /** Measures a batch. */
  visitor(model: Classifier, set: ImageSet): BatchVisitor {
    const batchSize = this.#batchSize;
    return async (images, maps, places) => {
      const { mean: confidence } = await confidenceChange(model, images, maps, { batchSize });
      const { mean: removal } = await road(model, images, maps, { batchSize });
      const figures: Figures = {
        confidenceDrop: confidence.drop,
        confidenceIncrease: confidence.increase,
        roadMorf: removal.morf,
        roadLerf: removal.lerf,
        roadCombined: removal.combined,
      };
      const { boxes } = set;
      if (boxes) {
        const found = pointing(
          maps,
          places.flatMap((place) => [...boxes.subarray(place * 4, place * 4 + 4)]),
        );
        Object.assign(figures, {
          pointingAccuracy: found.accuracy,
          heatInside: found.heatInside,
          chance: found.chance,
        });
      }
      const count = maps.shape[0] * maps.shape[1];
      this.#maps += count;
      for (const [name, value] of Object.entries(figures))
        this.#sums.set(name, (this.#sums.get(name) ?? 0) + value * count);
    };
  }

  figures(): Figures {
    return Object.fromEntries([...this.#sums].map(([name, sum]) => [name, sum / this.#maps]));
  }
}

export function faithfulnessLines(figures: Figures): string[] {
  const { confidenceDrop, confidenceIncrease, roadMorf, roadLerf, roadCombined } = figures;
  const { pointingAccuracy, heatInside, chance } = figures;
  return [
    "",
    "faithfulness, means over all maps",
    `  image x heat    confidence drops by ${percent(confidenceDrop)} (lower is better), rises for ${percent(confidenceIncrease)} of the maps (higher)`,
    `  ROAD combined   ${roadCombined.toFixed(4)} (higher is better), most relevant first ${roadMorf.toFixed(4)}, least ${roadLerf.toFixed(4)}`,
    ...(pointingAccuracy === undefined
      ? []
      : [
          `  on the object   hottest pixel ${percent(pointingAccuracy)}, heat ${percent(heatInside)}, by chance ${percent(chance)}`,
        ]),
  ];
}
