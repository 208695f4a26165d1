// The kernels of one training step: their list, and the text of the chosen one.
import { proxy } from "comlink";
import type { App } from "../app.ts";
import { byId, element } from "../parts/dom.ts";
import { grouped } from "../parts/format.ts";
import type { RecipeFields } from "../parts/recipe-form.ts";
import type { ListingProgress, StepListing } from "../worker/kernels.ts";
import { rate, sumOf, time } from "./underneath-rows.ts";
import { showSource } from "./underneath-source.ts";
import { KernelTable } from "./underneath-table.ts";

export function underneathPanel(app: App, recipe: RecipeFields): void {
  const button = byId("list-kernels", HTMLButtonElement);
  const results = byId("kernels", HTMLElement);
  const source = byId("kernel-source", HTMLElement);
  const table = new KernelTable((row, listing) => showSource(source, row, listing, app));

  const show = (): void => {
    const { value } = app.phase;
    button.disabled = app.data.value === null || !(value === "idle" || value === "paused");
  };
  app.phase.watch(show);
  app.data.watch(show);

  async function list(): Promise<void> {
    const form = await app.attempt(() => recipe.read());
    if (!form) return;
    const before = app.phase.value;
    app.phase.set("finding");
    const watch = proxy((progress: ListingProgress) => app.say(`Listing the kernels: ${inWords(progress)}…`));
    const listing = await app.attempt(() => app.session.listKernels(form, watch));
    if (app.phase.value === "finding") app.phase.set(before);
    if (listing === undefined) return;
    if (listing === null) return app.say("Stopped: the kernels were not listed.");
    showTotals(listing);
    results.hidden = false;
    table.show(listing);
    app.say(`A step of ${listing.model} is ${grouped(listing.dispatches.length)} dispatches.`);
  }
  button.addEventListener("click", () => void list());
}

const inWords = (progress: ListingProgress): string =>
  typeof progress === "string" ? progress : `timed ${progress.done} of ${progress.count} dispatches`;

function showTotals({ by, model, images, stepMilliseconds, dispatches, kernels }: StepListing): void {
  const total = sumOf(dispatches);
  const tiles = {
    Dispatches: grouped(dispatches.length),
    "Different kernels": grouped(new Set(kernels.map(({ file }) => file)).size),
    "Their times together": `${time(total.milliseconds)} ms`,
    "A step as it trains": `${time(stepMilliseconds)} ms`,
    Arithmetic: `${rate(total.flops, total.milliseconds)} GFLOP/s`,
    Memory: `${rate(total.bytes, total.milliseconds)} GB/s`,
  };
  byId("kernel-totals", HTMLElement).replaceChildren(
    ...Object.entries(tiles).map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value)),
    ),
  );
  const way =
    by === "timestamps"
      ? "Times are the GPU's own timestamps before and after each dispatch, in short steps the median of a few."
      : "This browser's timestamps are missing or too coarse, so that times are about: each dispatch ran again, alone and " +
        "several times over, until the GPU said that it was done. Some waiting is included.";
  byId("kernel-note", HTMLElement).textContent =
    `One step of ${model} over ${images} images. ${way} GFLOP/s count what convolutions and matrix products calculate; GB/s count ` +
    "everything that a dispatch is given, each byte once.";
}
