import type { ManifestAlgorithm } from './file-digest.ts';

export interface BackupRequest {
  label: string;
  /** Include the WAL from start to end. */
  wal: boolean;
  checksums: ManifestAlgorithm;
  /** The server writes its checkpoint at once, else spread over time. */
  fastCheckpoint: boolean;
  /** The server's limit, kB/s; it knows 32 to 1,048,576. */
  maxKilobytesPerSecond: number | null;
}

/** BASE_BACKUP in the grammar of that major version: words before 15, a list in brackets since. */
export function backupCommand(request: BackupRequest, major: number): string {
  return `BASE_BACKUP ${major < 15 ? words(request) : `(${list(request)})`}`;
}

// No `WAIT`: an archive that is stuck would hold the backup for ever. Who takes the backup asks the archive instead.

function words(request: BackupRequest): string {
  return [
    `LABEL ${quoted(request.label)} PROGRESS`,
    ...(request.fastCheckpoint ? ['FAST'] : []),
    ...(request.wal ? ['WAL'] : []),
    'NOWAIT',
    ...rateOf(request),
    `TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS '${request.checksums}'`,
  ].join(' ');
}

function list(request: BackupRequest): string {
  return [
    `LABEL ${quoted(request.label)}, PROGRESS, CHECKPOINT '${request.fastCheckpoint ? 'fast' : 'spread'}'`,
    ...(request.wal ? ['WAL'] : []),
    'WAIT false',
    ...rateOf(request),
    `TABLESPACE_MAP, MANIFEST 'yes', MANIFEST_CHECKSUMS '${request.checksums}'`,
  ].join(', ');
}

function rateOf({ maxKilobytesPerSecond: rate }: BackupRequest): string[] {
  return rate === null ? [] : [`MAX_RATE ${Math.min(1_048_576, Math.max(32, Math.round(rate)))}`];
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
