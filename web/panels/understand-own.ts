// Your own picture: drawn, dropped or chosen.
import type { App } from "../app.ts";
import { byId } from "../parts/dom.ts";
import { Sketch } from "../parts/sketch.ts";
import type { HeatView } from "./understand-heat.ts";

export function ownPicture(app: App, view: HeatView): { enabled: boolean } {
  const part = byId("own", HTMLElement);
  const file = byId("own-file", HTMLInputElement);
  const look = byId("sketch-look", HTMLButtonElement);
  const [pen, paper, size] = ["sketch-pen", "sketch-paper", "sketch-size"].map((id) => byId(id, HTMLInputElement));
  let [enabled, drawn] = [false, false];

  const showButtons = (): void => {
    look.disabled = !enabled || !drawn;
    file.disabled = !enabled;
  };
  const sketch = new Sketch(
    byId("sketch", HTMLCanvasElement),
    () => ({ color: pen.value, size: size.valueAsNumber }),
    () => {
      drawn = true;
      showButtons();
    },
  );
  const clear = (): void => {
    sketch.clear(paper.value);
    drawn = false;
    showButtons();
  };
  clear();
  byId("sketch-clear", HTMLButtonElement).addEventListener("click", clear);
  paper.addEventListener("change", clear);

  look.addEventListener("click", () => {
    void app.attempt(async () => {
      // Kept as a file: the bitmap would be gone after the first look.
      const blob = await new Promise<Blob | null>((done) => sketch.canvas.toBlob(done));
      if (blob) view.explain({ source: { file: blob }, title: "Your drawing", truth: null }, { focus: true });
    });
  });

  const take = (found: File | null | undefined): void => {
    if (found) view.explain({ source: { file: found }, title: found.name, truth: null }, { focus: true });
  };
  file.addEventListener("change", () => {
    take(file.files?.[0]);
    // The same file may be chosen again.
    file.value = "";
  });
  part.addEventListener("dragover", (event) => {
    if (!enabled || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    part.classList.add("over");
  });
  part.addEventListener("dragleave", () => part.classList.remove("over"));
  part.addEventListener("drop", (event) => {
    part.classList.remove("over");
    if (!event.dataTransfer?.types.includes("Files")) return;
    // Else the browser would leave the page for the picture.
    event.preventDefault();
    event.stopPropagation();
    if (enabled) take(event.dataTransfer.files[0]);
    else app.say("There is nothing to look at it with yet: train first, or open a checkpoint.");
  });

  return {
    get enabled() {
      return enabled;
    },
    set enabled(value) {
      enabled = value;
      showButtons();
    },
  };
}
