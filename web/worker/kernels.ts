import type { State } from "./state.ts";

export function kernelCalls(state: State) {
  void state;
  return {};
}
