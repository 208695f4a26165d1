// The report, loaded with its first use: the chart library takes a quarter of a second, which no other command should wait for.
import type { ReportOptions } from "./report.ts";

export type { ReportOptions } from "./report.ts";
export { verdict, type Verdict } from "./verdict.ts";

/**
 * Tests `model` on the test set, explains its mistakes, and writes `report.html` and `pictures/*.png` into the run's folder. The page is
 * self-contained: no script, no address. What a run lacks (a range test, a finished epoch) is left out of it.
 *
 * @returns the names of the files written, relative to the folder
 * @throws Error of one line where the model has fewer classes than the data, or a file cannot be written
 */
export async function writeReport(options: ReportOptions): Promise<string[]> {
  const report = await import("./report.ts");
  return report.writeReport(options);
}
