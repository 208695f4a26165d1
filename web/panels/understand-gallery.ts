// Test images as buttons: those that were misclassified, or those of a cell of the confusion matrix.
import type { App } from "../app.ts";
import { pictureCanvas } from "../parts/canvas-pictures.ts";
import { byId, element } from "../parts/dom.ts";
import { grouped, percent } from "../parts/format.ts";
import type { TestReport } from "../worker/test.ts";
import type { Cell } from "./understand-confusion.ts";

const AT_ONCE = 12;

export class Gallery {
  readonly #app: App;
  readonly #choose: (index: number) => void;
  readonly #list = byId("gallery", HTMLUListElement);
  readonly #title = byId("gallery-title", HTMLElement);
  readonly #count = byId("gallery-count", HTMLElement);
  readonly #more = byId("gallery-more", HTMLButtonElement);
  readonly #back = byId("gallery-back", HTMLButtonElement);
  #report: TestReport | null = null;
  #names: readonly string[] = [];
  #indices: readonly number[] = [];
  #shown = 0;
  #enabled = false;

  /**
   * @param choose told which test image was chosen
   * @param reset told that the misclassified are shown again
   */
  constructor(app: App, choose: (index: number) => void, reset: () => void) {
    this.#app = app;
    this.#choose = choose;
    this.#more.addEventListener("click", () => void this.#showMore(true));
    this.#back.addEventListener("click", () => {
      reset();
      this.showMistakes();
      this.#title.focus();
    });
  }

  set enabled(enabled: boolean) {
    this.#enabled = enabled;
    for (const button of this.#list.querySelectorAll("button")) button.disabled = !enabled;
    this.#showButtons();
  }

  /** The test whose images these are; null: none. */
  set(report: TestReport | null, names: readonly string[]): void {
    this.#report = report;
    this.#names = names;
    if (report) this.showMistakes();
    else this.#begin("Misclassified", []);
  }

  /** The misclassified test images, the most confident first. */
  get mistakes(): number[] {
    return this.#sorted((label, prediction) => label !== prediction);
  }

  showMistakes(): void {
    this.#begin("Misclassified", this.mistakes);
  }

  showCell({ truth, prediction }: Cell): void {
    const [is, said] = [this.#name(truth), this.#name(prediction)];
    const title = truth === prediction ? `${is}, recognised` : `${is}, taken for ${said}`;
    this.#begin(
      title,
      this.#sorted((label, answer) => label === truth && answer === prediction),
      true,
    );
  }

  /** Marks the image that is explained; null: none of these. */
  mark(index: number | null): void {
    for (const button of this.#list.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.index) === index));
    }
  }

  #name(label: number): string {
    return this.#names[label] ?? `output ${label}`;
  }

  #sorted(wanted: (label: number, prediction: number) => boolean): number[] {
    const { labels = [], predictions = [], confidences = [] } = this.#report ?? {};
    const found: number[] = [];
    for (let i = 0; i < labels.length; i++) if (wanted(labels[i], predictions[i])) found.push(i);
    return found.sort((a, b) => confidences[b] - confidences[a] || a - b);
  }

  #begin(title: string, indices: readonly number[], ofCell = false): void {
    this.#title.textContent = title;
    this.#indices = indices;
    this.#shown = 0;
    this.#list.replaceChildren();
    this.#back.hidden = !ofCell;
    void this.#showMore(false);
  }

  /** @param focus on the first of the new ones */
  async #showMore(focus: boolean): Promise<void> {
    const [report, indices, first] = [this.#report, this.#indices, this.#shown];
    const some = indices.slice(first, first + AT_ONCE);
    this.#shown += some.length;
    this.#showCount();
    if (!report || some.length === 0) return;
    const pictures = await this.#app.attempt(() => this.#app.session.testPictures(some));
    if (!pictures || indices !== this.#indices) return;
    const buttons = some.map((index, i) => {
      const [what, sure] = this.#caption(report, index);
      const caption = element("span", {}, `${what} `, element("span", { className: "sure" }, sure));
      const button = element(
        "button",
        { type: "button", disabled: !this.#enabled },
        pictureCanvas(pictures[i]),
        caption,
      );
      button.dataset.index = String(index);
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => this.#choose(index));
      return button;
    });
    this.#list.append(...buttons.map((button) => element("li", {}, button)));
    if (focus) buttons[0].focus();
  }

  #caption({ labels, predictions, confidences }: TestReport, index: number): [what: string, sure: string] {
    const [is, said] = [this.#name(labels[index]), this.#name(predictions[index])];
    const what = labels[index] === predictions[index] ? `${is}, recognised` : `${is}, taken for ${said}`;
    return [what, percent(confidences[index], 0)];
  }

  #showCount(): void {
    const count = this.#indices.length;
    this.#count.textContent = !this.#report
      ? "–"
      : count === 0
        ? "No image."
        : `${grouped(this.#shown)} of ${grouped(count)}, the most confident first`;
    this.#showButtons();
  }

  #showButtons(): void {
    this.#more.disabled = !this.#enabled || this.#shown >= this.#indices.length;
    this.#back.disabled = !this.#enabled;
  }
}
