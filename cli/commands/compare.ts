// node cli/compare.js RUN...: several runs side by side.
import { files } from "#files";
import { saveFigure } from "../../training/report/figure.ts";
import { compareCurves } from "../../training/report/figures/compare.ts";
import { differences, figuresOf, readable, resultRows, tableLines } from "./compare/table.ts";
import { readRuns } from "./compare/read.ts";
import { anyText, flag, makeCommand, toggle } from "./shared/flags.ts";
import { Output } from "./shared/output.ts";
import { checkOutFolder, makeOutFolder } from "./shared/paths.ts";
import { runCommand } from "./shared/run.ts";

interface Flags {
  readonly out?: string;
  readonly json: boolean;
  readonly debug: boolean;
}

export function main(args: readonly string[]): Promise<never> {
  const command = makeCommand("compare", "Draws the curves of several runs together and prints how they differ.");
  command
    .argument("[run...]", "run folders, two or more")
    .addOption(flag("--out <dir>", "folder for the curves", anyText, { text: "runs/<time>-compare" }))
    .addOption(toggle("--json", "print one JSON document to stdout, everything else to stderr"))
    .addOption(toggle("--debug", "print stacks"))
    .action((dirs: string[]) => compare(dirs, command.opts<Flags>()));
  return runCommand(command, args);
}

async function compare(dirs: readonly string[], flags: Flags): Promise<void> {
  const output = new Output(flags.json);
  const runs = await readRuns(dirs);
  checkOutFolder(flags.out);
  const out = await makeOutFolder(flags.out, "compare");
  const results = resultRows(runs);
  const differing = differences(runs);
  const document = { runs: runs.map(figuresOf), differences: differing.map(([name, ...values]) => ({ name, values })) };
  await files.writeAtomic(`${files.absolute(out)}/compare.json`, `${JSON.stringify(document, null, 2)}\n`);
  const written = ["compare.json"];
  for (const figure of compareCurves(runs)) {
    written.push(...(await saveFigure(files.absolute(out), figure, { svg: true })));
  }
  const names = runs.map(({ name }) => name);
  const lines = [
    ...tableLines(["", ...names], results),
    "",
    ...(differing.length === 0
      ? ["the same settings"]
      : tableLines(["settings that differ", ...names], readable(differing))),
  ];
  for (const line of lines) output.result(line);
  output.document({ ...document, out });
  output.note(`written into ${out}: ${written.join(", ")}`);
}
