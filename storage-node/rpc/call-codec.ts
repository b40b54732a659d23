import { type Channel } from './methods.ts';
import { type WireReader, type WireWriter } from './wire.ts';

/** Both directions of a call that has one answer. Readers throw WireError; bytes they return are views of the message. */
export interface CallCodec<Request, Reply> {
  readonly method: number;
  readonly channel: Channel;
  /** Its answer time says how quick the drive is at reading. */
  readonly isRead: boolean;
  writeRequest(writer: WireWriter, request: Request): void;
  readRequest(reader: WireReader): Request;
  writeReply(writer: WireWriter, reply: Reply): void;
  readReply(reader: WireReader): Reply;
}

/** Settings of most calls. */
export const small = { channel: 'calls', isRead: false } as const;
/** Settings of calls that read and cost a drive little. */
export const quickRead = { channel: 'calls', isRead: true } as const;
