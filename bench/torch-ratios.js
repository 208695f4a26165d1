// @ts-check
// Kiln's step beside each of PyTorch's modes, from what one run on one machine measured of both.

/** @typedef {{ model: string, batchSize: number, precision: string, stepMs: number }} KilnStep as in bench.json */
/** @typedef {{ mode: string, batchSize: number, stepMs: number }} TorchStep as torch_gpu.py prints it */

/**
 * A row a mode, with the milliseconds of a step and how many times as long PyTorch's takes; null where Kiln's is missing.
 *
 * @param {readonly TorchStep[]} torch
 * @param {readonly KilnStep[]} kiln of more than one with the same batch and precision the last counts
 */
export function torchRatios(torch, kiln) {
  const same = kiln.filter(({ model }) => model === "resnet18"); // PyTorch's
  return torch.map(({ mode, batchSize, stepMs }) => {
    const [f32, mixed] = ["f32", "mixed"].map(
      (precision) => same.findLast((step) => step.batchSize === batchSize && step.precision === precision)?.stepMs,
    );
    return {
      mode,
      batchSize,
      torchMs: stepMs,
      f32Ms: f32 ?? null,
      mixedMs: mixed ?? null,
      f32Ratio: f32 ? stepMs / f32 : null,
      mixedRatio: mixed ? stepMs / mixed : null,
    };
  });
}

/** The steps in what torch_gpu.py printed, which may have been ended in the middle of a line. @param {string} text @returns {TorchStep[]} */
export function torchSteps(text) {
  const lines = text.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"));
  return lines.map((line) => JSON.parse(line)).filter(({ mode }) => mode !== undefined);
}

/** A line a mode. @param {ReturnType<typeof torchRatios>} rows */
export function describeRatios(rows) {
  const step = (/** @type {number | null} */ ms, /** @type {number | null} */ ratio) =>
    ms === null || ratio === null ? "not measured" : `${ms.toPrecision(3)} ms (ratio ${ratio.toPrecision(3)})`;
  return rows.map(({ mode, batchSize, torchMs, f32Ms, mixedMs, f32Ratio, mixedRatio }) => {
    const kiln = `Kiln in f32 ${step(f32Ms, f32Ratio)}, mixed ${step(mixedMs, mixedRatio)}`;
    return `batch ${batchSize}, PyTorch ${mode} ${torchMs.toPrecision(3)} ms: ${kiln}`;
  });
}
