// Presets are written in the words of train.js: each must be understood by it, and give the rates that were published.
import { describe, expect, it } from "vitest";
import type { TrainFlags } from "../../cli/commands/train/flags.ts";
import { checkFlags, chooseModel, recipeOf } from "../../cli/commands/train/settings.ts";
import { makeSchedule, ratesAt, type PlateauSchedule, type Rates } from "../../training/index.ts";
import { preset, presetNames } from "../../training/presets/index.ts";
import { trainFlags } from "./train-flags.ts";

const flagsOf = (name: string, ...typed: string[]): TrainFlags => trainFlags("--preset", name, ...typed);

/** The schedule of a preset on CIFAR-10's 50,000 images. */
function scheduleOf(name: string): { stepsPerEpoch: number; at: (step: number) => Rates; plateau?: PlateauSchedule } {
  const flags = flagsOf(name);
  const recipe = recipeOf(flags);
  const stepsPerEpoch = (flags.dropLast ? Math.floor : Math.ceil)(50_000 / flags.batchSize);
  const steps = Math.ceil(flags.epochs * stepsPerEpoch);
  const { lr, momentum } = recipe;
  const schedule = makeSchedule(recipe)({ lr, momentum, epochs: steps / stepsPerEpoch, stepsPerEpoch });
  const at = (step: number): Rates => ratesAt(schedule, step);
  return { stepsPerEpoch, at, ...(typeof schedule === "object" && { plateau: schedule }) };
}

describe("presets", () => {
  it.each(presetNames)("%s is a recipe that train.js understands", (name) => {
    const flags = flagsOf(name);
    expect(() => checkFlags(flags)).not.toThrow();
    expect(chooseModel(flags, null)).toMatchObject({ imageSize: 32 });
    const { accuracy, title, source } = preset(name);
    expect(accuracy).toBeGreaterThan(0.85);
    expect(accuracy).toBeLessThan(0.97);
    expect(`${title} ${source}`.length).toBeGreaterThan(30);
  });

  it("give way to what is typed", () => {
    const flags = flagsOf("s4", "--epochs", "3", "--no-shuffle");
    expect(flags).toMatchObject({ epochs: 3, batchSize: 512, optimizer: "adam", lr: 1.91e-3, shuffle: false });
  });

  it("give up Nesterov's momentum for an optimizer or a momentum that has none", () => {
    expect(flagsOf("resnet18-26").nesterov).toBe(true);
    for (const typed of ["--optimizer adam", "--momentum 0 --schedule constant"]) {
      const flags = flagsOf("resnet18-26", ...typed.split(" "));
      expect(flags.nesterov).toBe(false);
      expect(() => checkFlags(flags)).not.toThrow();
    }
    expect(() => checkFlags(flagsOf("resnet18-26", "--optimizer", "adam", "--nesterov"))).toThrow("--nesterov is for");
  });

  it("are suggested where the name is misspelt", () => {
    expect(() => preset("resnet18-27")).toThrow(/unknown preset "resnet18-27"; did you mean "resnet18-26"\?/);
  });

  it("s1: the printed column of rates, digit for digit, and beta1 around its cycle", () => {
    const { stepsPerEpoch, at } = scheduleOf("s1");
    expect(stepsPerEpoch).toBe(98);
    const printed = {
      0: 6.2802914418342525e-6,
      1: 1.3088435599945374e-4,
      2: 2.554884205570732e-4,
      5: 6.276019561961675e-4,
    };
    for (const [epoch, lr] of Object.entries(printed)) expect(at(Number(epoch) * 98).lr).toBe(lr);
    expect(at(1862).lr).toBe(4.150003767842763e-5);
    expect(at(0).momentum).toBe(0.95);
    expect(at(490).momentum).toBeCloseTo(0.850068, 6);
  });

  it("s2: 0.009, reduced by a tenth after three epochs without a better test loss", () => {
    const { at, plateau } = scheduleOf("s2");
    expect(plateau).toMatchObject({ monitor: "testLoss" });
    expect(at(0)).toEqual({ lr: 0.009 });
    const reduced: number[] = [];
    for (let epoch = 1; epoch <= 10; epoch++) if (plateau!.observe(1)) reduced.push(epoch);
    expect(reduced).toEqual([4, 7, 10]);
    expect(at(0).lr).toBeCloseTo(0.009 * 0.9 ** 3, 15);
  });

  it("s0, s3 and s4: one cycles from a hundredth up to their peaks, and a constant", () => {
    const [s0, s4] = [scheduleOf("s0"), scheduleOf("s4")];
    expect(s0.at(0).lr).toBeCloseTo(0.0534, 12);
    expect(s0.at(Math.round(0.3 * 1960) - 1).lr).toBeCloseTo(5.34, 12);
    expect(s4.at(0).lr).toBeCloseTo(1.91e-5, 15);
    expect(s4.at(489).lr).toBeCloseTo(1.91e-3, 15);
    expect(s4.at(1959).lr).toBeCloseTo(1.91e-7, 15);
    const s3 = scheduleOf("s3");
    expect([0, 5000, 7819].map(s3.at)).toEqual(Array(3).fill({ lr: 0.01, momentum: 0.9 }));
  });

  it.each([26, 60, 80])("resnet18-%i: a triangle with its peak of 0.2 at a fifth", (epochs) => {
    const { at, stepsPerEpoch } = scheduleOf(`resnet18-${epochs}`);
    expect(stepsPerEpoch).toBe(100);
    const steps = 100 * epochs;
    expect(at(0).lr).toBeCloseTo(0.04, 15);
    expect(at(0.2 * steps).lr).toBe(0.2);
    expect(at(0.6 * steps).lr).toBeCloseTo(0.1, 15);
    expect(at(steps).lr).toBe(0);
  });
});
