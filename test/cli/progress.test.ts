// What a terminal is sent while a bar is shown.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Output } from "../../cli/commands/shared/output.ts";
import { Progress } from "../../cli/commands/shared/progress.ts";

const { isTTY } = process.stderr;
let sent = "";

beforeEach(() => {
  sent = "";
  process.stderr.isTTY = true;
  vi.spyOn(process.stderr, "write").mockImplementation((text, ...rest: unknown[]) => {
    sent += String(text);
    const done = rest.at(-1);
    if (typeof done === "function") (done as () => void)();
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  process.stderr.isTTY = isTTY;
});

describe("a bar", () => {
  it("goes before a line is printed, so that the cursor never jumps back over it", () => {
    const output = new Output();
    const progress = new Progress(output);
    const show = (): void => progress.show({ title: "epoch", done: 1, total: 4, text: "" });
    show();
    output.note("stopping");
    progress.hide();
    expect(sent).toContain("\x1b7");
    expect(sent.slice(sent.lastIndexOf("\x1b[?7h"))).toMatch(/\x1b8.*stopping\n$/s); // eslint-disable-line no-control-regex
    show();
    expect(sent.endsWith("stopping\n")).toBe(false);
    progress.hide();
    output.note("done");
    expect(sent.endsWith("done\n")).toBe(true);
  });
});
