// What a run came to.
import type { RawDataset, RunFolder } from "../../../training/index.ts";
import type { LrFinderResult } from "../../../training/lr-finder/index.ts";
import { counted, elapsed, percent, type Output } from "../shared/output.ts";
import type { FitResult } from "./fit.ts";
import type { Settings } from "./settings.ts";

export function reportResult(
  { end, reports, seconds }: FitResult,
  folder: RunFolder,
  data: RawDataset,
  settings: Settings,
  rates: LrFinderResult | null,
  output: Output,
): void {
  const { best, dir } = folder;
  const by = data.validation ? "validation" : "test";
  const interrupted = end.reason === "stopped";
  output.document({
    out: dir,
    model: settings.model,
    data: data.name,
    epochs: end.position.epoch,
    steps: end.position.step,
    interrupted,
    endedEarly: end.reason === "early-stop",
    best: best && { ...best, by },
    last: folder.last,
    lrFinder: rates && { lr: rates.suggestion, method: rates.method, suggestions: rates.suggestions },
    seconds,
  });
  if (interrupted) {
    output.note(
      `interrupted and saved at step ${end.position.step}; continue with:\n  node cli/train.js --resume ${quote(dir)}`,
    );
    return;
  }
  if (end.reason === "early-stop") {
    output.result(`ended early: no better ${by} loss for ${counted(settings.earlyStop!, "epoch")}`);
  }
  const held =
    end.reason === "early-stop" ? `ended in epoch ${end.position.epoch}` : `has all its ${settings.epochs} epochs`;
  output.result(reports.length === 0 ? `nothing left to do: ${dir} ${held}` : `trained in ${elapsed(seconds)}`);
  const skipped = reports.at(-1)?.skippedSteps ?? 0;
  if (skipped > 0) {
    output.result(
      `${skipped} of ${end.position.step} steps skipped: gradients overflowed f16, and the loss is scaled by less since`,
    );
  }
  if (best) {
    const chosen =
      by === "test" ? "chosen by the test set, so a little flattering: --validation 0.1 holds images out" : "";
    output.result(`best ${by} accuracy ${percent(best.accuracy)} in epoch ${best.epoch}${chosen && ` (${chosen})`}`);
  }
  output.result(`weights in ${dir}: best.safetensors, last.safetensors`);
}

/** For a shell. */
export const quote = (path: string): string =>
  /^[\w./:@%+=,-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
