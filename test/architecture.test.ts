// The rules of docs/architecture.md about who imports whom, checked on the sources.
import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { aliasesOf, findCycles, type Module, parseAll, parseModule, readSources } from "./support/imports.ts";

/** Each layer and what it may import besides itself: shaders <- engine <- nn <- training <- cli, web. */
const LAYERS: Record<string, readonly string[]> = {
  shaders: [],
  engine: ["shaders"],
  nn: ["engine"],
  training: ["engine", "nn"],
  cli: ["engine", "nn", "training"],
  web: ["engine", "nn", "training"],
};
const PLATFORM_PACKAGES = new Set([
  ...["sharp", "pngjs", "webgpu", "commander", "cli-progress", "linkedom", "@resvg", "dejavu-fonts-ttf"],
  ...builtinModules,
]);
const NODE_GLOBALS = ["process", "Buffer", "require", "__dirname", "__filename"];
const DOM_GLOBALS = ["document", "window", "localStorage", "HTMLElement", "HTMLCanvasElement", "Image"];
/** Not an op: the known-answer check when a device opens. */
const WITHOUT_OP_TEST = new Set(["self-test"]);

const layerOf = (path: string): string => path.split("/")[0];

function layerViolations(modules: readonly Module[]): string[] {
  return modules.flatMap(({ path, imports }) =>
    imports.flatMap(({ specifier, targets }) =>
      targets
        .filter((target) => {
          const from = layerOf(path);
          const to = layerOf(target);
          return to !== from && !LAYERS[from].includes(to);
        })
        .map((target) => `${path} imports ${specifier} (${layerOf(target)})`),
    ),
  );
}

function shaderViolations(modules: readonly Module[]): string[] {
  return modules
    .filter(({ path }) => !path.startsWith("engine/ops/") && layerOf(path) !== "shaders")
    .filter(({ imports }) => imports.some(({ targets }) => targets.some((target) => layerOf(target) === "shaders")))
    .map(({ path }) => `${path} imports shaders: only engine/ops may`);
}

/** The rungs of the kernel tour are for bench/ and the tests: no program may carry them along. */
function ladderViolations(modules: readonly Module[]): string[] {
  return modules
    .filter(({ imports }) => imports.some(({ targets }) => targets.includes("shaders/ladder.ts")))
    .map(({ path }) => `${path} imports the ladder's kernels: only bench/ and tests may`);
}

function platformViolations(modules: readonly Module[]): string[] {
  return modules.flatMap(({ path, imports, globals }) => {
    const node = layerOf(path) === "cli" || path.endsWith(".node.ts");
    const browser = layerOf(path) === "web" || path.endsWith(".browser.ts");
    const packages = imports
      .map(({ specifier }) => specifier)
      // Linkedom's build for workers, where there is no document either.
      .filter((name) => name !== "linkedom/worker")
      .filter((name) => name.startsWith("node:") || PLATFORM_PACKAGES.has(name.split("/")[0]));
    const used = (names: readonly string[]): string[] => names.filter((name) => globals.has(name));
    return [
      ...(node
        ? []
        : [...packages, ...used(NODE_GLOBALS)].map((name) => `${path} uses ${name}: only cli/ and *.node.ts may`)),
      ...(browser ? [] : used(DOM_GLOBALS).map((name) => `${path} uses ${name}: only web/ and *.browser.ts may`)),
    ];
  });
}

/** Files of engine/ops that launch kernels but have no test under their stem. Parts of an op (`conv2d-portable`) share its tests. */
function untestedOps(modules: readonly Module[], tests: ReadonlySet<string>): string[] {
  return modules
    .filter(({ path }) => path.startsWith("engine/ops/"))
    .filter(({ imports }) =>
      imports.some(({ targets, typeOnly }) => !typeOnly && targets.some((t) => layerOf(t) === "shaders")),
    )
    .map(({ path }) => basename(path, ".ts"))
    .filter((stem) => !WITHOUT_OP_TEST.has(stem) && !prefixes(stem).some((op) => tests.has(`test/ops/${op}.test.ts`)))
    .map((stem) => `engine/ops/${stem}.ts has no test/ops/${stem}.test.ts`);
}

/** "a-b-c" -> "a-b-c", "a-b", "a". */
const prefixes = (stem: string): string[] =>
  stem.split("-").map((_, i, parts) => parts.slice(0, parts.length - i).join("-"));

describe("architecture", () => {
  const root = join(import.meta.dirname, "..");
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { name: string };
  const modules = parseAll(readSources(root, Object.keys(LAYERS)), aliasesOf(manifest));

  it("reads the sources", () => {
    expect(modules.some(({ path }) => path === "engine/tensor.ts")).toBe(true);
    expect(modules.flatMap(({ imports }) => imports).length).toBeGreaterThan(modules.length / 2);
  });
  it("nothing imports upwards", () => {
    expect(layerViolations(modules)).toEqual([]);
  });
  it("only engine/ops imports shaders", () => {
    expect(shaderViolations(modules)).toEqual([]);
  });
  it("nothing that programs load imports the ladder's kernels", () => {
    expect(ladderViolations(modules)).toEqual([]);
  });
  it("platform modules and globals stay in their files", () => {
    expect(platformViolations(modules)).toEqual([]);
  });
  it("there are no import cycles", () => {
    expect(findCycles(modules)).toEqual([]);
  });
  it("every op with a kernel has a test of its name", () => {
    expect(untestedOps(modules, new Set(readSources(root, ["test"]).keys()))).toEqual([]);
  });
  it("relative imports end in .ts, so that the sources run unbuilt", () => {
    const loose = modules
      .filter(({ path }) => path.endsWith(".ts") && layerOf(path) !== "web")
      .flatMap(({ path, imports }) => imports.map(({ specifier }) => `${path}: ${specifier}`))
      .filter((line) => /: \.{1,2}\//.test(line) && !line.endsWith(".ts"));
    expect(loose).toEqual([]);
  });
});

describe("the checks above", () => {
  const aliases = new Map([["#files", ["training/files.node.ts"]]]);
  const module = (path: string, text: string): Module => parseModule(path, text, aliases);

  it("see imports of every form, upwards and around", () => {
    const bad = [
      module("engine/tensor.ts", 'export * from "../nn/module.ts";'),
      module("nn/module.ts", 'import type { Files } from "#files";'),
      module("training/late.ts", 'const cli = await import("../cli/commands/train.ts");'),
      module("web/app.ts", 'type T = import("../cli/commands/train.ts").T;'),
      module("nn/layers/conv2d.ts", 'import { kernels } from "../../shaders/kernels.ts";'),
    ];
    expect(layerViolations(bad)).toHaveLength(5);
    expect(shaderViolations(bad)).toHaveLength(1);
    expect(layerViolations([module("cli/train.js", 'import "../training/trainer.ts"; import "commander";')])).toEqual(
      [],
    );
  });
  it("see the ladder in a program", () => {
    const bad = module("engine/ops/matmul.ts", 'import { ladder } from "../../shaders/ladder.ts";');
    expect(ladderViolations([bad, module("engine/ops/unary.ts", 'import "../../shaders/kernels.ts";')])).toHaveLength(
      1,
    );
  });
  it("tell globals from properties, declarations and other names", () => {
    const innocent =
      "const window = 3; f(window, x.process, { document: 1 }); class Image {} type T = { process: number }; type D = typeof T.document;";
    expect(platformViolations([module("engine/a.ts", innocent)])).toEqual([]);
    const guilty =
      'import fs from "fs/promises"; import sharp from "sharp"; f(process.pid, { Buffer }); document.title = "";';
    expect(platformViolations([module("engine/a.ts", guilty)])).toHaveLength(5);
    expect(platformViolations([module("training/a.node.ts", guilty)])).toHaveLength(1);
    expect(platformViolations([module("web/a.ts", guilty)])).toHaveLength(4);
  });
  it("find cycles, but not through types", () => {
    const a = module("nn/a.ts", 'import { b } from "./b.ts";');
    expect(findCycles([a, module("nn/b.ts", 'import { type A } from "./a.ts";')])).toEqual([
      "nn/a.ts -> nn/b.ts -> nn/a.ts",
    ]);
    expect(
      findCycles([a, module("nn/b.ts", 'import type { A } from "./a.ts"; export { type A } from "./a.ts";')]),
    ).toEqual([]);
  });
  it("ask for tests of ops", () => {
    const op = module("engine/ops/conv2d.ts", 'import { kernels } from "../../shaders/kernels.ts";');
    expect(untestedOps([op], new Set())).toHaveLength(1);
    expect(untestedOps([op], new Set(["test/ops/conv2d.test.ts"]))).toEqual([]);
  });
});
