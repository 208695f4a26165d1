// Images: which, how they look, and what augmentation makes of them.
import type { App } from "../app.ts";
import type { RecipeFields } from "../parts/recipe-form.ts";
import { Signal } from "../parts/signal.ts";
import { augmentPanel } from "./data-augment.ts";
import { looksPanel } from "./data-looks.ts";
import { sourcePanel } from "./data-source.ts";

export interface DataPanel {
  /** Loads what the link asks for, or the built-in images. */
  loadFirst(link: URLSearchParams): Promise<void>;
}

export function dataPanel(app: App, recipe: RecipeFields): DataPanel {
  const chosen = new Signal<ChosenSample | null>(null);
  const source = sourcePanel(app, recipe);
  looksPanel(app, chosen);
  augmentPanel(app, recipe, chosen);
  return source;
}

/** The sample whose augmented views are shown. */
export interface ChosenSample {
  readonly index: number;
  readonly name: string;
}
