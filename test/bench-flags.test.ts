// The programs of bench/ refuse what is wrong in one line, with exit status 2, before anything is measured.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const run = (name: string, ...flags: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, "../bench", `${name}.js`), ...flags], { encoding: "utf8" });

describe.each<[string, [flags: string[], message: string]]>([
  ["matmul", [["--sizes", "64,0"], "--sizes 0: must be a whole number from 1 on"]],
  ["conv2d", [["--batch-size", "many"], "--batch-size many: must be a whole number from 1 on"]],
  ["matrix-check", [["--rounds", "1.5"], "--rounds 1.5: must be a whole number from 1 on"]],
  ["ladder", [["--family", "sorting"], "--family sorting: there are matmul, conv2d"]],
  ["compiler", [["--precision", "f16"], "--precision f16: must be f32 or mixed"]],
  ["real-gpu", [["--out", "unused", "--minutes", "abc"], "--minutes abc: must be a number above 0"]],
])("bench/%s.js", (name, [flags, message]) => {
  it("refuses unknown flags, words and values", () => {
    for (const [wrong, said] of [
      [["--frob"], "Unknown option '--frob'"],
      [["word"], "Unexpected argument 'word'"],
      [flags, message],
    ] as const) {
      const { status, stdout, stderr } = run(name, ...wrong);
      expect([status, stdout]).toEqual([2, ""]);
      expect(stderr.startsWith(`${name}: ${said}`), stderr).toBe(true);
      expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    }
  });

  it("explains itself", () => {
    const { status, stdout, stderr } = run(name, "--help");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^ {2}--\w+/m);
  });
});
