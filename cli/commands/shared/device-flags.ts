// The device of a command.
import type { Command, Option } from "commander";
import { adapterName, NoAdapterError, openDevice, type Device } from "../../../engine/index.ts";
import { missingDriverFiles } from "./driver-files.ts";
import { anyText, flag, oneOf, toggle } from "./flags.ts";

export interface DeviceFlags {
  readonly adapter?: string;
  readonly debug: boolean;
}

export function addDeviceFlags(command: Command): Command {
  return command
    .addOption(
      flag("--adapter <name>", "GPU whose name contains this", anyText, { text: "the fastest; doctor.js names it" }),
    )
    .addOption(toggle("--debug", "print stacks, and what the GPU's driver says"));
}

export const tuneFlag = (): Option =>
  flag(
    "--tune <mode>",
    "on: measure once which kernels are fastest on this adapter; off: use a fixed table",
    oneOf("on", "off"),
    "on",
  );

export async function openCommandDevice({ adapter, debug }: DeviceFlags): Promise<Device> {
  try {
    return await openDevice({ ...(adapter && { adapter }), debug });
  } catch (error) {
    const missing = adapter === undefined && error instanceof NoAdapterError ? missingDriverFiles() : null;
    throw missing === null ? error : new NoAdapterError(`no WebGPU adapter was found; ${missing}`, { cause: error });
  }
}

export function describeDevice({ info, family }: Device): string {
  return `${adapterName(info)} (${info.software ? "software, " : ""}${family} kernels)`;
}
