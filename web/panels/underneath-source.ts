// The text of one kernel, and the numbers that this dispatch gives it.
import type { App } from "../app.ts";
import { element } from "../parts/dom.ts";
import { grouped } from "../parts/format.ts";
import type { DispatchRow, KernelText, StepListing } from "../worker/kernels.ts";
import { rate, showGrid, size, time } from "./underneath-rows.ts";
import { tokens, workgroupSize } from "./underneath-wgsl.ts";

export function showSource(place: HTMLElement, dispatch: DispatchRow, listing: StepListing, app: App): void {
  const kernel = listing.kernels[dispatch.kernel];
  const copy = element("button", { type: "button" }, "Copy the WGSL");
  copy.addEventListener("click", () => {
    void app.attempt(async () => {
      await navigator.clipboard.writeText(kernel.wgsl);
      app.say(`${kernel.file}.wgsl is in your clipboard.`);
    });
  });
  const code = element("code", {}, ...tokens(kernel.wgsl).map(([kind, text]) => (kind ? span(kind, text) : text)));
  const text = element("pre", { tabIndex: 0 }, code);
  text.setAttribute("role", "region");
  text.setAttribute("aria-label", `WGSL of ${kernel.file}`);
  place.replaceChildren(
    element(
      "div",
      { className: "row" },
      element("h3", {}, `Dispatch ${listing.dispatches.indexOf(dispatch) + 1}: shaders/${kernel.file}.wgsl`),
      copy,
    ),
    element("div", { className: "facts" }, ...facts(dispatch, kernel)),
    text,
  );
}

function facts(dispatch: DispatchRow, kernel: KernelText): HTMLElement[] {
  const { grid, milliseconds, flops, bytes, bound, params } = dispatch;
  const [groups, lanes] = [grid[0] * grid[1], workgroupSize(kernel.wgsl)];
  const invocations = lanes === null ? "" : ` of ${lanes}, ${grouped(groups * lanes)} invocations in all`;
  const work = {
    Grid: `${showGrid(grid)} ${groups === 1 ? "workgroup" : "workgroups"}${invocations}`,
    Time: `${time(milliseconds)} ms`,
    Calculates: flops === 0 ? "not counted" : `${grouped(flops)} FLOP, ${rate(flops, milliseconds)} GFLOP/s`,
    "Is given": `${size(bytes)}, ${rate(bytes, milliseconds)} GB/s`,
  };
  const bindings = kernel.bindings.map(({ name, access }, i): [string, string] => [
    name,
    `${size(bound[i])}, ${access === "read" ? "read" : "written"}`,
  ]);
  const numbers = Object.entries(params).map(([name, values]): [string, string] => [
    name,
    values.map(short).join(", "),
  ]);
  return [
    list("This dispatch", Object.entries(work)),
    list("Its buffers", bindings),
    list("Its Params", numbers),
    list("Constants set", Object.entries(kernel.constants)),
  ];
}

const short = (value: number): string => String(Number.isInteger(value) ? value : Number(value.toPrecision(6)));

function list(title: string, entries: readonly (readonly [string, string])[]): HTMLElement {
  if (entries.length === 0) return element("div", {}, element("h4", {}, title), element("p", {}, "none"));
  const lines = entries.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
  return element("div", {}, element("h4", {}, title), element("dl", {}, ...lines));
}

const span = (kind: string, text: string): HTMLElement => element("span", { className: `wgsl-${kind}` }, text);
