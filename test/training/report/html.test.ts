// The report's HTML: nothing that a user named can become a tag.
import { describe, expect, it } from "vitest";
import { page } from "../../../training/report/page.ts";
import { showRate } from "../../../training/lr-finder/suggest.ts";
import { duration } from "../../../training/report/format.ts";
import { escapeHtml, html, table } from "../../../training/report/html.ts";

const EVIL = `<script>alert("1")</script>&'`;
const SAFE = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;";

describe("html", () => {
  it("escapes text, keeps HTML, joins lists, leaves out nothing at all", () => {
    expect(escapeHtml(EVIL)).toBe(SAFE);
    expect(html`<b title="${EVIL}">${EVIL}</b>`.text).toBe(`<b title="${SAFE}">${SAFE}</b>`);
    expect(html`${html`<i>${"<"}</i>`}${[1, html`<br />`, "&"]}${null}${undefined}${false}${0}`.text).toBe(
      "<i>&lt;</i>1<br />&amp;0",
    );
  });
  it("escapes cells, heads and captions of tables, and the page's title", () => {
    const { text } = table(EVIL, [{ head: EVIL, cell: (row: string) => row }], [EVIL]);
    expect(text).not.toContain("<script");
    expect(text.split(SAFE).length - 1).toBe(4);
    expect(page(EVIL, EVIL, [{ id: "a", title: EVIL, body: html``, figures: [] }])).not.toContain("<script");
  });
  it("writes rates as range tests print them, and times", () => {
    expect([1.91e-3, 10, 5.34, 1e-10].map(showRate)).toEqual(["1.91E-03", "1.00E+01", "5.34E+00", "1.00E-10"]);
    expect([3.21, 90, 3599, 9360].map(duration)).toEqual(["3.2 s", "2 min", "1 h 0 min", "2 h 36 min"]);
  });
});
