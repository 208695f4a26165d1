// What the panels share: the worker's session, and what it is doing.
import type { Remote } from "comlink";
import type { DataReport, ModelReport } from "./protocol.ts";
import type { Session } from "./worker/session.ts";
import type { Signal } from "./parts/signal.ts";

/**
 * What the page can do right now. "starting": a GPU is being opened; "none": nothing, for there is no GPU, it was lost, or a run failed;
 * "idle": nothing is under way; "finding", "training": the GPU is taken; "paused": a run waits to be continued.
 */
export type Phase = "starting" | "none" | "idle" | "finding" | "training" | "paused";

export interface App {
  /** Calls into the worker. Each rejects with the one-line message that the page shows. */
  readonly session: Remote<Session>;
  readonly phase: Signal<Phase>;
  /** The images that are loaded. */
  readonly data: Signal<DataReport | null>;
  /** The model that can be explained and downloaded; set anew whenever its weights have changed. */
  readonly model: Signal<ModelReport | null>;
  /** The line with role `status`: what is going on. */
  say(text: string): void;
  /** Runs something that may fail, and shows the failure in one line. Undefined where it failed. */
  attempt<T>(work: () => T | Promise<T>): Promise<T | undefined>;
  /** Says why this worker can do nothing more, and offers a fresh start. */
  giveUp(why: string): void;
}
