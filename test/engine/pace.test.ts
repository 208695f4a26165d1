import { expect, it } from "vitest";
import { Pace } from "../../engine/gpu/pace.ts";

/** A pace whose GPU does `rate` operations a second in steps of so many, each told when it is done, `late` ms later. */
function driven(rate: number, step: number, late: (i: number) => number = () => 0): Pace {
  const pace = new Pace();
  for (let i = 1; i <= 40; i++) {
    pace.add({ flops: step, buffers: [] });
    pace.done(pace.work, ((1000 * step) / rate) * i + late(i));
  }
  return pace;
}

it("lets a submit hold a fifth of a second of what the GPU was seen to do", () => {
  expect(new Pace().most).toBe(1e10);
  for (const rate of [1e11, 4e12, 4e13]) expect(driven(rate, rate / 50).most / rate).toBeCloseTo(0.2, 3);
  // So slow a GPU still gets whole kernels.
  expect(driven(1e9, 1e8).most).toBe(1e10);
});

it("counts bytes that are moved", () => {
  const pace = new Pace();
  pace.add({ flops: 5, buffers: [{ size: 100 }, { size: 20 }] as never });
  expect(pace.work).toBe(5 + 10 * 120);
});

it("does not take a late answer for a fast GPU", () => {
  // Every other answer comes with the next one.
  const step = 1e12 / 20;
  expect(driven(1e12, step, (i) => (i % 2 === 0 ? 0 : 49)).most).toBeLessThan(2 * 0.2e12);
  // Both at once: the second says nothing.
  const pace = driven(1e12, step);
  const { most } = pace;
  pace.add({ flops: step, buffers: [] });
  pace.done(pace.work, 40 * 50 + 0.1);
  expect(pace.most).toBe(most);
});

it("begins again carefully where the GPU was idle", () => {
  const pace = driven(1e13, 1e12);
  pace.add({ flops: 1e12, buffers: [] });
  pace.done(pace.work, 1e6);
  expect(pace.most).toBe(1e10);
});
