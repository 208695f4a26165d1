import { describe, expect, it } from "vitest";
import { makeSchedule, usesRate } from "../../training/build-run.ts";
import { chooseRecipe } from "../../training/recipe.ts";
import { parseSchedule, scheduleNames } from "../../training/schedule-grammar.ts";
import {
  constant,
  cosineAnnealing,
  cosineAnnealingWarmRestarts,
  cyclic,
  exponential,
  linear,
  multiStep,
  oneCycle,
  piecewiseLinear,
  polynomial,
  ratesAt,
  sequential,
  stepDecay,
} from "../../training/schedules/index.ts";
import type { Schedule } from "../../training/schedules/index.ts";
import { checkWords, closest, suggestion } from "../../training/suggest.ts";

const context = { lr: 0.2, epochs: 12, stepsPerEpoch: 5 };
const everyStep = Array.from({ length: 60 }, (_, step) => step);

const inEpochs =
  (schedule: Schedule): Schedule =>
  (step) =>
    schedule(Math.floor(step / 5));

describe("--schedule", () => {
  it.each<[string, Schedule]>([
    ["constant", () => ({ lr: 0.2 })],
    ["constant:base_lr=0.5", () => ({ lr: 0.5 })],
    ["step:step_size=3", inEpochs(stepDecay({ lr: 0.2, stepSize: 3 }))],
    ["step:step_size=7,gamma=0.5,unit=step", stepDecay({ lr: 0.2, stepSize: 7, gamma: 0.5 })],
    ["multistep:milestones=3/8,gamma=0.1", inEpochs(multiStep({ lr: 0.2, milestones: [3, 8] }))],
    ["multistep:milestones=0/2", inEpochs(multiStep({ lr: 0.2, milestones: [0, 2] }))],
    ["constant:total_iters=0", () => ({ lr: 0.2 })],
    [
      "constant:factor=0.5,total_iters=0,for=2+constant:base_lr=0.3",
      sequential({ schedules: [constant({ lr: 0.2 }), constant({ lr: 0.3 })], milestones: [10] }),
    ],
    ["multistep:milestones=30,unit=step", multiStep({ lr: 0.2, milestones: [30] })],
    ["exponential:gamma=0.95", inEpochs(exponential({ lr: 0.2, gamma: 0.95 }))],
    ["cosine", inEpochs(cosineAnnealing({ lr: 0.2, tMax: 12 }))],
    ["cosine:unit=step", cosineAnnealing({ lr: 0.2, tMax: 60 })],
    [" cosine : T_max = 5 , eta_min = 1e-3 ", inEpochs(cosineAnnealing({ lr: 0.2, tMax: 5, etaMin: 1e-3 }))],
    ["onecycle", oneCycle({ maxLr: 0.2, totalSteps: 60 })],
    ["onecycle:unit=epoch", inEpochs(oneCycle({ maxLr: 0.2, totalSteps: 12 }))],
    ["onecycle:epochs=20", oneCycle({ maxLr: 0.2, totalSteps: 100 })],
    [
      "onecycle:max_lr=0.1,pct_start=0.25,div_factor=100,final_div_factor=100,anneal_strategy=linear,total_steps=80",
      oneCycle({
        maxLr: 0.1,
        totalSteps: 80,
        pctStart: 0.25,
        divFactor: 100,
        finalDivFactor: 100,
        annealStrategy: "linear",
      }),
    ],
    [
      "onecycle:three_phase=true,base_momentum=0.8,max_momentum=0.9",
      oneCycle({ maxLr: 0.2, totalSteps: 60, threePhase: true, baseMomentum: 0.8, maxMomentum: 0.9 }),
    ],
    ["constant:factor=0.1", inEpochs(constant({ lr: 0.2, factor: 0.1, totalIters: 5 }))],
    ["constant:factor=0.1,total_iters=2", inEpochs(constant({ lr: 0.2, factor: 0.1, totalIters: 2 }))],
    ["linear:start_factor=0.5,total_iters=4", inEpochs(linear({ lr: 0.2, startFactor: 0.5, totalIters: 4 }))],
    ["polynomial:power=2", inEpochs(polynomial({ lr: 0.2, totalIters: 12, power: 2 }))],
    ["warm-restarts:T_0=2,T_mult=2", inEpochs(cosineAnnealingWarmRestarts({ lr: 0.2, t0: 2, tMult: 2 }))],
    [
      "cyclic:base_lr=0.01,max_lr=0.3,step_size_up=7,mode=triangular2",
      cyclic({ baseLr: 0.01, maxLr: 0.3, stepSizeUp: 7, mode: "triangular2" }),
    ],
    ["cyclic:step_size_up=7", cyclic({ baseLr: 0.02, maxLr: 0.2, stepSizeUp: 7 })],
    [
      "piecewise:shares=0/0.2/1,factors=0.2/1/0",
      piecewiseLinear({ lr: 0.2, steps: [0, 12, 60], factors: [0.2, 1, 0] }),
    ],
    [
      "linear:start_factor=0.1,total_iters=3+cosine",
      sequential({
        schedules: [
          inEpochs(linear({ lr: 0.2, startFactor: 0.1, totalIters: 3 })),
          inEpochs(cosineAnnealing({ lr: 0.2, tMax: 9 })),
        ],
        milestones: [15],
      }),
    ],
    [
      "linear:total_iters=8,unit=step + step:step_size=2,for=4 + constant:base_lr=0.01",
      sequential({
        schedules: [
          linear({ lr: 0.2, totalIters: 8 }),
          inEpochs(stepDecay({ lr: 0.2, stepSize: 2 })),
          constant({ lr: 0.01 }),
        ],
        milestones: [8, 28],
      }),
    ],
    [
      "onecycle:for=20+cosine:unit=step",
      sequential({
        schedules: [oneCycle({ maxLr: 0.2, totalSteps: 20 }), cosineAnnealing({ lr: 0.2, tMax: 40 })],
        milestones: [20],
      }),
    ],
    [
      "onecycle:total_steps=20+constant",
      sequential({ schedules: [oneCycle({ maxLr: 0.2, totalSteps: 20 }), constant({ lr: 0.2 })], milestones: [20] }),
    ],
    ["onecycle:cycle_momentum=false", oneCycle({ maxLr: 0.2, totalSteps: 60, cycleMomentum: false })],
  ])("%s", (text, want) => {
    const schedule = parseSchedule(text)(context);
    expect(everyStep.map((step) => ratesAt(schedule, step))).toEqual(everyStep.map(want));
  });

  it("makes a plateau schedule that knows its figure", () => {
    const plateau = parseSchedule("plateau:monitor=validation-accuracy,factor=0.5,patience=0")(context);
    if (typeof plateau !== "object") throw new Error("it is no object");
    expect(plateau.monitor).toBe("validationAccuracy");
    expect(plateau.at(0)).toEqual({ lr: 0.2 });
    const watched = [undefined, false, true].map((heldOut) => parseSchedule("plateau")({ ...context, heldOut }));
    expect(watched).toMatchObject([{ monitor: "testLoss" }, { monitor: "testLoss" }, { monitor: "validationLoss" }]);
    // Accuracies rise: 0.4 after 0.5 is no improvement.
    expect([plateau.observe(0.5), plateau.observe(0.6), plateau.observe(0.4)]).toEqual([false, false, true]);
    expect(plateau.at(9)).toEqual({ lr: 0.1 });
  });

  it("fits a training that ends within an epoch", () => {
    const schedule = parseSchedule("onecycle")({ lr: 0.2, epochs: 47 / 5, stepsPerEpoch: 5 });
    expect(() => ratesAt(schedule, 47)).not.toThrow();
    expect(() => ratesAt(schedule, 48)).toThrow("totalSteps 47");
  });

  it("rounds onecycle's epochs x steps_per_epoch up, as a run's steps are", () => {
    const schedule = parseSchedule("onecycle:steps_per_epoch=48")({ lr: 0.2, epochs: 9.9, stepsPerEpoch: 40 });
    expect(() => ratesAt(schedule, 477)).toThrow("totalSteps 476");
    const whole = parseSchedule("onecycle:steps_per_epoch=30")({ lr: 0.2, epochs: 0.1, stepsPerEpoch: 40 });
    expect(() => ratesAt(whole, 4)).toThrow("totalSteps 3");
  });

  it("refuses a part that is over before the next begins", () => {
    const make = parseSchedule("onecycle:total_steps=5,for=20+cosine");
    expect(() => make(context)).toThrow("step 19 lies past totalSteps 5");
  });

  it("gives the optimizer's momentum back unless it cycles it", () => {
    const at0 = (text: string) => ratesAt(parseSchedule(text)({ ...context, momentum: 0.7 }), 0);
    expect(at0("constant")).toEqual({ lr: 0.2, momentum: 0.7 });
    expect(at0("onecycle:cycle_momentum=false").momentum).toBe(0.7);
    expect(at0("onecycle").momentum).toBeCloseTo(0.95, 12);
  });

  it.each<[string, string]>([
    ["cosin", `unknown schedule "cosin"; did you mean "cosine"? (known: ${scheduleNames.join(", ")})`],
    ["", `unknown schedule ""`],
    ["toString", `unknown schedule "toString"`],
    ["step", "schedule step: step_size is missing, as in step:step_size=30,gamma=0.1"],
    ["multistep", "schedule multistep: milestones is missing"],
    ["exponential", "schedule exponential: gamma is missing"],
    ["cosine:t_max=3", `unknown parameter "t_max"; did you mean "T_max"? (known: T_max, eta_min, base_lr, unit, for)`],
    [
      "constant:gamma=3",
      `schedule constant: unknown parameter "gamma" (known: factor, total_iters, base_lr, unit, for)`,
    ],
    ["onecycle:max_lr", `onecycle: max_lr must be a number > 0, not ""`],
    ["onecycle:max_lr=fast", `onecycle: max_lr must be a number > 0, not "fast"`],
    ["onecycle:pct_start=2", `pct_start must be a number between 0 and 1, not "2"`],
    ["onecycle:anneal_strategy=sin", `anneal_strategy must be cos or linear, not "sin"`],
    ["onecycle:three_phase=maybe", `three_phase must be true or false, not "maybe"`],
    ["onecycle:max_momentum=1", `max_momentum must be a number >= 0 and below 1, not "1"`],
    ["onecycle:max_lr=1,max_lr=2", "max_lr is given twice"],
    ["onecycle:max_lr=1,,", `unknown parameter ""`],
    ["multistep:milestones=30/x", `milestones must be whole numbers >= 0 with / between them, as in 30/80, not "30/x"`],
    ["multistep:milestones=-1", `milestones must be whole numbers >= 0 with / between them, as in 30/80, not "-1"`],
    ["linear:start_factor=0", `schedule linear: start_factor must be a number above 0 and at most 1, not "0"`],
    ["linear:start_factor=1.5", `start_factor must be a number above 0 and at most 1, not "1.5"`],
    ["step:step_size=2.5", `step_size must be a whole number >= 1, not "2.5"`],
    ["step:step_size=1e999", `step_size must be a whole number >= 1, not "1e999"`],
    ["plateau+cosine", "schedule plateau: cannot be joined with others by +"],
    ["cosine+constant", "schedule cosine: must say how long it lasts before what follows it, as in cosine:for=5"],
    ["linear+cosin", `unknown schedule "cosin"; did you mean "cosine"?`],
    ["plateau:monitor=loss", "monitor must be test-loss or test-accuracy"],
    [
      "constant:total_iters=0+cosine",
      "schedule constant: total_iters=0 ends before it begins: leave constant out, or give it for=5",
    ],
    [
      "cosine:for=5",
      "schedule cosine: for=5 does nothing in the last part, which goes on to the end of the training: leave it out",
    ],
    ["linear+onecycle:for=7", "schedule onecycle: for=7 does nothing in the last part"],
    ["cosine:T_max=3,for=5", "say what follows, as in +constant"],
    ["piecewise:shares=0/1", "schedule piecewise: factors is missing"],
    [
      "piecewise:shares=0.1/1,factors=1/0",
      `schedule piecewise: shares must be two or more numbers that rise from 0, with / between them, as in 0/0.2/1, not "0.1/1"`,
    ],
    ["piecewise:shares=0/0.5/0.4,factors=1/1/0", `numbers that rise from 0, with / between them, as in 0/0.2/1, not`],
    ["piecewise:shares=0,factors=1", `schedule piecewise: shares must be two or more numbers`],
    ["piecewise:shares=0/0.2/1,factors=1/0", "schedule piecewise: 3 shares need as many factors, not 2"],
    ["step:step_size=3,unit=day", `unit must be step or epoch, not "day"`],
  ])("%s is refused", (text, message) => {
    expect(() => parseSchedule(text)).toThrow(message);
  });
});

describe("a recipe's schedule", () => {
  const sgd = { optimizer: "sgd", momentum: 0 } as const;

  it.each(["plateau", "constant", "onecycle:cycle_momentum=false", "linear+cosine"])(
    "%s needs no momentum",
    (schedule) => {
      expect(() => makeSchedule(chooseRecipe({ ...sgd, schedule }))).not.toThrow();
    },
  );

  it.each([
    ["onecycle", "onecycle moves"],
    ["cyclic", "cyclic moves"],
    ["linear:total_iters=2 + cyclic:step_size_up=7", "cyclic moves"],
    ["onecycle:for=20 + cosine", "onecycle moves"],
    ["step:step_size=2,for=4 + onecycle:for=20 + cosine", "onecycle moves"],
  ])("%s moves a momentum", (schedule, message) => {
    expect(() => makeSchedule(chooseRecipe({ ...sgd, schedule }))).toThrow(
      `${message} the momentum, and a momentum of 0 has none: add cycle_momentum=false`,
    );
    expect(() => makeSchedule(chooseRecipe({ optimizer: "adam", momentum: 0, schedule }))).not.toThrow();
  });

  it.each<[string, boolean]>([
    ["onecycle", true],
    ["onecycle:total_steps=50", true],
    ["plateau", true],
    ["cyclic:base_lr=0.001", true],
    ["linear:base_lr=0.1,total_iters=2+cosine", true],
    ["constant:base_lr=0.1,for=40+linear:total_iters=1+cosine:base_lr=0.1", true],
    ["onecycle:max_lr=1", false],
    ["onecycle:max_lr=1,total_steps=50", false],
    ["cyclic:base_lr=0.001,max_lr=0.1", false],
    ["cosine:base_lr=0.1", false],
    ["plateau:base_lr=0.1", false],
    ["linear:base_lr=0.1,total_iters=2+cosine:base_lr=0.1", false],
  ])("%s uses --lr: %s", (schedule, uses) => {
    expect(usesRate(chooseRecipe({ optimizer: "sgd", schedule }))).toBe(uses);
  });
});

describe("suggestions", () => {
  it("name a close word and no far one", () => {
    const names = ["resnet18", "resnet34", "constant"];
    expect(closest("ResNet-18", names)).toBe("resnet18");
    expect(closest("const", names)).toBe("constant");
    expect(closest("vgg16", names)).toBeUndefined();
    expect(suggestion("vgg16", names)).toBe(" (known: resnet18, resnet34, constant)");
  });

  it("end what is said of an unknown word, or of no word at all", () => {
    const names = ["none", "mirror"];
    expect(() => checkWords("it", { a: "none", b: "mirror" }, names)).not.toThrow();
    expect(() => checkWords("it", { a: "none", b: "miror" }, names)).toThrow(
      /^it: unknown b "miror"; did you mean "mirror"\? \(known: none, mirror\)$/,
    );
    for (const [word, said] of [
      [16, "16"],
      [null, "null"],
      [["none"], '["none"]'],
    ] as const) {
      expect(() => checkWords("it", { a: word }, names)).toThrow(`it: unknown a ${said}`);
    }
  });
});
