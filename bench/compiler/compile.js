// @ts-check
// Opens the device that compiler.js has prepared and compiles a training step's kernels one after the other, each behind a line with its
// name on stderr, where the driver prints what it makes of it. Nothing is computed: memory holds zeros.
import { writeSync } from "node:fs";
import { TrainingSteps } from "../../dist/cli/commands/bench/steps.js";
import { openDevice } from "../../dist/engine/index.js";
import * as nn from "../../dist/nn/index.js";
import { FAILURE_MARK, KERNEL_MARK } from "./listing.js";

const [model, batchSize, precision] = process.argv.slice(2);
try {
  const device = await openDevice({ debug: true, family: "workgroup" });
  // The self-test of matrices found zeros. What a card lists is taken for what it can.
  device.matrix = device.info.subgroupMatrices[0] ?? null;
  const { gpu } = device;
  gpu.addEventListener("uncapturederror", ({ error }) => fail(error.message));
  const compile = gpu.createComputePipeline.bind(gpu);
  /** @param {GPUComputePipelineDescriptor} descriptor */
  const named = (descriptor) => {
    writeSync(2, `\n${KERNEL_MARK}${descriptor.label ?? ""}\n`);
    return compile(descriptor);
  };
  gpu.createComputePipeline = named;
  gpu.createComputePipelineAsync = (descriptor) => Promise.resolve(named(descriptor));
  const steps = new TrainingSteps(nn.createModel(model, { classes: 10 }), {
    batchSize: Number(batchSize),
    imageSize: 32,
    precision: /** @type {"f32" | "mixed"} */ (precision),
  });
  await steps.compile();
  process.exit(0);
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}

/** @param {string} message */
function fail(message) {
  writeSync(2, `\n${FAILURE_MARK}${message}\n`);
  process.exit(1);
}
