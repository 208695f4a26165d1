// Learning rate and momentum, and the range test that found the rate.
import { lrFinderCurve, rateCurves } from "../figures/curves.ts";
import { showRate } from "../../lr-finder/suggest.ts";
import { html, table, type Html } from "../html.ts";
import type { Material } from "../material.ts";
import type { SavedRangeTest } from "../run-files.ts";
import { grid, show, type Section } from "../section.ts";

export function ratesSection({ run: { steps, rangeTest } }: Material): Section {
  const rates = steps.length > 0 ? rateCurves(steps) : [];
  const found = rangeTest && rangeTest.lrs.length > 0 ? lrFinderCurve(rangeTest) : null;
  const body = html`${rates.length > 0 ? grid(rates) : html`<p>No step was recorded.</p>`}
  ${
    found &&
    html`<h3>Range test</h3>
      ${show(found)} ${suggestionWords(rangeTest!)}`
  }
  ${!found && html`<p class="note">No range test: the learning rate was given (--lr auto finds one).</p>`}`;
  return { id: "rates", title: "Learning rate and momentum", body, figures: found ? [...rates, found] : rates };
}

function suggestionWords({ suggestion, method, suggestions, stopped, warnings = [] }: SavedRangeTest): Html {
  const rows = Object.entries(suggestions);
  return html`${suggestion !== null && html`<p class="strong">Suggested LR: ${showRate(suggestion)}</p>`}
  ${stopped && html`<p>The test: ${stopped.message}.</p>`}
  ${
    rows.length > 0 &&
    table(
      "Suggestions",
      [
        { head: "Method", cell: ([name]) => (name === method ? `${name} (chosen)` : name), words: true },
        { head: "Learning rate", cell: ([, lr]) => (lr === null ? "no answer" : showRate(lr)) },
      ],
      rows,
    )
  }
  ${
    warnings.length > 0 &&
    html`<ul class="findings">
      ${warnings.map((text) => html`<li class="finding-warning">${text}</li>`)}
    </ul>`
  }`;
}
