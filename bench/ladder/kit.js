// @ts-check
// The built engine, opened.
import { openEngine } from "../open.js";

/** @param {string | undefined} adapter @returns {Promise<import("./family.js").Kit>} */
export async function openKit(adapter) {
  const { engine, device } = await openEngine(adapter);
  const dist = new URL("../../dist/", import.meta.url);
  const { launch } = await import(new URL("engine/launch.js", dist).href);
  const { ladder } = await import(new URL("shaders/ladder.js", dist).href);
  return { engine, launch, ladder, lanes: device.info.subgroupSize };
}
