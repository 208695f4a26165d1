// What the run came to, in numbers and words.
import { bestEpoch } from "../../best-epoch.ts";
import type { EpochReport } from "../../events.ts";
import { duration, grouped, loss, percent, plural, speed } from "../format.ts";
import { html, type Html, type Part } from "../html.ts";
import type { Material } from "../material.ts";
import type { Section } from "../section.ts";
import { standardError, type Verdict } from "../verdict.ts";

export function summarySection(material: Material, verdict: Verdict | null): Section {
  const { result, weights, tta, bestBy } = material;
  const tests = html`<p>
    The figures of single classes, the mistakes and the maps below are of the weights ${weights}, on
    ${plural(result.count, "test image")}${tta === "none" ? "" : `, averaged over the views of --tta ${tta}`}.
  </p>`;
  return {
    id: "summary",
    title: "Summary",
    body: html`${tiles(numbers(material))} ${verdict && verdictWords(verdict)}
    ${bestNote(material.run.epochs, bestBy, material.data)} ${tests}`,
    figures: [],
  };
}

function verdictWords({ summary, findings }: Verdict): Html {
  const list = findings.map(
    ({ severity, text, evidence }) =>
      html`<li class="finding-${severity}">
        <p>${text}</p>
        <p class="evidence">${evidence}</p>
      </li>`,
  );
  return html`<h3>Verdict</h3>
    <p class="strong">${summary}</p>
    ${
      list.length > 0 &&
      html`<ul class="findings">
        ${list}
      </ul>`
    }`;
}

const tiles = (entries: readonly (readonly [string, Part])[]): Html =>
  html`<dl class="tiles">
    ${entries.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div> `,
    )}
  </dl>`;

function numbers({ result, run: { epochs }, model }: Material): [string, Part][] {
  const last = epochs.at(-1);
  const seconds = epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
  const parameters = model.parameters().reduce((sum, { size }) => sum + size, 0);
  return [
    ["Test accuracy", percent(result.accuracy)],
    ...(result.top5Accuracy === null ? [] : ([["Top-5 accuracy", percent(result.top5Accuracy)]] as [string, Part][])),
    ["Test loss", loss(result.loss)],
    ["Misclassified", `${grouped(result.misclassified)} of ${grouped(result.count)}`],
    ["Mean F1 of the classes", result.macro.f1.toFixed(4)],
    ["Calibration error (ECE)", percent(result.calibration.ece)],
    ["Parameters", grouped(parameters)],
    ["Epochs", last ? grouped(last.epoch) : "none finished"],
    ...(last
      ? ([
          ["Time", duration(seconds)],
          ["Speed of the last epoch", `${speed(last.imagesPerSecond)} images/s`],
          ...(last.skippedSteps === undefined ? [] : [["Steps skipped (f16 overflow)", grouped(last.skippedSteps)]]),
        ] as [string, Part][])
      : []),
  ];
}

/** The best epoch by what chose it, and what that choice is worth. */
function bestNote(
  epochs: readonly EpochReport[],
  bestBy: "validation" | "test",
  { test: { count } }: Material["data"],
): Html | null {
  const best = bestEpoch(epochs);
  if (!best) return null;
  const last = epochs.at(-1)?.testAccuracy;
  const error = `${(100 * standardError(best.accuracy, count)).toFixed(1)} points`;
  const behind = typeof last === "number" && last < best.accuracy ? ` The last epoch had ${percent(last)}.` : "";
  const said = `Best epoch: ${best.epoch}, with ${percent(best.accuracy)} on the ${bestBy} set. `;
  return bestBy === "test"
    ? html`<p>
        ${said}"Best" was chosen by the test set itself, so that figure flatters the model.${behind} On
        ${plural(count, "image")} one standard error is ${error}: smaller differences between epochs may be luck. Hold
        images out (--validation 0.1) to choose without looking.
      </p>`
    : html`<p>${said}Chosen by images held out of training, not by the test set.</p>`;
}
