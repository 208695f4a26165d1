// The modes of a model's modules, training or evaluation, put back as they were.
import type { Module } from "../nn/index.ts";

/** Notes every module's mode; the returned function puts them back. */
export function rememberModes(model: Module): () => void {
  const modes = model.modules().map((module) => ({ module, training: module.training }));
  return () => {
    for (const { module, training } of modes) module.training = training;
  };
}

/** Runs synchronous work with the model in evaluation mode. */
export function inEvaluation<T>(model: Module, work: () => T): T {
  const putBack = rememberModes(model);
  model.eval();
  try {
    return work();
  } finally {
    putBack();
  }
}
