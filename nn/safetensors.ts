// The safetensors file format: an 8-byte little-endian header length, a JSON header, then the tensors' bytes.
// Source: https://huggingface.co/docs/safetensors. The checks are those of the Rust reference reader, plus duplicate keys.
// Typed arrays are little-endian on every platform that has WebGPU, which is what the format wants.
import { duplicateKey } from "./json-keys.ts";

const arrays = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  U16: Uint16Array,
  I16: Int16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  U32: Uint32Array,
  I32: Int32Array,
  F32: Float32Array,
  U64: BigUint64Array,
  I64: BigInt64Array,
  F64: Float64Array,
} as const;

export type SafetensorsDtype = keyof typeof arrays;

/** One tensor of a file. F16 and BF16 keep their raw bits in a Uint16Array (see `toFloat32`); `shape` [] is a scalar. */
export type SafeTensor = {
  [D in SafetensorsDtype]: { dtype: D; shape: readonly number[]; data: InstanceType<(typeof arrays)[D]> };
}[SafetensorsDtype];

export type SafetensorsFile = { tensors: Map<string, SafeTensor>; metadata: Record<string, string> };

const lengthBytes = 8;
/** The Rust reader's limit. ResNet-50's header has 40 KB. */
const largestHeader = 100_000_000;
const metadataKey = "__metadata__";

type Entry = { name: string; dtype: SafetensorsDtype; shape: number[]; begin: number; end: number };

/**
 * Reads a whole safetensors file. The tensors are copies: they don't keep `bytes` alive.
 *
 * @param bytes the file
 * @param origin the file's name, for messages
 * @throws Error of one line, naming `origin`, where the file is cut, malformed or inconsistent
 */
export function readSafetensors(bytes: Uint8Array, origin: string): SafetensorsFile {
  const fail = (problem: string): never => {
    throw new Error(`${origin} ${problem}`);
  };
  const headerLength = readHeaderLength(bytes, fail);
  const dataStart = lengthBytes + headerLength;
  const header = parseHeader(bytes.subarray(lengthBytes, dataStart), fail);
  const metadata = readMetadata(header[metadataKey], fail);
  const entries = Object.entries(header)
    .filter(([name]) => name !== metadataKey)
    .map(([name, value]) => readEntry(name, value, fail));
  checkLayout(entries, bytes.length - dataStart, fail);

  const tensors = new Map<string, SafeTensor>();
  for (const { name, dtype, shape, begin, end } of entries) {
    const data = new Uint8Array(end - begin);
    data.set(bytes.subarray(dataStart + begin, dataStart + end));
    tensors.set(name, { dtype, shape, data: new arrays[dtype](data.buffer) } as SafeTensor);
  }
  return { tensors, metadata };
}

/**
 * Makes a safetensors file. Equal tensors and metadata give equal bytes, in whatever order the maps were filled: the tensors lie
 * widest type first (so that each is aligned), then by name; metadata is sorted by key; nothing else goes in.
 *
 * @throws Error where a tensor's data does not fit its type or shape
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, SafeTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const sorted = [...tensors].sort(
    ([nameA, a], [nameB, b]) => itemBytes(b.dtype) - itemBytes(a.dtype) || (nameA < nameB ? -1 : 1),
  );
  const fields: string[] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0) {
    const pairs = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`);
    fields.push(`"${metadataKey}":{${pairs.join(",")}}`);
  }
  let size = 0;
  for (const [name, tensor] of sorted) {
    checkTensor(name, tensor);
    const offsets = [size, (size += tensor.data.byteLength)];
    const value = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: offsets };
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
  }

  const header = new TextEncoder().encode(`{${fields.join(",")}}`);
  const dataStart = Math.ceil((lengthBytes + header.length) / 8) * 8;
  const bytes = new Uint8Array(dataStart + size).fill(0x20, lengthBytes, dataStart);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(dataStart - lengthBytes), true);
  bytes.set(header, lengthBytes);
  let at = dataStart;
  for (const [, { data }] of sorted) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

type Fail = (problem: string) => never;

function readHeaderLength(bytes: Uint8Array, fail: Fail): number {
  if (bytes.length < lengthBytes) {
    return fail(
      `is cut: a safetensors file begins with ${lengthBytes} bytes of header length, this one has ${bytes.length} bytes`,
    );
  }
  if (bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4) {
    return fail(`is a ZIP file (PyTorch's own .pt format?), not safetensors: ${convert}`);
  }
  const announced = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (announced > BigInt(largestHeader)) return fail(describeOther(bytes));
  const length = Number(announced);
  const present = bytes.length - lengthBytes;
  if (length > present) {
    return fail(`is cut: its first bytes announce a header of ${count(length)} bytes, ${count(present)} follow`);
  }
  return length;
}

const convert = "convert it with safetensors.torch.save_file";

/** What a file is whose first bytes are no header's length, as far as they tell. */
function describeOther([first, second]: Uint8Array): string {
  if (first === 0x80 && second >= 2 && second <= 5)
    return `is a pickle (PyTorch's .pth before 1.6?), not safetensors: ${convert}`;
  if (first === 0x7b) return "is not a safetensors file but JSON: give a file of weights";
  return "is not a safetensors file: it does not begin with the length of a header";
}

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  if (bytes[0] !== 0x7b) return fail("is not a safetensors file: its header does not begin with {");
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    header = JSON.parse(text);
  } catch {
    return fail("has a broken header: it is not well-formed JSON in UTF-8");
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) return fail(`has a broken header: the key ${quote(twice)} appears twice`);
  return header as Record<string, unknown>;
}

function readMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value) || Object.values(value).some((text) => typeof text !== "string")) {
    return fail(`has a broken header: ${metadataKey} is not an object of strings`);
  }
  return value as Record<string, string>;
}

function readEntry(name: string, value: unknown, fail: Fail): Entry {
  const who = `has a broken header: tensor ${quote(name)}`;
  if (!isObject(value)) return fail(`${who} is not an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(arrays, dtype)) {
    return fail(`${who} has the type ${quote(dtype)}; known are ${Object.keys(arrays).join(", ")}`);
  }
  if (!isSizes(shape)) return fail(`${who} has the shape ${quote(shape)}, not a list of sizes`);
  if (!isSizes(offsets) || offsets.length !== 2) {
    return fail(`${who} has the data_offsets ${quote(offsets)}, not two byte positions`);
  }
  const [begin, end] = offsets as [number, number];
  const type = dtype as SafetensorsDtype;
  const bytes = byteLength(type, shape);
  if (bytes === undefined) return fail(`${who} has the absurd shape ${quote(shape)}`);
  if (end - begin !== bytes) {
    return fail(
      `${who} is ${type} ${quote(shape)}, ${count(bytes)} bytes, but its data_offsets ${begin}..${end} hold ${count(end - begin)}`,
    );
  }
  return { name, dtype: type, shape, begin, end };
}

/** The tensors must fill the data without gap, overlap or rest. */
function checkLayout(entries: readonly Entry[], present: number, fail: Fail): void {
  const inOrder = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let expected = 0;
  for (const { name, begin, end } of inOrder) {
    if (begin !== expected) {
      const kind = begin < expected ? "overlaps the tensor before it" : "leaves a gap before it";
      fail(
        `has a broken header: tensor ${quote(name)} ${kind} (begins at ${count(begin)}, expected ${count(expected)})`,
      );
    }
    expected = end;
  }
  if (present < expected) {
    fail(`is cut: its header announces ${count(expected)} bytes of data, the file has ${count(present)}`);
  }
  if (present > expected) {
    fail(`has ${count(present)} bytes of data, ${count(present - expected)} more than its header announces`);
  }
}

function checkTensor(name: string, { dtype, shape, data }: SafeTensor): void {
  const who = `writeSafetensors: tensor ${quote(name)}`;
  if (name === metadataKey) throw new Error(`${who}: the format keeps this name for itself`);
  if (!(data instanceof arrays[dtype])) throw new Error(`${who}: ${dtype} wants a ${arrays[dtype].name}`);
  const bytes = isSizes(shape) ? byteLength(dtype, shape) : undefined;
  if (bytes !== data.byteLength) {
    throw new Error(
      `${who}: shape [${shape.join(",")}] wants ${bytes} bytes of ${dtype}, the data has ${data.byteLength}`,
    );
  }
}

const itemBytes = (dtype: SafetensorsDtype): number => arrays[dtype].BYTES_PER_ELEMENT;

/** Bytes of a tensor, undefined where the product is no exact number. */
function byteLength(dtype: SafetensorsDtype, shape: readonly number[]): number | undefined {
  let bytes = itemBytes(dtype);
  for (const size of shape) {
    bytes *= size;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return bytes;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

const count = (n: number): string => n.toLocaleString("en-US");

/** A value from the file as it may stand in a one-line message. */
function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
