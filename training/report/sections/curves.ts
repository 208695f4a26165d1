// How the figures went over the epochs.
import { accuracyCurves, lossCurves, singleCurve, stepLossCurve } from "../figures/curves.ts";
import { accuracy, duration, loss, speed } from "../format.ts";
import { showRate } from "../../lr-finder/suggest.ts";
import { details, html, table, type Column } from "../html.ts";
import type { EpochReport } from "../../events.ts";
import type { Material } from "../material.ts";
import { grid, type Section } from "../section.ts";

export function curvesSection({ run: { epochs, steps } }: Material): Section {
  const ofEpochs =
    epochs.length === 0
      ? []
      : [
          lossCurves(epochs),
          accuracyCurves(epochs),
          ...(["trainLoss", "testLoss", "trainAccuracy", "testAccuracy"] as const).flatMap(
            (key) => singleCurve(epochs, key) ?? [],
          ),
        ];
  const ofSteps = steps.some((step) => Number.isFinite(step.loss)) ? [stepLossCurve(steps)] : [];
  const figures = [...ofEpochs, ...ofSteps];
  const body = html`${epochs.length === 0 && html`<p>No epoch was finished: there are no curves over epochs.</p>`}
  ${grid(figures)}
  ${
    epochs.length > 0 &&
    html`<p class="note">
      Training figures are running means over augmented images in training mode, so they lag behind the test figures and
      can be worse than them; with label smoothing, mixup or cutmix the training loss is of the softened labels.
    </p>`
  }
  ${epochs.length > 0 && details("All epochs as a table", epochTable(epochs))}`;
  return { id: "curves", title: "Loss and accuracy", body, figures };
}

function epochTable(epochs: readonly EpochReport[]) {
  const held = epochs.some(({ validationAccuracy }) => validationAccuracy !== undefined);
  const columns: Column<EpochReport>[] = [
    { head: "Epoch", cell: ({ epoch }) => epoch },
    { head: "Learning rate", cell: ({ lr }) => showRate(lr) },
    { head: "Training loss", cell: ({ trainLoss }) => loss(trainLoss) },
    { head: "Training accuracy", cell: ({ trainAccuracy }) => accuracy(trainAccuracy) },
    ...(held
      ? ([
          { head: "Validation loss", cell: ({ validationLoss }) => loss(validationLoss) },
          { head: "Validation accuracy", cell: ({ validationAccuracy }) => accuracy(validationAccuracy) },
        ] satisfies Column<EpochReport>[])
      : []),
    { head: "Test loss", cell: ({ testLoss }) => loss(testLoss) },
    { head: "Test accuracy", cell: ({ testAccuracy }) => accuracy(testAccuracy) },
    { head: "Time", cell: ({ seconds }) => duration(seconds) },
    { head: "Images/s", cell: ({ imagesPerSecond }) => speed(imagesPerSecond) },
  ];
  return table("Every epoch", columns, epochs);
}
