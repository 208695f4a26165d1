// The files of a page below /kept: in the browser's own file system, from the page and from workers.
import { beforeEach, describe, expect, it, vi } from "vitest";
import { cdp } from "vitest/browser";
import { files } from "../../training/files.browser.ts";
import { keptFiles } from "../../training/opfs.browser.ts";
import { startWorker } from "./start-worker.ts";

const MIB = 2 ** 20;
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
/** The one value of all bytes: a file that mixes two writes has none. */
function valueOf(bytes: Uint8Array): number {
  expect(bytes.every((byte) => byte === bytes[0])).toBe(true);
  return bytes[0];
}

beforeEach(() => files.remove("/kept"));

/** What the browser itself says lies there. */
async function inOpfs(...path: string[]): Promise<string[]> {
  let folder = await navigator.storage.getDirectory();
  for (const name of ["kiln", ...path]) folder = await folder.getDirectoryHandle(name);
  const names: string[] = [];
  for await (const name of folder.keys()) names.push(name);
  return names.sort();
}

describe.each(["page", "worker"])("kept files, from the %s", (where) => {
  const open = (): Pick<typeof files, "read" | "readText" | "writeAtomic" | "append" | "appendBytes" | "list"> &
    Pick<typeof files, "exists" | "stat" | "makeDirectory" | "remove"> =>
    where === "page" ? files : startWorker().remote;

  it("are written whole, replaced and appended to", async () => {
    const store = open();
    await store.makeDirectory("/kept/a/b");
    const path = "/kept/a/b/file";
    await store.writeAtomic(path, "grün\n");
    expect(await store.readText(path)).toBe("grün\n");
    await store.append(path, "more");
    await store.append("/kept/a/b/new", "first");
    expect(await store.readText(path)).toBe("grün\nmore");
    expect(await store.readText("/kept/a/b/new")).toBe("first");
    await store.writeAtomic(path, [Uint8Array.of(1, 2), new Uint8Array(), Uint8Array.of(3)]);
    await store.appendBytes(path, Uint8Array.of(0, 255));
    expect([...(await store.read(path))]).toEqual([1, 2, 3, 0, 255]);
    await store.writeAtomic(path, Uint8Array.of(9));
    expect((await store.stat(path)).size).toBe(1);
    expect(await inOpfs("a", "b")).toEqual(["file", "new"]);
  });

  it("are listed by name with sizes, and told from folders", async () => {
    const store = open();
    await store.makeDirectory("/kept/list/inner");
    for (const name of ["b.txt", "B.txt", "10", "9"]) await store.writeAtomic(`/kept/list/${name}`, name);
    const entries = await store.list("/kept/./list/");
    expect(entries.map((entry) => entry.name)).toEqual(["10", "9", "B.txt", "b.txt", "inner"]);
    expect(entries.map((entry) => entry.directory)).toEqual([false, false, false, false, true]);
    expect(entries.map((entry) => entry.size)).toEqual([2, 1, 5, 5, 0]);
    expect(Math.abs(entries[2].modified - Date.now())).toBeLessThan(60_000);
    expect((await store.list("/kept")).map((entry) => entry.name)).toEqual(["list"]);
    expect((await store.stat("/kept/list/inner")).directory).toBe(true);
    expect((await store.stat("/kept")).directory).toBe(true);
    expect(await store.exists("/kept/list/9")).toBe(true);
    expect(await store.exists("/kept/list/none")).toBe(false);
  });

  it("are removed, folders with all that is in them, and nothing is no error", async () => {
    const store = open();
    await store.makeDirectory("/kept/gone/inner");
    await store.writeAtomic("/kept/gone/inner/x", "x");
    await store.remove("/kept/none/at/all");
    await store.remove("/kept/gone");
    await store.remove("/kept/gone");
    expect(await store.exists("/kept/gone/inner/x")).toBe(false);
    expect(await inOpfs()).toEqual([]);
  });

  it("are missing by the same words as those in memory", async () => {
    const store = open();
    for (const path of ["/kept/none", "/kept/no/folder"]) {
      await expect(store.read(path)).rejects.toThrow(`${path}: no such file in this page`);
      await expect(store.stat(path)).rejects.toThrow(`${path}: no such file in this page`);
      await expect(store.list(path)).rejects.toThrow(`${path}: no such file in this page`);
    }
    // As on a disk: the folder must exist.
    await expect(store.writeAtomic("/kept/no/folder/x", "x")).rejects.toThrow("/kept/no/folder/x: no such file");
    await store.writeAtomic("/kept/file", "x");
    await expect(store.makeDirectory("/kept/file")).rejects.toThrow("/kept/file: a folder is where a file should be");
    await expect(store.read("/kept")).rejects.toThrow("/kept: a folder is where a file should be");
  });
});

describe("kept files", () => {
  it("are the same for the page, its workers and the next visit", async () => {
    await files.writeAtomic("/kept/run", "of the page");
    const first = startWorker();
    expect(await first.remote.readText("/kept/run")).toBe("of the page");
    await first.remote.writeAtomic("/kept/run", "of a worker");
    await first.remote.writeAtomic("/memory", "of a worker");
    first.worker.terminate();
    expect(await files.readText("/kept/run")).toBe("of a worker");
    expect(await files.exists("/memory")).toBe(false);
    const second = startWorker();
    expect(await second.remote.readText("/kept/run")).toBe("of a worker");
    expect(await second.remote.exists("/memory")).toBe(false);
  });

  it("are replaced whole while they are read, in the page and elsewhere", async () => {
    const path = "/kept/state";
    await files.writeAtomic(path, filled(MIB, 0));
    const { remote } = startWorker();
    const writes = (async () => {
      for (let i = 1; i <= 10; i++) await remote.writeAtomic(path, [filled(MIB / 2, i), filled(MIB / 2 + i, i)]);
    })();
    const seen: number[] = [];
    while (seen.at(-1) !== 10) {
      const bytes = await files.read(path);
      seen.push(valueOf(bytes));
      expect(bytes.length).toBe(MIB + seen.at(-1)!);
    }
    await writes;
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });

  it("keep the old text for who has opened it, until the new one is whole", async () => {
    await files.writeAtomic("/kept/old", "old");
    const origin = await navigator.storage.getDirectory();
    const handle = await (await origin.getDirectoryHandle("kiln")).getFileHandle("old");
    const half = await handle.createWritable();
    await half.write("half of the n");
    const found = [await files.readText("/kept/old"), await files.list("/kept")] as const;
    await half.abort();
    expect(found[0]).toBe("old");
    expect(found[1].map((entry) => [entry.name, entry.size])).toEqual([["old", 3]]);
    expect(await files.readText("/kept/old")).toBe("old");
  });

  it("are the old ones, and open to others, when a writer dies", async () => {
    await files.writeAtomic("/kept/old", filled(MIB, 1));
    for (const path of ["/kept/old", "/kept/new"]) {
      const { remote, worker } = startWorker();
      expect(await remote.exists("/kept/old")).toBe(true);
      void remote.writeAtomic(
        path,
        Array.from({ length: 40 }, () => filled(MIB, 2)),
      );
      // Chromium shows the copy that is being written. A write too quick to be seen is a whole one: fine as well.
      const begun = async (): Promise<void> => expect(await inOpfs()).toContainEqual(expect.stringMatching(/crswap$/));
      await vi.waitFor(begun, { interval: 1 }).catch(() => undefined);
      worker.terminate();
      // Whole, of the one or the other, however far it came.
      if (await files.exists(path)) expect([1 + MIB, 2 + 40 * MIB]).toContain(await summary(path));
      await files.writeAtomic(path, "next");
      expect(await files.readText(path)).toBe("next");
    }
    expect((await files.list("/kept")).map((entry) => entry.name)).toEqual(["new", "old"]);
    async function summary(path: string): Promise<number> {
      const bytes = await files.read(path);
      return valueOf(bytes) + bytes.length;
    }
  });

  it("lose no append of many at once", async () => {
    const { remote } = startWorker();
    const lines = Array.from({ length: 20 }, (_, i) => `${i}\n`);
    await Promise.all(lines.map((line, i) => (i % 2 ? files : remote).append("/kept/log", line)));
    const got = (await files.readText("/kept/log")).trim().split("\n").map(Number);
    expect(got.sort((a, b) => a - b)).toEqual(lines.map(Number));
  });

  it("say what to do when there is no more room, and keep what they had", async () => {
    const quota = (size: object) =>
      cdp().send("Storage.overrideQuotaForOrigin", { origin: location.origin, ...size }) as Promise<unknown>;
    await files.writeAtomic("/kept/state", "old");
    await quota({ quotaSize: 4 * MIB });
    try {
      const large = Array.from({ length: 8 }, () => filled(MIB, 1));
      const full =
        /^\/kept\/\w+: the browser gives this site no more room \(\d+ MiB are used\); remove kept runs or data, or free disk space$/;
      await expect(files.writeAtomic("/kept/state", large)).rejects.toThrow(full);
      await expect(files.writeAtomic("/kept/new", large)).rejects.toThrow(full);
      await expect(files.appendBytes("/kept/state", filled(8 * MIB, 1))).rejects.toThrow(full);
      expect(await files.readText("/kept/state")).toBe("old");
      expect(await inOpfs()).toEqual(["state"]);
    } finally {
      await quota({});
    }
    await files.writeAtomic("/kept/new", "fits");
  });

  it("are told from neighbours in memory", async () => {
    expect(await keptFiles()).toBeDefined();
    await files.writeAtomic("/keptish", "x");
    await files.writeAtomic("/kept/../other", "x");
    expect(await inOpfs().catch(() => [])).toEqual([]);
    expect(text(await files.read("/other"))).toBe("x");
    await expect(files.read("/no/such/file.bin")).rejects.toThrow();
  });
});
