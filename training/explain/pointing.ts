// Does the heat lie on the object? Measured where the objects' boxes are known, against what a map that says nothing gets.

/** Heat maps of some images, one or several classes each: [N, K, H, W], 0..1. What `gradCam` returns. */
export interface HeatMaps {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Figures in 0..1, each a mean over all maps. */
export interface Pointing {
  /** Maps measured: N * K. */
  readonly count: number;
  /** Pointing game: the share of maps whose hottest pixel lies in the box. Of pixels that are equally hot each counts its part. */
  readonly accuracy: number;
  /** The share of a map's heat that lies in the box. */
  readonly heatInside: number;
  /** What a uniform map, or one drawn by lot, scores in both: the box's share of the image. */
  readonly chance: number;
  /** Maps without any heat: they score as much as chance. */
  readonly empty: number;
  /** For each map, [N * K]. */
  readonly maps: readonly MapPointing[];
}

export interface MapPointing {
  /** 1 where the hottest pixel lies in the box, 0 where not, between where several are equally hot. */
  readonly hit: number;
  readonly heatInside: number;
  readonly chance: number;
}

/**
 * The pointing game (Zhang et al., "Top-down Neural Attention by Excitation Backprop", without a tolerance round the box) and the share of
 * heat inside the box.
 *
 * @param boxes [N, 4]: x0, y0, x1, y1 of the object in pixels of the maps, the upper ends excluded, as `ImageSet.boxes` has them
 * @throws where there is not a box inside the image for each
 */
export function pointing({ shape, data }: HeatMaps, boxes: ArrayLike<number>): Pointing {
  const [images, classes, height, width] = shape;
  if (boxes.length !== images * 4) throw new Error(`pointing: ${boxes.length / 4} boxes for ${images} images`);
  const maps: MapPointing[] = [];
  let empty = 0;
  for (let at = 0; at < images * classes; at++) {
    const image = Math.floor(at / classes);
    const box = Array.from({ length: 4 }, (_, i) => boxes[image * 4 + i]) as unknown as Box;
    checkBox(box, image, width, height);
    const map = data.subarray(at * height * width, (at + 1) * height * width);
    const measured = measure(map, width, box);
    if (measured.total === 0) empty++;
    maps.push(measured.figures);
  }
  const mean = (figure: keyof MapPointing): number => maps.reduce((sum, map) => sum + map[figure], 0) / maps.length;
  return {
    count: maps.length,
    accuracy: mean("hit"),
    heatInside: mean("heatInside"),
    chance: mean("chance"),
    empty,
    maps,
  };
}

type Box = readonly [x0: number, y0: number, x1: number, y1: number];

function measure(map: Float32Array, width: number, [x0, y0, x1, y1]: Box): { figures: MapPointing; total: number } {
  const chance = ((x1 - x0) * (y1 - y0)) / map.length;
  let [total, inside, hottest, peaks, peaksInside] = [0, 0, -Infinity, 0, 0];
  map.forEach((heat, i) => {
    const x = i % width;
    const y = (i - x) / width;
    const isInside = x >= x0 && x < x1 && y >= y0 && y < y1 ? 1 : 0;
    total += heat;
    inside += heat * isInside;
    if (heat > hottest) [hottest, peaks, peaksInside] = [heat, 0, 0];
    if (heat === hottest) {
      peaks++;
      peaksInside += isInside;
    }
  });
  const heatInside = total === 0 ? chance : inside / total;
  return { figures: { hit: peaksInside / peaks, heatInside, chance }, total };
}

function checkBox([x0, y0, x1, y1]: Box, image: number, width: number, height: number): void {
  if (x0 >= 0 && y0 >= 0 && x0 < x1 && y0 < y1 && x1 <= width && y1 <= height) return;
  throw new Error(
    `pointing: box [${[x0, y0, x1, y1].join(", ")}) of image ${image} does not lie in its map of ${width} x ${height}`,
  );
}
