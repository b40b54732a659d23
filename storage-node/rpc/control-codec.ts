/** Named calls between nodes that concern no drive: seldom, small, and free in form. */
import { Packr } from 'msgpackr';
import { type CallCodec, small } from './call-codec.ts';
import { methodIds } from './methods.ts';
import { type WireReader, type WireWriter } from './wire.ts';

const packr = new Packr({ useRecords: false });

export interface ControlRequest {
  name: string;
  body: unknown;
}

const writeValue = (writer: WireWriter, value: unknown): void => writer.bytes(packr.pack(value));
function readValue(reader: WireReader): unknown {
  const value: unknown = packr.unpack(reader.bytes());
  return value;
}

export const controlCall: CallCodec<ControlRequest, unknown> = {
  ...small,
  method: methodIds.control,
  writeRequest(writer, { name, body }) {
    writer.text(name);
    writeValue(writer, body);
  },
  readRequest: (reader) => ({ name: reader.text(), body: readValue(reader) }),
  writeReply: writeValue,
  readReply: readValue,
};
