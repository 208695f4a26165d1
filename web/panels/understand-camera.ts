// What the model sees in the camera, a few times a second.
import { transfer } from "comlink";
import type { App } from "../app.ts";
import { openCamera } from "../parts/camera.ts";
import { drawPicture } from "../parts/canvas-pictures.ts";
import { byId } from "../parts/dom.ts";
import type { HeatView } from "./understand-heat.ts";

/** The least time between two answers, in milliseconds: heat that flickers cannot be read. */
const EVERY = 150;
const TOP = 3;

export class LiveCamera {
  readonly #app: App;
  readonly #view: HeatView;
  readonly #video = byId("live-video", HTMLVideoElement);
  readonly #heat = byId("live-heat", HTMLCanvasElement);
  readonly #answers = byId("live-answers", HTMLOListElement);
  readonly #start = byId("live-start", HTMLButtonElement);
  readonly #end = byId("live-end", HTMLButtonElement);
  #enabled = false;
  #opening = false;
  /** Turns the camera off; null while it is off. */
  #off: (() => void) | null = null;

  constructor(app: App, view: HeatView) {
    this.#app = app;
    this.#view = view;
    this.#start.addEventListener("click", () => void app.attempt(() => this.#open()));
    this.#end.addEventListener("click", () => {
      this.close("The camera is off.");
      this.#start.focus();
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") this.close("The camera is off: the page was left.");
    });
    new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) this.close("The camera is off: its panel was left.");
    }).observe(byId("understand", HTMLElement));
  }

  set enabled(enabled: boolean) {
    this.#enabled = enabled;
    if (!enabled) this.close("The camera is off.");
    this.#showButtons();
  }

  close(why: string): void {
    if (!this.#off) return;
    this.#off();
    this.#off = null;
    this.#heat.hidden = true;
    this.#answers.replaceChildren();
    // Where training began, its own words come at once.
    if (this.#enabled) this.#app.say(why);
    this.#showButtons();
  }

  async #open(): Promise<void> {
    this.#opening = true;
    this.#showButtons();
    try {
      this.#off = await openCamera(this.#video);
    } finally {
      this.#opening = false;
      this.#showButtons();
    }
    // Training may have begun while the browser asked.
    if (!this.#enabled) {
      this.close("");
      return;
    }
    const [track] = (this.#video.srcObject as MediaStream).getVideoTracks();
    track.addEventListener("ended", () => this.close("The camera is off: it was taken away."));
    this.#app.say("The camera is on. Nothing leaves this machine.");
    this.#end.focus();
    await this.#watch(this.#off);
  }

  /** One question at a time, each about the newest frame. */
  async #watch(session: () => void): Promise<void> {
    while (session === this.#off) {
      const asked = performance.now();
      try {
        await this.#look(session);
      } catch (error) {
        // Training may begin between two frames.
        if (session !== this.#off) return;
        this.close("The camera is off.");
        throw error;
      }
      await new Promise((done) => setTimeout(done, Math.max(0, asked + EVERY - performance.now())));
    }
  }

  async #look(session: () => void): Promise<void> {
    const bitmap = await createImageBitmap(this.#video);
    const options = this.#view.liveOptions;
    const { heats, probabilities } = await this.#app.session.explainPicture(transfer({ bitmap }, [bitmap]), options);
    if (session !== this.#off) return;
    drawPicture(this.#heat, heats[0]);
    this.#heat.hidden = false;
    const best = Array.from(probabilities, (_, label) => label).sort((a, b) => probabilities[b] - probabilities[a]);
    this.#answers.replaceChildren(...best.slice(0, TOP).map((label) => this.#view.answer(label, probabilities[label])));
  }

  #showButtons(): void {
    this.#start.disabled = !this.#enabled || this.#opening || this.#off !== null;
    this.#end.disabled = this.#off === null;
  }
}
