// Presets by name.
import { suggestion } from "../suggest.ts";
import { airbench94 } from "./airbench94.ts";
import { airbench95 } from "./airbench95.ts";
import { airbench96 } from "./airbench96.ts";
import type { Preset } from "./preset.ts";
import { resnet18Epochs200 } from "./resnet18-200.ts";
import { resnet18Epochs26 } from "./resnet18-26.ts";
import { resnet18Epochs60 } from "./resnet18-60.ts";
import { resnet18Epochs80 } from "./resnet18-80.ts";
import { s0 } from "./s0.ts";
import { s1 } from "./s1.ts";
import { s2 } from "./s2.ts";
import { s3 } from "./s3.ts";
import { s4 } from "./s4.ts";

export type { Preset, PresetHooks } from "./preset.ts";

export const presets: readonly Preset[] = [
  s0,
  s1,
  s2,
  s3,
  s4,
  resnet18Epochs26,
  resnet18Epochs60,
  resnet18Epochs80,
  resnet18Epochs200,
  airbench94,
  airbench95,
  airbench96,
];

export const presetNames: readonly string[] = presets.map(({ name }) => name);

/** A preset by its name. Throws one line, listing the names, where it is unknown. */
export function preset(name: string): Preset {
  const found = presets.find((each) => each.name === name);
  if (found) return found;
  throw new Error(`unknown preset "${name}"${suggestion(name, presetNames)}`);
}
