import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { formatLsn } from './lsn.ts';

/** What `global/pg_control` says of a server, read without the server (and without `pg_controldata`). */
export interface ControlFile {
  /** The same for a primary and everything cloned from it. */
  systemId: string;
  state: ClusterState;
  /** Last checkpoint: where its record starts. After a clean shutdown this is the server's last record. */
  checkpointLsn: string;
  redoLsn: string;
  timeline: number;
}

/** DBState of src/include/catalog/pg_control.h, in its order. */
const states = [
  'starting-up',
  'shut-down',
  'shut-down-in-recovery',
  'shutting-down',
  'in-crash-recovery',
  'in-archive-recovery',
  'in-production',
] as const;
export type ClusterState = (typeof states)[number];

const TORN_READ_ATTEMPTS = 5;

/** Reads it; throws CONFIG_INVALID when there is none or its checksum is wrong. Fields lie where PostgreSQL 12 to 18 have them. */
export async function readControlFile(dataDir: string): Promise<ControlFile> {
  const file = path.join(dataDir, 'global', 'pg_control');
  for (let attempt = 1; attempt <= TORN_READ_ATTEMPTS; attempt++) {
    const bytes = await readFile(file).catch((err: NodeJS.ErrnoException) => {
      throw new MusterError('CONFIG_INVALID', `${file} cannot be read (${err.code ?? err.message})`);
    });
    // A running server may be writing it at this moment: then the checksum does not fit and the next read does.
    if (checksumHolds(bytes)) return parseControlFile(bytes);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new MusterError('CONFIG_INVALID', `${file} has a wrong checksum`);
}

export function parseControlFile(bytes: Buffer): ControlFile {
  return {
    systemId: bytes.readBigUInt64LE(0).toString(),
    state: states[bytes.readUInt32LE(16)] ?? 'starting-up',
    checkpointLsn: formatLsn(bytes.readBigUInt64LE(32)),
    redoLsn: formatLsn(bytes.readBigUInt64LE(40)),
    timeline: bytes.readUInt32LE(48),
  };
}

/** The CRC-32C covers all bytes before itself; where it stands moves with the version, so each place is tried. */
export function checksumHolds(bytes: Buffer): boolean {
  let crc = 0xffffffff;
  for (let at = 0; at + 4 <= Math.min(bytes.length, 512); at++) {
    if (at >= 200 && at % 4 === 0 && bytes.readUInt32LE(at) === (crc ^ 0xffffffff) >>> 0) return true;
    crc = (crcTable[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return false;
}

const CASTAGNOLI_REFLECTED = 0x82f63b78;
const crcTable = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ CASTAGNOLI_REFLECTED : value >>> 1;
  return value >>> 0;
});
