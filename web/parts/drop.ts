// Files and whole folders from the user: dropped, or chosen in a dialog.
import type { DroppedFile } from "../worker/dropped.ts";

/** Tells about files dropped on an element. A drop beside it would otherwise leave the page for the file. */
export function watchDrops(zone: HTMLElement, taken: (list: AsyncIterable<DroppedFile>) => void): void {
  const isFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  for (const type of ["dragover", "drop"] as const) {
    window.addEventListener(type, (event) => {
      if (isFiles(event)) event.preventDefault();
    });
  }
  const mark = (over: boolean): void => void zone.classList.toggle("over", over);
  zone.addEventListener("dragover", (event) => mark(isFiles(event)));
  zone.addEventListener("dragleave", (event) => {
    if (!(event.relatedTarget instanceof Node && zone.contains(event.relatedTarget))) mark(false);
  });
  zone.addEventListener("drop", (event) => {
    mark(false);
    if (!isFiles(event)) return;
    // The items are gone once this handler has returned, their entries stay.
    const items = [...event.dataTransfer!.items].filter((item) => item.kind === "file");
    const entries = items.map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
    taken(walk(entries.filter((entry) => entry !== null)));
  });
}

async function* walk(entries: readonly (FileSystemEntry | File)[]): AsyncGenerator<DroppedFile> {
  for (const entry of entries) {
    if (entry instanceof File) yield { path: entry.name, file: entry };
    else if (entry.isFile) {
      const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
      yield { path: entry.fullPath.replace(/^\//, ""), file };
    } else yield* walk(await entriesOf(entry as FileSystemDirectoryEntry));
  }
}

/** A reader hands a folder out in parts, an empty one in the end. */
async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const part = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
    if (part.length === 0) return all.sort((a, b) => (a.name < b.name ? -1 : 1));
    all.push(...part);
  }
}

/** The files of an `<input type="file">`, of a folder with their paths in it. */
export function* chosenFiles(list: Iterable<File>): Generator<DroppedFile> {
  for (const file of list) yield { path: file.webkitRelativePath || file.name, file };
}
