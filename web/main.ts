// The page: opens the worker, the panels, and what an earlier visit has left.
import { proxy, wrap } from "comlink";
import type { App, Phase } from "./app.ts";
import { dataPanel } from "./panels/data.ts";
import { noGpuPanel } from "./panels/no-gpu.ts";
import { sharePanel } from "./panels/share.ts";
import { trainPanel } from "./panels/train.ts";
import { underneathPanel } from "./panels/underneath.ts";
import { understandPanel } from "./panels/understand.ts";
import { byId } from "./parts/dom.ts";
import { inPageWords } from "./parts/format.ts";
import { RecipeFields } from "./parts/recipe-form.ts";
import { Signal } from "./parts/signal.ts";
import type { DataReport, KeptRun, ModelReport } from "./protocol.ts";
import type { Session } from "./worker/session.ts";

const link = new URLSearchParams(location.search);
const status = byId("status", HTMLElement);
const problem = byId("problem", HTMLElement);

const worker = new Worker(new URL("./worker/worker.ts", import.meta.url), { type: "module" });
const session = wrap<Session>(worker);

function showProblem(message: string, retry = false): void {
  problem.hidden = false;
  problem.querySelector("p")!.textContent = message;
  byId("problem-retry", HTMLButtonElement).hidden = !retry;
}

const app: App = {
  session,
  phase: new Signal<Phase>("starting"),
  data: new Signal<DataReport | null>(null),
  model: new Signal<ModelReport | null>(null),
  say: (text) => void (status.textContent = text),
  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      // What follows the loss of a device says less than the loss itself.
      if (app.phase.value === "none") return undefined;
      showProblem(inPageWords(error instanceof Error ? error.message : String(error)));
      app.say("That did not work, see the message.");
      return undefined;
    }
  },
  giveUp(why) {
    app.phase.set("none");
    showProblem(why, true);
  },
};

// A message stays until something new is done by hand; what the page does by itself does not hide it. Where a fresh start is all that
// is left, its button stays too.
for (const kind of ["click", "change", "drop"]) {
  document.addEventListener(
    kind,
    (event) => {
      if (app.phase.value === "none") return;
      if ((event.isTrusted || kind === "drop") && (event.target as Element).closest("button, input, select, #drop"))
        problem.hidden = true;
    },
    { capture: true },
  );
}
byId("problem-close", HTMLButtonElement).addEventListener("click", () => (problem.hidden = true));
// Everything that a new worker needs is kept in the browser, so that a fresh start is the shortest way back.
byId("problem-retry", HTMLButtonElement).addEventListener("click", () => location.reload());
worker.addEventListener("error", (event) => {
  app.giveUp(`The page's worker failed (${event.message || "it could not be loaded"}): reload the page.`);
});

const recipe = new RecipeFields();
const train = trainPanel(app, recipe);
const data = dataPanel(app, recipe);
understandPanel(app);
sharePanel(app, recipe);
underneathPanel(app, recipe);

/** For the console: `await kiln.session.checkpoint()`. */
Object.assign(globalThis, { kiln: app });

async function open(): Promise<void> {
  const lost = proxy((reason: string) => {
    app.say("The GPU was lost.");
    app.giveUp(`The browser lost the GPU (${reason}). What was saved is safe: take it up again from there.`);
  });
  const device = await session.open(lost).catch((error: unknown) => {
    app.phase.set("none");
    noGpuPanel(error instanceof Error ? error.message : String(error));
    app.say("There is no WebGPU here: see below what to do.");
    return null;
  });
  if (!device) return;
  byId("device", HTMLElement).textContent = `GPU: ${device.name}${device.software ? " (software, slow)" : ""}`;
  const autostart = link.get("autostart") === "1";
  const kept = await app.attempt(() => session.kept());
  // Who reloads wants what was there. Who comes by a link wants its run, unless another waits to be continued and none was to start.
  const [{ type }] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const own = (run: KeptRun): boolean => type === "reload" || recipe.matches(link, run.settings);
  if (kept && (own(kept.run) || !(autostart || kept.run.finished))) {
    app.data.set(kept.data);
    app.model.set(kept.model);
    train.restore(kept.run);
    if (!own(kept.run)) offerLink();
    else if (autostart && !kept.run.finished) await train.start();
    return;
  }
  const understood = await app.attempt(() => {
    recipe.applyLink(link);
    return true;
  });
  app.phase.set("idle");
  await data.loadFirst(link);
  if (autostart && understood && app.data.value) await train.start();
}

/** Keeps the link's recipe until the run that waits is stopped. */
function offerLink(): void {
  app.say(`${status.textContent} The recipe of this page's link waits: press Stop to use it.`);
  let waiting = true;
  app.phase.watch((phase) => {
    // A visit of its own begins with the form's defaults and the link's images; a reload would bring the stopped run back.
    if (phase === "idle" && waiting) location.assign(location.pathname + location.search);
    // Who goes on with the run has chosen it.
    if (phase === "training") waiting = false;
  });
}

void open();
// Private windows may refuse: then the page needs the network.
if ("serviceWorker" in navigator && import.meta.env.MODE === "production") {
  navigator.serviceWorker.register("./offline.js").catch(() => undefined);
}
