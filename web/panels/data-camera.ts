// Images from the camera: held up one class after the other.
import type { App } from "../app.ts";
import { openCamera, stillPicture } from "../parts/camera.ts";
import { byId, element } from "../parts/dom.ts";
import type { DroppedFile } from "../worker/dropped.ts";

/** Milliseconds between two pictures while the button is held. */
const EVERY = 150;
/** Pixels a side: more than any image size that trains quickly. */
const SIZE = 256;
const THUMBNAILS = 8;
/** The fewest that can be divided into training and test images. */
const LEAST = 2;
const MOST = 500;

interface CameraClass {
  readonly name: string;
  readonly pictures: Blob[];
}

export interface CameraPanel {
  /** Turns the camera off. What was collected stays. */
  close(): void;
}

export function cameraPanel(app: App, use: (files: DroppedFile[]) => void): CameraPanel {
  const toggle = byId("use-camera", HTMLButtonElement);
  const panel = byId("camera", HTMLElement);
  const video = byId("camera-video", HTMLVideoElement);
  const name = byId("camera-name", HTMLInputElement);
  const list = byId("camera-classes", HTMLUListElement);
  const done = byId("camera-use", HTMLButtonElement);
  const note = byId("camera-note", HTMLElement);
  const classes = new Set<CameraClass>();
  let turnOff: (() => void) | null = null;
  let opening = false;

  const show = (): void => {
    const ready = classes.size >= 2 && [...classes].every(({ pictures }) => pictures.length >= LEAST);
    done.disabled = !ready;
    note.textContent = ready
      ? "Some more of each from other sides make a better model."
      : `It takes two classes or more, with ${LEAST} images or more each: add one, and hold its button.`;
  };

  async function open(): Promise<void> {
    panel.hidden = false;
    toggle.ariaExpanded = "true";
    if (opening) return;
    opening = true;
    app.say("Opening the camera…");
    const off = await app.attempt(() => openCamera(video));
    opening = false;
    turnOff = off ?? null;
    // Training may have closed the panel while the browser asked.
    if (!off || panel.hidden) return close();
    toggle.textContent = "Close the camera";
    app.say("The camera is on. Name a class, and hold its button.");
    name.focus();
  }

  function close(): void {
    turnOff?.();
    turnOff = null;
    panel.hidden = true;
    toggle.ariaExpanded = "false";
    toggle.textContent = "Use the camera";
  }

  function add(): void {
    const wanted = name.value.trim();
    const wrong = problemOf(wanted, [...classes]);
    name.setCustomValidity(wrong ?? "");
    if (wrong !== null) return void name.reportValidity();
    const made: CameraClass = { name: wanted, pictures: [] };
    classes.add(made);
    const row = classRow(made, {
      // The button outlives the camera by a moment.
      take: () => (turnOff ? stillPicture(video, SIZE) : null),
      changed: show,
      remove() {
        classes.delete(made);
        row.remove();
        show();
        name.focus();
      },
    });
    list.append(row);
    name.value = "";
    show();
    row.querySelector("button")!.focus();
  }

  toggle.addEventListener("click", () => (turnOff ? close() : void open()));
  byId("camera-add", HTMLButtonElement).addEventListener("click", add);
  name.addEventListener("input", () => name.setCustomValidity(""));
  name.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  });
  done.addEventListener("click", () => {
    use(
      [...classes].flatMap(({ name: folder, pictures }) =>
        pictures.map((file, i) => ({ path: `camera/${folder}/${String(i).padStart(4, "0")}.jpg`, file })),
      ),
    );
  });
  show();
  return { close };
}

/** A class becomes a folder. */
function problemOf(name: string, classes: readonly CameraClass[]): string | null {
  if (name === "") return "Give the class a name.";
  if (/^[._]|[/\\]/.test(name)) return "A class cannot begin with a dot or underscore, or contain a slash.";
  if (/^(train|test|val)(ing|id|idation)?$/i.test(name)) return `A class cannot be called "${name}".`;
  if (classes.some((other) => other.name.toLowerCase() === name.toLowerCase())) return `There is a class "${name}".`;
  return null;
}

interface RowActions {
  /** What the camera sees, null where it is off. */
  readonly take: () => HTMLCanvasElement | null;
  readonly changed: () => void;
  readonly remove: () => void;
}

function classRow({ name, pictures }: CameraClass, { take, changed, remove }: RowActions): HTMLLIElement {
  const hold = element("button", { type: "button" }, `Hold to collect ${name}`);
  const count = element("span", { className: "count", ariaLive: "off" }, "0 images");
  const thumbnails = element("span", { className: "thumbnails", ariaHidden: "true" });
  const gone = element("button", { type: "button", ariaLabel: `Delete class ${name}` }, "Delete");
  gone.addEventListener("click", remove);
  const collect = (): void => {
    const picture = pictures.length < MOST ? take() : null;
    picture?.toBlob(
      (blob) => {
        if (!blob) return;
        pictures.push(blob);
        count.textContent = `${pictures.length} ${pictures.length === 1 ? "image" : "images"}`;
        thumbnails.prepend(picture);
        if (thumbnails.children.length > THUMBNAILS) thumbnails.lastChild!.remove();
        changed();
      },
      "image/jpeg",
      0.92,
    );
  };
  whileHeld(hold, collect);
  return element(
    "li",
    {},
    element("div", { className: "row" }, element("strong", {}, name), count, hold, gone),
    thumbnails,
  );
}

/** Calls at once and then again and again, while a button is held by a pointer, or by Enter or the space bar. */
function whileHeld(button: HTMLButtonElement, call: () => void): void {
  let timer: number | undefined;
  const begin = (): void => {
    if (timer !== undefined) return;
    button.classList.add("held");
    timer = window.setInterval(call, EVERY);
    call();
  };
  const end = (): void => {
    clearInterval(timer);
    timer = undefined;
    button.classList.remove("held");
  };
  const isKey = (event: KeyboardEvent): boolean => event.key === " " || event.key === "Enter";
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    begin();
  });
  for (const type of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(type, end);
  // A long touch would open a menu.
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("keydown", (event) => {
    if (!isKey(event)) return;
    event.preventDefault();
    if (!event.repeat) begin();
  });
  button.addEventListener("keyup", (event) => {
    if (!isKey(event)) return;
    event.preventDefault();
    end();
  });
  // Screen readers click without a pointer or a key.
  button.addEventListener("click", (event) => {
    if (event.detail === 0 && timer === undefined) call();
  });
}
