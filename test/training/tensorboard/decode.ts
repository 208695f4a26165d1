// Reads event files by the format's description alone: no code in common with training/tensorboard.

/** A field of a protobuf message: its number, and a varint, 8 or 4 bytes, or a length-delimited part. */
export interface Field {
  readonly id: number;
  readonly varint?: number;
  readonly bytes?: Buffer;
}

export function fieldsOf(message: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = varint();
    const id = key >>> 3;
    if ((key & 7) === 0) {
      fields.push({ id, varint: varint() });
      continue;
    }
    const size = { 1: 8, 5: 4 }[key & 7] ?? varint();
    fields.push({ id, bytes: message.subarray(at, at + size) });
    at += size;
  }
  return fields;
}

/** The only field of that number. */
export function field(message: Buffer, id: number): Field {
  const found = fieldsOf(message).filter((one) => one.id === id);
  if (found.length !== 1) throw new Error(`${found.length} fields ${id}`);
  return found[0];
}
export const part = (message: Buffer, ...path: number[]): Buffer =>
  path.reduce((inner, id) => field(inner, id).bytes!, message);
export const has = (message: Buffer, id: number): boolean => fieldsOf(message).some((one) => one.id === id);
export const double = (message: Buffer, id: number): number => part(message, id).readDoubleLE();
export const text = (message: Buffer, ...path: number[]): string => part(message, ...path).toString("utf8");
export const doubles = (message: Buffer, id: number): number[] => {
  const packed = part(message, id);
  return Array.from({ length: packed.length / 8 }, (_, i) => packed.readDoubleLE(i * 8));
};

/** CRC-32C bit by bit. */
function crc(bytes: Buffer): number {
  let value = 0xffffffffn;
  for (const byte of bytes) {
    value ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ 0x82f63b78n : value >> 1n;
  }
  return Number(value ^ 0xffffffffn);
}
function masked(bytes: Buffer): number {
  const value = BigInt(crc(bytes));
  return Number((((value >> 15n) | (value << 17n)) + 0xa282ead8n) & 0xffffffffn);
}

/** The events of a file; throws where a length or checksum is wrong. */
export function eventsOf(file: Uint8Array): Buffer[] {
  const events: Buffer[] = [];
  const buffer = Buffer.from(file);
  for (let at = 0; at < buffer.length;) {
    const length = Number(buffer.readBigUInt64LE(at));
    if (buffer.readUInt32LE(at + 8) !== masked(buffer.subarray(at, at + 8))) throw new Error("CRC of a length");
    const data = buffer.subarray(at + 12, at + 12 + length);
    if (buffer.readUInt32LE(at + 12 + length) !== masked(data)) throw new Error("CRC of a record");
    events.push(data);
    at += 16 + length;
  }
  return events;
}

/** The values of all summaries: [step, tag, Value]. */
export function valuesOf(file: Uint8Array): [number, string, Buffer][] {
  return eventsOf(file)
    .filter((event) => has(event, 5))
    .flatMap((event) => {
      const step = has(event, 2) ? field(event, 2).varint! : 0;
      const values = fieldsOf(part(event, 5)).filter(({ id }) => id === 1);
      return values.map(({ bytes }): [number, string, Buffer] => [step, text(bytes!, 1), bytes!]);
    });
}
