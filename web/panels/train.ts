// Training: its buttons, and the range test.
import { proxy } from "comlink";
import type { App } from "../app.ts";
import { FEW_STEPS } from "../../training/step-count.ts";
import { byId } from "../parts/dom.ts";
import { inPageWords, percent, short } from "../parts/format.ts";
import type { RecipeFields } from "../parts/recipe-form.ts";
import { watchThrottling } from "../parts/throttling.ts";
import type { KeptRun, RunEnd, RunEvent } from "../protocol.ts";
import { showRangeTest } from "./range-test.ts";
import { RunView } from "./run-view.ts";

/** Milliseconds. */
const SAY_EVERY = 1000;

export interface TrainPanel {
  /** As if Train were pressed. */
  start(): Promise<void>;
  /** Shows a run from an earlier visit; one that is not finished can be continued. */
  restore(run: KeptRun): void;
}

export function trainPanel(app: App, recipe: RecipeFields): TrainPanel {
  const [start, pause, stop, find] = ["start", "pause", "stop", "find-lr"].map((id) => byId(id, HTMLButtonElement));
  const view = new RunView();
  const throttling = watchThrottling(app);
  /** What ends the leg under way: Stop gives the run up, Pause does not. */
  let stopping = false;
  /** Of the run. */
  let steps = Infinity;

  const showPhase = (): void => {
    const phase = app.phase.value;
    const ready = app.data.value !== null;
    start.disabled = !ready || !(phase === "idle" || phase === "paused");
    find.disabled = !ready || phase !== "idle";
    pause.disabled = phase !== "training";
    stop.disabled = !(phase === "training" || phase === "paused" || phase === "finding");
    recipe.enabled = phase !== "training" && phase !== "paused" && phase !== "finding";
  };
  app.phase.watch(showPhase);
  app.data.watch(showPhase);

  /** Says how it goes, but not so often that a screen reader never gets to the end of a sentence. */
  let said = -Infinity;
  const sayProgress = (text: string): void => {
    if (performance.now() - said < SAY_EVERY) return;
    said = performance.now();
    app.say(text);
  };

  const watch = proxy((event: RunEvent) => {
    view.show(event);
    throttling.note(event);
    if (event.type === "start") {
      steps = event.steps;
      said = -Infinity;
      app.say("Compiling the kernels…");
    }
    if (event.type === "progress") {
      sayProgress(`Training: epoch ${event.epoch}, loss ${event.loss.toFixed(4)}, accuracy ${percent(event.accuracy)}`);
    }
    if (event.type === "evaluating") sayProgress(`Testing: ${event.done} of ${event.count} images`);
  });

  /** One leg of a run, from a press of Train to its end, pause or failure. */
  async function leg(train: () => Promise<RunEnd>): Promise<void> {
    stopping = false;
    const focused = document.activeElement === start;
    app.phase.set("training");
    // What is disabled loses the focus.
    if (focused) pause.focus({ preventScroll: true });
    app.model.set(null);
    const end = await app.attempt(train);
    view.progress(null);
    if (end?.reason === "failed") {
      if (app.phase.value !== "none") {
        app.say("Training failed, see the message.");
        app.giveUp(`${inPageWords(end.message)}. What was saved is kept: take it up again from there.`);
      }
      return;
    }
    if (end?.reason === "stopped" && stopping) await app.attempt(() => app.session.end());
    // What was refused at once has left the model before.
    const model = end ? end.model : await app.session.currentModel();
    // The GPU was lost.
    if (app.phase.value === "none") return;
    const paused = end?.reason === "stopped" && !stopping;
    app.phase.set(paused ? "paused" : "idle");
    app.model.set(model);
    if (!end) return;
    app.say(
      paused
        ? "Paused and saved. Train continues, Stop ends the run."
        : end.reason === "early-stop"
          ? "Ended early: the test loss got no better."
          : end.reason === "done"
            ? `Training is done.${steps < FEW_STEPS ? ` It had ${steps} steps only: a smaller batch size makes more of them.` : ""}`
            : "Stopped.",
    );
  }

  async function begin(): Promise<void> {
    if (start.disabled) return;
    if (app.phase.value === "paused") return leg(() => app.session.resume(watch));
    start.disabled = true;
    const form = await app.attempt(() => recipe.read());
    if (!form) return showPhase();
    app.say("Preparing the model…");
    await leg(() => app.session.train(form, watch));
  }

  async function findRate(): Promise<void> {
    const form = await app.attempt(() => recipe.read());
    if (!form) return;
    app.phase.set("finding");
    app.say("Range test: compiling the kernels…");
    const progress = proxy(
      ({ done, iterations, lr, loss }: { done: number; iterations: number; lr: number; loss: number }) => {
        view.progress(done / iterations);
        sayProgress(`Range test: ${done} of ${iterations}, learning rate ${short(lr)}, loss ${loss.toFixed(4)}`);
      },
    );
    const result = await app.attempt(() => app.session.findLr(form, recipe.readRange(), progress));
    view.progress(null);
    if (app.phase.value === "finding") app.phase.set("idle");
    if (!result) return;
    if (result.stopped.reason === "interrupted" && !Number.isFinite(result.suggestion)) return app.say("Stopped.");
    showRangeTest(result, (lr) => {
      recipe.setRate(lr);
      app.say(`The learning rate is ${short(lr)} now.`);
    });
    app.say(
      Number.isFinite(result.suggestion)
        ? `Range test: suggested learning rate ${short(result.suggestion)}`
        : "Range test: ended too early for a suggestion",
    );
  }

  recipe.form.addEventListener("submit", (event) => {
    event.preventDefault();
    void begin();
  });
  // The browser's own bubbles would come before our message; read() says what is wrong.
  recipe.form.noValidate = true;
  pause.addEventListener("click", () => {
    app.say("Pausing after this step…");
    void app.session.halt();
  });
  stop.addEventListener("click", () => {
    stopping = true;
    if (app.phase.value !== "paused") {
      app.say("Stopping after this step…");
      void app.session.halt();
      return;
    }
    void app.attempt(async () => {
      await app.session.end();
      app.phase.set("idle");
      app.say("Stopped.");
    });
  });
  find.addEventListener("click", () => void findRate());

  return {
    start: begin,
    restore(run) {
      recipe.fill(run.settings);
      view.restore(run);
      app.phase.set(run.finished ? "idle" : "paused");
      app.say(
        run.finished
          ? `The run of your last visit is here, ${run.epoch === 1 ? "1 epoch" : `${run.epoch} epochs`}.`
          : `A run of your last visit stands at step ${run.step} of ${run.steps}. Train continues it, Stop ends it.`,
      );
    },
  };
}
