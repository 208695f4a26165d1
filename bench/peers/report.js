// What run.js prints.
import { median } from "../time.js";

/** Prints images a second and Kiln's ratio to each; returns whether a loss did not fall. */
export function report({ results, batchSize, napping, rounds, busy, json }) {
  const kiln = results.find(({ name }) => name === "kiln");
  const adapter = kiln?.adapter ?? null;
  const rows = results.map(({ name, version, seconds, firstLoss, loss, steps }) => {
    const rates = steps.map((milliseconds) => (1000 * batchSize) / median(milliseconds));
    // Round by round: what disturbs both falls out.
    const ratios = kiln && name !== "kiln" ? steps.map((own, i) => median(own) / median(kiln.steps[i])) : [];
    return {
      name,
      version,
      imagesPerSecond: median(rates),
      firstStepSeconds: seconds,
      firstLoss,
      lastLoss: loss,
      kilnRatio: ratios.length > 0 ? median(ratios) : null,
      kilnRatioRange: ratios.length > 0 ? [Math.min(...ratios), Math.max(...ratios)] : null,
    };
  });
  if (json)
    console.log(
      JSON.stringify({ model: "resnet18", adapter, batchSize, napping, rounds, loadBefore: busy, peers: rows }),
    );
  else print(rows, { adapter, batchSize, napping, rounds, busy });
  const stuck = rows.filter(({ firstLoss, lastLoss }) => !(lastLoss < firstLoss));
  for (const { name, firstLoss, lastLoss } of stuck) {
    process.stderr.write(`peers: ${name} does not learn: its loss went from ${firstLoss} to ${lastLoss}\n`);
  }
  return stuck.length > 0;
}

function print(rows, { adapter, batchSize, napping, rounds, busy }) {
  const waits = napping ? "all with Kiln's wait" : "each as installed";
  console.log(
    `ResNet-18, 32 x 32, batch ${batchSize}, SGD with momentum; ${waits}; medians of ${rounds} interleaved rounds`,
  );
  console.log(`(${adapter ? `on ${adapter}; ` : ""}load average of the machine before: ${busy.toFixed(1)})\n`);
  const cells = [
    ["", "images/s", "first step", "loss", "Kiln is faster by"],
    ...rows.map((row) => [
      `${row.name} ${row.version}`,
      row.imagesPerSecond.toFixed(2),
      `${row.firstStepSeconds.toFixed(1)} s`,
      `${row.firstLoss.toFixed(2)} -> ${row.lastLoss.toFixed(2)}`,
      ratio(row),
    ]),
  ];
  const widths = cells[0].map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  for (const row of cells)
    console.log(
      row
        .map((text, i) => text.padEnd(widths[i]))
        .join("  ")
        .trimEnd(),
    );
}

function ratio({ kilnRatio, kilnRatioRange }) {
  if (kilnRatio === null) return "";
  const [least, most] = kilnRatioRange.map((value) => value.toPrecision(3));
  return `${kilnRatio.toPrecision(3)} (${least} to ${most})`;
}
