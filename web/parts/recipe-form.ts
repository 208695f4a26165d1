// The recipe as fields, as a form for the worker, and as a link. Fields and the link's parameters have the names of train.js's flags.
import { modelNames } from "../../nn/models/names.ts";
import { OPTIMIZERS, PRECISIONS } from "../../training/recipe.ts";
import { scheduleNames } from "../../training/schedule-grammar.ts";
import type { KeptRun, RangeForm, RecipeForm } from "../protocol.ts";
import { byId, element, options } from "./dom.ts";

const MODEL = "resnet8";
const EPOCHS = 3;
const BATCH_SIZE = 128;

/** Parameters of a link that say what to do, not how. */
const NOT_RECIPE: readonly string[] = ["autostart", "data"];
/** The range test's fields, which no run has. */
const NOT_RUN: readonly string[] = [...NOT_RECIPE, "start-lr", "end-lr", "iterations"];

/** Reads and fills the fields of `<form id="recipe">`. */
export class RecipeFields {
  readonly form = byId("recipe", HTMLFormElement);
  readonly #fieldset = this.form.querySelector("fieldset")!;
  /** The augmentation is chosen in the data panel; null: the data set's own. */
  augment: string | null = null;

  constructor() {
    options(this.#select("model"), modelNames, MODEL);
    options(this.#select("optimizer"), OPTIMIZERS);
    options(this.#select("precision"), PRECISIONS);
    this.#field("epochs").value = String(EPOCHS);
    this.#field("batch-size").value = String(BATCH_SIZE);
    byId("schedules", HTMLDataListElement).replaceChildren(
      ...scheduleNames.map((name) => element("option", { value: name })),
    );
    const showDefaults = (): void => {
      const adam = this.#select("optimizer").value !== "sgd";
      this.#field("lr").placeholder = adam ? "0.001" : "0.1";
      this.#field("momentum").placeholder = "0.9, moved by onecycle";
      this.#field("weight-decay").placeholder = { sgd: "0.0005", adam: "0", adamw: "0.01" }[
        this.#select("optimizer").value
      ]!;
      this.#field("schedule").placeholder = "onecycle";
    };
    this.#select("optimizer").addEventListener("change", showDefaults);
    showDefaults();
  }

  /** @throws Error of one line where a field makes no sense */
  read(): RecipeForm {
    const wrong = [...this.form.elements].find((field) => field instanceof HTMLInputElement && !field.validity.valid);
    if (wrong instanceof HTMLInputElement) {
      wrong.focus();
      throw new Error(`${labelOf(wrong)}: ${wrong.validationMessage}`);
    }
    const text = (name: string): string | undefined => this.#field(name).value.trim() || undefined;
    const number = (name: string): number | undefined => (text(name) === undefined ? undefined : Number(text(name)));
    const form = {
      model: this.#select("model").value,
      epochs: number("epochs")!,
      batchSize: number("batch-size")!,
      optimizer: OPTIMIZERS.find((name) => name === this.#select("optimizer").value)!,
      lr: number("lr"),
      momentum: number("momentum"),
      weightDecay: number("weight-decay"),
      schedule: text("schedule"),
      augment: this.augment ?? undefined,
      labelSmoothing: number("label-smoothing"),
      mixup: number("mixup") || undefined,
      cutmix: number("cutmix") || undefined,
      ema: number("ema") || undefined,
      seed: number("seed")!,
      precision: PRECISIONS.find((name) => name === this.#select("precision").value)!,
    };
    return Object.fromEntries(Object.entries(form).filter(([, value]) => value !== undefined)) as unknown as RecipeForm;
  }

  /** What the range test goes through; what is left out gets the defaults of `find-lr.js`. */
  readRange(): RangeForm {
    const number = (name: string): number | undefined => Number(this.#field(name).value.trim()) || undefined;
    const form = { startLr: number("start-lr"), endLr: number("end-lr"), iterations: number("iterations") };
    return Object.fromEntries(Object.entries(form).filter(([, value]) => value !== undefined));
  }

  /** Fills the fields with a kept run's settings. */
  fill(settings: KeptRun["settings"]): void {
    const { model, epochs, batchSize, optimizer, lr, weightDecay, schedule, labelSmoothing, seed, precision } =
      settings;
    const { momentum, mixup, cutmix, ema, augment } = settings;
    this.#set({
      model,
      epochs,
      "batch-size": batchSize,
      optimizer,
      lr,
      "weight-decay": weightDecay,
      schedule,
      momentum,
    });
    this.#set({ "label-smoothing": labelSmoothing, mixup, cutmix, ema, seed, precision });
    this.#set({ limit: settings.limit, "limit-test": settings.limitTest });
    this.augment = augment;
  }

  setRate(lr: number): void {
    this.#set({ lr: Number(lr.toPrecision(3)) });
  }

  /**
   * Takes what a link says.
   *
   * @throws Error of one line where it names something that does not exist
   */
  applyLink(parameters: URLSearchParams): void {
    const wrong: string[] = [];
    for (const [name, value] of parameters) {
      if (NOT_RECIPE.includes(name)) continue;
      const field = this.form.elements.namedItem(name);
      if (name === "augment") this.augment = value;
      // Buttons and ids are found by name, too.
      else if (!(field instanceof HTMLInputElement || field instanceof HTMLSelectElement) || field.name !== name)
        wrong.push(`${name} is no setting`);
      else {
        try {
          this.#set({ [name]: value });
        } catch (error) {
          wrong.push((error as Error).message);
        }
        // A field for numbers takes nothing else.
        if (field instanceof HTMLInputElement && field.value !== value) wrong.push(`${name} "${value}" is no number`);
      }
    }
    if (wrong.length > 0) throw new Error(`the link of this page is wrong: ${wrong.join("; ")}`);
  }

  /** Whether a link asks for the run that has these settings. */
  matches(parameters: URLSearchParams, settings: KeptRun["settings"]): boolean {
    const values = settings as unknown as Readonly<Record<string, unknown>>;
    return [...parameters].every(([name, value]) => {
      if (NOT_RUN.includes(name)) return true;
      const kept = values[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
      return typeof kept === "number" ? kept === Number(value) : kept === value;
    });
  }

  /** All that the form says, for a link: defaults may change. */
  link(): URLSearchParams {
    const parameters = new URLSearchParams();
    for (const field of this.form.elements) {
      if (!(field instanceof HTMLInputElement || field instanceof HTMLSelectElement) || field.name === "") continue;
      if (field.value !== "") parameters.set(field.name, field.value);
    }
    if (this.augment !== null) parameters.set("augment", this.augment);
    return parameters;
  }

  set enabled(enabled: boolean) {
    this.#fieldset.disabled = !enabled;
  }

  #set(values: Readonly<Record<string, string | number | undefined>>): void {
    for (const [name, value] of Object.entries(values)) {
      const field = this.form.elements.namedItem(name) as HTMLInputElement | HTMLSelectElement;
      field.value = value === undefined ? "" : String(value);
      if (field instanceof HTMLSelectElement && field.selectedIndex < 0) {
        const known = [...field.options].map((option) => option.value).join(", ");
        field.selectedIndex = 0;
        throw new Error(`there is no ${name} "${value}"; known are ${known}`);
      }
      field.dispatchEvent(new Event("change"));
    }
  }

  #field(name: string): HTMLInputElement {
    return this.form.elements.namedItem(name) as HTMLInputElement;
  }

  #select(name: string): HTMLSelectElement {
    return this.form.elements.namedItem(name) as HTMLSelectElement;
  }
}

const labelOf = (field: HTMLInputElement): string => field.labels?.[0]?.textContent?.trim() ?? field.name;
