// TensorBoard's messages, by their public field numbers (its event.proto, summary.proto, histogram.proto, tensor.proto), only the fields
// that are written here.
import protobuf from "protobufjs/light.js";
import type { Histogram } from "./histogram.ts";

const root = protobuf.Root.fromJSON({
  nested: {
    Event: {
      oneofs: { what: { oneof: ["fileVersion", "summary", "sessionLog"] } },
      fields: {
        wallTime: { type: "double", id: 1 },
        step: { type: "int64", id: 2 },
        fileVersion: { type: "string", id: 3 },
        summary: { type: "Summary", id: 5 },
        sessionLog: { type: "SessionLog", id: 7 },
      },
    },
    SessionLog: { fields: { status: { type: "int32", id: 1 } } },
    Summary: { fields: { value: { rule: "repeated", type: "Value", id: 1 } } },
    Value: {
      oneofs: { content: { oneof: ["simpleValue", "image", "histo", "tensor"] } },
      fields: {
        tag: { type: "string", id: 1 },
        simpleValue: { type: "float", id: 2 },
        image: { type: "Image", id: 4 },
        histo: { type: "Histogram", id: 5 },
        tensor: { type: "Tensor", id: 8 },
        metadata: { type: "Metadata", id: 9 },
      },
    },
    Image: {
      fields: {
        height: { type: "int32", id: 1 },
        width: { type: "int32", id: 2 },
        colorspace: { type: "int32", id: 3 },
        encodedImageString: { type: "bytes", id: 4 },
      },
    },
    Histogram: {
      fields: {
        min: { type: "double", id: 1 },
        max: { type: "double", id: 2 },
        num: { type: "double", id: 3 },
        sum: { type: "double", id: 4 },
        sumSquares: { type: "double", id: 5 },
        bucketLimit: { rule: "repeated", type: "double", id: 6 },
        bucket: { rule: "repeated", type: "double", id: 7 },
      },
    },
    Tensor: {
      fields: {
        dtype: { type: "int32", id: 1 },
        tensorShape: { type: "TensorShape", id: 2 },
        stringVal: { rule: "repeated", type: "bytes", id: 8 },
      },
    },
    TensorShape: { fields: { dim: { rule: "repeated", type: "Dim", id: 2 } } },
    Dim: { fields: { size: { type: "int64", id: 1 } } },
    Metadata: { fields: { pluginData: { type: "PluginData", id: 1 } } },
    PluginData: { fields: { pluginName: { type: "string", id: 1 } } },
  },
});
const type = root.lookupType("Event");

/** One value of a summary under its tag; exactly one of the others is set, a tensor with its metadata. */
export interface SummaryValue {
  readonly tag: string;
  readonly simpleValue?: number;
  /** `colorspace` 3 is RGB. */
  readonly image?: { height: number; width: number; colorspace: number; encodedImageString: Uint8Array };
  readonly histo?: Histogram;
  /** `dtype` 7 is a string. */
  readonly tensor?: { dtype: number; tensorShape: { dim: { size: number }[] }; stringVal: Uint8Array[] };
  readonly metadata?: { pluginData: { pluginName: string } };
}

/** A record of an event file. `wallTime` is in seconds since 1970. */
export interface TensorBoardEvent {
  readonly wallTime: number;
  readonly step?: number;
  /** The first record of a file says "brain.Event:2". */
  readonly fileVersion?: string;
  readonly summary?: { readonly value: readonly SummaryValue[] };
  /** Status 1, the start of a session: TensorBoard forgets what it has read of this step and later ones. */
  readonly sessionLog?: { readonly status: number };
}

/** The bytes of an event. */
export function encodeEvent(event: TensorBoardEvent): Uint8Array {
  return type.encode(event).finish();
}

/** The event in some bytes. Fields that Kiln does not write are left out. */
export function decodeEvent(bytes: Uint8Array): TensorBoardEvent {
  return type.toObject(type.decode(bytes), { longs: Number }) as unknown as TensorBoardEvent;
}
