import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { checksumHolds } from '../../drivers/postgres/control-file.ts';

/** Settings of the server that wrote a data directory, as far as recovery must not fall short of them. */
export interface ControlSettings {
  max_connections: number;
  max_worker_processes: number;
  max_wal_senders: number;
  max_prepared_transactions: number;
  max_locks_per_transaction: number;
  track_commit_timestamp: boolean;
  hasDataChecksums: boolean;
}

/**
 * Reads them from `global/pg_control` (ControlFileData of src/include/catalog/pg_control.h; the places are the same in
 * PostgreSQL 14 to 18). @throws MusterError RESTORE_FAILED for a damaged file
 */
export async function readControlSettings(dataDir: string): Promise<ControlSettings> {
  const file = path.join(dataDir, 'global', 'pg_control');
  const bytes = await readFile(file);
  if (!checksumHolds(bytes)) throw new MusterError('RESTORE_FAILED', `${file} has a wrong checksum`);
  return {
    max_connections: bytes.readInt32LE(180),
    max_worker_processes: bytes.readInt32LE(184),
    max_wal_senders: bytes.readInt32LE(188),
    max_prepared_transactions: bytes.readInt32LE(192),
    max_locks_per_transaction: bytes.readInt32LE(196),
    track_commit_timestamp: bytes[200] === 1,
    hasDataChecksums: bytes.readUInt32LE(252) !== 0,
  };
}
