// How a page opens its GPU, with a stand-in for the browser's `navigator`.
import { afterEach, describe, expect, it, vi } from "vitest";
import { openGpu } from "../../engine/gpu/open.browser.ts";
import { NoAdapterError } from "../../engine/index.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

const browser = (adapter: object | null) => ({ gpu: { requestAdapter: () => Promise.resolve(adapter) } });

describe("opening a GPU in a browser", () => {
  it("hands out the browser's adapter", async () => {
    const adapter = {};
    vi.stubGlobal("navigator", browser(adapter));
    const access = await openGpu();
    expect(access.adapter).toBe(adapter);
    expect(await access.quietly(() => Promise.resolve(7))).toBe(7);
  });

  it("says where to look when there is no adapter, and no command that a page cannot run", async () => {
    vi.stubGlobal("navigator", browser(null));
    const { adapter, advice } = await openGpu();
    expect(adapter).toBeNull();
    expect(advice).toContain("chrome://gpu");
    expect(advice).not.toContain("npm");
  });

  it("tells a browser without WebGPU by the same error class", async () => {
    vi.stubGlobal("navigator", {});
    await expect(openGpu()).rejects.toThrow(NoAdapterError);
    await expect(openGpu()).rejects.toThrow("https or from localhost");
  });

  it("refuses to choose an adapter by name", async () => {
    vi.stubGlobal("navigator", browser({}));
    await expect(openGpu({ adapter: "llvmpipe" })).rejects.toThrow("leave `adapter` out");
  });
});
