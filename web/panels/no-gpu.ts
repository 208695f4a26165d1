// What to do where there is no WebGPU.
import { byId, element } from "../parts/dom.ts";

const WAYS: readonly (readonly [browser: string, what: string])[] = [
  [
    "Chrome and Edge",
    "113 or newer on Windows, macOS and ChromeOS, 121 or newer on Android. On Linux, 144 or newer, or turn on chrome://flags/#enable-unsafe-webgpu and chrome://flags/#enable-vulkan. chrome://gpu says why it is off.",
  ],
  [
    "Firefox",
    "141 or newer on Windows, 145 or newer on macOS. Elsewhere set dom.webgpu.enabled to true in about:config.",
  ],
  ["Safari", "26 or newer, on macOS Tahoe, iOS 26 and visionOS 26. Before: Settings, Feature Flags, WebGPU."],
  [
    "Any browser",
    "The page must come over https or from localhost: WebGPU is hidden from plain http. Hardware acceleration must be on in the browser's settings.",
  ],
  [
    "No browser",
    "On a machine without a GPU, the command line trains on a software one: npm start in a clone of the project.",
  ],
];

/** @param reason what the engine said */
export function noGpuPanel(reason: string): void {
  const panel = byId("no-gpu", HTMLElement);
  panel.hidden = false;
  panel.replaceChildren(
    element("h2", { id: "no-gpu-title" }, "This browser offers no WebGPU"),
    element("p", {}, `Training happens on this machine's GPU, and the page was told: ${reason}.`),
    element("dl", {}, ...WAYS.flatMap(([browser, what]) => [element("dt", {}, browser), element("dd", {}, what)])),
  );
}
