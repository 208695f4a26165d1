// node cli/bench.js: how fast whole training steps are.
import type { Device } from "../../engine/index.ts";
import { createModel, type Stem } from "../../nn/index.ts";
import { measureSteps, type Measurement } from "./bench/measure.ts";
import { addDeviceFlags, describeDevice, openCommandDevice, type DeviceFlags } from "./shared/device-flags.ts";
import { usage } from "./shared/errors.ts";
import { flag, makeCommand, oneOf, toggle, wholeFrom } from "./shared/flags.ts";
import { imageSizeFlag, modelFlag, stemFlag } from "./shared/model-flags.ts";
import { grouped, Output } from "./shared/output.ts";
import { runCommand } from "./shared/run.ts";

interface Flags extends DeviceFlags {
  readonly model: string;
  readonly stem: Stem;
  readonly batchSize: number;
  readonly steps: number;
  readonly imageSize?: number;
  readonly precision: "f32";
  readonly json: boolean;
}

/** What `--json` prints. Times are medians in milliseconds; `gpuMs` is null where the adapter has no timestamps. */
interface BenchReport extends Measurement {
  readonly model: string;
  readonly batchSize: number;
  readonly precision: "f32";
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
    .addOption(flag("--precision <name>", "f32", oneOf("f32"), "f32"))
    .addOption(toggle("--json", "print the figures as JSON"));
  addDeviceFlags(command).action(bench);
  return runCommand(command, args);
}

async function bench(flags: Flags): Promise<void> {
  const { model: name, stem, batchSize, steps, precision } = flags;
  const imageSize = flags.imageSize ?? (stem === "imagenet" ? 224 : 32);
  const output = new Output(flags.json);
  const model = usage(() => createModel(name, { stem }));
  using device = await openCommandDevice(flags);
  output.note(`${name}, ${imageSize} x ${imageSize}, batch ${batchSize}, on ${describeDevice(device)}`);
  const onWarmUp = (seconds: number): void => output.note(`first step: ${seconds.toFixed(1)} s (compiling included)`);
  const measured = await measureSteps(device, model, { batchSize, steps, imageSize, onWarmUp });
  const report: BenchReport = { model: name, batchSize, precision, ...measured };
  if (flags.json) output.document(report);
  else for (const line of describe(report, device)) output.result(line);
}

function describe(report: BenchReport, device: Device): string[] {
  const { imagesPerSecond, stepMs, hostMs, gpuMs, dispatches, peakBytes } = report;
  const gpu = gpuMs === null ? "not measured: the adapter has no timestamps" : `${gpuMs.toFixed(2)} ms`;
  return [
    `images/s    ${imagesPerSecond.toFixed(1)}`,
    `step        ${stepMs.toFixed(2)} ms (median)`,
    `host        ${hostMs.toFixed(2)} ms (${((1000 * hostMs) / dispatches).toFixed(1)} us a dispatch)`,
    `GPU         ${gpu}`,
    `dispatches  ${dispatches} a step`,
    `peak        ${grouped(Math.round(peakBytes / 2 ** 20))} MiB (pooled ${grouped(Math.round(device.memory().pooled / 2 ** 20))} MiB)`,
  ];
}
