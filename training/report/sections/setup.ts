// The model layer by layer, and what the run was made with.
import { formatSummary, summarize } from "../../../nn/index.ts";
import { html, facts, type Html } from "../html.ts";
import type { Material } from "../material.ts";
import { inside } from "../run-files.ts";
import type { Section } from "../section.ts";

export function modelSection({ model, data }: Material): Section {
  const summary = summarize(model, { imageSize: data.test.height });
  const body = html`<p class="note">
      For one image of ${data.test.width} × ${data.test.height} pixels, without the batch.
    </p>
    <pre tabindex="0">${formatSummary(summary)}</pre>`;
  return { id: "model", title: "Model", body, figures: [] };
}

export function setupSection({ run: { config } }: Material): Section {
  const { kernelFamily, winograd, started } = config;
  const parts = [
    ["Configuration", inside(config, "settings")],
    ["Device", { ...inside(config, "device"), kernelFamily, winograd }],
    ["Versions", { ...inside(config, "versions"), started }],
  ] as const;
  const lists = parts.map(([title, values]) => list(title, values));
  const body = lists.some((one) => one !== null) ? html`${lists}` : html`<p>This run has no config.json.</p>`;
  return { id: "setup", title: "Configuration and device", body, figures: [] };
}

function list(title: string, values: Readonly<Record<string, unknown>>): Html | null {
  const known = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  if (known.length === 0) return null;
  return html`<h3>${title}</h3>
    <div class="facts">${facts(known.map(([name, value]) => [words(name), shown(value)]))}</div>`;
}

/** "labelSmoothing" as "label smoothing". */
const words = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function shown(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(shown).join(", ");
  return JSON.stringify(value) ?? "";
}
