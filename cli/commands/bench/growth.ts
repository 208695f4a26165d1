// How time and memory grow with the batch, and with the width and depth of the net.
import type { Device } from "../../../engine/index.ts";
import { BasicBlock, ResNet } from "../../../nn/index.ts";
import { measureSteps, type Measurement, type MeasureOptions } from "./measure.ts";
import { table } from "./table.ts";

/** Nets of which there are wider and deeper ones: channels of the stages, and blocks in each. */
const NETS = {
  resnet8: { widths: [16, 32, 64], blocks: 1 },
  resnet20: { widths: [16, 32, 64], blocks: 3 },
  resnet18: { widths: [64, 128, 256, 512], blocks: 2 },
} as const satisfies Readonly<Record<string, { widths: readonly number[]; blocks: number }>>;

export type GrowingNet = keyof typeof NETS;
export const growingNets = Object.keys(NETS) as GrowingNet[];

type Axis = "batch" | "width" | "depth";

export interface GrowthRow {
  /** Times the net and batch that were asked for. */
  readonly factor: number;
  readonly batchSize: number;
  /** Channels of the first stage. */
  readonly width: number;
  /** Convolutions and the last layer, shortcuts not counted. */
  readonly depth: number;
  readonly stepMs: number;
  readonly imagesPerSecond: number;
  readonly gpuMs: number | null;
  readonly peakBytes: number;
}

export type Growth = Readonly<Record<Axis, readonly GrowthRow[]>>;

/** Factors of depth go over the blocks of a stage, and must leave whole ones. */
const FACTORS: Readonly<Record<Axis, readonly number[]>> = {
  batch: [0.25, 0.5, 1, 2],
  width: [0.25, 0.5, 1],
  depth: [0.5, 1, 2],
};

export interface GrowthOptions extends MeasureOptions {
  readonly model: GrowingNet;
  readonly onRow: (axis: Axis, row: GrowthRow) => void;
}

export async function measureGrowth(device: Device, options: GrowthOptions): Promise<Growth> {
  const { widths, blocks } = NETS[options.model];
  const growth: Record<Axis, GrowthRow[]> = { batch: [], width: [], depth: [] };
  const known = new Map<string, Measurement>();
  for (const axis of ["batch", "width", "depth"] as const) {
    for (const factor of FACTORS[axis]) {
      const of = (other: Axis, value: number): number => (axis === other ? value * factor : value);
      const size = {
        batchSize: of("batch", options.batchSize),
        width: of("width", widths[0]),
        blocks: of("depth", blocks),
      };
      if (!Object.values(size).every((value) => Number.isInteger(value) && value > 0)) continue;
      const key = JSON.stringify(size);
      // The net itself stands on all three axes.
      const measured = known.get(key) ?? (await measureOne(device, options, size));
      known.set(key, measured);
      const { stepMs, imagesPerSecond, gpuMs, peakBytes } = measured;
      const depth = 2 + 2 * widths.length * size.blocks;
      const { batchSize, width } = size;
      const row = { factor, batchSize, width, depth, stepMs, imagesPerSecond, gpuMs, peakBytes };
      growth[axis].push(row);
      options.onRow(axis, row);
    }
  }
  return growth;
}

async function measureOne(
  device: Device,
  { model, ...options }: GrowthOptions,
  { batchSize, width, blocks }: { readonly batchSize: number; readonly width: number; readonly blocks: number },
): Promise<Measurement> {
  const stages = NETS[model].widths.map((_, i) => [width * 2 ** i, blocks] as const);
  using net = new ResNet({ name: model, block: BasicBlock, stages });
  const measured = await measureSteps(device, net, { ...options, batchSize });
  device.trim();
  return measured;
}

/** The exponent e of time ~ factor^e, between the first and the last row. */
export function exponent(rows: readonly Pick<GrowthRow, "factor" | "stepMs">[]): number {
  const [first, last] = [rows[0], rows[rows.length - 1]];
  return Math.log(last.stepMs / first.stepMs) / Math.log(last.factor / first.factor);
}

/** A table and a line for each axis. */
export function describeGrowth(growth: Growth): string[] {
  return Object.entries(growth).flatMap(([axis, rows]) => {
    const lines = table(
      [axis, "images/s", "step ms", "GPU ms", "peak MiB"],
      rows.map((row) => [
        { batch: `${row.batchSize} images`, width: `${row.width} channels`, depth: `${row.depth} layers` }[
          axis as Axis
        ],
        row.imagesPerSecond.toFixed(1),
        row.stepMs.toFixed(2),
        row.gpuMs === null ? "" : row.gpuMs.toFixed(2),
        (row.peakBytes / 2 ** 20).toFixed(0),
      ]),
    );
    const growing = rows.length > 1 ? [`time grows as ${axis}^${exponent(rows).toFixed(2)}`] : [];
    return ["", ...lines, ...growing];
  });
}
