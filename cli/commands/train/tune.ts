// `--tune on`: which kernels a run (or bench.js) uses.
import type { Device } from "../../../engine/index.ts";
import { loadTuning, saveTuning, type DeviceDataset, type Trainer } from "../../../training/index.ts";
import { counted, type Output } from "../shared/output.ts";
import { Progress } from "../shared/progress.ts";
import { versions } from "../shared/versions.ts";

/** Takes what earlier runs measured on this adapter, and measures what is new to it. What is measured is kept at once, whatever comes. */
export async function tuneKernels(
  device: Device,
  trainer: Trainer,
  train: DeviceDataset,
  signal: AbortSignal | null,
  output: Output,
): Promise<void> {
  const { kiln } = versions();
  await loadTuning(device, kiln);
  const progress = new Progress(output);
  const start = performance.now();
  try {
    let told = false;
    const onProgress = (done: number, total: number): void => {
      // The first measurement may take half a minute, and the progress of what is no terminal waits for it.
      if (!told) output.note("tuning  measuring kernels, once for these shapes on this adapter");
      told = true;
      progress.show({ title: "tuning", done, total, text: "measuring kernels" });
    };
    let kept = true;
    const onMeasured = async (): Promise<void> => void (kept = await saveTuning(device, kiln));
    const measured = await trainer.tune(train, { onProgress, onMeasured, ...(signal && { signal }) });
    progress.hide();
    if (measured === 0) return;
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    output.note(
      `tuning  ${counted(measured, "kernel")} measured in ${seconds} s${kept ? ", kept for the next run" : ""}`,
    );
  } finally {
    progress.hide();
  }
}
