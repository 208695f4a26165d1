// Images: loading them, and showing them.
import { permutation } from "../../engine/index.ts";
import {
  augmentedViews,
  classCounts,
  defaultAugment,
  labelledSamples,
  loadRaw,
  parseAugment,
  rawImage,
  toDevice,
  type LoadProgress,
  type Picture,
  type RawDataset,
} from "../../training/index.ts";
import { fitted } from "../../training/report/small-picture.ts";
import type { DataLimits, DataReport } from "../protocol.ts";
import {
  DROPPED_CACHE,
  everySoOften,
  inUsersPaths,
  removeDropped,
  writeDropped,
  type DroppedFile,
  type DroppedFolder,
  type LoadStep,
} from "./dropped.ts";
import { copyOf } from "./pictures.ts";
import { needData, type State } from "./state.ts";

/** How much of each class trains, where a folder has no test images. */
const SPLIT = 0.8;
/** What CIFAR and the built-in images are. */
const FIXED_SIZE = 32;

/** How dropped files are read. */
export interface FolderLimits extends DataLimits {
  /** Side in pixels. */
  readonly imageSize: number;
}

/** An image of the training set; a large one made smaller, for a grid. */
export interface Sample {
  readonly index: number;
  readonly label: number;
  readonly picture: Picture;
}

export function dataCalls(state: State) {
  /** What `loadDropped` reads, again and again with other limits. Handles: the bytes stay with the browser. */
  let dropped: DroppedFile[] = [];

  return {
    async loadShapes(limits: DataLimits = {}): Promise<DataReport> {
      return takeData(state, await loadRaw("shapes", limits));
    },

    /** Adds files to those that `loadDropped` reads; `first`: in place of the ones before. */
    addDropped(list: readonly DroppedFile[], first: boolean): void {
      dropped = first ? [...list] : [...dropped, ...list];
    },

    /**
     * Loads what was dropped: images in class folders or CIFAR's binary files, in a ZIP or not.
     *
     * @throws Error of one line that names the file or folder at fault
     */
    async loadDropped(limits: FolderLimits, onProgress: (step: LoadStep) => void): Promise<DataReport> {
      refuseWhileWorking(state);
      try {
        const folder = await writeDropped(dropped, onProgress);
        const notes = [...folder.warnings];
        const raw = await loadRaw(folder.path, {
          ...folderOptions(folder, limits, notes),
          cache: DROPPED_CACHE,
          onProgress: everySoOften(({ done, total }: LoadProgress) => onProgress({ phase: "decode", done, total })),
          onWarning: (message) => notes.push(sentence(inUsersPaths(message))),
        });
        return await takeData(state, raw, notes);
      } catch (error) {
        throw new Error(inUsersPaths(error instanceof Error ? error.message : String(error)), { cause: error });
      } finally {
        await removeDropped();
      }
    },

    /** Images of every class in turn, the first ones for seed 0 and others for other seeds: at most `count` of them. */
    samples(count: number, seed: number): Sample[] {
      const { train } = needData(state).raw;
      const order = seed === 0 ? undefined : permutation(train.count, seed, 0);
      return labelledSamples(train, count, order).map((index) => ({
        index,
        label: train.labels[index],
        picture: copyOf(fitted(rawImage(train, index))),
      }));
    },

    /**
     * A training image as it is, and as the first `count` epochs of a training would see it.
     *
     * @throws Error of one line where the augmentation is not one
     */
    async augmented(index: number, augment: string, count: number): Promise<{ original: Picture; views: Picture[] }> {
      const { raw, data } = needData(state);
      const original = copyOf(rawImage(raw.train, index));
      const views = await augmentedViews(data.train, index, { augment: parseAugment(augment), count });
      return { original, views: views.map((view) => view.picture) };
    },
  };
}

/** Puts images onto the device, in place of those before: in a turn, as a report or a test may be reading these. */
export function takeData(state: State, raw: RawDataset, warnings: readonly string[] = []): Promise<DataReport> {
  return state.turns.take(() => {
    refuseWhileWorking(state);
    const data = toDevice(raw);
    state.data?.dispose();
    state.raw = raw;
    state.data = data;
    return describeData(raw, warnings);
  });
}

function refuseWhileWorking({ working }: State): void {
  if (working) throw new Error("a training is under way: press Stop first");
}

const describeData = (raw: RawDataset, warnings: readonly string[]): DataReport => ({
  name: raw.name,
  classes: raw.classes,
  imageSize: raw.train.height,
  train: raw.train.count,
  test: raw.test.count,
  counts: classCounts(raw.train, raw.classes),
  defaultAugment: defaultAugment(raw),
  warnings,
});

/** Options of `loadRaw`; tells in `notes` what the user would not expect. */
function folderOptions({ kind, divided }: DroppedFolder, { imageSize, ...limits }: FolderLimits, notes: string[]) {
  if (kind === "cifar") {
    if (imageSize !== FIXED_SIZE) notes.push("CIFAR's images are 32 x 32, whatever the image size says.");
    return limits;
  }
  if (divided) return { ...limits, imageSize };
  notes.push(
    `There are no test images beside these: of each class ${100 * SPLIT} % train, and ${100 - 100 * SPLIT} % test.`,
  );
  return { ...limits, imageSize, split: SPLIT };
}

const sentence = (message: string): string => message.charAt(0).toUpperCase() + message.slice(1);
