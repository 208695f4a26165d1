// Mistakes, and what the model looks at.
import type { App } from "../app.ts";
import { byId } from "../parts/dom.ts";

export function understandPanel(app: App): void {
  const explain = byId("explain", HTMLButtonElement);
  const show = (): void => {
    const free = app.phase.value === "idle" || app.phase.value === "paused";
    explain.disabled = !free || app.model.value === null;
  };
  app.phase.watch(show);
  app.model.watch(show);
}
