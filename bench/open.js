// @ts-check
// The built engine. Programs import nothing of dist/ but behind it, so that they can say what is missing, and explain themselves without.
import { existsSync } from "node:fs";
import { fail } from "./flags.js";

const built = new URL("../dist/engine/index.js", import.meta.url);

/** Opens an adapter, or ends the program with a line that says how to mend it. @param {string | undefined} adapter part of its name */
export async function openEngine(adapter) {
  if (!existsSync(built)) return fail("Kiln is not built yet; run `npm run setup`");
  /** @type {typeof import("../engine/index.ts")} */
  const engine = await import(built.href);
  try {
    return { engine, device: await engine.openDevice(adapter ? { adapter } : {}) };
  } catch (error) {
    return fail(/** @type {Error} */ (error).message);
  }
}
