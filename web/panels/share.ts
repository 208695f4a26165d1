// Files in and out.
import { proxy } from "comlink";
import type { App } from "../app.ts";
import { byId, download } from "../parts/dom.ts";
import type { RecipeFields } from "../parts/recipe-form.ts";
import type { Download } from "../worker/share.ts";

export function sharePanel(app: App, recipe: RecipeFields): void {
  const checkpoint = byId("download-checkpoint", HTMLButtonElement);
  const ofRun = ["download-report", "download-metrics", "download-steps", "download-run"].map((id) =>
    byId(id, HTMLButtonElement),
  );
  const opened = byId("open-checkpoint", HTMLInputElement);

  /** A run was trained here, or kept; a checkpoint that is opened meanwhile takes nothing of it away. */
  let hasRun = false;

  /** Making its file takes this one's button a while: a report some seconds. */
  const making = new Set<HTMLButtonElement>();

  const show = (): void => {
    hasRun ||= app.model.value?.trainedHere ?? false;
    const free = app.phase.value === "idle" || app.phase.value === "paused";
    checkpoint.disabled = !free || app.model.value === null || making.has(checkpoint);
    for (const button of ofRun) button.disabled = !free || !hasRun || making.has(button);
    opened.disabled = !free;
  };
  app.phase.watch(show);
  app.model.watch(show);

  const hand = (button: HTMLButtonElement, make: () => Promise<Download>): void =>
    button.addEventListener("click", () => {
      making.add(button);
      show();
      const made = app.attempt(async () => {
        const file = await make();
        download(file);
        app.say(`${file.name} is in your downloads.`);
      });
      void made.finally(() => {
        making.delete(button);
        show();
      });
    });
  hand(checkpoint, () => app.session.checkpoint());
  hand(ofRun[0], () => app.session.report(proxy((what: string) => app.say(`Report: ${what}`))));
  hand(ofRun[1], () => app.session.runFile("metrics.jsonl"));
  hand(ofRun[2], () => app.session.runFile("steps.jsonl"));
  hand(ofRun[3], () => app.session.runFolder());

  opened.addEventListener("change", () => {
    const [file] = opened.files ?? [];
    if (!file) return;
    void app.attempt(async () => {
      app.model.set(await app.session.openCheckpoint(new Uint8Array(await file.arrayBuffer()), file.name));
      app.say(`${file.name} is open.`);
    });
    // The same file may be chosen again, once it has been mended.
    opened.value = "";
  });

  byId("copy-link", HTMLButtonElement).addEventListener("click", () => {
    void app.attempt(async () => {
      const { origin, pathname } = location;
      await navigator.clipboard.writeText(`${origin}${pathname}?${recipe.link().toString()}`);
      app.say("The link is in your clipboard.");
    });
  });
}
