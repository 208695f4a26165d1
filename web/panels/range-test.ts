// The curve of a range test and its suggestions.
import type { LrFinderResult } from "../../training/index.ts";
import { LR_MEANINGS, LR_METHODS } from "../../training/lr-finder/suggest.ts";
import { lrFinderCurve } from "../../training/report/figures/curves.ts";
import { byId, element, showChart } from "../parts/dom.ts";
import { inPageWords, short } from "../parts/format.ts";

/** @param choose told the rate that the user takes */
export function showRangeTest(result: LrFinderResult, choose: (lr: number) => void): void {
  byId("range-test", HTMLElement).hidden = false;
  showChart(byId("range-chart", HTMLElement), lrFinderCurve(result).svg);
  byId("range-message", HTMLElement).replaceChildren(
    ...[result.stopped.message, ...result.warnings].map((message) => element("li", {}, inPageWords(message))),
  );
  byId("range-answers", HTMLElement).replaceChildren(
    ...LR_METHODS.flatMap((method) => {
      const lr = result.suggestions[method];
      if (lr === null) return [];
      const button = element("button", { type: "button" }, `Use ${short(lr)}`);
      button.className = method === result.method ? "main" : "";
      button.title = `${method}: ${LR_MEANINGS[method]}`;
      button.addEventListener("click", () => choose(lr));
      return [element("span", { className: "answer" }, button, ` ${method}: ${LR_MEANINGS[method]}`)];
    }),
  );
}
