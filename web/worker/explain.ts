import type { State } from "./state.ts";

export function explainCalls(state: State) {
  void state;
  return {};
}
