// Reads the imports of the sources with TypeScript's own parser (no type checking: fast), for test/architecture.test.ts.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import ts from "typescript";

/** Sources by path from the repository's root, with forward slashes. */
export type Sources = Map<string, string>;

export interface Import {
  /** As written: "./shape.ts", "#files", "node:fs". */
  specifier: string;
  /** Paths of sources it may lead to (several for a conditional "#name"); empty for packages and Node's modules. */
  targets: string[];
  /** Erased by the compiler: cannot close a cycle at run time. */
  typeOnly: boolean;
}

export interface Module {
  path: string;
  imports: Import[];
  /** Names used but neither declared nor imported in the file: globals. */
  globals: Set<string>;
}

const SKIPPED = new Set(["node_modules", "dist", "runs"]);

/** All .ts and .js files under `folders` (those that exist) of `root`. */
export function readSources(root: string, folders: readonly string[]): Sources {
  const sources: Sources = new Map();
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) walk(path);
      else if (/\.(ts|js)$/.test(entry.name)) sources.set(path, readFileSync(join(root, path), "utf8"));
    }
  };
  for (const folder of folders) if (existsSync(join(root, folder))) walk(folder);
  return sources;
}

/** package.json's `imports` and `exports`, as specifier -> all source files that some condition chooses. */
export function aliasesOf(manifest: { name: string; imports?: object; exports?: object }): Map<string, string[]> {
  const leaves = (value: unknown): string[] => {
    if (typeof value === "string")
      return value.endsWith(".ts") && !value.endsWith(".d.ts") ? [posix.normalize(value)] : [];
    return typeof value === "object" && value !== null ? Object.values(value).flatMap(leaves) : [];
  };
  const aliases = new Map<string, string[]>();
  for (const [name, value] of Object.entries(manifest.imports ?? {})) aliases.set(name, leaves(value));
  for (const [name, value] of Object.entries(manifest.exports ?? {})) {
    aliases.set(posix.join(manifest.name, name), leaves(value));
  }
  return aliases;
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) {
    if (node.isTypeOnly) return true;
    const clause = node.exportClause;
    return clause !== undefined && ts.isNamedExports(clause) && clause.elements.every((element) => element.isTypeOnly);
  }
  // `import { type X } from` stays a run-time import under verbatimModuleSyntax; only `import type` is erased.
  return node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

/** Whether an identifier introduces a name that the file's code can then use. */
function declares(node: ts.Identifier): boolean {
  const parent = node.parent;
  const scoped =
    ts.isVariableDeclaration(parent) ||
    ts.isParameter(parent) ||
    ts.isBindingElement(parent) ||
    ts.isFunctionDeclaration(parent) ||
    ts.isClassDeclaration(parent) ||
    ts.isImportClause(parent) ||
    ts.isNamespaceImport(parent) ||
    ts.isImportSpecifier(parent);
  return scoped && parent.name === node;
}

/** Whether an identifier stands for a value, rather than naming a property, a member, a label or a type. */
function isReference(node: ts.Identifier): boolean {
  const parent = node.parent;
  if (ts.isShorthandPropertyAssignment(parent)) return true;
  if (ts.isTypeNode(parent) || ts.isQualifiedName(parent) || ts.isImportSpecifier(parent)) return false;
  const named = parent as ts.Node & { name?: ts.Node; propertyName?: ts.Node; label?: ts.Node };
  return named.name !== node && named.propertyName !== node && named.label !== node;
}

export function parseModule(path: string, text: string, aliases: Map<string, string[]>): Module {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const imports: Import[] = [];
  const declared = new Set<string>();
  const used = new Set<string>();
  const add = (specifier: ts.Node | undefined, typeOnly: boolean): void => {
    if (specifier === undefined || !ts.isStringLiteral(specifier)) return;
    const name = specifier.text;
    const targets = name.startsWith(".") ? [posix.join(posix.dirname(path), name)] : (aliases.get(name) ?? []);
    imports.push({ specifier: name, targets, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node));
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    if (ts.isIdentifier(node)) {
      if (declares(node)) declared.add(node.text);
      else if (isReference(node)) used.add(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return { path, imports, globals: new Set([...used].filter((name) => !declared.has(name))) };
}

export function parseAll(sources: Sources, aliases: Map<string, string[]>): Module[] {
  return [...sources].map(([path, text]) => parseModule(path, text, aliases));
}

/** One path through each import cycle that a depth-first walk meets, as "a -> b -> a"; type-only imports don't count. */
export function findCycles(modules: readonly Module[]): string[] {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const finished = new Set<string>();
  const trail: string[] = [];
  const cycles: string[] = [];
  const walk = (path: string): void => {
    const seenAt = trail.indexOf(path);
    if (seenAt >= 0) cycles.push([...trail.slice(seenAt), path].join(" -> "));
    if (seenAt >= 0 || finished.has(path)) return;
    trail.push(path);
    for (const { typeOnly, targets } of byPath.get(path)?.imports ?? []) if (!typeOnly) targets.forEach(walk);
    trail.pop();
    finished.add(path);
  };
  for (const module of modules) walk(module.path);
  return cycles;
}
