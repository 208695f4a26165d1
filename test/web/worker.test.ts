// The worker's calls where something fails or comes in between: called in Node, as no page can be timed so finely.
import { setTimeout as wait } from "node:timers/promises";
import { strToU8, zipSync } from "fflate";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { files, loadRaw, recordData } from "../../training/index.ts";
import { takeData } from "../../web/worker/data.ts";
import { writeDropped, type DroppedFile } from "../../web/worker/dropped.ts";
import { shareCalls } from "../../web/worker/share.ts";
import { freshState, type State } from "../../web/worker/state.ts";
import { settingsOf, trainCalls } from "../../web/worker/train.ts";
import { testDevice } from "../support/gpu.ts";

const nothing = (): void => undefined;

// Node 20 has no navigator.
beforeEach(() => void vi.stubGlobal("navigator", {}));
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** With a few of the built-in images. */
async function stateWithImages(): Promise<State> {
  const state = freshState();
  state.device = await testDevice();
  await takeData(state, await loadRaw("shapes", { limit: 8, limitTest: 8 }));
  onTestFinished(() => state.data?.dispose());
  return state;
}

const FORM = {
  model: "resnet8",
  epochs: 1,
  batchSize: 4,
  optimizer: "sgd",
  seed: 1,
  precision: "f32",
} as const;

describe("the worker", () => {
  it("frees a new model where its run cannot be kept", async () => {
    const state = await stateWithImages();
    const before = state.device!.memory();
    vi.spyOn(files, "remove").mockRejectedValue(new Error("no more room"));
    await expect(trainCalls(state).train(FORM, nothing)).rejects.toThrow("no more room");
    const { tensors, bytes } = state.device!.memory();
    expect({ tensors, bytes }).toEqual({ tensors: before.tensors, bytes: before.bytes });
    expect(state.run).toBe(null);
  });

  it("neither continues a run nor reports on it with other images than its own", async () => {
    const state = await stateWithImages();
    const data = recordData({ ...state.raw!, classes: ["cat", "dog"] });
    state.run = { folder: { config: { data } } } as unknown as State["run"];
    const other =
      /^other images are loaded than those of the run \(its classes are not those .*\): load these again, or/;
    await expect(shareCalls(state).report(nothing)).rejects.toThrow(other);
    await expect(trainCalls(state).resume(nothing)).rejects.toThrow(other);
  });

  it("says in a run's settings how a folder was split, so that train.js and evaluate.js split it the same way", async () => {
    const raw = await loadRaw("shapes", { limit: 8, limitTest: 8 });
    expect(settingsOf(FORM, { ...raw, split: 0.8 })).toMatchObject({ data: "shapes", split: 0.8 });
    expect(settingsOf(FORM, raw)).not.toHaveProperty("split");
  });

  it("writes no report of a model that is being trained, also where training begins after the report was asked for", async () => {
    const state = await stateWithImages();
    const touched = vi.fn();
    state.run = { trainer: { position: { epoch: 1 }, withAverage: touched }, settings: {} } as unknown as State["run"];
    state.model = state.run as unknown as State["model"];
    const report = shareCalls(state).report(nothing);
    state.working = new AbortController();
    await expect(report).rejects.toThrow("the model is being trained");
    expect(touched).not.toHaveBeenCalled();
  });
});

describe("dropped files", () => {
  const image = (path: string, read: () => Promise<ArrayBuffer>): DroppedFile => ({
    path,
    file: { size: 1, arrayBuffer: read } as Blob,
  });

  it("are no longer written once one of them could not be read", async () => {
    const written: string[] = [];
    vi.spyOn(files, "remove").mockResolvedValue();
    vi.spyOn(files, "writeAtomic").mockImplementation((path) => wait(20).then(() => void written.push(path)));
    const good = Array.from({ length: 50 }, (_, i) =>
      image(`pets/cat/${i}.png`, () => Promise.resolve(new ArrayBuffer(1))),
    );
    const moved = image("pets/dog/moved.png", () => Promise.reject(new Error("It was moved.")));
    await expect(writeDropped([moved, ...good], nothing)).rejects.toThrow(
      "pets/dog/moved.png cannot be read (It was moved): choose the files again",
    );
    const count = written.length;
    expect(count).toBeLessThan(8);
    await wait(100);
    expect(written).toHaveLength(count);
  });

  it("are too many where a ZIP would unpack to more than a page holds", async () => {
    vi.spyOn(files, "remove").mockResolvedValue();
    const archive = zipSync({ "cat/1.png": strToU8("a"), "dog/1.png": strToU8("b") });
    // In the list at the end, each member's size unpacked.
    const view = new DataView(archive.buffer);
    for (let at = 0; at < archive.length - 4; at++) {
      if (view.getUint32(at, true) === 0x02014b50) view.setUint32(at + 24, 1.5e9, true);
    }
    await expect(writeDropped([{ path: "pets.zip", file: new Blob([archive]) }], nothing)).rejects.toThrow(
      /^these files have 3\.0 GB, a page holds 2\.1 GB/,
    );
  });

  it("name a ZIP that was moved since it was chosen", async () => {
    vi.spyOn(files, "remove").mockResolvedValue();
    const moved = image("pets.zip", () => Promise.reject(new Error("It was moved.")));
    await expect(writeDropped([moved], nothing)).rejects.toThrow("pets.zip cannot be read (It was moved)");
  });
});
