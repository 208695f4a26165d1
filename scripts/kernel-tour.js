// @ts-check
/** docs/kernels/ as one page beside the page that trains, for readers without the repository. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "docs", "kernels");

/** @param {string} text */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** As in a heading's anchor on GitHub. @param {string} heading */
const slug = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\w -]/g, "")
    .replaceAll(" ", "-");

/** Code, links, bold and italics. @param {string} text @param {string} page its file's name without .md */
function inline(text, page) {
  return text
    .split(/(`[^`]+`)/)
    .map((part) => {
      if (part.startsWith("`")) return `<code>${escaped(part.slice(1, -1))}</code>`;
      return escaped(part)
        .replace(/\*\*([^*]+)\*\*/g, "<strong>$1</strong>")
        .replace(/\*([^* ][^*]*)\*/g, "<em>$1</em>");
    })
    .join("")
    .replace(/\[([^\]]+)\]\(([^)]+)\)/g, (_all, /** @type {string} */ words, /** @type {string} */ to) => {
      const address = target(to, page);
      return address ? `<a href="${address}">${words}</a>` : words;
    });
}

/** @param {string} to @param {string} page @returns {string | null} null for what is not on this page */
function target(to, page) {
  if (to.startsWith("https:")) return to;
  const found = /^(?:([\w-]+)\.md)?(?:#(.*))?$/.exec(to);
  if (!found) return null;
  const [, other = page, part] = found;
  return part ? `#${other}-${part}` : `#${other}`;
}

/** @param {string} line a row of a table */
const cells = (line) =>
  line
    .slice(1, -1)
    .split("|")
    .map((cell) => cell.trim());

/** @param {string} block a table @param {string} page */
function table(block, page) {
  const [head = "", , ...rows] = block.split("\n");
  const row = (/** @type {string} */ line, /** @type {string} */ tag) =>
    `<tr>${cells(line)
      .map((cell) => `<${tag}>${inline(cell, page)}</${tag}>`)
      .join("")}</tr>`;
  const body = rows.map((line) => row(line, "td")).join("");
  return `<div class="scroll" tabindex="0"><table><thead>${row(head, "th")}</thead><tbody>${body}</tbody></table></div>`;
}

/** @param {string} text */
function fence(text) {
  const [first = "", ...lines] = text.split("\n");
  const code = lines.slice(0, -1).map((line) => {
    const mark = first.startsWith("```diff") ? { "-": "del", "+": "ins" }[line[0] ?? ""] : undefined;
    return mark ? `<${mark}>${escaped(line)}</${mark}>` : escaped(line);
  });
  return `<pre tabindex="0">${code.join("\n")}</pre>`;
}

/** @param {string} text Markdown as docs/kernels/ uses it: headings, paragraphs, tables, fences @param {string} page */
export function html(text, page) {
  const blocks = text.match(/^```[^]*?^```$|(?:^(?!```).+\n?)+/gm) ?? [];
  return blocks
    .map((block) => block.trimEnd())
    .map((block) => {
      if (block.startsWith("```")) return fence(block);
      if (block.startsWith("|")) return table(block, page);
      const heading = /^(#+) (.*)$/.exec(block);
      if (!heading) return `<p>${inline(block, page)}</p>`;
      const [, marks = "", words = ""] = heading;
      const id = marks.length === 1 ? page : `${page}-${slug(words)}`;
      return `<h${marks.length} id="${id}">${inline(words, page)}</h${marks.length}>`;
    })
    .join("\n");
}

const style = `
:root { color-scheme: light dark; }
body { max-width: 80ch; margin: 0 auto; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { margin-top: 3rem; }
pre, .scroll { overflow-x: auto; }
pre { padding: 0.75rem; border: 1px solid gray; border-radius: 8px; font-size: 0.8125rem; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.2rem 0.7rem 0.2rem 0; border-bottom: 1px solid gray; text-align: left; vertical-align: top; }
del, ins { text-decoration: none; }
del { color: light-dark(#b3261e, #ff8a80); }
ins { color: light-dark(#00694b, #3ecf9f); }
a { color: light-dark(#0059a3, #8cc4ff); }
`;

export function kernelTourPage() {
  const order = ["README.md", "matmul.md", "convolution.md", "winograd.md"];
  const names = readdirSync(folder).filter((name) => name.endsWith(".md") && !order.includes(name));
  const pages = [...order, ...names].map((name) => {
    return html(readFileSync(join(folder, name), "utf8"), name.replace(/\.md$/, ""));
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>Kiln: the kernel tour</title>
<link rel="icon" href="./icon.svg" type="image/svg+xml" />
<style>${style}</style>
</head>
<body>
<p><a href="./">Back to Kiln</a></p>
<main>
${pages.join("\n")}
</main>
</body>
</html>
`;
}

/**
 * Writes `kernel-tour.html`.
 * @returns {import("vite").Plugin}
 */
export function kernelTour() {
  return {
    name: "kiln-kernel-tour",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "kernel-tour.html", source: kernelTourPage() });
    },
    configureServer(server) {
      server.middlewares.use("/kernel-tour.html", (_request, response) => {
        response.setHeader("Content-Type", "text/html");
        response.end(kernelTourPage());
      });
    },
  };
}
