// What watches an epoch's figures: see also "decisions at the end of an epoch" in trainer-options.test.ts.
import { describe, expect, it } from "vitest";
import {
  parseSchedule,
  reduceLROnPlateau,
  START,
  type AnySchedule,
  type EpochReport,
  type Monitor,
  type Position,
} from "../../training/index.ts";
import { Monitors } from "../../training/monitors.ts";

describe("Monitors", () => {
  const epoch = (testLoss: number, testAccuracy = 0): EpochReport => ({
    epoch: 1,
    lr: 0.1,
    trainLoss: 1,
    trainAccuracy: 0,
    testLoss,
    testAccuracy,
    seconds: 1,
    imagesPerSecond: 1,
  });

  it("holds nothing to be better than a loss that is not finite", () => {
    let monitors = new Monitors({ earlyStop: { patience: 2 }, validation: "images" }, START);
    monitors.observe(epoch(NaN));
    expect(monitors.state()).toEqual({ earlyStop: { bad: 1 } });
    const position = JSON.parse(JSON.stringify({ ...START, ...monitors.state() })) as Position;
    monitors = new Monitors({ earlyStop: { patience: 2 }, validation: "images" }, position);
    for (const loss of [0.9, 0.5]) {
      monitors.observe(epoch(loss));
      expect(monitors.state()).toEqual({ earlyStop: { best: loss, bad: 0 } });
    }
    for (const loss of [NaN, Infinity]) monitors.observe(epoch(loss));
    expect([monitors.state(), monitors.stopped]).toEqual([{ earlyStop: { best: 0.5, bad: 2 } }, true]);
  });

  it("takes any accuracy as better than none", () => {
    const monitors = new Monitors({ earlyStop: { patience: 1, monitor: "testAccuracy" }, validation: "images" }, START);
    monitors.observe(epoch(1, 0));
    expect(monitors.state()).toEqual({ earlyStop: { best: 0, bad: 0 } });
    monitors.observe(epoch(1, 0));
    expect(monitors.stopped).toBe(true);
  });

  it("watch nothing that there are no images for", () => {
    const earlyStop = { patience: 1 };
    const none = /^fit: there is no validationLoss to watch: hold images out for validation, or watch another figure$/;
    const schedule = reduceLROnPlateau({ lr: 0.1, monitor: "validationLoss" });
    expect(() => new Monitors({ schedule, validation: "images" }, START)).toThrow(none);
    expect(() => new Monitors({ schedule, heldOut: "images" }, START)).not.toThrow();
    expect(() => new Monitors({ earlyStop, heldOut: "images" }, START)).not.toThrow();
    expect(() => new Monitors({ earlyStop }, START)).toThrow(/^fit: there is no testLoss to watch: give test images/);
    expect(() => new Monitors({ earlyStop: { patience: 1, monitor: "trainLoss" } }, START)).not.toThrow();
  });

  it("know what they can watch", () => {
    const options = { validation: "images", heldOut: "images" };
    const known = "(known: testLoss, testAccuracy, trainLoss, trainAccuracy, validationLoss, validationAccuracy)";
    for (const [word, meant] of [
      ["loss", ""],
      ["test-loss", '; did you mean "testLoss"?'],
    ]) {
      const monitor = word as Monitor;
      const message = `fit: unknown monitor "${word}"${meant} ${known}`;
      expect(() => new Monitors({ ...options, earlyStop: { patience: 1, monitor } }, START)).toThrow(message);
      // A plateau of the user's own.
      const schedule = { ...reduceLROnPlateau({ lr: 0.1 }), monitor };
      expect(() => new Monitors({ ...options, schedule }, START)).toThrow(message);
    }
  });

  it("take no text for a schedule", () => {
    const given = (schedule: unknown): (() => Monitors) => {
      return () => new Monitors({ schedule: schedule as AnySchedule, validation: "images" }, START);
    };
    const wrong = "fit: schedule must be a function of the step or a plateau, got";
    expect(given("cosine")).toThrow(
      `${wrong} "cosine": parseSchedule("cosine")({ lr, epochs, stepsPerEpoch }) makes one`,
    );
    for (const [schedule, said] of [
      [null, "null"],
      [0.1, "0.1"],
      [{ lr: 0.1 }, '{"lr":0.1}'],
    ]) {
      expect(given(schedule)).toThrow(new Error(`${wrong} ${said as string}`));
    }
    const context = { lr: 0.1, epochs: 2, stepsPerEpoch: 3 };
    for (const text of ["cosine", "plateau"]) expect(given(parseSchedule(text)(context))).not.toThrow();
  });
});
