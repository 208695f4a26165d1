// The text of `--augment` as sliders see it: each one changes its own step and leaves the rest as it was written.

/** A step that has a slider, or a box to tick where it takes no size. */
export interface AugmentControl {
  readonly step: "pad-crop" | "flip" | "vflip" | "rotate" | "cutout";
  readonly label: string;
  /** The option that a bare number sets. */
  readonly size?: "size" | "limit";
  /** What a slider has at most, for images with so many pixels a side. */
  readonly most?: (imageSize: number) => number;
}

export const AUGMENT_CONTROLS: readonly AugmentControl[] = [
  { step: "pad-crop", label: "Shift, pixels", size: "size", most: (side) => Math.max(4, Math.round(side / 4)) },
  { step: "rotate", label: "Rotate, degrees", size: "limit", most: () => 90 },
  { step: "cutout", label: "Cut out, pixels", size: "size", most: (side) => Math.max(4, Math.round((side * 3) / 4)) },
  { step: "flip", label: "Mirror left and right" },
  { step: "vflip", label: "Mirror top and bottom" },
];

/** Where a step goes that a control adds: what moves the image comes before what covers it. */
const ORDER = ["pad-crop", "flip", "vflip", "rotate", "shift-scale-rotate", "cutout"];
/** What the steps have where no size is written. */
const SIZES: Readonly<Record<string, number>> = { "pad-crop": 4, rotate: 15, cutout: 16 };

const partsOf = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "" && part !== "none");
const nameOf = (part: string): string => part.split(":")[0].trim();

/** What a control shows: 0 where its step is missing, 1 for one without a size. */
export function readControl(text: string, { step, size }: AugmentControl): number {
  const part = partsOf(text).find((one) => nameOf(one) === step);
  if (part === undefined) return 0;
  if (size === undefined) return 1;
  const option = part
    .split(":")
    .slice(1)
    .find((word) => isSize(word, size));
  return option === undefined ? SIZES[step] : Number(option.split("=").pop());
}

/** The text after a control was moved; 0 takes its step away, as often as it was written. */
export function writeControl(text: string, { step, size }: AugmentControl, value: number): string {
  const parts = partsOf(text);
  if (value === 0) return join(parts.filter((part) => nameOf(part) !== step));
  const at = parts.findIndex((part) => nameOf(part) === step);
  if (at >= 0) {
    if (size === undefined) return join(parts);
    const rest = parts[at]
      .split(":")
      .slice(1)
      .filter((word) => !isSize(word, size));
    return join(parts.with(at, [step, value, ...rest].join(":")));
  }
  const after = parts.findIndex((part) => ORDER.indexOf(nameOf(part)) > ORDER.indexOf(step));
  return join(parts.toSpliced(after < 0 ? parts.length : after, 0, size === undefined ? step : `${step}:${value}`));
}

const join = (parts: readonly string[]): string => (parts.length === 0 ? "none" : parts.join(","));

/** "4" and "size=4". */
const isSize = (word: string, size: string): boolean =>
  word.includes("=") ? word.split("=")[0].trim() === size : word.trim() !== "" && Number.isFinite(Number(word));
