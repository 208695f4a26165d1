// The epoch table.
import type { EpochReport } from "../../../training/index.ts";

const COLUMNS = ["epoch", "lr", "train loss", "train acc", "test loss", "test acc", "val acc", "seconds", "img/s"];
const WIDTHS = COLUMNS.map((name) => Math.max(name.length, 7));

const line = (cells: readonly string[]): string => cells.map((cell, i) => cell.padStart(WIDTHS[i])).join("  ");

/** One row an epoch, under one head. The column of the validation split is there where there is one. */
export class EpochTable {
  readonly #validation: boolean;

  constructor({ validation }: { validation: boolean }) {
    this.#validation = validation;
  }

  head(): string {
    return line(COLUMNS.filter((name) => this.#validation || name !== "val acc")).trimEnd();
  }

  row(report: EpochReport): string {
    const { epoch, lr, trainLoss, trainAccuracy, testLoss, testAccuracy, validationAccuracy, seconds } = report;
    return line([
      String(epoch),
      rate(lr),
      loss(trainLoss),
      share(trainAccuracy),
      testLoss === null ? "-" : loss(testLoss),
      share(testAccuracy),
      ...(this.#validation ? [share(validationAccuracy)] : []),
      seconds.toFixed(1),
      // A run resumed at the end of an epoch had no images left of it.
      report.imagesPerSecond === 0 ? "-" : report.imagesPerSecond.toFixed(0),
    ]);
  }
}

/** Three digits, and an exponent only where it is shorter. */
export const rate = (lr: number): string => String(Number(lr.toPrecision(3)));

/** Four decimals, and an exponent where they would not fit into the column. */
const loss = (value: number): string => (Math.abs(value) >= 1e5 ? value.toExponential(2) : value.toFixed(4));

const share = (accuracy: number | null | undefined): string =>
  accuracy === null || accuracy === undefined ? "-" : `${(100 * accuracy).toFixed(2)}%`;
