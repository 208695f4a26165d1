// Browsers slow tabs down that nobody sees. The page says so, and measures by how much.
import type { App } from "../app.ts";
import type { RunEvent } from "../protocol.ts";
import { byId } from "./dom.ts";
import { percent } from "./format.ts";

/** Below this share of the speed before, the tab was held back. */
const SLOWED = 0.7;
const TITLE = "Kiln";

/** Keeps the screen of a phone from going dark while it trains, where the browser can; and tells how fast a hidden tab was. */
export function watchThrottling(app: App): { note(event: RunEvent): void } {
  const note = byId("throttled", HTMLElement);
  let shown = 0;
  let hidden: number[] = [];
  let lock: WakeLockSentinel | null = null;
  let asking = false;

  const wanted = (): boolean => app.phase.value === "training" && document.visibilityState === "visible";
  const keepAwake = async (): Promise<void> => {
    if (asking || wanted() === (lock !== null && !lock.released)) return;
    if (wanted()) {
      asking = true;
      // A refusal (low battery, say) only means that the screen may go dark.
      lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
      asking = false;
    }
    // Training may have ended while the browser was asked.
    if (!wanted()) await lock?.release();
  };
  app.phase.watch((phase) => {
    void keepAwake();
    if (phase !== "training") document.title = TITLE;
  });

  document.addEventListener("visibilitychange", () => {
    void keepAwake();
    if (document.visibilityState === "visible") {
      document.title = TITLE;
      judge();
    } else if (app.phase.value === "training") {
      document.title = `${TITLE} – training in the background`;
      tell("This tab is in the background, where browsers may slow it down: keep it visible to train at full speed.");
    }
  });

  /** Says how fast it was while it was hidden, also where the training has ended meanwhile. */
  function judge(): void {
    const mean = hidden.reduce((sum, value) => sum + value, 0) / hidden.length;
    hidden = [];
    if (mean < SLOWED * shown) {
      tell(`While it was hidden, this tab was throttled to ${percent(mean / shown, 0)} of its speed: keep it visible.`);
    } else note.hidden = true;
  }

  /** In the status line for those who listen, unless it has a run's end to tell; and in a line of its own that stays. */
  function tell(text: string): void {
    if (app.phase.value === "training") app.say(text);
    note.textContent = text;
    note.hidden = false;
  }

  return {
    note(event) {
      if (event.type === "start") note.hidden = true;
      if (event.type !== "progress") return;
      if (document.visibilityState === "hidden") hidden.push(event.imagesPerSecond);
      else shown = event.imagesPerSecond;
    },
  };
}
