/** Messages inside a WAL stream (PostgreSQL's documentation, "Streaming Replication Protocol"). */

/** Microseconds between 1970 and 2000, where PostgreSQL's clock begins. */
const postgresEpochMicros = 946_684_800_000_000n;

export const dataHeaderBytes = 25;

export type WalMessage =
  /** WAL from `startLsn` on. */
  | { kind: 'data'; startLsn: bigint; serverLsn: bigint; bytes: Buffer }
  | { kind: 'keepalive'; serverLsn: bigint; wantsReply: boolean };

/** One whole message; `null` for one of a kind that is not known. */
export function parseWalMessage(bytes: Buffer): WalMessage | null {
  switch (String.fromCharCode(bytes[0] ?? 0)) {
    case 'w':
      return {
        kind: 'data',
        startLsn: bytes.readBigUInt64BE(1),
        serverLsn: bytes.readBigUInt64BE(9),
        bytes: bytes.subarray(dataHeaderBytes),
      };
    case 'k':
      return { kind: 'keepalive', serverLsn: bytes.readBigUInt64BE(1), wantsReply: bytes[17] === 1 };
    default:
      return null;
  }
}

export interface StandbyStatus {
  writtenLsn: bigint;
  /** On disk: a commit that waits for this standby waits for that. 0: not said, so that none ever does. */
  flushedLsn: bigint;
  nowMs: number;
  wantsReply: boolean;
}

/** A receiver applies nothing, so it says nothing of that: commits with `remote_apply` must not wait for it. */
export function standbyStatus({ writtenLsn, flushedLsn, nowMs, wantsReply }: StandbyStatus): Buffer {
  const bytes = Buffer.alloc(34);
  bytes.write('r');
  bytes.writeBigUInt64BE(writtenLsn, 1);
  bytes.writeBigUInt64BE(flushedLsn, 9);
  bytes.writeBigInt64BE(BigInt(Math.round(nowMs)) * 1000n - postgresEpochMicros, 25);
  bytes[33] = wantsReply ? 1 : 0;
  return bytes;
}

/** Unix milliseconds of a timestamp of PostgreSQL. */
export function unixMs(postgresMicros: bigint): number {
  return Number((postgresMicros + postgresEpochMicros) / 1000n);
}
