// Opening a device: adapter, limits, features, and which family of kernels fits it.
import { openGpu, settle } from "#open-gpu";
import { NoAdapterError, type GpuAccess, type OpenGpuOptions } from "./gpu/access.ts";
import { Device } from "./gpu/device.ts";
import type { DeviceInfo, KernelFamily, SubgroupMatrix } from "./gpu/device-info.ts";
import { dropCurrentDevice, setCurrentDevice } from "./current.ts";
import { MATRIX_TILE_BYTES } from "./ops/matmul-matrix.ts";
import { matrixProblem, subgroupsWork } from "./ops/self-test.ts";

export interface OpenDeviceOptions extends OpenGpuOptions {
  /** Overrides the choice of kernels, for tests and comparisons. */
  family?: KernelFamily;
}

/**
 * Opens a GPU and makes it the current device: Dawn in Node, `navigator.gpu` in browsers. `using device = await openDevice()`
 * closes it at the end of the block; in Node the process cannot end before.
 */
export async function openDevice(options: OpenDeviceOptions = {}): Promise<Device> {
  const access = await openGpu(options);
  if (!access.adapter) {
    const which = options.adapter ? ` named "${options.adapter}"` : "";
    throw new NoAdapterError(`no WebGPU adapter${which} was found; ${access.advice}`);
  }
  const device = await access.quietly(() => createDevice(access, access.adapter!));
  device.onDispose(() => dropCurrentDevice(device));
  setCurrentDevice(device);
  try {
    device.family = await chooseFamily(device, options.family);
    if (access.matrices) await chooseMatrix(device);
  } catch (error) {
    device.dispose();
    throw error;
  }
  return device;
}

/** What subgroup matrices of f16 need. */
const MATRIX_FEATURES = ["subgroups", "shader-f16", "chromium-experimental-subgroup-matrix"] as const;
const OPTIONAL_FEATURES = [...MATRIX_FEATURES, "timestamp-query"] as const;

/** The invocations of a subgroup that the kernels of matrices are made for. */
const MATRIX_LANES = 32;
/** Lets these kernels ask for that many where an adapter has subgroups of several sizes, such as AMD's of 32 and 64. */
const SIZE_CONTROL = "subgroup-size-control";

async function createDevice(access: GpuAccess, adapter: GPUAdapter): Promise<Device> {
  // A device opened without asking has WebGPU's smallest limits: 128 MiB bindings, 8 storage buffers, 16 KB of workgroup memory.
  const requiredLimits: Record<string, number> = {};
  for (const name in adapter.limits) {
    const value = (adapter.limits as unknown as Record<string, unknown>)[name];
    if (typeof value === "number") requiredLimits[name] = value;
  }
  const info = describe(adapter);
  const requiredFeatures: string[] = OPTIONAL_FEATURES.filter((name) => adapter.features.has(name));
  if (info.subgroupSizeControl) requiredFeatures.push(SIZE_CONTROL);
  const open = (adapter: GPUAdapter): Promise<GPUDevice> =>
    settle(adapter.requestDevice({ requiredFeatures: requiredFeatures as GPUFeatureName[], requiredLimits }));
  const another = (): Promise<GPUDevice> =>
    access.quietly(async () =>
      open((await settle(access.gpu.requestAdapter({ powerPreference: "high-performance" })))!),
    );
  return new Device(await open(adapter), access, info, "portable", another);
}

/** Browsers leave the device and its description empty. */
const SOFTWARE = /llvmpipe|swiftshader|lavapipe/i;

function describe(adapter: GPUAdapter): DeviceInfo {
  const { info } = adapter;
  const { subgroupMinSize, subgroupMaxSize } = info;
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    name: info.device,
    description: info.description,
    software: info.isFallbackAdapter || SOFTWARE.test(`${info.architecture} ${info.device} ${info.description}`),
    // Browsers without subgroups may not know the least and the most.
    subgroupSize: subgroupMinSize === subgroupMaxSize ? (subgroupMinSize ?? 0) : 0,
    subgroupSizeControl:
      subgroupMinSize < subgroupMaxSize &&
      subgroupMinSize <= MATRIX_LANES &&
      MATRIX_LANES <= subgroupMaxSize &&
      adapter.features.has(SIZE_CONTROL),
    subgroupMatrices: MATRIX_FEATURES.every((name) => adapter.features.has(name)) ? matricesOf(info as MatrixInfo) : [],
  };
}

/** An entry of `GPUAdapterInfo.subgroupMatrixConfigs`, which Dawn has and WebGPU's types do not know. */
interface MatrixConfig extends SubgroupMatrix {
  readonly componentType: string;
  readonly resultComponentType: string;
}

interface MatrixInfo {
  readonly subgroupMatrixConfigs?: Iterable<MatrixConfig>;
}

/** Sizes that the kernels know, best first. All are in the lists of NVIDIA's drivers. */
const MATRIX_SIZES: readonly SubgroupMatrix[] = [
  { M: 16, N: 16, K: 16 },
  { M: 16, N: 8, K: 16 },
  { M: 16, N: 8, K: 8 },
];

/** The known sizes of f16 operands and f32 sums that an adapter lists. */
export function matricesOf(info: MatrixInfo): SubgroupMatrix[] {
  const mixed = [...(info.subgroupMatrixConfigs ?? [])].filter(
    ({ componentType, resultComponentType }) => componentType === "f16" && resultComponentType === "f32",
  );
  return MATRIX_SIZES.filter(({ M, N, K }) => mixed.some((c) => c.M === M && c.N === N && c.K === K));
}

/** The first size whose products come out right. Only the family for real GPUs uses them, in 8 subgroups of 32 and tiles of up to 25 KB. */
export async function chooseMatrix(device: Device): Promise<void> {
  const { family, gpu, info, limits } = device;
  if (family !== "workgroup") return;
  const problems: string[] = [];
  device.matrixProblems = problems;
  if (info.subgroupMatrices.length === 0) {
    const lacking = MATRIX_FEATURES.filter((name) => !gpu.features.has(name));
    problems.push(
      lacking.length > 0
        ? `no ${lacking.join(" and no ")}: of a card that has tensor cores, a newer driver or Vulkan loader may show them`
        : "no size listed of f16 with sums in f32 that the kernels know",
    );
    return;
  }
  if (info.subgroupSize !== MATRIX_LANES && !info.subgroupSizeControl) {
    problems.push(
      `subgroups must have ${MATRIX_LANES} invocations, not ${info.subgroupSize || "one number or another"}`,
    );
  }
  const bytes = limits.maxComputeWorkgroupStorageSize;
  if (bytes < MATRIX_TILE_BYTES)
    problems.push(`workgroups need ${MATRIX_TILE_BYTES} bytes of memory, and have ${bytes}`);
  if (problems.length > 0) return;
  for (const size of info.subgroupMatrices) {
    device.matrix = size;
    const problem = await matrixProblem();
    if (problem === null) return;
    device.matrix = null;
    problems.push(`${size.M} x ${size.N} x ${size.K}: ${problem}`);
  }
}

/**
 * Workgroup memory and barriers are what real GPUs are built for; on software adapters they cost more than they save, and a
 * broadcast within a subgroup is nearly free (measured: docs/architecture.md).
 */
async function chooseFamily(device: Device, wanted?: KernelFamily): Promise<KernelFamily> {
  if (wanted && wanted !== "subgroup") return wanted;
  const { software, subgroupSize } = device.info;
  if (!software && !wanted) return "workgroup";
  const usable = device.gpu.features.has("subgroups") && (subgroupSize === 4 || subgroupSize === 8);
  if (usable && (await subgroupsWork(subgroupSize))) return "subgroup";
  if (wanted)
    throw new Error(`openDevice: family "subgroup" needs subgroups of 4 or 8 lanes, which this adapter lacks`);
  return "portable";
}
