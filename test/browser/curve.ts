// A chart that the page and a worker both draw.
import { lineY, type PlotOptions } from "@observablehq/plot";

export const curve: PlotOptions = {
  marks: [lineY([3, 1, 2, 0.5], { stroke: "#ff0000", strokeWidth: 4 })],
};
