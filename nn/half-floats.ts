import { halfToNumber } from "../engine/half-floats.ts";
import type { SafeTensor } from "./safetensors.ts";

/**
 * A floating-point tensor's numbers as Float32Array: F16 and BF16 exactly, F64 rounded to nearest; F32 is returned as it is, not copied.
 *
 * @throws Error for integer types: they stand for counters and indices, never for weights
 */
export function toFloat32(tensor: SafeTensor): Float32Array {
  switch (tensor.dtype) {
    case "F32":
      return tensor.data;
    case "F64":
      return Float32Array.from(tensor.data);
    case "F16":
      return Float32Array.from(tensor.data, halfToNumber);
    case "BF16":
      // bfloat16 is the upper half of a float32
      return new Float32Array(Uint32Array.from(tensor.data, (bits) => bits << 16).buffer);
    case "BOOL":
    case "U8":
    case "I8":
    case "U16":
    case "I16":
    case "U32":
    case "I32":
    case "U64":
    case "I64":
      throw new Error(
        `toFloat32: the tensor [${tensor.shape.join(",")}] has the type ${tensor.dtype}, not a float type`,
      );
  }
}
