// @ts-check
// The table of a family's measurements.

/** @param {import("./measure.js").Result} result */
export function showTable({ name, page, title, unit, rows, skipped }) {
  const best = Math.max(...rows.map(({ rate }) => rate));
  const rungs = rows.filter(({ production }) => !production);
  const lines = rows.map((row) => {
    const below = row.production ? undefined : rungs[rungs.indexOf(row) - 1];
    return [
      row.production ? `* ${row.name}` : row.name,
      row.milliseconds.toPrecision(3),
      row.rate.toPrecision(3),
      below ? `${(row.rate / below.rate).toFixed(2)}x` : "",
      `${((100 * row.rate) / best).toFixed(0)} %`,
    ];
  });
  const table = [["", "ms", unit, "step", "of best"], ...lines];
  const widths = table[0].map((_, column) => Math.max(...table.map((cells) => cells[column].length)));
  const text = table.map((cells) =>
    cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column] + 2))).join(""),
  );
  const notes = ["step: times as fast as the rung above it; *: production kernels"];
  if (skipped.length > 0) notes.push(`not on this adapter: ${skipped.join(", ")} (subgroups of 4 or 8 lanes needed)`);
  return [`${name}: ${title} (docs/kernels/${page})`, ...text, ...notes].join("\n");
}
