// WGSL in pieces, to be coloured: enough for reading, no parser.

export type Kind = "comment" | "attribute" | "keyword" | "type" | "number";
export type Token = readonly [kind: Kind | null, text: string];

const KINDS: readonly (readonly [Kind, RegExp])[] = [
  ["comment", /\/\/[^\n]*|\/\*[^]*?\*\//],
  ["attribute", /@\w+/],
  [
    "keyword",
    /\b(?:alias|break|case|const|continue|default|else|enable|fn|for|if|let|loop|return|struct|switch|var|while)\b/,
  ],
  [
    "type",
    /\b(?:vec[234][fhiu]?|mat[234]x[234][fh]?|array|atomic|bool|f16|f32|i32|u32|ptr|storage|uniform|workgroup|private|read_write|read|subgroup_matrix\w*)\b/,
  ],
  ["number", /\b(?:0x[\da-f]+|\d+\.?\d*(?:e[+-]?\d+)?)[fhiu]?\b/],
];
const ANY = new RegExp(KINDS.map(([, { source }]) => `(${source})`).join("|"), "gi");

/** The text again, in order; null is all that has no colour. */
export function tokens(wgsl: string): Token[] {
  const found: Token[] = [];
  let end = 0;
  for (const match of wgsl.matchAll(ANY)) {
    if (match.index > end) found.push([null, wgsl.slice(end, match.index)]);
    const kind = KINDS.findIndex((_, i) => match[i + 1] !== undefined);
    found.push([KINDS[kind][0], match[0]]);
    end = match.index + match[0].length;
  }
  if (end < wgsl.length) found.push([null, wgsl.slice(end)]);
  return found;
}

/** Invocations of a workgroup: the attribute's numbers or constants, multiplied. Null where they are something else. */
export function workgroupSize(wgsl: string): number | null {
  const sizes = /@workgroup_size\(([^)]*)\)/
    .exec(wgsl)?.[1]
    .split(",")
    .map((part) => valueOf(part.trim(), wgsl));
  const product = sizes?.reduce((all, one) => all * one, 1) ?? NaN;
  return Number.isFinite(product) ? product : null;
}

function valueOf(text: string, wgsl: string): number {
  if (/^\d+u?$/.test(text)) return parseInt(text);
  const constant = new RegExp(`^const ${text}\\b[^=]*= *(\\d+)u?;`, "m").exec(wgsl);
  return constant ? Number(constant[1]) : NaN;
}
