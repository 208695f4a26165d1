// The step in Kiln, from the build: the Trainer's own, as bench.js measures it.
import { readFileSync } from "node:fs";
import { openDevice } from "../../dist/engine/index.js";
import { resnet18 } from "../../dist/nn/index.js";
import { loadTuning, saveTuning } from "../../dist/training/index.js";
import { TrainingSteps } from "../../dist/cli/commands/bench/steps.js";
import { CLASSES, IMAGE_SIZE, LEARNING_RATE, MOMENTUM } from "./resnet18.js";
import { serve } from "./serve.js";

await serve(async ({ batchSize }) => {
  const device = await openDevice();
  const model = resnet18({ classes: CLASSES, seed: 1 });
  const optimizer = { lr: LEARNING_RATE, momentum: MOMENTUM, weightDecay: 0 };
  const steps = new TrainingSteps(model, { batchSize, imageSize: IMAGE_SIZE, precision: "f32", optimizer });
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const adapter = device.info.description || device.info.name;
  let tuned = false;
  const step = async () => {
    // Part of the first step: others trace and compile in theirs.
    if (!tuned) await tune(device, steps, version);
    tuned = true;
    return steps.runOne();
  };
  return { version, adapter, parameters: steps.parameters, step };
});

/** As train.js does by itself: kernels are measured once on an adapter, and the fastest are kept. */
async function tune(device, { trainer, images }, version) {
  await loadTuning(device, version);
  if ((await trainer.tune(images)) > 0) await saveTuning(device, version);
}
