// What is known of an adapter.

/** How convolution and GEMM kernels are tiled: see docs/architecture.md, "Three kernel families". */
export type KernelFamily = "subgroup" | "portable" | "workgroup";

/** A description of the adapter, for reports and `config.json`. */
export interface DeviceInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly name: string;
  readonly description: string;
  readonly software: boolean;
  /** Invocations of a subgroup, 0 where an adapter has several sizes. */
  readonly subgroupSize: number;
  /** Whether, where there are several, a kernel can ask for 32: AMD's cards have 32 and 64. */
  readonly subgroupSizeControl: boolean;
  /** The sizes of subgroup matrices (tensor cores), f16 x f16 -> f32, that the adapter lists and the kernels know; the best first. */
  readonly subgroupMatrices: readonly SubgroupMatrix[];
}

/** The adapter in words: the card and its driver, of a software GPU the driver, which is all there is. Browsers leave both empty. */
export function adapterName({ description, name, vendor, architecture, software }: DeviceInfo): string {
  if (name && description && !software) return `${name}, ${description}`;
  return description || name || [vendor, architecture].filter(Boolean).join(" ") || "unnamed";
}

/** A product of matrices that a subgroup computes at once: [M,K] x [K,N]. */
export interface SubgroupMatrix {
  readonly M: number;
  readonly N: number;
  readonly K: number;
}
