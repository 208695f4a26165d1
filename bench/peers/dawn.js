// WebGPU in Node for libraries that were written for browsers.
import { setImmediate } from "node:timers";
import { create, globals } from "webgpu";

/** Puts `navigator.gpu` and WebGPU's classes where a browser has them. */
export function installWebGpu({ napping }) {
  Object.assign(globalThis, globals);
  const navigator = { gpu: create([]), userAgent: "node" };
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true, writable: true });
  globalThis.self = globalThis;
  if (napping) installNaps();
}

const NAP_MS = 0.3;
const clock = new Int32Array(new SharedArrayBuffer(4));
let pending = 0;
let ticking = false;

/**
 * While a GPU promise is pending, Dawn's binding polls one core at 100 %. Kiln sleeps between the polls; this gives the same to
 * others, which leaves the difference between the kernels.
 */
function installNaps() {
  const waits = [
    [globals.GPUQueue.prototype, "onSubmittedWorkDone"],
    [globals.GPUBuffer.prototype, "mapAsync"],
  ];
  for (const [prototype, name] of waits) {
    const original = prototype[name];
    prototype[name] = function (...args) {
      pending++;
      if (!ticking) setImmediate(nap);
      ticking = true;
      return original.apply(this, args).finally(() => pending--);
    };
  }
}

function nap() {
  if (pending === 0) {
    ticking = false;
    return;
  }
  Atomics.wait(clock, 0, 0, NAP_MS);
  setImmediate(nap);
}
