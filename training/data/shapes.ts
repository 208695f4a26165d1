import { pcg4dInto, Purpose, Random } from "../../engine/random.ts";
import type { ImageSet } from "./dataset.ts";
import { OUTLINES } from "./shape-outlines.ts";
import type { Outline } from "./shape-outlines.ts";

const SIZE = 32;
/** How many images there are. */
const TRAIN = 5000;
const TEST = 1000;
/** Smallest and largest diameter of the circle round an object, in pixels. */
const DIAMETER = [10, 24] as const;
/** Objects lean at most so far (radians): up stays up, as in most photographs. */
const LEAN = Math.PI / 5;
/** Samples a pixel along each axis. */
const SAMPLES = 3;
/** Noise added to every byte is in -NOISE .. NOISE. */
const NOISE = 10;
/** The noise takes the blocks of an image's stream from here on: far above those that its drawing reaches. */
const NOISE_BLOCK = 1 << 20;
/** Every object is lighter than its background by so many grey levels at least, whatever the two colours. */
const CONTRAST = 60;

type Colour = readonly [number, number, number];

/** In label order. */
export const SHAPE_CLASSES: readonly string[] = OUTLINES.map(([name]) => name);

/** The built-in data set; `classes` in label order. */
export interface Shapes {
  readonly classes: readonly string[];
  readonly train: ImageSet;
  readonly test: ImageSet;
}

/**
 * Ten classes of drawn objects on clutter, 32 x 32, 5,000 + 1,000 images with the objects' boxes, classes in turn. Position,
 * size, lean, colours, gradient, lines, blobs and noise vary by `seed`; only the outline tells the class.
 *
 * `train` and `test`: draw the first so many only, the same ones; all 6,000 take seconds.
 */
export function shapes(seed = 0, { train = TRAIN, test = TEST } = {}): Shapes {
  return {
    classes: SHAPE_CLASSES,
    train: drawSet(Math.min(train, TRAIN), seed, 0),
    test: drawSet(Math.min(test, TEST), seed, 1),
  };
}

/** `part` keeps the random numbers of the training and the test images apart. */
function drawSet(count: number, seed: number, part: number): ImageSet {
  const bytes = SIZE * SIZE * 3;
  const images = new Uint8Array(count * bytes);
  const labels = new Uint8Array(count);
  const boxes = new Int16Array(count * 4);
  const canvas = new Float32Array(bytes);
  const noise = new Uint32Array(4);
  const random = new Random(seed, part, 0, Purpose.shapes);
  for (let i = 0; i < count; i++) {
    random.rewind(part, i, Purpose.shapes);
    labels[i] = i % OUTLINES.length;
    const background = drawBackground(canvas, random);
    const colour = contrasting(background, random);
    drawClutter(canvas, random, background);
    boxes.set(drawObject(canvas, OUTLINES[labels[i]][1], colour, random), i * 4);
    finish(canvas, images.subarray(i * bytes, (i + 1) * bytes), noise, seed, part, i);
  }
  return { count, height: SIZE, width: SIZE, channels: 3, images, labels, boxes, skipped: 0 };
}

function anyColour(random: Random, low: number, high: number): Colour {
  return [random.uniform(low, high), random.uniform(low, high), random.uniform(low, high)];
}

/** How light a colour looks, 0..255. */
function luminance(colour: Colour): number {
  return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2];
}

/** Draws again until light enough to stand out; near white at last. */
function contrasting(background: Colour, random: Random): Colour {
  for (let attempt = 0; attempt < 16; attempt++) {
    const colour = anyColour(random, 40, 250);
    if (luminance(colour) >= luminance(background) + CONTRAST) return colour;
  }
  return [240, 240, 240];
}

/** A gradient in any direction; returns its colour in the middle. */
function drawBackground(canvas: Float32Array, random: Random): Colour {
  const colour = anyColour(random, 10, 150);
  const change = [random.uniform(-35, 35), random.uniform(-35, 35), random.uniform(-35, 35)];
  const angle = random.uniform(0, 2 * Math.PI);
  const [dx, dy] = [Math.cos(angle) / (SIZE / 2), Math.sin(angle) / (SIZE / 2)];
  for (let y = 0, at = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++, at += 3) {
      const along = (x - SIZE / 2) * dx + (y - SIZE / 2) * dy;
      for (let c = 0; c < 3; c++) canvas[at + c] = colour[c] + change[c] * along;
    }
  }
  return colour;
}

/** Thin lines across the image and blobs smaller than any object, half as strong as an object. */
function drawClutter(canvas: Float32Array, random: Random, background: Colour): void {
  const lines = 1 + random.below(3);
  for (let i = 0; i < lines; i++) {
    const colour = mix(background, anyColour(random, 10, 200), 0.5);
    const angle = random.uniform(0, Math.PI);
    const offset = random.uniform(-14, 14);
    const [nx, ny] = [Math.cos(angle), Math.sin(angle)];
    const half = random.uniform(0.3, 0.8);
    const line: Outline = (x, y) => Math.abs((x - SIZE / 2) * nx + (y - SIZE / 2) * ny - offset) - half;
    paintSoft(canvas, line, colour, 0, 0, SIZE, SIZE);
  }
  const blobs = 1 + random.below(4);
  for (let i = 0; i < blobs; i++) {
    const colour = mix(background, anyColour(random, 10, 200), 0.5);
    const [cx, cy, radius] = [random.uniform(0, SIZE), random.uniform(0, SIZE), random.uniform(0.8, 2.4)];
    const blob: Outline = (x, y) => Math.sqrt((x - cx) ** 2 + (y - cy) ** 2) - radius;
    paintSoft(canvas, blob, colour, cx - 4, cy - 4, cx + 4, cy + 4);
  }
}

function mix(a: Colour, b: Colour, share: number): Colour {
  return [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share];
}

/** Blends `colour` over a pixel. */
function blend(canvas: Float32Array, at: number, colour: Colour, coverage: number): void {
  for (let c = 0; c < 3; c++) canvas[at + c] += (colour[c] - canvas[at + c]) * coverage;
}

/** Paints an outline whose values are distances in pixels: the distance of a pixel's centre gives its coverage. */
function paintSoft(
  canvas: Float32Array,
  outline: Outline,
  colour: Colour,
  left: number,
  top: number,
  right: number,
  bottom: number,
): void {
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(SIZE, bottom); y++) {
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(SIZE, right); x++) {
      const coverage = Math.min(1, 0.5 - outline(x + 0.5, y + 0.5));
      if (coverage > 0) blend(canvas, (y * SIZE + x) * 3, colour, coverage);
    }
  }
}

/** Paints the object somewhere wholly inside the image; returns the smallest box that holds every pixel it touches. */
function drawObject(
  canvas: Float32Array,
  outline: Outline,
  colour: Colour,
  random: Random,
): [number, number, number, number] {
  const radius = random.uniform(DIAMETER[0], DIAMETER[1]) / 2;
  const [cx, cy] = [random.uniform(radius, SIZE - radius), random.uniform(radius, SIZE - radius)];
  const lean = random.uniform(-LEAN, LEAN);
  const [cos, sin] = [Math.cos(lean) / radius, Math.sin(lean) / radius];
  const inside = (x: number, y: number): boolean => {
    const dx = x - cx;
    const dy = y - cy;
    return outline(dx * cos + dy * sin, dy * cos - dx * sin) < 0;
  };
  const box: [number, number, number, number] = [SIZE, SIZE, 0, 0];
  for (let y = Math.floor(cy - radius); y < Math.min(SIZE, cy + radius); y++) {
    for (let x = Math.floor(cx - radius); x < Math.min(SIZE, cx + radius); x++) {
      const coverage = coverageOf(inside, x, y);
      if (coverage === 0) continue;
      blend(canvas, (y * SIZE + x) * 3, colour, coverage);
      box[0] = Math.min(box[0], x);
      box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x + 1);
      box[3] = Math.max(box[3], y + 1);
    }
  }
  return box;
}

/** The share of a pixel's samples that lie inside. */
function coverageOf(inside: (x: number, y: number) => boolean, x: number, y: number): number {
  let hits = 0;
  for (let j = 0; j < SAMPLES; j++) {
    for (let i = 0; i < SAMPLES; i++) {
      if (inside(x + (i + 0.5) / SAMPLES, y + (j + 0.5) / SAMPLES)) hits += 1;
    }
  }
  return hits / (SAMPLES * SAMPLES);
}

/** Adds noise, keyed by image and position, and rounds to bytes. */
function finish(
  canvas: Float32Array,
  to: Uint8Array,
  noise: Uint32Array,
  seed: number,
  part: number,
  index: number,
): void {
  const scale = (2 * NOISE) / 2 ** 32;
  for (let at = 0; at < canvas.length; at += 4) {
    pcg4dInto(noise, 0, seed, part, index, Purpose.shapes + 256 * (NOISE_BLOCK + at / 4));
    for (let lane = 0; lane < 4; lane++) {
      const value = canvas[at + lane] + noise[lane] * scale - NOISE;
      to[at + lane] = Math.min(255, Math.max(0, Math.round(value)));
    }
  }
}
