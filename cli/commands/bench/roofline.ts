// The roofline (Williams, Waterman and Patterson, 2009): arithmetic against data moved, with the adapter's own ceilings above.
import { dot, frame, line, link, text, type Markish, type TextOptions } from "@observablehq/plot";
import { drawFigure, ink, series, type Figure } from "../../../training/report/figure.ts";
import type { Ceilings } from "./ceilings.ts";
import type { KernelProfile } from "./kernels.ts";
import { labelled, rooflineDots, type RooflineDot } from "./roofline-dots.ts";

const SIZE = { width: 860, height: 560 } as const;
const MARGIN = { marginTop: 28, marginRight: 24, marginBottom: 46, marginLeft: 66 } as const;
const LABEL_HEIGHT = 14;
/** About, of the names' font. */
const LETTER_WIDTH = 6.7;
const TICKS = [-3, -2, -1, 0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2].map((digit) => digit * 10 ** power));

interface Scales {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

/**
 * A dot a kernel, as large as its share of the step. Filled: operations that the launch counts. Hollow, on the left: kernels that
 * only move and combine data, drawn as if they did one operation for each number, so that their height is their share of the bandwidth.
 */
export function roofline(profile: KernelProfile): Figure {
  const dots = rooflineDots(profile.kernels);
  const scales = scalesOf(dots, profile.ceilings);
  const families = [...new Set(dots.map(({ family }) => family))];
  const colorOf = ({ family }: RooflineDot): string => series[families.indexOf(family) % series.length];
  return drawFigure("roofline", "Kernels of a training step under the adapter's ceilings", {
    ...SIZE,
    ...MARGIN,
    x: {
      type: "log",
      label: "operations for each byte bound",
      domain: [...scales.x],
      ticks: within(scales.x),
      tickFormat: plain,
    },
    y: { type: "log", label: "GFLOP/s", domain: [...scales.y], ticks: within(scales.y), tickFormat: plain, grid: true },
    r: { type: "identity" },
    marks: [
      frame({ strokeOpacity: 0.25 }),
      ...roofs(profile.ceilings, scales),
      ...labels(dots, scales, colorOf),
      dot(dots, {
        x: "intensity",
        y: "gflops",
        r: "radius",
        stroke: colorOf,
        strokeWidth: 1.6,
        fill: (d: RooflineDot) => (d.counted ? colorOf(d) : ink.background),
        fillOpacity: 0.85,
      }),
      text([notes(profile)], {
        frameAnchor: "top-left",
        dx: 10,
        dy: 10,
        fill: ink.faint,
        fontSize: 11,
      }),
    ],
  });
}

function notes({ kernels }: KernelProfile): string {
  const lines = ["hollow: kernels that only move and combine data, drawn at one operation for each number"];
  if (kernels.some(({ arithmeticShare }) => arithmeticShare === null))
    lines.push("left out: kernels of subgroup matrices, whose ceiling is another and not measured");
  return lines.join("\n");
}

/** Wide enough for the names to the right of the last dots. */
function scalesOf(dots: readonly RooflineDot[], { gflops, copyGBs }: Ceilings): Scales {
  const least = Math.min(...dots.map((d) => d.intensity)) / 2;
  const most = Math.max(...dots.map((d) => d.intensity), (2 * gflops) / copyGBs);
  const inner = SIZE.width - MARGIN.marginLeft - MARGIN.marginRight;
  const longest = Math.max(...labelled(dots).map(({ label }) => label.length));
  const names = Math.min(inner / 2, longest * LETTER_WIDTH + 50);
  const x = [least, least * (most / least) ** (inner / (inner - names))] as const;
  const lowest = Math.min(...dots.map((d) => d.gflops), least * copyGBs);
  return { x, y: [lowest / 1.6, gflops * 2] };
}

/** Lines that no kernel passes: memory to the left, arithmetic to the right. */
function roofs({ gflops, copyGBs, loadGBs }: Ceilings, { x: [least, most] }: Scales): Markish[] {
  const slope = (rate: number): { x: number; y: number }[] => {
    const ridge = gflops / rate;
    return ridge > least
      ? [
          { x: least, y: rate * least },
          { x: ridge, y: gflops },
        ]
      : [];
  };
  const end = { x: most, y: gflops };
  const strong = { fill: ink.text, stroke: ink.background, strokeWidth: 4 };
  const name = (label: string, x: number, y: number, options: TextOptions): Markish =>
    text([label], { ...strong, x: [x], y: [y], ...options });
  const half = (rate: number): [number, number] => [gflops / rate / 3, gflops / 3];
  const loads = loadGBs > copyGBs ? slope(loadGBs) : [];
  const cached = { fill: ink.faint, textAnchor: "end", dx: -10 } as const;
  return [
    line([...slope(copyGBs), end], { x: "x", y: "y", stroke: ink.text, strokeWidth: 1.8 }),
    line(loads, { x: "x", y: "y", stroke: ink.faint, strokeWidth: 1.4, strokeDasharray: "5 4" }),
    name(`arithmetic ${plain(gflops)} GFLOP/s`, end.x, end.y, { textAnchor: "end", dx: -6, dy: -9 }),
    name(`copy ${plain(copyGBs)} GB/s`, ...half(copyGBs), { textAnchor: "start", dx: 10, dy: 6 }),
    ...(loads.length > 0 ? [name(`loads from cache ${plain(loadGBs)} GB/s`, ...half(loadGBs), cached)] : []),
  ];
}

/** Names beside their dots, pushed apart where they would cover one another, with a line to the dot then. */
function labels(dots: readonly RooflineDot[], scales: Scales, colorOf: (d: RooflineDot) => string): Markish[] {
  const bottom = SIZE.height - MARGIN.marginBottom;
  const span = bottom - MARGIN.marginTop;
  const [low, high] = scales.y.map(Math.log);
  const toPixel = (y: number): number => bottom - (span * (Math.log(y) - low)) / (high - low);
  const toData = (pixel: number): number => Math.exp(low + ((bottom - pixel) / span) * (high - low));
  const columns = new Map<boolean, RooflineDot[]>();
  for (const d of labelled(dots)) columns.set(d.counted, [...(columns.get(d.counted) ?? []), d]);
  return [...columns.values()].flatMap((column) => {
    const sorted = [...column].sort((a, b) => b.gflops - a.gflops);
    // Names of a column begin at one line, so that they read as a list.
    const edge = Math.max(...sorted.map(({ intensity }) => intensity)) * 1.22;
    const heights = spread(sorted.map(({ gflops }) => toPixel(gflops)), LABEL_HEIGHT, bottom - 6).map(toData); // prettier-ignore
    const places = sorted.map((d, i) => ({ ...d, toX: edge, toY: heights[i], color: colorOf(d) }));
    return [
      link(places, { x1: "intensity", y1: "gflops", x2: "toX", y2: "toY", stroke: "color", strokeOpacity: 0.5 }),
      text(places, {
        x: "toX",
        y: "toY",
        text: "label",
        fill: "color",
        textAnchor: "start",
        dx: 3,
        fontSize: 11,
        stroke: ink.background,
        strokeWidth: 3,
      }),
    ];
  });
}

/** Moves ascending positions as little as it takes to be `gap` apart and at most `last`. */
export function spread(positions: readonly number[], gap: number, last: number): number[] {
  const result = [...positions];
  for (let pass = 0; pass < 200; pass++) {
    let moved = false;
    for (let i = 1; i < result.length; i++) {
      const overlap = gap - (result[i] - result[i - 1]);
      if (overlap < 0.01) continue;
      result[i - 1] -= overlap / 2;
      result[i] += overlap / 2;
      moved = true;
    }
    const below = result.length > 0 ? result[result.length - 1] - last : 0;
    if (below > 0) result[result.length - 1] -= below;
    if (!moved && below <= 0) break;
  }
  return result;
}

const within = ([least, most]: readonly [number, number]): number[] =>
  TICKS.filter((tick) => tick >= least && tick <= most);

const plain = (value: number): string =>
  value >= 1 ? Number(value.toPrecision(3)).toLocaleString("en-US") : String(Number(value.toPrecision(2)));
