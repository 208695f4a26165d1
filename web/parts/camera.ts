// The camera: opening it, and taking still pictures.

/**
 * Shows the camera in `video`; what it returns turns it off.
 *
 * @throws Error of one line that says what keeps it away
 */
export async function openCamera(video: HTMLVideoElement): Promise<() => void> {
  // Missing where the page came over plain http.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (!devices) throw new Error("the camera is only there for pages that came over https: or from localhost");
  const wanted = { video: { width: { ideal: 640 }, height: { ideal: 480 } }, audio: false };
  const stream = await devices.getUserMedia(wanted).catch((error: unknown) => refused(error));
  const off = (): void => {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
  video.srcObject = stream;
  await video.play().catch((error: unknown) => {
    off();
    refused(error);
  });
  return off;
}

function refused(error: unknown): never {
  const name = error instanceof Error ? error.name : "";
  const reasons: Readonly<Record<string, string>> = {
    NotAllowedError: "the page may not use the camera: allow it beside the address, and try again",
    NotFoundError: "there is no camera: connect one, or choose files",
    NotReadableError: "another program has the camera: close that, and try again",
  };
  throw new Error(reasons[name] ?? `the camera cannot be opened (${name})`, { cause: error });
}

/** The middle square of what the camera sees right now, `size` x `size`. */
export function stillPicture(video: HTMLVideoElement, size: number): HTMLCanvasElement {
  const { videoWidth: width, videoHeight: height } = video;
  const side = Math.min(width, height);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(video, (width - side) / 2, (height - side) / 2, side, side, 0, 0, size, size);
  return canvas;
}
