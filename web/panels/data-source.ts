// Where the images come from: built in, dropped, chosen, photographed.
import { proxy } from "comlink";
import type { App, Phase } from "../app.ts";
import { byId } from "../parts/dom.ts";
import { chosenFiles, watchDrops } from "../parts/drop.ts";
import { grouped } from "../parts/format.ts";
import type { RecipeFields } from "../parts/recipe-form.ts";
import type { DataLimits, DataReport } from "../protocol.ts";
import type { DroppedFile, LoadStep } from "../worker/dropped.ts";
import { cameraPanel } from "./data-camera.ts";
import type { DataPanel } from "./data.ts";

/** Files posted to the worker at once: many thousands would keep the page waiting. */
const BATCH = 200;
const IMAGE_SIZE = 32;
const STEPS: Readonly<Record<LoadStep["phase"], string>> = {
  unpack: "Unpacking images",
  read: "Reading files",
  decode: "Decoding images",
};
const WHY_LOCKED: Readonly<Partial<Record<Phase, string>>> = {
  training: "The images cannot be changed while a model is being trained: press Stop first.",
  paused: "The images cannot be changed while a run is paused: press Stop to give it up.",
  finding: "The images cannot be changed while the GPU is busy with them.",
  none: "Nothing can be loaded: see above why.",
};

type Limits = DataLimits & { readonly imageSize: number };
type Load = (limits: Limits) => Promise<DataReport>;

export function sourcePanel(app: App, recipe: RecipeFields): DataPanel {
  const controls = byId("data-source", HTMLFieldSetElement);
  const note = byId("data-locked", HTMLElement);
  const bar = byId("data-progress", HTMLProgressElement);
  const again = byId("load-again", HTMLButtonElement);
  const fields = ["image-size", "limit", "limit-test"].map(
    (name) => recipe.form.elements.namedItem(name) as HTMLInputElement,
  );
  const [imageSize] = fields;
  /** What "Load again" loads: null where the images came from an earlier visit. */
  let load: Load | null = null;
  let loading = false;

  const camera = cameraPanel(app, (files) => void takeFiles(files));
  const showPhase = (): void => {
    const phase = app.phase.value;
    controls.disabled = phase !== "idle" || loading;
    again.disabled = load === null && app.data.value?.name !== "shapes";
    note.textContent = WHY_LOCKED[phase] ?? "";
    note.hidden = note.textContent === "";
    if (phase !== "idle" && phase !== "starting") camera.close();
  };
  app.phase.watch(showPhase);
  app.data.watch(showPhase);

  /** @throws Error of one line where a field makes no sense */
  function limits(): Limits {
    const values = fields.map((field) => {
      if (field.validity.valid) return field.value === "" ? undefined : Number(field.value);
      field.focus();
      throw new Error(`${field.labels![0].textContent.trim()}: ${field.validationMessage}`);
    });
    const [size = IMAGE_SIZE, limit, limitTest] = values;
    return { imageSize: size, ...(limit !== undefined && { limit }), ...(limitTest !== undefined && { limitTest }) };
  }

  /** No training begins on the images before while others are on their way. */
  async function replace(work: Load): Promise<boolean> {
    if (loading || app.phase.value !== "idle") return false;
    const wanted = await app.attempt(limits);
    if (!wanted) return false;
    const before = app.data.value;
    const focused = document.activeElement;
    loading = true;
    app.data.set(null);
    showPhase();
    const report = await app.attempt(() => work(wanted));
    loading = false;
    bar.hidden = true;
    app.data.set(report ?? before);
    showPhase();
    // What is disabled loses the focus.
    if (document.activeElement === document.body && focused instanceof HTMLElement)
      focused.focus({ preventScroll: true });
    if (!report) return false;
    app.say(
      `${grouped(report.train + report.test)} images in ${report.classes.length} classes are loaded. Press Train.`,
    );
    return true;
  }

  const loadShapes: Load = async ({ imageSize: size, ...rest }) => {
    app.say("Drawing the built-in images…");
    const report = await app.session.loadShapes(rest);
    if (size === IMAGE_SIZE) return report;
    return { ...report, warnings: ["The built-in images are 32 x 32, whatever the image size says."] };
  };
  const loadDropped: Load = (wanted) => {
    const progress = proxy(({ phase, done, total }: LoadStep) => {
      if (!loading) return;
      app.say(`${STEPS[phase]}: ${grouped(done)} of ${grouped(total)}`);
      bar.hidden = false;
      bar.value = done / Math.max(1, total);
    });
    return app.session.loadDropped(wanted, progress);
  };

  async function takeShapes(): Promise<void> {
    if (await replace(loadShapes)) load = loadShapes;
    showPhase();
  }

  async function takeFiles(list: AsyncIterable<DroppedFile> | Iterable<DroppedFile>): Promise<void> {
    const done = await replace(async (wanted) => {
      // Whatever comes of it, the files before are no longer with the worker.
      if (load === loadDropped) load = null;
      app.say("Looking through the files…");
      await send(app, list);
      return loadDropped(wanted);
    });
    if (done) load = loadDropped;
    showPhase();
  }

  byId("use-shapes", HTMLButtonElement).addEventListener("click", () => void takeShapes());
  again.addEventListener("click", () => void replace(load ?? loadShapes));
  for (const field of fields) {
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      // It belongs to the recipe, for links; but Enter here means these images, not Train.
      event.preventDefault();
      if (!again.disabled) again.click();
    });
  }
  for (const what of ["folder", "files"]) {
    const input = byId(`${what}-input`, HTMLInputElement);
    byId(`choose-${what}`, HTMLButtonElement).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const list = [...input.files!];
      // So that the same choice is a change again.
      input.value = "";
      if (list.length > 0) void takeFiles(chosenFiles(list));
    });
  }
  watchDrops(byId("drop", HTMLElement), (list) => {
    if (controls.disabled) app.say(note.textContent || "Wait until the images before are loaded.");
    else void takeFiles(list);
  });

  return {
    async loadFirst(link) {
      if (!link.has("image-size")) imageSize.value = "";
      const name = link.get("data") ?? "shapes";
      if (name !== "shapes") {
        await app.attempt(() => {
          throw new Error(`a link cannot load "${name}": drop its files here instead`);
        });
      }
      await takeShapes();
    },
  };
}

/** Tells the worker which files there are, in parts. */
async function send(app: App, list: AsyncIterable<DroppedFile> | Iterable<DroppedFile>): Promise<void> {
  let part: DroppedFile[] = [];
  let count = 0;
  for await (const one of list) {
    part.push(one);
    if (part.length < BATCH) continue;
    await app.session.addDropped(part, count === 0);
    count += part.length;
    part = [];
    app.say(`Looking through the files: ${grouped(count)}`);
  }
  if (part.length > 0 || count === 0) await app.session.addDropped(part, count === 0);
}
