// The layer table of the PyTorch package torchsummary, character by character, from shapes alone: no device is needed.
import type { Shape } from "../engine/shape.ts";
import { Sequential } from "./layers/sequential.ts";
import type { Module } from "./module.ts";
import { Parameter } from "./parameter.ts";

export interface SummaryRow {
  /** Type and running number: "Conv2d-1". */
  readonly layer: string;
  /** The name in the model: "layer1.0.conv1". */
  readonly name: string;
  /** Shape of the result for one image, in PyTorch's order (channels first), without the batch: [64,32,32]. */
  readonly outputShape: readonly number[];
  /** Parameters that this module holds itself. */
  readonly parameters: number;
  readonly trainable: number;
}

export interface Summary {
  readonly rows: readonly SummaryRow[];
  readonly parameters: number;
  readonly trainable: number;
  /** Sizes in units of 1024 x 1024 bytes, of float32, for one image. */
  readonly inputMegabytes: number;
  /** All results once, and their gradients. */
  readonly passMegabytes: number;
  readonly parameterMegabytes: number;
  readonly totalMegabytes: number;
}

export interface SummaryOptions {
  /** Height and width of the images, in pixels. Default 32. */
  imageSize?: number;
  /** Default 3. */
  channels?: number;
}

const MEGABYTES_PER_FLOAT = 4 / 1024 ** 2;

/**
 * What each module of a model computes and how large it is, in the order in which the modules finish: a block stands after its
 * parts. Not listed are `Sequential`, the model itself, and what is no module (ReLU and addition in a block, global pooling).
 */
export function summarize(model: Module, { imageSize = 32, channels = 3 }: SummaryOptions = {}): Summary {
  const names = new Map(model.namedModules().map(([name, module]) => [module, name]));
  const rows: SummaryRow[] = [];
  const add = (module: Module, shape: Shape): void => {
    if (module === model || module instanceof Sequential) return;
    const own = module.ownEntries().flatMap(([, entry]) => (entry instanceof Parameter ? [entry] : []));
    rows.push({
      layer: `${module.typeName}-${rows.length + 1}`,
      name: names.get(module) ?? "",
      outputShape: channelsFirst(shape),
      parameters: sum(own.map((parameter) => parameter.size)),
      trainable: sum(own.map((parameter) => (parameter.requiresGrad ? parameter.size : 0))),
    });
  };
  model.traceShape([1, imageSize, imageSize, channels], add);

  const parameters = sum(rows.map((row) => row.parameters));
  const inputMegabytes = imageSize * imageSize * channels * MEGABYTES_PER_FLOAT;
  const passMegabytes = 2 * sum(rows.map((row) => product(row.outputShape))) * MEGABYTES_PER_FLOAT;
  const parameterMegabytes = parameters * MEGABYTES_PER_FLOAT;
  return {
    rows,
    parameters,
    trainable: sum(rows.map((row) => row.trainable)),
    inputMegabytes,
    passMegabytes,
    parameterMegabytes,
    totalMegabytes: parameterMegabytes + passMegabytes + inputMegabytes,
  };
}

/** The table as text, lines joined by newlines, without one at the end. */
export function formatSummary(summary: Summary): string {
  const thin = "-".repeat(64);
  const thick = "=".repeat(64);
  return [
    thin,
    tableLine("Layer (type)", "Output Shape", "Param #"),
    thick,
    ...summary.rows.map(({ layer, outputShape, parameters }) =>
      tableLine(layer, `[${[-1, ...outputShape].join(", ")}]`, grouped(parameters)),
    ),
    thick,
    `Total params: ${grouped(summary.parameters)}`,
    `Trainable params: ${grouped(summary.trainable)}`,
    `Non-trainable params: ${grouped(summary.parameters - summary.trainable)}`,
    thin,
    `Input size (MB): ${twoDecimals(summary.inputMegabytes)}`,
    `Forward/backward pass size (MB): ${twoDecimals(summary.passMegabytes)}`,
    `Params size (MB): ${twoDecimals(summary.parameterMegabytes)}`,
    `Estimated Total Size (MB): ${twoDecimals(summary.totalMegabytes)}`,
    thin,
  ].join("\n");
}

const tableLine = (layer: string, shape: string, parameters: string): string =>
  `${layer.padStart(20)}  ${shape.padStart(25)} ${parameters.padStart(15)}`;

const grouped = (n: number): string => n.toLocaleString("en-US");

/** As C prints %.2f: an exact tie (an odd number of eighths) goes to the even digit, where toFixed goes up. */
function twoDecimals(x: number): string {
  const below = Math.floor(x * 100);
  const tie = Number.isInteger(x * 8) && x * 100 - below === 0.5;
  return tie ? ((below % 2 === 0 ? below : below + 1) / 100).toFixed(2) : x.toFixed(2);
}

/** Without the batch; [H,W,C] as [C,H,W]. */
function channelsFirst([, ...rest]: Shape): number[] {
  return rest.length === 3 ? [rest[2], rest[0], rest[1]] : rest;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const product = (values: readonly number[]): number => values.reduce((total, value) => total * value, 1);
