// Measured kernel choices on the disk. No GPU: what is asked of the device is its name and its choices.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KernelChoices, type Device } from "../../engine/index.ts";
import { loadTuning, saveTuning, tuningFile } from "../../training/index.ts";
import { temporaryFolder } from "./data/fixtures.ts";

const root = temporaryFolder();
let folders = 0;
let cache: string;
beforeEach(() => {
  cache = join(root, `${folders++}`);
  vi.stubEnv("KILN_CACHE", cache);
});
afterEach(() => void vi.unstubAllEnvs());

function deviceOf(name = "Big GPU (rev 2)", family = "workgroup"): Device {
  const info = { vendor: "acme", architecture: "", name, description: "driver 1.0" };
  return { info, family, choices: new KernelChoices() } as unknown as Device;
}

const TABLE = { "conv2d 8x8": "winograd4", "matmul 1x2x3x4": "128x64" };

describe("the tuning cache", () => {
  it("gives the next device of the same adapter and kernel family what was measured, and no other", async () => {
    const first = deviceOf();
    first.choices.load(TABLE);
    expect(await saveTuning(first, "1.2.3")).toBe(true);
    const [next, other, otherFamily] = [deviceOf(), deviceOf("Small GPU"), deviceOf(undefined, "portable")];
    expect(await loadTuning(next, "1.2.3")).toEqual(TABLE);
    expect(next.choices.measured).toEqual(TABLE);
    for (const device of [other, otherFamily]) {
      expect(await loadTuning(device, "1.2.3")).toEqual({});
      expect(device.choices.measured).toEqual({});
    }
    expect(readdirSync(join(cache, "tuning"))).toEqual(["acme-big-gpu-rev-2-workgroup.json"]);
    expect(tuningFile(first)).toBe(join(cache, "tuning/acme-big-gpu-rev-2-workgroup.json"));
  });

  it("does not take what another version has measured, and replaces it", async () => {
    const [old, device] = [deviceOf(), deviceOf()];
    old.choices.load(TABLE);
    await saveTuning(old, "1.2.2");
    expect(await loadTuning(device, "1.2.3")).toEqual({});
    expect(device.choices.measured).toEqual({});
    device.choices.load({ "conv2d 8x8": "direct" });
    await saveTuning(device, "1.2.3");
    expect(await loadTuning(deviceOf(), "1.2.3")).toEqual({ "conv2d 8x8": "direct" });
  });

  it.each([
    "",
    "{",
    "null",
    "[]",
    '{ "version": "1.2.3" }',
    '{ "version": "1.2.3", "choices": "all" }',
    '{ "version": "1.2.3", "choices": null }',
  ])("is nothing where the file is damaged: %o", async (text) => {
    const device = deviceOf();
    const path = tuningFile(device);
    expect(await loadTuning(device, "1.2.3")).toEqual({}); // none
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    expect(await loadTuning(device, "1.2.3")).toEqual({});
    expect(device.choices.measured).toEqual({});
  });

  it("says where it cannot be written, and leaves what is there", async () => {
    writeFileSync(cache, "a file");
    expect(await saveTuning(deviceOf(), "1.2.3")).toBe(false);
    expect(readFileSync(cache, "utf8")).toBe("a file");
  });
});
