// The device of a command.
import type { Command } from "commander";
import { adapterName, NoAdapterError, openDevice, type Device } from "../../../engine/index.ts";
import { missingDriverFiles } from "./driver-files.ts";
import { anyText, flag, toggle } from "./flags.ts";

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
