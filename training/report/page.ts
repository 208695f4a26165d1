// The whole page around the sections.
import { html, Html } from "./html.ts";
import type { Section } from "./section.ts";
import { STYLE } from "./style.ts";

/** One HTML file that needs no other and runs no script. */
export function page(title: string, subtitle: string, sections: readonly Section[]): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        ${new Html(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <div class="page">
          <header>
            <h1>${title}</h1>
            <p>${subtitle}</p>
            <nav aria-label="Contents">
              <ul>
                ${sections.map(({ id, title: name }) => html`<li><a href="#${id}">${name}</a></li> `)}
              </ul>
            </nav>
          </header>
          <main>
            ${sections.map(
              ({ id, title: name, body }) =>
                html`<section id="${id}" aria-labelledby="${id}-title">
                  <h2 id="${id}-title">${name}</h2>
                  ${body}
                </section> `,
            )}
          </main>
        </div>
      </body>
    </html> `.text;
}
