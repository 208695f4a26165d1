// The current device: the one that ops without a device argument use.
import type { Device } from "./gpu/device.ts";

let current: Device | null = null;

/** The device that the last `openDevice()` made current. Throws where there is none. */
export function currentDevice(): Device {
  if (!current) throw new Error("no device is open: call `using device = await openDevice()` first");
  return current;
}

export function setCurrentDevice(device: Device | null): void {
  current = device;
}

/** Makes `device` no longer current, if it is. */
export function dropCurrentDevice(device: Device): void {
  if (current === device) current = null;
}
