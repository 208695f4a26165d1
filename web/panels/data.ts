// Images: which, how they look, and what augmentation makes of them.
import type { App } from "../app.ts";
import type { RecipeFields } from "../parts/recipe-form.ts";

export interface DataPanel {
  /** Loads what the link asks for, or the built-in images. */
  loadFirst(link: URLSearchParams): Promise<void>;
}

export function dataPanel(app: App, _recipe: RecipeFields): DataPanel {
  return {
    async loadFirst(link) {
      const number = (name: string): number | undefined => (link.has(name) ? Number(link.get(name)) : undefined);
      const [limit, limitTest] = [number("limit"), number("limit-test")];
      const limits = { ...(limit !== undefined && { limit }), ...(limitTest !== undefined && { limitTest }) };
      app.say("Drawing the built-in images…");
      const report = await app.attempt(() => app.session.loadShapes(limits));
      if (!report) return;
      app.data.set(report);
      app.say("Ready. Press Train.");
    },
  };
}
