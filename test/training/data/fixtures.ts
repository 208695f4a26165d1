import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PNG } from "pngjs";
import { afterAll } from "vitest";

/** A folder of its own for a test file, removed after its last test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "kiln-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a file and the folders above it; returns its path. */
export function put(path: string, data: string | Uint8Array): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, data);
  return path;
}

export type Pixel = (x: number, y: number) => readonly [number, number, number];

/** A PNG file of a formula. */
export function png(width: number, height: number, pixel: Pixel): Uint8Array {
  const image = new PNG({ width, height });
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) image.data.set([...pixel(x, y), 255], (y * width + x) * 4);
  }
  return PNG.sync.write(image);
}

/** A picture that no other number gives. */
export function picture(n: number): Pixel {
  return (x, y) => [(n * 37 + x * 5) % 256, (n * 11 + y * 7) % 256, (n * 3 + x * y) % 256];
}

/** Bytes of a CIFAR file: `labels` one record each, with pixels from a formula of (record, channel, pixel). */
export function cifarBytes(labels: readonly (readonly number[])[]): Uint8Array {
  const record = labels[0].length + 3072;
  const bytes = new Uint8Array(labels.length * record);
  labels.forEach((label, i) => {
    bytes.set(label, i * record);
    for (let c = 0; c < 3; c++) {
      for (let p = 0; p < 1024; p++) bytes[i * record + label.length + c * 1024 + p] = cifarPixel(i, c, p);
    }
  });
  return bytes;
}

export function cifarPixel(record: number, channel: number, pixel: number): number {
  return (record * 31 + channel * 83 + pixel * 7 + (pixel >> 5)) % 256;
}
