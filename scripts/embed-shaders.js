// @ts-check
// Writes shaders/kernels.ts from shaders/<family>/*.wgsl: the text, and what TypeScript must know about it (bindings, Params
// offsets, replaceable declarations), so that a wrong binding name is a type error and nothing parses WGSL at run time.
// Files whose name begins with a digit are rungs of the kernel tour (docs/kernels): they go into shaders/ladder.ts, without the
// number in their names, and no program carries them along.
import { readdirSync, readFileSync, writeFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
// The package's main entry is CommonJS in a "type": "module" package and does not load in Node.
import { WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";

const root = fileURLToPath(new URL("../shaders/", import.meta.url));

/**
 * Replaces every function body by `{ }`: the reflection needs declarations only, and cannot parse some bodies. Nor does it know the
 * types of subgroup matrices, which only bodies use.
 *
 * @param {string} wgsl
 */
function emptyBodies(wgsl) {
  let text = wgsl.replace(/\/\/[^\n]*/g, "").replace(/^alias \w+ = subgroup_matrix_[^;]*;/gm, "");
  let out = "";
  for (;;) {
    const match = /\bfn\s+\w+\s*\(/.exec(text);
    if (!match) return out + text;
    const open = text.indexOf("{", match.index);
    out += text.slice(0, open);
    let depth = 0;
    let end = open;
    do {
      if (text[end] === "{") depth++;
      if (text[end] === "}") depth--;
      end++;
    } while (depth > 0);
    // A value-returning function must still return, or the reflection would see another signature.
    out += "{ }";
    text = text.slice(end);
  }
}

/** @param {{ name: string, size?: number, count?: number, format?: { name: string } }} type */
function scalar(type) {
  const leaf = type.format && type.name !== "vec4" ? type.format : type;
  const text = `${leaf.name}${type.format && /^vec[234]$/.test(type.name) ? `<${type.format.name}>` : ""}`;
  if (/f32|vec[234]f/.test(text)) return "f32";
  if (/i32|vec[234]i/.test(text)) return "i32";
  return "u32";
}

/** @param {string} path @param {string} name */
function describe(path, name) {
  const wgsl = readFileSync(path, "utf8");
  const entryPoints = wgsl.match(/@compute/g)?.length ?? 0;
  if (entryPoints !== 1) throw new Error(`${path}: ${entryPoints} entry points, a kernel file has exactly one`);
  const reflect = reflectOf(path, wgsl);
  const bindings = reflect.storage
    .map((v) => ({ name: v.name, binding: v.binding, access: v.access === "read_write" ? "read_write" : "read" }))
    .sort((a, b) => a.binding - b.binding);
  bindings.forEach((b, i) => {
    if (b.binding !== i) throw new Error(`${path}: bindings must be numbered 0.. in order, ${b.name} has ${b.binding}`);
  });
  /** @type {Record<string, {offset: number, type: string, length: number}>} */
  const fields = {};
  const uniform = reflect.uniforms[0];
  if (uniform && (uniform.name !== "params" || uniform.binding !== bindings.length)) {
    throw new Error(`${path}: the uniform must be "params" with binding ${bindings.length}`);
  }
  const struct = /** @type {import("wgsl_reflect").StructInfo | undefined} */ (uniform?.type);
  for (const member of struct?.members ?? []) {
    fields[member.name] = { offset: member.offset, type: scalar(member.type), length: member.type.size / 4 };
  }
  const declared = [
    ...wgsl.matchAll(/^const (\w+)\s*(?::\s*\w+)?\s*=/gm),
    ...wgsl.matchAll(/^alias (\w+)\s*=/gm),
    ...wgsl.matchAll(/^fn (\w+)\([^\n]*\}\s*$/gm),
  ].map((m) => m[1]);
  return {
    name,
    bindings: bindings.map(({ name, access }) => ({ name, access })),
    params: { size: uniform ? Math.ceil(uniform.size / 16) * 16 : 0, fields },
    declarations: declared,
    subgroups: /^enable subgroups/m.test(wgsl),
    matrices: /^enable chromium_experimental_subgroup_matrix/m.test(wgsl),
    wgsl,
  };
}

/** @param {string} path @param {string} wgsl */
function reflectOf(path, wgsl) {
  try {
    return new WgslReflect(emptyBodies(wgsl));
  } catch (error) {
    // The library is one minified line: without this, Node would print all of it above the stack.
    console.error(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}

/** @param {string} s */
const camel = (s) => s.replace(/-(\w)/g, (_, c) => c.toUpperCase());

/** The name in the generated module: "gather-row" and "3-gather-row" are both gatherRow. @param {string} stem */
const nameOf = (stem) => camel(stem.replace(/^\d+-/, ""));

/** @param {string} variable @param {(file: string) => boolean} belongs */
function moduleOf(variable, belongs) {
  /** @type {string[]} */
  const families = [];
  for (const family of readdirSync(root, { withFileTypes: true })
    .filter((d) => d.isDirectory())
    .map((d) => d.name)
    .sort()) {
    const stems = readdirSync(join(root, family))
      .filter((f) => f.endsWith(".wgsl") && belongs(f))
      .sort()
      .map((f) => f.slice(0, -5));
    if (stems.length === 0) continue;
    const twice = stems.find((stem, i) => stems.findIndex((other) => nameOf(other) === nameOf(stem)) !== i);
    if (twice) throw new Error(`shaders/${family}: two files have the name ${nameOf(twice)} without their number`);
    const rows = stems.map(
      (stem) =>
        `    ${nameOf(stem)}: ${JSON.stringify(describe(join(root, family, `${stem}.wgsl`), `${family}/${stem}`))},`,
    );
    families.push(`  ${camel(family)}: {\n${rows.join("\n")}\n  },`);
  }
  return `// Generated by scripts/embed-shaders.js from the .wgsl files beside it. Do not edit.\nexport const ${variable} = {\n${families.join("\n")}\n} as const;\n`;
}

/** @param {string} file @param {string} text */
function writeIfNew(file, text) {
  const out = join(root, file);
  if (!existsSync(out) || readFileSync(out, "utf8") !== text) writeFileSync(out, text);
}

export function embed() {
  writeIfNew(
    "kernels.ts",
    moduleOf("kernels", (file) => !/^\d/.test(file)),
  );
  writeIfNew(
    "ladder.ts",
    moduleOf("ladder", (file) => /^\d/.test(file)),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) embed();
