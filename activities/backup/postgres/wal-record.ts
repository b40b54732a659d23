import { crc32c, firstRegister, updateCrcs, valueOf } from '../../objects/checksum/crc.ts';
import { unixMs } from './wal-messages.ts';

/** Header of a WAL record (src/include/access/xlogrecord.h), the same in PostgreSQL 9.5 to 18. */
export const recordHeaderBytes = 24;

export interface RecordHeader {
  totalBytes: number;
  previousLsn: bigint;
  info: number;
  resourceManager: number;
  crc: number;
}

export function parseRecordHeader(bytes: Buffer, at: number): RecordHeader {
  return {
    totalBytes: bytes.readUInt32LE(at),
    previousLsn: bytes.readBigUInt64LE(at + 8),
    info: bytes[at + 16] ?? 0,
    resourceManager: bytes[at + 17] ?? 0,
    crc: bytes.readUInt32LE(at + 20),
  };
}

/** Whether the record's own CRC-32C holds: of everything behind the header, then of the header before the CRC. */
export function recordHolds(record: Buffer, crc: number): boolean {
  const body = record.subarray(recordHeaderBytes);
  let register = body.length < manyBytes ? byTable(0xffffffff, body) : byKernel(body);
  register = byTable(register, record.subarray(0, 20));
  return (register ^ 0xffffffff) >>> 0 === crc;
}

/** Below that the table is as fast as the kernel. */
const manyBytes = 1024;
const kernels = [crc32c];

function byKernel(bytes: Buffer): number {
  const registers = [firstRegister(crc32c)];
  updateCrcs(kernels, registers, bytes);
  return Number((valueOf(crc32c, registers[0] ?? 0n) ^ 0xffffffffn) & 0xffffffffn);
}

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ Number(crc32c.polynomial) : value >>> 1;
  return value >>> 0;
});

function byTable(register: number, bytes: Buffer): number {
  let crc = register;
  for (let at = 0; at < bytes.length; at++) crc = (table[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return crc;
}

/** What recovery can be told to stop at, and what it steps over. */
export type RecordMark =
  /** A transaction ended. */
  | { kind: 'end'; isCommit: boolean; atMs: number }
  | { kind: 'restore-point'; name: string; atMs: number }
  /** The rest of the segment is empty. */
  | { kind: 'switch' };

/** Numbers of resource managers and of their records (rmgrlist.h, pg_control.h, xact.h). */
const [xlogManager, xactManager] = [0, 1];
const [xlogSwitch, xlogRestorePoint] = [0x40, 0x70];
const xactEnds: Record<number, boolean> = { 0x00: true, 0x20: false, 0x30: true, 0x40: false };

export function markOf({ resourceManager, info }: RecordHeader, record: Buffer): RecordMark | null {
  if (resourceManager === xlogManager) {
    const kind = info & 0xf0;
    if (kind === xlogSwitch) return { kind: 'switch' };
    const body = kind === xlogRestorePoint ? mainPart(record) : null;
    if (body === null || body.length < 9) return null;
    const name = body.toString('utf8', 8).split('\0')[0] ?? '';
    return { kind: 'restore-point', name, atMs: unixMs(body.readBigInt64LE(0)) };
  }
  const isCommit = resourceManager === xactManager ? xactEnds[info & 0x70] : undefined;
  const body = isCommit === undefined ? null : mainPart(record);
  if (isCommit === undefined || body === null || body.length < 8) return null;
  return { kind: 'end', isCommit, atMs: unixMs(body.readBigInt64LE(0)) };
}

/** Identifiers of the parts of a record's head that are no blocks. */
const part = { short: 255, long: 254, origin: 253, topTransaction: 252 } as const;

/** A record's main data lies at its end; its length stands last in the head. `null` for records with blocks. */
function mainPart(record: Buffer): Buffer | null {
  let at = recordHeaderBytes;
  for (;;) {
    const id = record[at];
    if (id === part.origin) at += 3;
    else if (id === part.topTransaction) at += 5;
    else if (id === part.short) return record.subarray(record.length - (record[at + 1] ?? 0));
    else if (id === part.long && at + 5 <= record.length)
      return record.subarray(record.length - record.readUInt32LE(at + 1));
    else return null;
  }
}
