import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { currentDevice, KernelChoices, tune, type Choice, type Tensor } from "../../engine/index.ts";
import { testDevice } from "../support/gpu.ts";

beforeAll(testDevice);

/** A choice between doing something a few times and very often. */
function choice(shape: string, flops = 1e12): Choice<"slow" | "quick"> & { readonly calls: string[] } {
  const calls: string[] = [];
  const run = (variant: "slow" | "quick", [x]: readonly Tensor[]): Tensor => {
    calls.push(variant);
    for (let i = 0; i < (variant === "slow" ? 40 : 1); i++) x.square();
    return x.neg(); // which some ops' choices do, and nobody takes
  };
  return {
    op: "test",
    shape,
    variants: ["slow", "quick"],
    fixed: "slow",
    flops,
    inputs: [{ shape: [300, 1000], dtype: "f32" }],
    run,
    calls,
  };
}

describe("KernelChoices", () => {
  it("takes the fixed variant until another is measured, and remembers what was used and what is open", () => {
    const choices = new KernelChoices();
    const [a, b] = [choice("a"), choice("b")];
    expect([choices.choose(a), choices.choose(b)]).toEqual(["slow", "slow"]);
    expect(choices.open.map(({ shape }) => shape)).toEqual(["a", "b"]);
    const { version } = choices;
    choices.settle(a, "quick");
    expect(choices.version).not.toBe(version);
    expect(choices.choose(a)).toBe("quick");
    expect(choices.open.map(({ shape }) => shape)).toEqual(["b"]);
    expect(choices.used).toEqual({ "test a": "quick", "test b": "slow" });
    expect(choices.measured).toEqual({ "test a": "quick" });
  });

  it("does not take a variant that there is no more", () => {
    const choices = new KernelChoices();
    choices.load({ "test a": "forgotten" });
    expect(choices.choose(choice("a"))).toBe("slow");
    expect(choices.open).toHaveLength(1);
  });
});

describe("tune", () => {
  // Other tests' ops have asked too.
  beforeEach(() => {
    const { choices } = currentDevice();
    for (const each of choices.open) choices.settle(each, each.fixed);
    expect(choices.open).toEqual([]);
  });

  it("measures what is open, in turns, and keeps the fastest; small work is left to the table", async () => {
    const { choices } = currentDevice();
    const [large, small] = [choice("large"), choice("small", 1000)];
    choices.choose(large);
    choices.choose(small);
    const progress: string[] = [];
    const measured = await tune({ onProgress: (done, total) => progress.push(`${done}/${total}`) });
    expect([measured, progress]).toEqual([1, ["0/1"]]);
    expect(large.calls.slice(0, 4)).toEqual(["slow", "quick", "slow", "quick"]);
    expect(small.calls).toEqual([]);
    expect(choices.open).toEqual([]);
    expect([choices.choose(large), choices.choose(small)]).toEqual(["quick", "slow"]);
    expect(await tune()).toBe(0);
  });

  it("measures on real GPUs by their own clock", async () => {
    const device = currentDevice();
    const { info, choices } = device;
    const large = choice("timed", 4e10);
    choices.choose(large);
    const profile = vi.spyOn(device, "profile");
    Object.assign(device, { info: { ...info, software: false } });
    try {
      expect(await tune()).toBe(1);
      expect(profile.mock.calls.length).toBeGreaterThan(0);
    } finally {
      Object.assign(device, { info });
      profile.mockRestore();
    }
    expect(choices.choose(large)).toBe("quick");
  });

  it("notes nothing of variants that are only measured", async () => {
    const { choices } = currentDevice();
    const inner = choice("inner");
    const outer = { ...choice("outer"), run: () => void choices.choose(inner) };
    choices.choose(outer);
    expect(await tune()).toBe(1);
    expect(choices.open).toEqual([]);
    expect(choices.used).not.toHaveProperty("test inner");
    choices.choose(inner); // by a step that uses the chosen variant
    expect(await tune()).toBe(1);
    expect(choices.used).toHaveProperty("test inner");
  });

  it("measures with tensors of the type that the choice is for", async () => {
    const { choices } = currentDevice();
    const found = new Set<string>();
    const halves = {
      ...choice("halves"),
      inputs: [{ shape: [8], dtype: "f16" }] as const,
      run: (_: string, [x]: readonly Tensor[]) => void found.add(x.dtype),
    };
    choices.choose(halves);
    await tune();
    expect([...found]).toEqual(["f16"]);
  });

  it("measures small work that is asked for often", async () => {
    const { choices } = currentDevice();
    const often = choice("often", 1e9);
    for (let layer = 0; layer < 5; layer++) choices.choose(often);
    expect(choices.open).toMatchObject([{ shape: "often", uses: 5 }]);
    expect(await tune()).toBe(1);
    expect(choices.choose(often)).toBe("quick");
  });

  it("frees what it needed", async () => {
    const device = currentDevice();
    const before = device.memory();
    device.choices.choose(choice("memory"));
    await tune();
    expect(device.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  });

  it("stops when it is aborted", async () => {
    const device = currentDevice();
    const open = choice("aborted");
    device.choices.choose(open);
    expect(await tune({ signal: AbortSignal.abort() })).toBe(0);
    expect(open.calls).toEqual([]);
    device.choices.settle(open, "slow");
  });

  it("stops within a kernel, which stays open", async () => {
    const { choices } = currentDevice();
    const controller = new AbortController();
    const open = choice("interrupted");
    const { run } = open;
    const interrupting = { ...open, run: (...args: Parameters<typeof run>) => (controller.abort(), run(...args)) };
    choices.choose(interrupting);
    expect(await tune({ signal: controller.signal })).toBe(0);
    expect(choices.open).toHaveLength(1);
    expect(open.calls.length).toBeLessThan(3);
    choices.settle(open, "slow");
  });
});
