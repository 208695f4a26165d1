/**
 * The outlines of `shapes`: for every class a function of a point that is negative inside, zero on the edge and positive
 * outside. y points down. Each outline lies inside the unit circle.
 */
export type Outline = (x: number, y: number) => number;

/** `Math.hypot` guards against overflow and takes ten times as long. */
const length = (x: number, y: number): number => Math.sqrt(x * x + y * y);

const circle: Outline = (x, y) => length(x, y) - 0.9;

const square: Outline = (x, y) => Math.max(Math.abs(x), Math.abs(y)) - 0.7;

/** Equilateral, one corner up: behind three lines at half the radius from the centre. */
const triangle: Outline = (x, y) => Math.max(y, Math.abs(x) * (Math.sqrt(3) / 2) - y / 2) - 0.5;

/** Five points: folded into one point's sector, behind the line from its tip to the inner corner. */
const star: Outline = (x, y) => {
  const sector = Math.PI / 5;
  const angle = Math.atan2(x, -y);
  const folded = Math.abs(angle - 2 * sector * Math.round(angle / (2 * sector)));
  const radius = length(x, y);
  const along = radius * Math.cos(folded) - 1;
  const across = radius * Math.sin(folded);
  const innerX = 0.42 * Math.cos(sector) - 1;
  const innerY = 0.42 * Math.sin(sector);
  return (along * innerY - across * innerX) / length(innerX, innerY);
};

const box = (x: number, y: number, halfWidth: number, halfHeight: number): number =>
  Math.max(Math.abs(x) - halfWidth, Math.abs(y) - halfHeight);

const cross: Outline = (x, y) => Math.min(box(x, y, 0.95, 0.28), box(x, y, 0.28, 0.95));

const ring: Outline = (x, y) => Math.abs(length(x, y) - 0.7) - 0.22;

/** The curve (x^2 + y^2 - 1)^3 = x^2 y^3, scaled into the circle. */
const heart: Outline = (x, y) => {
  const u = x * 1.3;
  const v = 0.12 - y * 1.3;
  const round = u * u + v * v - 1;
  return round * round * round - u * u * v * v * v;
};

/** Pointing up: a triangle for its head on a bar. */
const arrow: Outline = (x, y) => {
  const head = Math.max(y + 0.05, Math.abs(x) * 0.78 - (y + 0.95) * 0.62);
  return Math.min(head, box(x, y - 0.42, 0.22, 0.52));
};

/** A disc less a smaller one beside its centre. */
const crescent: Outline = (x, y) => Math.max(length(x, y) - 0.95, 0.8 - length(x - 0.5, y));

/** A rhombus, slim enough that no turned square looks like it. */
const diamond: Outline = (x, y) => Math.abs(x) / 0.55 + Math.abs(y) / 0.98 - 1;

/** Class name and outline, in label order. */
export const OUTLINES: readonly (readonly [name: string, outline: Outline])[] = [
  ["circle", circle],
  ["square", square],
  ["triangle", triangle],
  ["star", star],
  ["cross", cross],
  ["ring", ring],
  ["heart", heart],
  ["arrow", arrow],
  ["crescent", crescent],
  ["diamond", diamond],
];
