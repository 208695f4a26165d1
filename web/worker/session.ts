// All that the page can ask of the worker, gathered from the parts that do it.
import { freshState } from "./state.ts";
import { dataCalls } from "./data.ts";
import { deviceCalls } from "./device.ts";
import { explainCalls } from "./explain.ts";
import { kernelCalls } from "./kernels.ts";
import { modelCalls } from "./model.ts";
import { shareCalls } from "./share.ts";
import { trainCalls } from "./train.ts";

export function openSession() {
  const state = freshState();
  return {
    ...deviceCalls(state),
    ...dataCalls(state),
    ...trainCalls(state),
    ...modelCalls(state),
    ...explainCalls(state),
    ...shareCalls(state),
    ...kernelCalls(state),
  };
}

export type Session = ReturnType<typeof openSession>;
