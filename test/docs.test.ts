// Keeps README.md and docs/*.md true. By the words after a code block's language:
//   ```ts run        is executed on the test device; where its console.log lines end in comments, these are what it must print
//   ```wgsl run      is compiled by Tint
//   ```ts from PATH  (any language) quotes that file: its lines follow one another there; a line "..." (or "// ...") skips some
//   ```diff from PATH to PATH  quotes the first file in its lines with " " and "-", the second in those with " " and "+"
// Blocks without such a word are only shown. Relative links must lead to files, and to headings where they have a "#".
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { inspect } from "node:util";
import { runInThisContext } from "node:vm";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";
import * as engine from "../engine/index.ts";
import { settle } from "#open-gpu";
import * as nn from "../nn/index.ts";
import * as training from "../training/index.ts";
import { testDevice } from "./support/gpu.ts";

interface Block {
  readonly language: string;
  readonly text: string;
  /** "docs/memory.md:12" */
  readonly place: string;
  /** "run", or "from" with `path`, in a diff also with `to`. */
  readonly mark: string;
  readonly path: string;
  readonly to?: string;
}

const root = join(import.meta.dirname, "..");
const docs = existsSync(join(root, "docs"))
  ? readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
  : [];
const pages = ["README.md", "CHANGELOG.md", ...docs.map((name) => join("docs", name))].filter(
  (path) => path.endsWith(".md") && existsSync(join(root, path)),
);
const textOf = (page: string): string => readFileSync(join(root, page), "utf8");

function blocksOf(page: string, text: string): Block[] {
  return [...text.matchAll(/^```(\w+) (run|from)(?: (\S+))?(?: to (\S+))?\n([^]*?)^```$/gm)].map((match) => {
    const [, language, mark, path, to] = match as unknown as [string, string, string, string?, string?];
    const line = text.slice(0, match.index).split("\n").length;
    return { language, text: match[5], place: `${page}:${line}`, mark, path: path ?? "", ...(to && { to }) };
  });
}

const blocks = pages.flatMap((page) => blocksOf(page, textOf(page)));
const marked = (language: RegExp, mark: string): [string, Block][] =>
  blocks.filter((block) => language.test(block.language) && block.mark === mark).map((block) => [block.place, block]);

/** The shared device under another name: a page's `using device = await openDevice()` must not close it for the other tests. */
async function borrowedDevice(): Promise<engine.Device> {
  const device = await testDevice();
  const own = new Map<string | symbol, unknown>([
    ["dispose", () => undefined],
    [Symbol.dispose, () => undefined],
  ]);
  return new Proxy(device, {
    get: (target, name) => {
      if (own.has(name)) return own.get(name);
      const value: unknown = Reflect.get(target, name, target);
      // Methods reach private fields, which a proxy does not have.
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

const modules: Record<string, object> = {
  "kiln/engine": { ...engine, openDevice: borrowedDevice },
  "kiln/nn": nn,
  "kiln/training": training,
};

/** Runs a program and returns the lines it printed. */
async function run(code: string, place: string): Promise<string[]> {
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS };
  const { outputText } = ts.transpileModule(code, { compilerOptions });
  const filename = place.replace(":", "-");
  const program = runInThisContext(`(async (require, console, exports) => {${outputText}\n})`, { filename }) as (
    require: (name: string) => object,
    console: object,
    exports: object,
  ) => Promise<void>;
  const lines: string[] = [];
  const load = (name: string): object => {
    const found = modules[name];
    if (!found) throw new Error(`${place}: imports ${name}; there are ${Object.keys(modules).join(", ")}`);
    return found;
  };
  const log = (...values: unknown[]): void => {
    lines.push(values.map((value) => (typeof value === "string" ? value : inspect(value, { depth: 9 }))).join(" "));
  };
  await program(load, { log }, {});
  return lines;
}

/** What the comments behind console.log say that it prints. */
const promised = (code: string): string[] =>
  [...code.matchAll(/console\.log\(.*\); \/\/ (.+)$/gm)].map(([, output]) => output);

/** Pages may write [1, 2] for Node's [ 1, 2 ]. */
const unspaced = (line: string): string => line.replaceAll(" ", "");

const linesOf = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

/** The parts of a quotation, between its lines "...", that do not stand in the source behind the parts before them. */
function misquoted(quotation: string, source: string): string[] {
  const lines = linesOf(source);
  const isThere = (part: readonly string[], at: number): boolean => part.every((line, i) => lines[at + i] === line);
  let next = 0;
  return linesOf(quotation)
    .join("\n")
    .split(/^(?:\/\/ )?\.\.\.$/m)
    .map(linesOf)
    .filter((part) => {
      if (part.length === 0) return false;
      const found = lines.findIndex((_, at) => at >= next && isThere(part, at));
      if (found >= 0) next = found + part.length;
      return found < 0;
    })
    .map((part) => part.join("\n"));
}

/** The parts of a diff that its two files do not have in this order. A line "..." skips some of both. */
function misquotedDiff(diff: string, before: string, after: string): string[] {
  const side = (sign: string): string =>
    diff
      .split("\n")
      .filter((line) => line === "..." || line.startsWith(sign) || line.startsWith(" "))
      .map((line) => (line === "..." ? line : line.slice(1)))
      .join("\n");
  return [...misquoted(side("-"), before), ...misquoted(side("+"), after)];
}

/** A heading's anchor, as GitHub makes it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(" ", "-");

const anchorsOf = (text: string): string[] => [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading));

/** Relative links of a page that lead nowhere. */
function brokenLinks(page: string, text: string): string[] {
  const prose = text.replace(/^```[^]*?^```$/gm, "").replace(/`[^`\n]*`/g, "");
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link);
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path, anchor] = link.split("#") as [string, string?];
      const file = path === "" ? page : relative(root, join(root, dirname(page), path));
      if (file.startsWith("..") || !existsSync(join(root, file))) return true;
      return anchor !== undefined && file.endsWith(".md") && !anchorsOf(textOf(file)).includes(anchor);
    })
    .map((link) => `${page}: ${link}`);
}

describe("the documentation", () => {
  beforeAll(testDevice);

  it.each(marked(/^ts$/, "run"))("%s runs and prints what it says", async (place, block) => {
    const device = await testDevice();
    const family = device.family;
    const lines = await run(block.text, place);
    expect(device.family).toBe(family);
    const want = promised(block.text);
    if (want.length > 0) expect(lines.map(unspaced)).toEqual(want.map(unspaced));
  });

  it.each(marked(/^wgsl$/, "run"))("%s compiles", async (_place, block) => {
    const module = (await testDevice()).gpu.createShaderModule({ code: block.text });
    const { messages } = await settle(module.getCompilationInfo());
    expect(messages.filter(({ type }) => type === "error").map(({ message }) => message)).toEqual([]);
  });

  it.each(marked(/./, "from"))("%s quotes its source", (_place, block) => {
    const source = readFileSync(join(root, block.path), "utf8");
    if (block.to === undefined) expect(misquoted(block.text, source)).toEqual([]);
    else expect(misquotedDiff(block.text, source, readFileSync(join(root, block.to), "utf8"))).toEqual([]);
  });

  it("links to what exists", () => {
    expect(pages.flatMap((page) => brokenLinks(page, textOf(page)))).toEqual([]);
  });
});

describe("the checks above", () => {
  it("find marked blocks, with their places", () => {
    const text = "# A\n\n```ts run\nlet a = 1;\n```\n\n```ts\nshown\n```\n```wgsl from a/b.wgsl\nfn f() {}\n```\n";
    expect(blocksOf("a.md", text)).toEqual([
      { language: "ts", mark: "run", path: "", place: "a.md:3", text: "let a = 1;\n" },
      { language: "wgsl", mark: "from", path: "a/b.wgsl", place: "a.md:10", text: "fn f() {}\n" },
    ]);
  });

  it("run programs, and read what they promise", async () => {
    const code = 'import { sizeOf } from "kiln/engine";\nconsole.log([sizeOf([2, 3])]); // [ 6 ]\n';
    expect(await run(code, "a.md:1")).toEqual(promised(code));
    await expect(run('import { x } from "left-pad"; x();', "a.md:1")).rejects.toThrow("a.md:1: imports left-pad");
    await expect(run('await 1; throw new Error("no");', "a.md:1")).rejects.toThrow("no");
  });

  it("find misquoted lines", () => {
    expect(misquoted("b\n// ...\n  d\n", "a\n b\nc\nd")).toEqual([]);
    expect(misquoted("d\n...\nb\n", "a\nb\nc\nd")).toEqual(["b"]);
    expect(misquoted("b\nd\n", "a\nb\nc\nd")).toEqual(["b\nd"]);
    expect(misquoted("e\n", "a\nb")).toEqual(["e"]);
  });

  it("find misquoted lines of either side of a diff", () => {
    const text = "```diff from a.wgsl to b.wgsl\n a\n-b\n+c\n...\n d\n```\n";
    const [block] = blocksOf("a.md", text);
    expect(block).toMatchObject({ path: "a.wgsl", to: "b.wgsl" });
    expect(misquotedDiff(block.text, "a\nb\nx\nd", "a\nc\nd")).toEqual([]);
    expect(misquotedDiff(block.text, "a\nd", "a\nb\nd")).toEqual(["a\nb", "a\nc"]);
  });

  it("find broken links", () => {
    const text = "## One, two\n[a](#one-two) [b](#three) [c](gone.md) [d](https://e.org) `[e](f)` [g](../package.json)";
    expect(brokenLinks("docs/new.md", text)).toContain("docs/new.md: gone.md");
    expect(anchorsOf(text)).toEqual(["one-two"]);
    expect(brokenLinks("docs/new.md", "[g](../package.json) [h](../../secret)")).toEqual(["docs/new.md: ../../secret"]);
  });
});
