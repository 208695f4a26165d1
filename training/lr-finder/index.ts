export { findLearningRate, RangeTestError, type LrFinderResult } from "./find.ts";
export {
  LR_FINDER_DEFAULTS,
  lrFinderSettings,
  type LrFinderOptions,
  type LrFinderProgress,
  type LrFinderSettings,
} from "./options.ts";
export { rangeRates, smoothLosses, type LossSeries, type RangeMode, type Smoothing } from "./series.ts";
export {
  LR_MEANINGS,
  LR_METHODS,
  showRate,
  suggestRates,
  type CurveWindow,
  type LrMethod,
  type LrSuggestion,
  type LrSuggestions,
  type RangeStop,
  type StopReason,
} from "./suggest.ts";
