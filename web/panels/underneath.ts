// The kernels of one training step.
import type { App } from "../app.ts";
import type { RecipeFields } from "../parts/recipe-form.ts";

export function underneathPanel(_app: App, _recipe: RecipeFields): void {
  // to come
}
