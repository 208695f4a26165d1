// Augmentation: sliders, its text, and the same image many times.
import { parseAugment } from "../../training/augment-grammar.ts";
import type { App } from "../app.ts";
import { AUGMENT_CONTROLS, readControl, writeControl, type AugmentControl } from "../parts/augment-text.ts";
import { pictureCanvas } from "../parts/canvas-pictures.ts";
import { byId, element } from "../parts/dom.ts";
import type { RecipeFields } from "../parts/recipe-form.ts";
import type { Signal } from "../parts/signal.ts";
import type { Picture } from "../protocol.ts";
import type { ChosenSample } from "./data.ts";

const VIEWS = 12;
/** Milliseconds after which the pictures follow a slider. */
const REST = 100;

export function augmentPanel(app: App, recipe: RecipeFields, chosen: Signal<ChosenSample | null>): void {
  const field = byId("augment", HTMLInputElement);
  const problem = byId("augment-problem", HTMLElement);
  const pictures = byId("augmented", HTMLElement);
  const controls = AUGMENT_CONTROLS.map((control) =>
    controlView(control, (value) => edit(writeControl(valid(), control, value))),
  );
  byId("augment-controls", HTMLElement).replaceChildren(...controls.map((control) => control.label));
  let timer: number | undefined;
  let asked = 0;
  let drawing = false;

  const standard = (): string => app.data.value?.defaultAugment ?? "none";
  /** What the sliders start from: of a text that is wrong they keep nothing. */
  const valid = (): string => (problemOf(field.value) === null ? field.value : standard());

  /** Takes a text that was typed or composed: the recipe gets it even where it is wrong, so that no training starts with another one. */
  function edit(text: string): void {
    const trimmed = text.trim();
    recipe.augment = trimmed === "" || trimmed === standard() ? null : trimmed;
    if (field.value !== text) field.value = text;
    show();
  }

  /** A link, a kept run or other images may have changed it. */
  function follow(): void {
    // While images are on their way there is no default to compare with.
    if (!app.data.value && recipe.augment === null) return;
    if (app.data.value && recipe.augment === standard()) recipe.augment = null;
    field.value = recipe.augment ?? standard();
    show();
  }

  function show(): void {
    const text = field.value.trim() || standard();
    const wrong = problemOf(text);
    complain(wrong);
    for (const control of controls) control.show(wrong === null ? text : standard(), app.data.value?.imageSize ?? 32);
    if (wrong === null) timer ??= window.setTimeout(() => void draw(), REST);
  }

  function complain(wrong: string | null): void {
    problem.textContent = wrong ?? "";
    field.ariaInvalid = String(wrong !== null);
  }

  /** One question at a time; what has changed meanwhile is asked for after its answer. */
  async function draw(): Promise<void> {
    timer = undefined;
    asked += 1;
    if (drawing) return;
    drawing = true;
    try {
      for (let question = 0; question !== asked;) {
        question = asked;
        const sample = chosen.value;
        if (!sample) {
          pictures.replaceChildren();
          continue;
        }
        const text = field.value.trim() || standard();
        if (problemOf(text) !== null) continue;
        const answer = await app.session
          .augmented(sample.index, text, VIEWS)
          .catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
        if (question !== asked) continue;
        if (typeof answer === "string") complain(answer);
        else paint(sample.name, answer);
      }
    } finally {
      drawing = false;
    }
  }

  function paint(name: string, { original, views }: { original: Picture; views: Picture[] }): void {
    pictures.replaceChildren(
      element("figure", {}, pictureCanvas(original, `${name} as it is`), element("figcaption", {}, "as it is")),
      ...views.map((view, i) =>
        element(
          "figure",
          {},
          pictureCanvas(view, `${name} in epoch ${i + 1}`),
          element("figcaption", {}, `epoch ${i + 1}`),
        ),
      ),
    );
  }

  field.addEventListener("input", () => edit(field.value));
  // An empty field means the data set's own.
  field.addEventListener("change", () => edit(field.value.trim() || standard()));
  byId("augment-default", HTMLButtonElement).addEventListener("click", () => edit(standard()));
  app.data.watch(follow);
  app.phase.watch(follow);
  chosen.watch(show);
}

function problemOf(text: string): string | null {
  try {
    parseAugment(text);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

interface ControlView {
  readonly label: HTMLElement;
  show(text: string, imageSize: number): void;
}

function controlView(control: AugmentControl, moved: (value: number) => void): ControlView {
  const { most } = control;
  if (!most) {
    const box = element("input", { type: "checkbox" });
    box.addEventListener("change", () => moved(Number(box.checked)));
    const label = element("label", { className: "check" }, box, ` ${control.label}`);
    return { label, show: (text) => void (box.checked = readControl(text, control) > 0) };
  }
  const slider = element("input", { type: "range", min: "0", step: "1" });
  const value = element("span", { className: "value", ariaHidden: "true" });
  slider.addEventListener("input", () => moved(Number(slider.value)));
  const label = element(
    "label",
    { className: "field" },
    element("span", { className: "row" }, control.label, value),
    slider,
  );
  return {
    label,
    show(text, imageSize) {
      const size = readControl(text, control);
      slider.max = String(Math.max(size, most(imageSize)));
      slider.value = String(size);
      value.textContent = size === 0 ? "off" : String(size);
      slider.ariaValueText = value.textContent;
    },
  };
}
