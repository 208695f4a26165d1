// Where the model looks in one picture: heat over it, what it says, and the same for every class.
import { camMethods, type CamMethod } from "../../training/explain/methods.ts";
import type { App } from "../app.ts";
import { drawPicture } from "../parts/canvas-pictures.ts";
import { byId, element } from "../parts/dom.ts";
import { percent } from "../parts/format.ts";
import { heated } from "../parts/heat-canvas.ts";
import { Latest } from "../parts/latest.ts";
import type { ModelReport } from "../protocol.ts";
import type { Explanation, HeatOptions } from "../worker/explain.ts";
import type { PictureSource } from "../worker/pictures.ts";

/** A picture to look into. */
export interface Subject {
  readonly source: PictureSource;
  /** "Test image 12", "Your drawing". */
  readonly title: string;
  /** What it is, where that is known. */
  readonly truth: number | null;
}

const MOST_CLASSES = 12;
const TOP = 5;
/** Methods that take a forward pass for each channel: too slow for a video. */
const SLOW: readonly CamMethod[] = ["score-cam", "ablation-cam"];

export class HeatView {
  readonly #app: App;
  readonly #part = byId("heat", HTMLElement);
  readonly #title = byId("heat-title", HTMLElement);
  readonly #caption = byId("heat-caption", HTMLElement);
  readonly #picture = byId("heat-picture", HTMLCanvasElement);
  readonly #heat = byId("heat-map", HTMLCanvasElement);
  readonly #answers = byId("heat-answers", HTMLOListElement);
  readonly #layer = byId("heat-layer", HTMLSelectElement);
  readonly #class = byId("heat-class", HTMLSelectElement);
  readonly #method = byId("heat-method", HTMLSelectElement);
  readonly #every = byId("every-class", HTMLButtonElement);
  readonly #classes = byId("class-heats", HTMLUListElement);
  readonly #asked = new Latest();
  #model: ModelReport | null = null;
  #subject: Subject | null = null;
  /** Asked for, and not answered yet. */
  #pending: Subject | null = null;
  #answer: Explanation | null = null;
  #enabled = false;

  constructor(app: App) {
    this.#app = app;
    this.#method.replaceChildren(...camMethods.map((method) => new Option(method)));
    for (const select of [this.#layer, this.#class, this.#method]) {
      select.addEventListener("change", () => this.#recompute());
    }
    const opacity = byId("heat-opacity", HTMLInputElement);
    const setOpacity = (): void => {
      byId("understand", HTMLElement).style.setProperty("--heat", String(opacity.valueAsNumber / 100));
    };
    opacity.addEventListener("input", setOpacity);
    setOpacity();
    this.#every.addEventListener("click", () => {
      this.#showsEvery = !this.#showsEvery;
      if (this.#showsEvery) this.#recompute();
    });
  }

  /** The model to look into; another one's answers go. */
  set model(model: ModelReport | null) {
    if (model === this.#model) return;
    this.#model = model;
    this.#clear();
    if (!model) return;
    const keep = this.#layer.value;
    const layer = model.layers.includes(keep) ? keep : model.defaultLayer;
    this.#layer.replaceChildren(...model.layers.map((name) => new Option(name, name, false, name === layer)));
    this.#class.replaceChildren(
      new Option("predicted", ""),
      ...model.classes.map((name, label) => new Option(name, String(label))),
    );
  }

  set enabled(enabled: boolean) {
    this.#enabled = enabled;
    for (const select of [this.#layer, this.#class, this.#method]) select.disabled = !enabled;
    this.#every.disabled = !enabled || !this.#answer;
    if (!enabled) this.#forget();
  }

  /** What is shown: its source has pixels, not what they were read from. */
  get subject(): Subject | null {
    return this.#subject;
  }

  /** What the fields say, for a video: methods that are too slow for one give way. */
  get liveOptions(): HeatOptions {
    const options = this.#options();
    return SLOW.includes(options.method) ? { ...options, method: "grad-cam" } : options;
  }

  name(label: number): string {
    return this.#model?.classes[label] ?? `output ${label}`;
  }

  /** Explains a picture and says what the model said. @param focus moves there, for who pressed a button far from it */
  explain(subject: Subject, { focus }: { readonly focus: boolean }): void {
    if (!this.#enabled) return;
    this.#pending = subject;
    this.#app.say("Looking…");
    this.#asked.ask(() => this.#look(subject, { move: true, focus }));
  }

  #recompute(): void {
    if (!this.#enabled) return;
    this.#asked.ask(async () => {
      // It may take the place of a look that was asked for and not begun.
      const subject = this.#pending ?? this.#subject;
      if (subject) await this.#look(subject, { move: false, focus: false });
    });
  }

  #forget(): void {
    this.#asked.forget();
    this.#pending = null;
  }

  async #look(subject: Subject, { move, focus }: { readonly move: boolean; readonly focus: boolean }): Promise<void> {
    const model = this.#model;
    this.#part.setAttribute("aria-busy", "true");
    const answer = await this.#app.attempt(() => this.#app.session.explainPicture(subject.source, this.#options()));
    this.#part.removeAttribute("aria-busy");
    if (this.#pending === subject) this.#pending = null;
    if (!answer || this.#model !== model) return;
    this.#answer = answer;
    this.#subject = { ...subject, source: { picture: answer.picture } };
    this.#show(answer, this.#subject);
    if (move) this.#moveHere(focus);
    if (this.#showsEvery) await this.#lookAtEvery(answer);
  }

  /** The same picture under the likeliest classes. */
  async #lookAtEvery({ picture, probabilities }: Explanation): Promise<void> {
    const model = this.#model;
    const classes = ranked(probabilities).slice(0, MOST_CLASSES);
    const answer = await this.#app.attempt(() =>
      this.#app.session.explainPicture({ picture }, { ...this.#options(), classes }),
    );
    if (!answer || this.#model !== model || !this.#showsEvery) return;
    const parts = answer.classes.map((label, k) => {
      const caption = element("span", {}, `${this.name(label)} ${percent(probabilities[label], 1)}`);
      return element("li", {}, heated(answer.picture, answer.heats[k]), caption);
    });
    this.#classes.replaceChildren(...parts);
  }

  #show({ picture, heats, classes, probabilities }: Explanation, { title, truth }: Subject): void {
    const [first] = ranked(probabilities);
    const [said, sure] = [this.name(first), percent(probabilities[first], 0)];
    const what = truth === null ? "" : truth === first ? ", which is right" : `; the truth is ${this.name(truth)}`;
    drawPicture(this.#picture, picture);
    drawPicture(this.#heat, heats[0]);
    this.#heat.hidden = false;
    this.#title.textContent = title;
    this.#caption.textContent = `What speaks for ${this.name(classes[0])}: red much, blue little`;
    this.#picture.setAttribute("aria-label", `${title}, with a heat map of what speaks for ${this.name(classes[0])}`);
    this.#answers.replaceChildren(
      ...ranked(probabilities)
        .slice(0, TOP)
        .map((label) => this.answer(label, probabilities[label], label === truth)),
    );
    this.#every.disabled = !this.#enabled;
    this.#app.say(`${title}: the model says ${said}, ${sure} sure${what}.`);
  }

  /** A class with its probability as a bar. */
  answer(label: number, probability: number, right = false): HTMLLIElement {
    const bar = element("span", { className: "bar" });
    bar.style.setProperty("--share", percent(probability).replace(" ", ""));
    const name = element("span", { className: "name" }, right ? `${this.name(label)} (right)` : this.name(label));
    return element("li", {}, name, bar, element("span", { className: "number" }, percent(probability)));
  }

  #options(): HeatOptions {
    const label = this.#class.value;
    return {
      layer: this.#layer.value,
      method: this.#method.value as CamMethod,
      ...(label !== "" && { classes: [Number(label)] }),
    };
  }

  get #showsEvery(): boolean {
    return this.#every.getAttribute("aria-pressed") === "true";
  }

  set #showsEvery(shown: boolean) {
    this.#every.setAttribute("aria-pressed", String(shown));
    if (!shown) this.#classes.replaceChildren();
  }

  #moveHere(focus: boolean): void {
    this.#part.scrollIntoView({ block: "nearest" });
    if (focus) this.#title.focus({ preventScroll: true });
  }

  #clear(): void {
    this.#subject = this.#answer = null;
    this.#forget();
    this.#title.textContent = NOTHING;
    this.#caption.textContent = "Choose a picture";
    this.#answers.replaceChildren();
    this.#classes.replaceChildren();
    this.#heat.hidden = true;
    this.#picture.width = this.#heat.width = 1;
    this.#picture.setAttribute("aria-label", NOTHING);
    this.#every.disabled = true;
  }
}

const NOTHING = "No picture is chosen";

const ranked = (probabilities: Float32Array): number[] =>
  Array.from(probabilities, (_, label) => label).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
