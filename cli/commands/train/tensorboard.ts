// What TensorBoard is given of a run besides its figures: the configuration as text, and the report's pictures.
import { files } from "#files";
import { resumeAt, TensorBoardWriter, type RunFolder } from "../../../training/index.ts";

/** A new event file in the run's folder. What an interrupted run wrote past its state is taken out of the earlier ones. */
export async function openTensorBoard({ dir, config, state }: RunFolder): Promise<TensorBoardWriter> {
  if (state) return TensorBoardWriter.open(dir, resumeAt(state.position));
  const writer = await TensorBoardWriter.open(dir);
  // Four spaces make a block of code in Markdown.
  const text = JSON.stringify(config, null, 2).replaceAll(/^/gm, "    ");
  writer.text("run/configuration", text, 0);
  return writer;
}

/** @param names of PNG files below the run's folder, others are left out */
export async function addPictures(
  writer: TensorBoardWriter,
  dir: string,
  names: readonly string[],
  step: number,
): Promise<void> {
  for (const name of names.filter((each) => each.endsWith(".png"))) {
    const png = await files.read(`${files.absolute(dir)}/${name}`);
    // A PNG's first chunk begins with its width and height.
    const header = new DataView(png.buffer, png.byteOffset + 16, 8);
    const tag = `report/${name.replace(/^.*\/|\.png$/g, "")}`;
    writer.image(tag, png, header.getUint32(0), header.getUint32(4), step);
    await writer.flush();
  }
}
