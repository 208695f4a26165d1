// Which kernels a run takes: what was measured and kept, what it measures itself, what its config.json says.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Output } from "../../cli/commands/shared/output.ts";
import { versions } from "../../cli/commands/shared/versions.ts";
import { matchDevice, type RunRecord } from "../../cli/commands/train/resume.ts";
import { tuneKernels } from "../../cli/commands/train/tune.ts";
import { KernelChoices, type Choice, type ChoiceTable, type Device, type TuneOptions } from "../../engine/index.ts";
import { tuningFile, type DeviceDataset, type Trainer } from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { temporaryFolder } from "../training/data/fixtures.ts";
import { runCli } from "./run-cli.ts";

const cwd = temporaryFolder();
const env = { KILN_CACHE: join(cwd, "cache") };
beforeEach(() => void vi.stubEnv("KILN_CACHE", env.KILN_CACHE));
afterEach(() => void vi.unstubAllEnvs());

const { kiln } = versions();
const info = { vendor: "acme", architecture: "", name: "GPU", description: "driver 1.0" };
const fakeDevice = (changes: object = {}): Device =>
  ({ info: { ...info, ...changes }, family: "workgroup", choices: new KernelChoices() }) as unknown as Device;

function fakeOutput(): { output: Output; lines: string[] } {
  const lines: string[] = [];
  const note = (line: string): void => void lines.push(line);
  return { output: { json: false, bar: null, note, warn: note } as unknown as Output, lines };
}

/** A question that the engine's ops ask, of a layer that has three kernels. */
const chosen = ({ choices }: Device): string =>
  choices.choose({ op: "conv2d", shape: "8x8", variants: ["direct", "winograd2", "winograd4"], fixed: "direct", flops: 1, inputs: [], run: () => undefined } satisfies Choice); // prettier-ignore

describe("--tune on", () => {
  /** Measures one kernel. */
  const trainerOf = (device: Device, seen: ChoiceTable[]): Trainer => {
    const tune = async (_: DeviceDataset, { onMeasured }: TuneOptions): Promise<number> => {
      seen.push(device.choices.measured);
      if (chosen(device) !== "direct") return 0;
      device.choices.settle({ op: "conv2d", shape: "8x8" }, "winograd4");
      await onMeasured?.();
      seen.push((JSON.parse(readFileSync(tuningFile(device), "utf8")) as { choices: ChoiceTable }).choices);
      return 1;
    };
    return { tune } as unknown as Trainer;
  };

  it("keeps each measurement at once, and the next run takes it and measures no more", async () => {
    const table = { "conv2d 8x8": "winograd4" };
    const [first, next] = [fakeDevice(), fakeDevice()];
    const { output, lines } = fakeOutput();
    const seen: ChoiceTable[] = [];
    for (const device of [first, next]) {
      await tuneKernels(device, trainerOf(device, seen), null as never, null, output);
    }
    expect(seen).toEqual([{}, table, table]);
    expect(lines).toEqual([expect.stringMatching(/^tuning {2}1 kernel measured in \d+\.\d s, kept for the next run$/)]);
    expect(chosen(next)).toBe("winograd4");
  });
});

describe("a resumed run", () => {
  const record = (changes: object = {}) =>
    ({
      device: info,
      kernelFamily: "portable",
      kernels: { "conv2d 8x8": "winograd2" },
      ...changes,
    }) as unknown as RunRecord;

  it("takes the kernels of its config.json, not those that were measured since", () => {
    const device = fakeDevice();
    device.choices.load({ "conv2d 8x8": "winograd4" });
    const { output, lines } = fakeOutput();
    matchDevice(device, record(), output);
    expect([device.family, chosen(device), lines]).toEqual(["portable", "winograd2", []]);
  });

  it("takes the fixed table where the run is older than the choice", () => {
    const device = fakeDevice();
    matchDevice(device, record({ kernels: undefined }), fakeOutput().output);
    expect([device.family, chosen(device)]).toEqual(["portable", "direct"]);
  });

  it("keeps the device's own kernels on another device, and says so", () => {
    const device = fakeDevice({ name: "GPU 2" });
    const { output, lines } = fakeOutput();
    matchDevice(device, record(), output);
    expect([device.family, chosen(device)]).toEqual(["workgroup", "direct"]);
    expect(lines).toEqual([expect.stringMatching(/^the run began on .*: results will differ in the last bits$/)]);
  });
});

it("doctor lists the kernels that were measured, and where they are kept", async () => {
  const path = tuningFile(await testDevice());
  const write = (version: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify({ version, choices: { "conv2d 8x8": "winograd4" } }));
  };
  write(kiln);
  const { stdout, status } = await runCli("doctor", [], { cwd, env });
  expect(status).toBe(0);
  expect(stdout).toContain(`\nkernel     conv2d 8x8: winograd4\nkernel     measured once, kept in ${path}\n`);
  write(`${kiln}-older`);
  const other = await runCli("doctor", [], { cwd, env });
  expect(other.stdout).toContain("\nkernels    the fixed table; `train.js` measures what it needs\n");
});
