import type { default as Sharp } from "sharp";
import type { DecodedImage, Fit } from "../files.ts";

let sharp: typeof Sharp | undefined;

/** Loaded at the first image: runs on CIFAR files and on `shapes` never pay for it. */
async function loadSharp(): Promise<typeof Sharp> {
  if (!sharp) {
    sharp = (await import("sharp")).default;
    // Many small images are decoded at once: a thread for each image beats several threads an image, and none comes twice.
    sharp.concurrency(1);
    sharp.cache(false);
  }
  return sharp;
}

/** Spreads grey over three channels, or drops what follows the third. */
function toRgb(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return data;
  const pixels = data.length / channels;
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = data[i * channels + (channels < 3 ? 0 : c)]!;
  }
  return rgb;
}

/** `Files.decodeImage` by sharp. Damaged or cut image data is an error; mere warnings of the decoder are not. */
export async function decodeImage(bytes: Uint8Array, fit?: Fit): Promise<DecodedImage> {
  const open = sharp ?? (await loadSharp());
  try {
    let image = open(bytes, { failOn: "error" }).autoOrient().flatten({ background: "#ffffff" }).toColourspace("srgb");
    if (fit) image = image.resize(fit.size, fit.size, { fit: fit.mode === "crop" ? "cover" : "fill" });
    const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data: toRgb(data, info.channels) };
  } catch (cause) {
    throw new Error(describeFailure(bytes, (cause as Error).message), { cause });
  }
}

/** The decoders' words, or none where several fail at once: sharp then says "Unknown error". */
function describeFailure(bytes: Uint8Array, message: string): string {
  if (bytes.length === 0) return "the file is empty";
  // Browsers read these.
  if (bytes[0] === 0x42 && bytes[1] === 0x4d) return "it is a BMP: save it as PNG";
  if (/unsupported image format/.test(message)) return "it is no image of a kind that is read";
  if (/premature end|unexpected end|bad seek/i.test(message)) return "it ends too early";
  if (message === "Unknown error") return "it is damaged or ends too early";
  return message.split("\n")[0];
}
