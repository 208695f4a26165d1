// TFRecord: the framing of event files. Each record is
//   u64 length | u32 masked CRC of those 8 bytes | the bytes | u32 masked CRC of the bytes        (little-endian)
// Source: TensorFlow's "TFRecord and tf.train.Example" guide; CRC-32C (Castagnoli), RFC 3720, polynomial 0x1EDC6F41 reflected.

const TABLE = crcTable(0x82f63b78);
const HEADER = 12;
const FOOTER = 4;

function crcTable(polynomial: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, value) => {
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? polynomial : 0);
    return value;
  });
}

/** CRC-32C of some bytes, a u32. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** The CRC as TFRecord stores it: rotated and shifted, so that the CRC of data that holds its own CRC stays useful. */
export function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** `data` as one record. */
export function frameRecord(data: Uint8Array): Uint8Array {
  const framed = new Uint8Array(HEADER + data.length + FOOTER);
  const view = new DataView(framed.buffer);
  view.setUint32(0, data.length, true);
  view.setUint32(8, maskedCrc(framed.subarray(0, 8)), true);
  framed.set(data, HEADER);
  view.setUint32(HEADER + data.length, maskedCrc(data), true);
  return framed;
}

/** The records of a file, in order, up to its end or to the first that is cut off or damaged. */
export function* readRecords(file: Uint8Array): Generator<Uint8Array, void, undefined> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 0; at + HEADER + FOOTER <= file.length;) {
    const length = view.getUint32(at, true);
    const end = at + HEADER + length + FOOTER;
    if (view.getUint32(at + 4, true) !== 0 || end > file.length) return;
    if (view.getUint32(at + 8, true) !== maskedCrc(file.subarray(at, at + 8))) return;
    const data = file.subarray(at + HEADER, at + HEADER + length);
    if (view.getUint32(end - FOOTER, true) !== maskedCrc(data)) return;
    yield data;
    at = end;
  }
}
