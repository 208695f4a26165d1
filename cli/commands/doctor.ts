// node cli/doctor.js: does the GPU answer, what can it do, and does it compute correctly?
import { NoAdapterError, type ChoiceTable, type Device } from "../../engine/index.ts";
import { loadTuning, tuningFile } from "../../training/index.ts";
import { describeDevice, addDeviceFlags, openCommandDevice, type DeviceFlags } from "./shared/device-flags.ts";
import { STATUS } from "./shared/errors.ts";
import { makeCommand, toggle } from "./shared/flags.ts";
import { grouped, Output } from "./shared/output.ts";
import { runCommand } from "./shared/run.ts";
import { driverAdvice } from "./doctor/advice.ts";
import { selfTest, type Check } from "./doctor/self-test.ts";
import { versions } from "./shared/versions.ts";

interface Flags extends DeviceFlags {
  readonly json: boolean;
}

/** Limits that decide what fits; the others follow from the adapter's class. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupsPerDimension",
] as const satisfies readonly (keyof GPUSupportedLimits)[];

export function main(args: readonly string[]): Promise<never> {
  const command = addDeviceFlags(
    makeCommand("doctor", "Checks the GPU: adapter, driver, limits, and a computation whose result is known."),
  )
    .addOption(toggle("--json", "print the findings as JSON"))
    .action(examine);
  return runCommand(command, args);
}

async function examine(flags: Flags): Promise<void> {
  const output = new Output(flags.json);
  let device: Device;
  try {
    device = await openCommandDevice(flags);
  } catch (error) {
    if (!(error instanceof NoAdapterError)) throw error;
    const advice = flags.adapter ? [error.message] : await driverAdvice();
    output.document({ ok: false, adapter: null, versions: versions(), advice });
    if (!flags.json) process.stderr.write(`doctor: ${advice.join("\n")}\n`);
    process.exitCode = STATUS.failed;
    return;
  }
  using opened = device;
  await reportDevice(opened, output);
}

async function reportDevice(device: Device, output: Output): Promise<void> {
  const checks = await selfTest();
  const ok = checks.every((check) => check.ok);
  const limits = Object.fromEntries(LIMITS.map((name) => [name, device.limits[name]]));
  const features = [...device.gpu.features].sort();
  const { info: adapter, family: kernelFamily, matrix, matrixProblems, texels } = device;
  const kernels = await loadTuning(device, versions().kiln);
  if (output.json) {
    const chosen = { kernelFamily, matrix, matrixProblems, texels, kernels };
    output.document({ ok, adapter, ...chosen, limits, features, checks, versions: versions() });
  } else {
    for (const line of describe(device, limits, features, checks, kernels)) output.result(line);
  }
  if (ok) return;
  output.note("doctor: this GPU computes wrong results; update its driver, or choose another one with --adapter");
  process.exitCode = STATUS.failed;
}

function describe(
  device: Device,
  limits: Readonly<Record<string, number>>,
  features: readonly string[],
  checks: readonly Check[],
  kernels: ChoiceTable,
): string[] {
  const { vendor, architecture, subgroupSize } = device.info;
  const { kiln, node, webgpu } = versions();
  return [
    `adapter    ${describeDevice(device)}`,
    `vendor     ${[vendor, architecture].filter(Boolean).join(", ") || "unknown"}`,
    `subgroups  ${subgroupSize > 0 ? `${subgroupSize} invocations` : "of no fixed size"}`,
    ...describeMatrices(device),
    ...(device.texels
      ? ["texels     what kernels load often they read from textures, where this driver is faster"]
      : []),
    `features   ${features.join(", ") || "none"}`,
    ...Object.entries(limits).map(([name, value]) => `limit      ${name} ${grouped(value)}`),
    ...describeKernels(device, kernels),
    `versions   kiln ${kiln}, Node ${node}, webgpu (Dawn) ${webgpu}`,
    ...checks.map(({ name, ok, worst, milliseconds }) => {
      const verdict = ok ? "ok" : "WRONG";
      return `self-test  ${name}: ${verdict} (worst error ${worst.toExponential(1)}, ${milliseconds.toFixed(0)} ms)`;
    }),
    ...(checks.every((check) => check.ok) ? ["ready: try `npm start`, or `node cli/train.js --help`"] : []),
  ];
}

/** Those of tensor cores, with which mixed precision is several times as fast; nothing of software GPUs, which have none. */
function describeMatrices({ info, matrix, matrixProblems }: Device): string[] {
  if (info.subgroupMatrices.length === 0 && matrixProblems.length === 0) return [];
  const used = matrix ? `${matrix.M} x ${matrix.N} x ${matrix.K}` : "none that can be used";
  return [`matrices   ${used}`, ...matrixProblems.map((problem) => `matrices   not used: ${problem}`)];
}

/** What `train.js --tune on` has measured on this adapter. */
function describeKernels(device: Device, kernels: ChoiceTable): string[] {
  const rows = Object.entries(kernels).map(([name, variant]) => `kernel     ${name}: ${variant}`);
  if (rows.length > 0) return [...rows, `kernel     measured once, kept in ${tuningFile(device)}`];
  return ["kernels    the fixed table; `train.js` measures what it needs"];
}
