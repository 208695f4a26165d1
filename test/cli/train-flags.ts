// What train.js makes of its flags, without training.
import { applyRecipes } from "../../cli/commands/train/config-file.ts";
import { trainCommand, type TrainFlags } from "../../cli/commands/train/flags.ts";

/** The flags of `train.js ...typed`. */
export function trainFlags(...typed: string[]): TrainFlags {
  const command = trainCommand().action(() => undefined);
  command.parse(typed, { from: "user" });
  applyRecipes(command);
  return command.opts<TrainFlags>();
}
