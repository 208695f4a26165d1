// The engine's public names.
export { openDevice, type OpenDeviceOptions } from "./open.ts";
export { NoAdapterError } from "./gpu/access.ts";
export { currentDevice } from "./current.ts";
export { adapterName, type Device, type DeviceInfo, type KernelFamily } from "./gpu/device.ts";
export type { MemoryReport } from "./gpu/buffers.ts";
export type { DispatchTime, KernelTime, ProfileOptions } from "./gpu/profiler.ts";
export { Tensor, tensor, empty, fromData, type DType, type NestedNumbers } from "./tensor.ts";
export { noGrad } from "./autograd.ts";
export { KernelChoices, type Choice, type ChoiceTable } from "./choices.ts";
export { tune, type TuneOptions } from "./tune.ts";
export { scope, keep } from "./scope.ts";
export { capture, everyRun, type Captured, type CaptureArgument, type CaptureOptions } from "./capture.ts";
export { sizeOf, showShape, type Shape } from "./shape.ts";
export * from "./random.ts";
export { uploadImages, ImageWindows, type ImageWindow } from "./image-windows.ts";
export { flattenParameters, FlatParameters, type FlatRange } from "./flat-parameters.ts";
export * from "./ops/index.ts";
import "./methods.ts";
