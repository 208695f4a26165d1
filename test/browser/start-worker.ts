import { wrap, type Remote } from "comlink";
import { onTestFinished } from "vitest";
import type { WorkerApi } from "./worker.ts";

/** A worker for one test. */
export function startWorker(): { remote: Remote<WorkerApi>; worker: Worker } {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  onTestFinished(() => worker.terminate());
  return { remote: wrap<WorkerApi>(worker), worker };
}
