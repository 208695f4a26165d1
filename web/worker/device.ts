// Opening the GPU, and hearing that it was lost.
import { adapterName, openDevice } from "../../engine/index.ts";
import type { DeviceReport } from "../protocol.ts";
import type { State } from "./state.ts";

export function deviceCalls(state: State) {
  return {
    /**
     * Opens the GPU.
     *
     * @param onLost told why, should it be lost
     * @throws NoAdapterError where the browser has none
     */
    async open(onLost: (reason: string) => void): Promise<DeviceReport> {
      const device = await openDevice();
      state.device = device;
      void device.gpu.lost.then(({ message, reason }) => {
        state.working?.abort();
        if (!device.disposed) onLost(message || reason);
      });
      return { name: adapterName(device.info), software: device.info.software };
    },

    /** Loses the GPU as a driver would: to try out what the page does then, from the console. */
    loseDevice(): void {
      state.device?.gpu.destroy();
    },
  };
}
