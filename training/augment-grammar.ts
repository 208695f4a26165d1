// `--augment NAME[:size][:option...],...`: what happens to each training image, in the order written.
import { suggestion } from "./suggest.ts";

/**
 * What lies outside an image abcd: `constant` a fill value; `edge` aaa|abcd; `reflect` cba|abcd (the edge pixel repeated, OpenCV's
 * REFLECT, NumPy's "symmetric"); `reflect101` dcb|abcd (not repeated, PyTorch's and NumPy's "reflect").
 */
export type Border = "constant" | "edge" | "reflect" | "reflect101";

/** "mean" is the data set's mean colour (0 after normalising); a number is a pixel value 0..255 for all channels. */
export type Fill = "mean" | number;

/**
 * Where a square hole goes: `inside` wholly in the image; `center` its centre anywhere in the image, cut off at the edges (DeVries'
 * Cutout); `clipped` its centre anywhere, cut off only right and below, pushed in left and above (Albumentations' Cutout).
 */
export type Place = "inside" | "center" | "clipped";

export type AugmentStep =
  /** Pad `size` pixels on each side, crop back to the image's size at a random place. */
  | { kind: "pad-crop"; size: number; border: Border; fill: Fill }
  /**
   * Left and right swapped with probability `p`; or, `alternate`, half of the images in the odd epochs and the other half in the even
   * ones (Jordan, arXiv 2404.00498), where `p` does not count.
   */
  | { kind: "flip"; p: number; alternate: boolean }
  /** Top and bottom swapped, with probability `p`. */
  | { kind: "vflip"; p: number }
  /** By an angle in +-`limit` degrees. */
  | { kind: "rotate"; limit: number; p: number; border: Border; fill: Fill }
  /** Moved by +-`shift` of the image's size, scaled by 1 +- `scale`, rotated by +-`rotate` degrees. */
  | { kind: "shift-scale-rotate"; shift: number; scale: number; rotate: number; p: number; border: Border; fill: Fill }
  /**
   * `holes` squares of `size` pixels painted over. With a `canvas` they are placed in a square of so many pixels with the image in its
   * middle: they may miss it.
   */
  | { kind: "cutout"; size: number; p: number; fill: Fill; place: Place; holes: number; canvas: number | null };

type Value = number | string | boolean;
type Rule = { wanted: string; read: (text: string) => Value | undefined };

type Form = {
  /** The option that a bare number sets. */
  size?: string;
  /** The options that a bare word may set. */
  words: readonly string[];
  rules: Readonly<Record<string, Rule>>;
  defaults: AugmentStep;
};

const number = (wanted: string, holds: (value: number) => boolean): Rule => ({
  wanted,
  read: (text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    return Number.isFinite(value) && holds(value) ? value : undefined;
  },
});
const pixels = number("a whole number of pixels >= 1", (value) => Number.isSafeInteger(value) && value >= 1);
const probability = number("a probability between 0 and 1", (value) => value >= 0 && value <= 1);
const degrees = number("an angle between 0 and 180 degrees", (value) => value >= 0 && value <= 180);
const choice = (names: Readonly<Record<string, string>>): Rule => ({
  wanted: `one of ${Object.keys(names).join(", ")}`,
  read: (text) => (Object.hasOwn(names, text) ? names[text] : undefined),
});
const border = choice({ constant: "constant", edge: "edge", reflect: "reflect", reflect101: "reflect101" });
const alternate: Rule = { wanted: "the word alternate", read: (text) => text === "alternate" || undefined };
const place = choice({ inside: "inside", center: "center", clipped: "clipped" });
// a value strictly between 0 and 1 is the classic slip of giving a fraction of white, which would come out black
const pixelValue = number("", (value) => value >= 0 && value <= 255 && (value === 0 || value >= 1));
const fill: Rule = {
  wanted: "mean, zero, or a pixel value 0..255",
  read: (text) => (text === "mean" ? "mean" : text === "zero" ? 0 : pixelValue.read(text)),
};

const forms: Readonly<Record<string, Form>> = {
  "pad-crop": {
    size: "size",
    words: ["border"],
    rules: { size: pixels, border, fill },
    defaults: { kind: "pad-crop", size: 4, border: "constant", fill: 0 },
  },
  flip: {
    words: ["alternate"],
    rules: { p: probability, alternate },
    defaults: { kind: "flip", p: 0.5, alternate: false },
  },
  vflip: { words: [], rules: { p: probability }, defaults: { kind: "vflip", p: 0.5 } },
  rotate: {
    size: "limit",
    words: ["border"],
    rules: { limit: degrees, p: probability, border, fill },
    defaults: { kind: "rotate", limit: 15, p: 0.5, border: "reflect101", fill: 0 },
  },
  "shift-scale-rotate": {
    words: ["border"],
    rules: {
      shift: number("a share of the image's size between 0 and 1", (value) => value >= 0 && value <= 1),
      scale: number("a number >= 0 and below 1", (value) => value >= 0 && value < 1),
      rotate: degrees,
      p: probability,
      border,
      fill,
    },
    defaults: {
      kind: "shift-scale-rotate",
      shift: 0.0625,
      scale: 0.1,
      rotate: 45,
      p: 0.5,
      border: "reflect101",
      fill: 0,
    },
  },
  cutout: {
    size: "size",
    words: ["place"],
    rules: {
      size: pixels,
      p: probability,
      fill,
      place,
      canvas: pixels,
      holes: number("a whole number from 1 to 8", (value) => Number.isSafeInteger(value) && value >= 1 && value <= 8),
    },
    defaults: { kind: "cutout", size: 16, p: 1, fill: "mean", place: "inside", holes: 1, canvas: null },
  },
};

export const augmentNames: readonly string[] = Object.keys(forms);

/**
 * Reads an `--augment` value, e.g. `pad-crop:4:reflect,flip,cutout:16:p=0.2`; `none` gives [].
 *
 * @throws Error that names the faulty part and what is allowed there
 */
export function parseAugment(text: string): AugmentStep[] {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.length === 1 && parts[0] === "none") return [];
  return parts.map((part) => {
    const [name = "", ...options] = part.split(":").map((word) => word.trim());
    if (name === "none") throw new Error(`augmentation "none" stands alone, not in a list: "${text}"`);
    const form = Object.hasOwn(forms, name) ? forms[name] : undefined;
    if (!form) throw new Error(`unknown augmentation "${name}"${suggestion(name, [...augmentNames, "none"])}`);
    return readStep(name, form, options);
  });
}

function readStep(name: string, form: Form, options: readonly string[]): AugmentStep {
  const given: Record<string, Value> = {};
  for (const option of options) {
    const [key, text] = keyOf(name, form, option);
    const rule = form.rules[key];
    if (Object.hasOwn(given, key)) throw new Error(`augmentation ${name}: ${key} is given twice`);
    const value = rule.read(text);
    if (value === undefined) throw new Error(`augmentation ${name}: ${key} must be ${rule.wanted}, not "${text}"`);
    given[key] = value;
  }
  return { ...form.defaults, ...given };
}

/** `key=value` says which option it is; a bare number is the size, a bare word the one option that knows it. */
function keyOf(name: string, form: Form, option: string): [key: string, text: string] {
  const known = Object.keys(form.rules);
  const equals = option.indexOf("=");
  if (equals >= 0) {
    const key = option.slice(0, equals).trim();
    if (Object.hasOwn(form.rules, key)) return [key, option.slice(equals + 1).trim()];
    throw new Error(`augmentation ${name}: unknown option "${key}"${suggestion(key, known)}`);
  }
  if (option !== "" && Number.isFinite(Number(option))) {
    if (form.size !== undefined) return [form.size, option];
    throw new Error(
      `augmentation ${name}: takes no size; "${option}" needs a name, as in p=0.5 (known: ${known.join(", ")})`,
    );
  }
  const key = form.words.find((word) => form.rules[word].read(option) !== undefined);
  if (key !== undefined) return [key, option];
  const wanted = form.words.map((word) => `${word} ${form.rules[word].wanted}`);
  const allowed = [...known.map((word) => `${word}=...`), ...wanted].join("; ");
  throw new Error(`augmentation ${name}: unknown option "${option}" (known: ${allowed})`);
}
