import { describe, expect, it } from "vitest";
import { halfToNumber } from "../../engine/half-floats.ts";
import { toFloat32 } from "../../nn/half-floats.ts";
import { readSafetensors, writeSafetensors } from "../../nn/safetensors.ts";
import type { SafeTensor } from "../../nn/safetensors.ts";

/** A file around any header text, however wrong. */
function fileOf(header: string, data: number[] | Uint8Array = [], headerLength?: bigint): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, headerLength ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

const entry = (dtype: string, shape: string, offsets: string): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;

function messageOf(bytes: Uint8Array): string {
  try {
    readSafetensors(bytes, "weights.safetensors");
  } catch (error) {
    expect((error as Error).constructor).toBe(Error); // neither RangeError nor TypeError
    return (error as Error).message;
  }
  throw new Error("was read without complaint");
}

const sample: [string, SafeTensor][] = [
  ["conv1.weight", { dtype: "F32", shape: [2, 1, 1, 3], data: Float32Array.of(0.5, -1.25, 3e-9, 7, -8, 9.5) }],
  ["bn1.num_batches_tracked", { dtype: "I64", shape: [], data: BigInt64Array.of(-3n) }],
  ["mask", { dtype: "U8", shape: [3], data: Uint8Array.of(1, 0, 255) }],
  ["half", { dtype: "F16", shape: [1, 1], data: Uint16Array.of(0x3c00) }],
  ["empty", { dtype: "F64", shape: [0, 4], data: new Float64Array(0) }],
];
const metadata = { "kiln.model": '{"name":"resnet18"}', "kiln.classes": '["é","\\"b\\""]' };

describe("readSafetensors", () => {
  it("reads a file made by hand, byte by byte", () => {
    // prettier-ignore
    const bytes = Uint8Array.of(
      58, 0, 0, 0, 0, 0, 0, 0,
      ...Array.from(`{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}  `, (c) => c.charCodeAt(0)),
      0x00, 0x00, 0x80, 0x3f,   // 1
      0x00, 0x00, 0x20, 0xc1,   // -10
    );
    const { tensors, metadata: none } = readSafetensors(bytes, "hand");
    expect([...tensors]).toEqual([["a", { dtype: "F32", shape: [1, 2], data: Float32Array.of(1, -10) }]]);
    expect(none).toEqual({});
  });

  it("reads headers of any length out of the middle of a larger buffer", () => {
    for (let padding = 0; padding < 8; padding++) {
      const file = fileOf(
        `{"a":${entry("F64", "[1]", "[0,8]")}}${" ".repeat(padding)}`,
        [0, 0, 0, 0, 0, 0, 0x14, 0xc0],
      );
      const within = new Uint8Array(file.length + 11);
      within.set(file, 5);
      const { tensors } = readSafetensors(within.subarray(5, 5 + file.length), "hand");
      expect(tensors.get("a")).toEqual({ dtype: "F64", shape: [1], data: Float64Array.of(-5) });
    }
  });

  it("gives copies", () => {
    const bytes = writeSafetensors(new Map(sample));
    const { tensors } = readSafetensors(bytes, "copy");
    bytes.fill(255);
    expect(tensors.get("conv1.weight")?.data).toEqual(sample[0]?.[1].data);
  });

  it("refuses every prefix of a file, and the file with a byte more, with one clear line", () => {
    const bytes = writeSafetensors(new Map(sample), metadata);
    for (let length = 0; length < bytes.length; length++) {
      expect(messageOf(bytes.slice(0, length))).toMatch(/^weights\.safetensors is cut: .*[0-9]+[^\n]*$/);
    }
    expect(messageOf(Uint8Array.of(...bytes, 0))).toContain("1 more than its header announces");
  });

  it("says how much of a cut file is missing", () => {
    const file = fileOf(`{"a":${entry("F32", "[11175000]", "[0,44700000]")}}`, new Uint8Array(1024));
    expect(messageOf(file)).toBe(
      "weights.safetensors is cut: its header announces 44,700,000 bytes of data, the file has 1,024",
    );
  });

  it("never does worse than a one-line Error on damaged headers", () => {
    const good = writeSafetensors(new Map(sample), metadata);
    const dataStart = 8 + new DataView(good.buffer).getUint32(0, true);
    let refused = 0;
    for (let at = 0; at < dataStart; at++) {
      for (const value of [0, 0x22, 0x2d, 0x39, 0x5b, 0x7d, 0xff]) {
        const bad = good.slice();
        bad[at] = value;
        try {
          readSafetensors(bad, "weights.safetensors");
        } catch (error) {
          refused++;
          expect((error as Error).constructor).toBe(Error);
          expect((error as Error).message).toMatch(/^weights\.safetensors [^\n]{10,300}$/);
        }
      }
    }
    expect(refused).toBeGreaterThan(dataStart * 4);
  });

  const a = entry("F32", "[1]", "[0,4]");
  const huge = `[${"9007199254740991,".repeat(3)}2]`;
  it.each<[string, Uint8Array, string]>([
    ["an absurd header length", fileOf("{}", [], 2n ** 63n), "does not begin with the length of a header"],
    ["a header past the limit", fileOf("{}", [], 100_000_001n), "does not begin with the length of a header"],
    [
      "a header longer than the file",
      fileOf("{}", [], 5000n),
      "is cut: its first bytes announce a header of 5,000 bytes, 2",
    ],
    ["an empty header", fileOf(""), "does not begin with {"],
    ["a header that is a list", fileOf("[]"), "does not begin with {"],
    ["white space first", fileOf(" {}"), "does not begin with {"],
    ["broken JSON", fileOf(`{"a":`), "not well-formed JSON"],
    ["text after the header", fileOf("{} x"), "not well-formed JSON"],
    ["deep nesting", fileOf(`{"a":${"[".repeat(200_000)}`), "not well-formed JSON"],
    ["broken UTF-8", fileOf(`{"a": "\0"}`).map((b, at) => (at > 7 && b === 0 ? 0xff : b)), "not well-formed JSON"],
    [
      "a pickle",
      Uint8Array.of(0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9),
      "pickle (PyTorch's .pth before 1.6?)",
    ],
    ["JSON", new TextEncoder().encode('{"epochs": 20}'), "is not a safetensors file but JSON"],
    ["a ZIP file", Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0), "ZIP"],
    ["one name twice", fileOf(`{"a":${a},"a":${a}}`, [0, 0, 0, 0]), `the key "a" appears twice`],
    ["one name twice, escaped", fileOf(`{"a":${a},"\\u0061" :${a}}`, [0, 0, 0, 0]), `the key "a" appears twice`],
    ["one field twice", fileOf(`{"a":{"dtype":"F32","dtype":"F32"}}`), `the key "dtype" appears twice`],
    ["metadata of numbers", fileOf(`{"__metadata__":{"epoch":3}}`), "__metadata__ is not an object of strings"],
    ["metadata null", fileOf(`{"__metadata__":null}`), "__metadata__ is not an object of strings"],
    ["an entry null", fileOf(`{"a":null}`), `tensor "a" is not an object`],
    ["an unknown type", fileOf(`{"a":${entry("F8_E4M3", "[1]", "[0,1]")}}`, [0]), `has the type "F8_E4M3"; known are`],
    ["a type from Object", fileOf(`{"a":${entry("constructor", "[1]", "[0,1]")}}`, [0]), `has the type "constructor"`],
    ["no type", fileOf(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, [0, 0, 0, 0]), "has the type undefined"],
    ["a negative size", fileOf(`{"a":${entry("F32", "[-1,-1]", "[0,4]")}}`, [0, 0, 0, 0]), "has the shape [-1,-1]"],
    ["half a size", fileOf(`{"a":${entry("U8", "[1.5,2]", "[0,3]")}}`, [0, 0, 0]), "has the shape [1.5,2]"],
    ["a size of text", fileOf(`{"a":${entry("U8", '["3"]', "[0,3]")}}`, [0, 0, 0]), `has the shape ["3"]`],
    ["a shape null", fileOf(`{"a":${entry("U8", "null", "[0,1]")}}`, [0]), "has the shape null"],
    ["an absurd shape", fileOf(`{"a":${entry("F32", huge, "[0,4]")}}`, [0, 0, 0, 0]), "has the absurd shape"],
    ["three offsets", fileOf(`{"a":${entry("U8", "[1]", "[0,1,2]")}}`, [0]), "not two byte positions"],
    [
      "offsets backwards",
      fileOf(`{"a":${entry("F32", "[1]", "[4,0]")}}`, [0, 0, 0, 0]),
      "its data_offsets 4..0 hold -4",
    ],
    ["a shape too large", fileOf(`{"a":${entry("F32", "[2]", "[0,4]")}}`, [0, 0, 0, 0]), "F32 [2], 8 bytes, but"],
    [
      "offsets past the end",
      fileOf(`{"a":${entry("F32", "[2]", "[0,8]")}}`, [0, 0, 0, 0]),
      "is cut: its header announces 8",
    ],
    ["a gap", fileOf(`{"a":${entry("U8", "[1]", "[1,2]")}}`, [0, 0]), `tensor "a" leaves a gap before it`],
    [
      "an overlap",
      fileOf(`{"a":${entry("U8", "[2]", "[0,2]")},"b":${entry("U8", "[2]", "[1,3]")}}`, [0, 0, 0]),
      `tensor "b" overlaps the tensor before it (begins at 1, expected 2)`,
    ],
    ["data that no tensor owns", fileOf("{}", [0, 0, 0]), "has 3 bytes of data, 3 more than"],
  ])("refuses %s", (_, bytes, problem) => {
    const message = messageOf(bytes);
    expect(message).toContain(problem);
    expect(message).toMatch(/^weights\.safetensors [^\n]{10,300}$/);
  });
});

describe("writeSafetensors", () => {
  it("comes back as it was", () => {
    const file = readSafetensors(writeSafetensors(new Map(sample), metadata), "round trip");
    expect(new Map([...file.tensors].sort())).toEqual(new Map([...sample].sort()));
    expect(file.metadata).toEqual(metadata);
  });

  it("writes equal bytes whatever the order of filling", () => {
    const forwards = writeSafetensors(new Map(sample), metadata);
    const backwards = writeSafetensors(
      new Map([...sample].reverse()),
      Object.fromEntries(Object.entries(metadata).reverse()),
    );
    expect(backwards).toEqual(forwards);
  });

  it("aligns the data and every tensor in it, padding the header with spaces", () => {
    for (let length = 1; length < 12; length++) {
      const bytes = writeSafetensors(new Map(sample), { key: "x".repeat(length) });
      const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true));
      expect(headerLength % 8).toBe(0);
      const text = new TextDecoder().decode(bytes.subarray(8, 8 + headerLength));
      expect(text).toMatch(/^\{.*\} {0,7}$/);
      const header = JSON.parse(text) as Record<string, { data_offsets: [number, number] }>;
      for (const [name, tensor] of sample) {
        expect((header[name]?.data_offsets[0] ?? NaN) % tensor.data.BYTES_PER_ELEMENT).toBe(0);
      }
    }
  });

  it("writes a view's own elements, not its whole buffer", () => {
    const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
    const bytes = writeSafetensors(new Map([["a", { dtype: "F32", shape: [2], data }]]));
    expect(readSafetensors(bytes, "view").tensors.get("a")?.data).toEqual(Float32Array.of(2, 3));
  });

  it("refuses data that does not fit", () => {
    const write = (tensor: SafeTensor, name = "a") => writeSafetensors(new Map([[name, tensor]]));
    const data = new Float32Array(3);
    expect(() => write({ dtype: "F32", shape: [2, 2], data })).toThrow(
      "shape [2,2] wants 16 bytes of F32, the data has 12",
    );
    expect(() => write({ dtype: "F32", shape: [NaN], data })).toThrow("shape [NaN]");
    expect(() => write({ dtype: "F16", shape: [3], data } as unknown as SafeTensor)).toThrow("F16 wants a Uint16Array");
    expect(() => write({ dtype: "F32", shape: [3], data }, "__metadata__")).toThrow("keeps this name");
  });
});

describe("toFloat32", () => {
  it("gives the exact values of half floats", () => {
    const known: [number, number][] = [
      [0x0000, 0],
      [0x8000, -0],
      [0x0001, 5.960464477539063e-8],
      [0x03ff, 6.097555160522461e-5],
      [0x0400, 6.103515625e-5],
      [0x3555, 0.333251953125],
      [0x3c00, 1],
      [0xc000, -2],
      [0x7bff, 65504],
      [0x7c00, Infinity],
      [0xfc00, -Infinity],
      [0x7e00, NaN],
    ];
    for (const [bits, value] of known) expect(halfToNumber(bits)).toBe(value);
    const data = Uint16Array.from(known, ([bits]) => bits);
    const floats = toFloat32({ dtype: "F16", shape: [known.length], data });
    expect(floats).toEqual(Float32Array.from(known, ([, value]) => value));
  });

  it("gives the exact values of bfloat16, and rounds doubles", () => {
    const data = Uint16Array.of(0x3f80, 0xc049, 0x0001, 0x7f80);
    expect(toFloat32({ dtype: "BF16", shape: [4], data })).toEqual(Float32Array.of(1, -3.140625, 2 ** -133, Infinity));
    expect(toFloat32({ dtype: "F64", shape: [1], data: Float64Array.of(0.1) })).toEqual(Float32Array.of(0.1));
  });

  it("refuses counters", () => {
    expect(() => toFloat32({ dtype: "I64", shape: [], data: BigInt64Array.of(3n) })).toThrow(
      "type I64, not a float type",
    );
  });
});
