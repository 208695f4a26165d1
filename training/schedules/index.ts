// Learning-rate schedules as plain functions of the step number. Names, defaults and numbers (to 1e-12) are those of PyTorch's
// schedulers, in closed form: any step can be asked for, in any order, which is what an exact resume needs.
// Source: torch.optim.lr_scheduler.
export {
  ratesAt,
  type AnySchedule,
  type Monitor,
  type PlateauSchedule,
  type Rates,
  type Schedule,
} from "./schedule.ts";
export * from "./decay.ts";
export * from "./cosine.ts";
export * from "./cyclic.ts";
export * from "./one-cycle.ts";
export * from "./plateau.ts";
export * from "./compose.ts";
