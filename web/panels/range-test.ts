// The curve of a range test and its suggestions.
import type { LrFinderResult } from "../../training/index.ts";
import { LR_METHODS, type LrMethod } from "../../training/lr-finder/suggest.ts";
import { lrFinderCurve } from "../../training/report/figures/curves.ts";
import { byId, element, showChart } from "../parts/dom.ts";
import { inPageWords, short } from "../parts/format.ts";

const MEANING: Readonly<Record<LrMethod, string>> = {
  valley: "middle of the longest fall",
  steepest: "where the loss falls fastest",
  minimum: "a tenth of the rate with the lowest loss",
  slide: "left of the last bend",
};

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
      button.title = `${method}: ${MEANING[method]}`;
      button.addEventListener("click", () => choose(lr));
      return [element("span", { className: "answer" }, button, ` ${method}: ${MEANING[method]}`)];
    }),
  );
}
