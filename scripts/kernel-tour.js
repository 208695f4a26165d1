// @ts-check
/** docs/kernels/ as one page beside the page that trains, for readers without the repository. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Marked } from "marked";

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "docs", "kernels");

/** As in a heading's anchor on GitHub. @param {string} heading */
const slug = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\w -]/g, "")
    .replaceAll(" ", "-");

/**
 * Where a link of the tour leads on the one page.
 * @param {string} to @param {string} page the name, without .md, of the file that it stands in
 * @returns {string | null} null for what is not there: other parts of the repository
 */
function target(to, page) {
  if (to.startsWith("https:")) return to;
  const found = /^(?:([\w-]+)\.md)?(?:#(.*))?$/.exec(to);
  if (!found) return null;
  const [, other = page, part] = found;
  return part ? `#${other}-${part}` : `#${other}`;
}

/** @param {string} text @param {string} page its file's name without .md */
export function html(text, page) {
  /** @type {import("marked").RendererObject} */
  const renderer = {
    heading({ tokens, depth, text: words }) {
      const id = depth === 1 ? page : `${page}-${slug(words)}`;
      return `<h${depth} id="${id}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
    },
    link({ href, tokens }) {
      const address = target(href, page);
      const words = this.parser.parseInline(tokens);
      return address === null ? words : `<a href="${address}">${words}</a>`;
    },
    code({ text: code, lang }) {
      const lines = code.split("\n").map((line) => {
        const safe = line.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
        const mark = lang?.startsWith("diff") ? { "-": "del", "+": "ins" }[line[0] ?? ""] : undefined;
        return mark ? `<${mark}>${safe}</${mark}>` : safe;
      });
      return `<pre tabindex="0">${lines.join("\n")}</pre>\n`;
    },
  };
  return new Marked({ renderer, async: false }).parse(text);
}
const style = `
:root { color-scheme: light dark; }
body { max-width: 80ch; margin: 0 auto; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { margin-top: 3rem; }
pre, table { overflow-x: auto; }
pre { padding: 0.75rem; border: 1px solid gray; border-radius: 8px; font-size: 0.8125rem; }
table { display: block; border-collapse: collapse; font-size: 0.9rem; }
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
