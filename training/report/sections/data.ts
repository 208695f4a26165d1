// The data: counts, statistics, samples, and what augmentation makes of one image.
import { augmentedViews, channelStatistics, classCounts, labelledSamples, rawImage } from "../../data/looks.ts";
import type { Dataset, DeviceDataset } from "../../data/device-dataset.ts";
import type { Rgb } from "../../data/dataset.ts";
import { countBars } from "../figures/classes.ts";
import { gallery } from "../figures/gallery.ts";
import type { Figure } from "../figure.ts";
import { grouped } from "../format.ts";
import { details, html, table, type Html } from "../html.ts";
import type { Material } from "../material.ts";
import { grid, show, type Section } from "../section.ts";
import { fitted } from "../small-picture.ts";

const SAMPLES = 30;
const VIEWS = 16;

export async function dataSection(material: Material): Promise<Section> {
  const { data, check } = material;
  const parts = partsOf(data);
  const counts = parts.map(([name, set]) => ({ name, counts: classCounts(set.raw, data.classes) }));
  const bars = countBars(counts, data.classes);
  const samples = await sampleGrid(data);
  check();
  const views = await augmentationGrids(material);
  const countTable = table(
    "Images of each class",
    [
      { head: "Class", cell: (label) => data.classes[label], words: true },
      ...counts.map((part) => ({ head: part.name, cell: (label: number) => grouped(part.counts[label]) })),
    ],
    data.classes.map((_, label) => label),
  );
  const body = html`<p>
      ${data.name}: ${parts.map(([name, set], i) => `${i > 0 ? ", " : ""}${grouped(set.count)} ${name} images`)} of
      ${data.train.width} × ${data.train.height} pixels, ${data.classes.length} classes.
    </p>
    ${statistics(data)}
    <div class="grid">${show(bars)} ${show(samples)}</div>
    ${details("Class counts as a table", countTable)}
    <h3>Augmentation</h3>
    ${
      views.length > 0
        ? html`<p>
              The same training image, drawn ${VIEWS} times: as the first epochs of a run with this seed show it to the
              model.
            </p>
            ${grid(views)}`
        : html`<p>None: every epoch shows the images as they are.</p>`
    }`;
  return { id: "data", title: "Data", body, figures: [bars, samples, ...views] };
}

const partsOf = ({ train, validation, test }: Dataset): [string, DeviceDataset][] => [
  ["training", train],
  ...(validation ? ([["validation", validation]] as [string, DeviceDataset][]) : []),
  ["test", test],
];

function statistics({ train, mean, std }: Dataset): Html {
  const { pixelwise, perImage } = channelStatistics(train.raw);
  const rows: [string, Rgb][] = [
    ["Mean of all pixels", pixelwise.mean],
    ["Standard deviation of all pixels", pixelwise.std],
    ["Mean of the images' means", perImage.mean],
    ["Mean of the images' deviations (kuangliu's)", perImage.std],
    ["Normalised by: mean", mean],
    ["Normalised by: standard deviation", std],
  ];
  const channel = (c: number) => (row: [string, Rgb]) => row[1][c].toFixed(4);
  return table(
    "Channels of the training images, in units of 0 to 1",
    [
      { head: "", cell: ([name]) => name, words: true },
      { head: "Red", cell: channel(0) },
      { head: "Green", cell: channel(1) },
      { head: "Blue", cell: channel(2) },
    ],
    rows,
  );
}

function sampleGrid({ train, classes }: Dataset): Promise<Figure> {
  const items = labelledSamples(train.raw, SAMPLES).map((index) => ({
    picture: fitted(rawImage(train.raw, index)),
    caption: classes[train.labels[index]],
  }));
  return gallery(items, { name: "samples", title: "Training images with their classes", columns: 6, size: 76 });
}

async function augmentationGrids({ data: { train }, augment, seed }: Material): Promise<Figure[]> {
  if (augment.length === 0) return [];
  const [index] = labelledSamples(train.raw, 1);
  const views = await augmentedViews(train, index, { augment, count: VIEWS, seed });
  // A short run has not seen all of them, so that they are not called epochs.
  const make = (name: string, title: string, key: "picture" | "normalised"): Promise<Figure> =>
    gallery(
      views.map((view, i) => ({ picture: fitted(view[key]), caption: `view ${i + 1}` })),
      { name, title, columns: 4, size: 96 },
    );
  return [
    await make("augmentation", "One image, augmented", "picture"),
    await make(
      "augmentation-normalised",
      "The same as the model sees it: normalised, black −2.5, white 2.5",
      "normalised",
    ),
  ];
}
