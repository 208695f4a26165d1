// The model that is explained and downloaded.
import { defaultLayer, spatialLayers } from "../../training/index.ts";
import type { ModelReport } from "../protocol.ts";
import type { ExplainedModel, State } from "./state.ts";

export function modelCalls(state: State) {
  return {
    /** The model that is explained; null where there is none. */
    currentModel: (): ModelReport | null => state.model && describe(state, state.model),
  };
}

/** Makes this the model that the page explains. */
export function explain(state: State, explained: ExplainedModel): ModelReport {
  const { model: before, run } = state;
  // One that was opened belongs to nobody else.
  if (before && before.model !== explained.model && before.model !== run?.model) before.model.dispose();
  state.model = explained;
  return describe(state, explained);
}

function describe({ run }: State, explained: ExplainedModel): ModelReport {
  const { model, settings, classes, origin } = explained;
  const { imageSize } = settings;
  return {
    name: settings.model,
    classes,
    imageSize,
    layers: spatialLayers(model, imageSize).map(({ name }) => name),
    defaultLayer: defaultLayer(model, [imageSize, imageSize]),
    origin,
    trainedHere: model === run?.model,
  };
}
