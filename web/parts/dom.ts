// Finding and making elements.

/** The element with this id. @throws where the page has none, or one of another kind */
export function byId<T extends HTMLElement>(id: string, kind: abstract new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`the page has no ${kind.name} #${id}`);
}

/** `element("button", { type: "button" }, "Train")`: strings become text, never HTML. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Puts a drawing (an SVG text of our own charts) into a figure's `.chart`. */
export function showChart(figure: HTMLElement, svg: string): void {
  const parsed = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  // Plot names its shapes, which are parts of one image here.
  for (const part of parsed.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
  parsed.setAttribute("aria-label", figure.querySelector("figcaption")!.textContent);
  figure.querySelector(".chart")!.replaceChildren(document.importNode(parsed, true));
}

export function options(select: HTMLSelectElement, values: readonly string[], chosen?: string): void {
  select.replaceChildren(...values.map((value) => new Option(value, value, false, value === chosen)));
}

/** Hands a file to the user. */
export function download({ name, type, bytes }: { name: string; type: string; bytes: BlobPart }): void {
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
