// @ts-check
// The table of a family's measurements.

/** @param {import("./measure.js").Result} result */
export function showTable({ name, page, title, unit, rows, skipped }) {
  const best = Math.max(...rows.map(({ rate }) => rate));
  const lines = rows.map((row) => {
    const below = rows.find(({ name: other }) => other === row.after);
    return [
      row.production ? `* ${row.name}` : row.name,
      row.milliseconds.toPrecision(3),
      row.rate.toPrecision(3),
      `${((100 * row.rate) / best).toFixed(0)} %`,
      below ? `${(row.rate / below.rate).toFixed(2)} x ${below.name}` : "",
    ];
  });
  const table = [["", "ms", unit, "of best", "gain"], ...lines];
  const widths = table[0].map((_, column) => Math.max(...table.map((cells) => cells[column].length)));
  const text = table.map((cells) =>
    cells
      .map((cell, column) =>
        column === 0 || column === 4 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
      )
      .join("  ")
      .trimEnd(),
  );
  const notes = ["*: production kernels"];
  if (skipped.length > 0) notes.push(`not on this adapter: ${skipped.join(", ")} (subgroups of 4 or 8 lanes needed)`);
  return [`${name}: ${title} (docs/kernels/${page})`, ...text, ...notes].join("\n");
}
