// What outlives the page: the run's folder and, where they are not built in, the images it trains on. Below /kept files.browser.ts keeps
// files in the browser's own file system.
import type { DataLimits } from "../protocol.ts";
import { files, loadRaw, type ImageSet, type RawDataset } from "../../training/index.ts";

/** The folder of the one run that the browser keeps. */
export const RUN_DIR = "/kept/run";
const DATA_DIR = "/kept/data";
/** Beside the run: it was given up, and does not want to be continued. */
const ENDED = `${RUN_DIR}/ended`;

/** A tab that has just been closed or reloaded may need a moment to let go. */
const PATIENCE = 3000;
let claim: Promise<boolean> | null = null;

/** Whether the kept run is this tab's: it is the first one's that asks, until that is closed. */
export async function claimRun(): Promise<boolean> {
  // Without locks there is no file system either, and every tab keeps its run to itself.
  if (!(navigator as Partial<Navigator>).locks) return true;
  claim ??= new Promise((done) => {
    const held = (): Promise<never> => {
      done(true);
      return new Promise(() => undefined);
    };
    const signal = AbortSignal.timeout(PATIENCE);
    navigator.locks.request("kiln: the kept run", { signal }, held).catch(() => done(false));
  });
  const mine = await claim;
  if (!mine) claim = null;
  return mine;
}

export const markEnded = (): Promise<void> => files.writeAtomic(ENDED, "");
export const wasEnded = (): Promise<boolean> => files.exists(ENDED);

/** An image set without its pixels and labels. */
type Head = Omit<ImageSet, "images" | "labels" | "boxes">;
const PARTS = ["train", "test", "validation"] as const;

/** Keeps a data set that was dropped or photographed. The built-in one is drawn again where it is needed. */
export async function keepData(raw: RawDataset): Promise<void> {
  await files.remove(DATA_DIR);
  if (raw.name === "shapes") return;
  await files.makeDirectory(DATA_DIR);
  const heads: Partial<Record<(typeof PARTS)[number], Head>> = {};
  for (const part of PARTS) {
    const set = raw[part];
    if (!set) continue;
    const { count, height, width, channels, paths, skipped, images, labels } = set;
    heads[part] = { count, height, width, channels, skipped, ...(paths && { paths }) };
    await files.writeAtomic(`${DATA_DIR}/${part}.images`, images);
    await files.writeAtomic(`${DATA_DIR}/${part}.labels`, new Uint8Array(Uint16Array.from(labels).buffer));
  }
  const { name, classes, split, mean, std } = raw;
  await files.writeAtomic(`${DATA_DIR}/data.json`, JSON.stringify({ name, classes, split, mean, std, heads }));
}

/**
 * The images that a kept run was begun with.
 *
 * @param limits what its settings say
 */
export async function keptData(name: string, { limit, limitTest }: DataLimits): Promise<RawDataset> {
  if (name === "shapes") return loadRaw("shapes", { limit, limitTest });
  const text = await files.readText(`${DATA_DIR}/data.json`);
  const { heads, ...rest } = JSON.parse(text) as Omit<RawDataset, (typeof PARTS)[number]> & {
    heads: Record<(typeof PARTS)[number], Head>;
  };
  const sets: Partial<Record<(typeof PARTS)[number], ImageSet>> = {};
  for (const part of PARTS) {
    if (!heads[part]) continue;
    const images = await files.read(`${DATA_DIR}/${part}.images`);
    const labels = await files.read(`${DATA_DIR}/${part}.labels`);
    sets[part] = { ...heads[part], images, labels: new Uint16Array(labels.slice().buffer) };
  }
  return { ...rest, ...(sets as Pick<RawDataset, (typeof PARTS)[number]>) };
}
