// Files in and out: checkpoints, the run's metrics, its report.
import { exportWeights, modelFromCheckpoint, readCheckpoint } from "../../nn/index.ts";
import { files } from "../../training/index.ts";
import type { ModelReport } from "../protocol.ts";
import { RUN_DIR } from "./kept.ts";
import { explain } from "./model.ts";
import { needModel, type State } from "./state.ts";

/** A file to hand out. */
export interface Download {
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export function shareCalls(state: State) {
  return {
    /** The weights that are explained, as safetensors: `evaluate.js` and PyTorch take them. */
    async checkpoint(): Promise<Download> {
      const { use, model, settings, classes } = needModel(state);
      const { model: name, ...rest } = settings;
      const named = classes.length === settings.classes ? { classNames: classes } : {};
      const bytes = await use(() => exportWeights(model, { name, ...rest, ...named }));
      return { name: `${name}.safetensors`, type: "application/octet-stream", bytes };
    },

    /** One of the kept run's files, such as "metrics.jsonl". */
    async runFile(name: string): Promise<Download> {
      const path = `${RUN_DIR}/${name}`;
      if (!(await files.exists(path))) throw new Error("there is no run yet: train first");
      return { name, type: "application/octet-stream", bytes: (await files.read(path)).slice() };
    },

    /**
     * Opens weights: the command line's, torchvision's, this page's.
     *
     * @throws Error of one line where they are damaged, or do not say which model they are of
     */
    openCheckpoint(bytes: Uint8Array, name: string): ModelReport {
      if (state.working) throw new Error("a training is under way: press Pause first");
      const checkpoint = readCheckpoint(bytes, name);
      const model = modelFromCheckpoint(checkpoint, name);
      const { classes: names, mean, std, model: info } = checkpoint.metadata;
      const classes = names ?? Array.from({ length: model.classes }, (_, i) => state.raw?.classes[i] ?? `class ${i}`);
      release(state);
      return explain(state, {
        model,
        settings: {
          model: model.name,
          stem: model.stem,
          classes: model.classes,
          imageSize: info?.imageSize ?? (model.stem === "imagenet" ? 224 : 32),
          mean: rgb(mean) ?? state.raw?.mean ?? [0.5, 0.5, 0.5],
          std: rgb(std) ?? state.raw?.std ?? [0.25, 0.25, 0.25],
        },
        classes,
        origin: `opened from ${name}`,
        use: (work) => work(),
      });
    },
  };
}

const rgb = (values: readonly number[] | undefined) => values as [number, number, number] | undefined;

/** An earlier opened model goes; the run's stays with its run. */
function release(state: State): void {
  const { model, run } = state;
  if (model && model.model !== run?.model) model.model.dispose();
  state.model = null;
}
