// State dicts to load and to compare.
import { createHash } from "node:crypto";
import { type Module, resnet8, stateDict, type StateDict } from "../../nn/index.ts";
import { randomArr } from "./random.ts";

export const renamed = (state: StateDict, rename: (name: string) => string): StateDict =>
  new Map([...state].map(([name, tensor]) => [rename(name), tensor]));

/** What each tensor holds, short: comparing a model's numbers one by one takes seconds. */
export const digests = (state: StateDict): Record<string, string> =>
  Object.fromEntries(
    [...state].map(([name, { dtype, shape, data }]) => {
      const hash = createHash("sha1")
        .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
        .digest("hex");
      return [name, `${dtype} ${shape.join()} ${hash}`];
    }),
  );

export const digestsOf = async (model: Module): Promise<Record<string, string>> => digests(await stateDict(model));

/** Running statistics and counts that differ from a fresh model's. */
export async function trainedState(): Promise<StateDict> {
  const model = resnet8({ seed: 11 });
  model.namedState().forEach(([, state], i) => state.write(randomArr(state.shape, i, { min: 0.5, max: 2 }).data));
  model.namedCounters().forEach(([, counter], i) => (counter.value = 100 + i));
  return stateDict(model);
}
