// @ts-check
// The rungs of docs/kernels/reductions.md: the sum of x [n], as one number.
import { ceilDiv } from "./family.js";

/** Workgroups of the rungs in which each has a share of everything. */
const GROUPS = 256;

/** @typedef {import("./family.js").Kit} Kit */
/** @typedef {import("./family.js").Tensor} Tensor */

/** Two passes: every workgroup's share, then the sums of the workgroups. @param {Kit} kit @param {"strided" | "vector" | "subgroup"} name @param {Tensor} x */
function twoPasses({ engine, launch, ladder }, name, x) {
  const width = name === "strided" ? 1 : 4;
  /** @param {Tensor} from @param {number} groups */
  const pass = (from, groups) => {
    const y = engine.empty([groups]);
    launch(ladder.reduce[name], {
      bindings: { x: from, y },
      params: { size: from.size / width, groups },
      workgroups: groups,
    });
    return y;
  };
  return pass(pass(x, GROUPS), 1);
}

/** @type {import("./family.js").Family} */
export const reduce = {
  name: "reduce",
  page: "reductions.md",
  unit: "GB/s",
  software: { n: 2 ** 22 },
  // One invocation alone should not trip a watchdog.
  hardware: { n: 2 ** 24 },
  small: [{ n: 4 }, { n: 2500 }, { n: 70_004 }],
  title: ({ n }) => `sum of ${n} numbers`,
  work: ({ n }) => 4 * n,
  inputs: ({ n }, random) => ({ x: { shape: [n], data: random([n]) } }),
  rungs: [
    {
      name: "0-serial",
      run({ engine, launch, ladder }, { n }, { x }) {
        const y = engine.empty([1]);
        launch(ladder.reduce.serial, { bindings: { x, y }, params: { size: n }, workgroups: 1 });
        return y;
      },
    },
    {
      name: "1-tree",
      run({ engine, launch, ladder }, _, { x }) {
        let sums = x;
        do {
          const y = engine.empty([ceilDiv(sums.size, 64)]);
          launch(ladder.reduce.tree, { bindings: { x: sums, y }, params: { size: sums.size }, workgroups: y.size });
          sums = y;
        } while (sums.size > 1);
        return sums;
      },
    },
    { name: "2-strided", run: (kit, _, { x }) => twoPasses(kit, "strided", x) },
    { name: "3-vector", run: (kit, _, { x }) => twoPasses(kit, "vector", x) },
    { name: "4-subgroup", needs: "subgroups", run: (kit, _, { x }) => twoPasses(kit, "subgroup", x) },
    { name: "sum()", production: true, run: ({ engine }, _, { x }) => engine.sum(x).view([1]) },
  ],
};
