import { describe, expect, it } from "vitest";
import { missingDriverFiles } from "../../cli/commands/shared/driver-files.ts";

describe("missingDriverFiles", () => {
  it("names the variable that counts, where none of its files exists", () => {
    const here = import.meta.filename;
    expect(missingDriverFiles({})).toBeNull();
    expect(missingDriverFiles({ VK_DRIVER_FILES: "/no.json" })).toMatch(/^VK_DRIVER_FILES is set to \/no\.json, /);
    expect(missingDriverFiles({ VK_ICD_FILENAMES: "/no.json" })).toMatch(/^VK_ICD_FILENAMES is set/);
    expect(missingDriverFiles({ VK_DRIVER_FILES: here, VK_ICD_FILENAMES: "/no.json" })).toBeNull();
    expect(missingDriverFiles({ VK_DRIVER_FILES: `/no.json:${here}` })).toBeNull();
  });
});
