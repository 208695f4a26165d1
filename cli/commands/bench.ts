// node cli/bench.js: how fast training steps are, where their time goes, and how it grows.
import { files } from "#files";
import type { Device } from "../../engine/index.ts";
import { createModel, stemImageSize, type Stem } from "../../nn/index.ts";
import { saveFigure } from "../../training/report/figure.ts";
import type { Figure } from "../../training/report/figure.ts";
import { PRECISIONS, type Precision } from "../../training/index.ts";
import { describeGrowth, growingNets, measureGrowth, type GrowingNet, type Growth } from "./bench/growth.ts";
import { growthFigure } from "./bench/growth-figure.ts";
import { describeKernels } from "./bench/kernel-table.ts";
import { profileKernels, type KernelProfile } from "./bench/kernels.ts";
import { hasTimestamps, measureSteps, warmUp, type Measurement, type MeasureOptions } from "./bench/measure.ts";
import { roofline } from "./bench/roofline.ts";
import { TrainingSteps } from "./bench/steps.ts";
import {
  addDeviceFlags,
  describeDevice,
  openCommandDevice,
  tuneFlag,
  type DeviceFlags,
} from "./shared/device-flags.ts";
import { usage, UsageError } from "./shared/errors.ts";
import { anyText, flag, makeCommand, oneOf, toggle, wholeFrom } from "./shared/flags.ts";
import { imageSizeFlag, modelFlag, stemFlag } from "./shared/model-flags.ts";
import { grouped, Output } from "./shared/output.ts";
import { checkOutFolder, makeOutFolder } from "./shared/paths.ts";
import { runCommand } from "./shared/run.ts";
import { tuneKernels } from "./train/tune.ts";

/** Of each net of `--growth` on a software GPU: there are up to eight. */
const MOST_GROWTH_STEPS = 4;

interface Flags extends DeviceFlags {
  readonly model: string;
  readonly stem: Stem;
  readonly batchSize: number;
  readonly steps: number;
  readonly imageSize?: number;
  readonly precision: Precision;
  readonly tune: "on" | "off";
  readonly kernels: boolean;
  readonly shapes: boolean;
  readonly growth: boolean;
  readonly out?: string;
  readonly json: boolean;
}

/** What `--json` prints. Times are medians in milliseconds; `gpuMs` is null where the adapter has no timestamps. */
interface BenchReport extends Measurement, Partial<KernelReport> {
  readonly model: string;
  readonly batchSize: number;
  readonly precision: Precision;
  readonly growth?: Growth;
}

/** More of it with `--kernels`. */
interface KernelReport extends Pick<KernelProfile, "ceilings" | "kernels"> {
  readonly adapter: string;
}

export function main(args: readonly string[]): Promise<never> {
  const command = makeCommand(
    "bench",
    "Measures whole training steps (forward, loss, backward, SGD with momentum) on random images.",
  )
    .addOption(modelFlag("resnet18"))
    .addOption(stemFlag("cifar"))
    .addOption(imageSizeFlag({ text: "32, with --stem imagenet 224" }))
    .addOption(flag("--batch-size <n>", "images a step", wholeFrom(1), 32))
    .addOption(flag("--steps <n>", "steps that are measured, after a warm-up", wholeFrom(1), 10))
    .addOption(flag("--precision <name>", PRECISIONS.join(" or "), oneOf(...PRECISIONS), "f32"))
    .addOption(tuneFlag())
    .addOption(toggle("--kernels", "also each kernel, beside the adapter's measured ceilings"))
    .addOption(toggle("--shapes", "each kernel with a row for each shape that it runs on"))
    .addOption(toggle("--growth", "also other batch sizes, and narrower, shallower and deeper nets"))
    .addOption(
      flag("--out <dir>", "folder for bench.json and the roofline, as SVG and PNG; implies --kernels", anyText, {
        text: "nothing is written",
      }),
    )
    .addOption(toggle("--json", "print the figures as JSON"));
  addDeviceFlags(command).action(bench);
  return runCommand(command, args);
}

async function bench(flags: Flags): Promise<void> {
  const { model, stem, batchSize, precision, out } = flags;
  const output = new Output(flags.json);
  usage(() => createModel(model, { stem })).dispose();
  const growing = flags.growth ? growingNet(flags) : null;
  if (out !== undefined) {
    checkOutFolder(out);
    await makeOutFolder(out, "bench");
  }
  const imageSize = flags.imageSize ?? stemImageSize(stem);
  using device = await openCommandDevice(flags);
  const profiled = flags.kernels || flags.shapes || out !== undefined;
  if (profiled && !hasTimestamps(device)) {
    throw new Error(
      "--kernels, --shapes and --out need timestamp-query, which this adapter lacks: choose another with --adapter",
    );
  }
  output.note(`${model}, ${imageSize} x ${imageSize}, batch ${batchSize}, on ${describeDevice(device)}`);
  const tuning = ({ trainer, images }: TrainingSteps): Promise<void> =>
    tuneKernels(device, trainer, images, null, output);
  const prepare = flags.tune === "on" ? tuning : undefined;
  const options = { batchSize, imageSize, precision, prepare };
  const onWarmUp = (seconds: number): void =>
    output.note(`first step: ${seconds.toFixed(1)} s (${chosen(flags)}compiling included)`);
  const measured = await measureNet(device, flags, { ...options, steps: flags.steps, onWarmUp });
  let report: BenchReport = { model, batchSize, precision, ...measured };
  const figures: Figure[] = [];
  for (const line of describe(report, device)) output.result(line);
  // Kept in any case: what follows may take long.
  if (out !== undefined) await save(out, report, []);
  if (profiled) {
    const profile = await kernelsOf(device, flags, imageSize);
    figures.push(roofline(profile));
    report = { ...report, adapter: describeDevice(device), ceilings: profile.ceilings, kernels: profile.kernels };
    for (const line of describeKernels(profile)) output.result(line);
  }
  if (growing) {
    const onRow = (axis: string, { factor }: { readonly factor: number }): void => output.note(`${axis} x ${factor}`);
    const steps = device.info.software ? Math.min(flags.steps, MOST_GROWTH_STEPS) : flags.steps;
    const growth = await measureGrowth(device, { ...options, model: growing, steps, onRow });
    figures.push(growthFigure(growth));
    report = { ...report, growth };
    for (const line of describeGrowth(growth)) output.result(line);
  }
  output.document(report);
  if (out !== undefined) output.note(`written into ${out}: ${(await save(out, report, figures)).join(", ")}`);
}

const chosen = ({ tune }: Flags): string => (tune === "on" ? "choosing kernels and " : "");

/** The net is freed before another is measured. */
async function measureNet(device: Device, { model, stem }: Flags, options: MeasureOptions): Promise<Measurement> {
  using net = createModel(model, { stem });
  return await measureSteps(device, net, options);
}

function growingNet({ model, stem }: Flags): GrowingNet {
  const known = growingNets.find((name) => name === model);
  if (known === undefined) throw new UsageError(`--growth knows ${growingNets.join(", ")}, not ${model}`);
  if (stem !== "cifar") throw new UsageError("--growth is for --stem cifar");
  return known;
}

async function kernelsOf(device: Device, flags: Flags, imageSize: number): Promise<KernelProfile> {
  const { batchSize, precision, steps, shapes } = flags;
  using net = createModel(flags.model, { stem: flags.stem });
  using training = new TrainingSteps(net, { batchSize, imageSize, precision });
  await warmUp(device, training);
  return await profileKernels(device, training, { repeats: Math.min(steps, 10), shapes });
}

async function save(out: string, report: BenchReport, figures: readonly Figure[]): Promise<string[]> {
  const folder = files.absolute(out);
  await files.writeAtomic(`${folder}/bench.json`, `${JSON.stringify(report, null, 2)}\n`);
  const names = ["bench.json"];
  for (const figure of figures) names.push(...(await saveFigure(folder, figure, { svg: true })));
  return names;
}

function describe(report: BenchReport, device: Device): string[] {
  const { imagesPerSecond, stepMs, hostMs, gpuMs, dispatches, peakBytes } = report;
  const gpu =
    gpuMs === null ? "not measured: the adapter has no timestamps" : `${gpuMs.toFixed(2)} ms (its kernels one by one)`;
  return [
    `images/s    ${imagesPerSecond.toFixed(1)}`,
    `step        ${stepMs.toFixed(2)} ms (median)`,
    `host        ${hostMs.toFixed(2)} ms (${((1000 * hostMs) / dispatches).toFixed(1)} us a dispatch)`,
    `GPU         ${gpu}`,
    `dispatches  ${dispatches} a step`,
    `peak        ${grouped(Math.round(peakBytes / 2 ** 20))} MiB (pooled ${grouped(Math.round(device.memory().pooled / 2 ** 20))} MiB)`,
  ];
}
