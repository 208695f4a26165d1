// @ts-check
// The built engine, opened.
import { existsSync } from "node:fs";

/** @param {string | undefined} adapter @returns {Promise<import("./family.js").Kit>} */
export async function openKit(adapter) {
  const dist = new URL("../../dist/", import.meta.url);
  if (!existsSync(new URL("shaders/ladder.js", dist)))
    throw new Error("ladder: Kiln is not built; run `npm run setup`");
  const engine = await import(new URL("engine/index.js", dist).href);
  const { launch } = await import(new URL("engine/launch.js", dist).href);
  const { ladder } = await import(new URL("shaders/ladder.js", dist).href);
  const device = await engine.openDevice(adapter === undefined ? {} : { adapter });
  return { engine, launch, ladder, lanes: device.info.subgroupSize };
}
