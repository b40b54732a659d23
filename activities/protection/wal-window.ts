import type { RecoveryPoint, Vault } from '../../workflows/engine/protection.ts';
import { parseLsn } from '../drivers/postgres/lsn.ts';
import type { Repository } from '../backup/repository/attach.ts';
import { reachable, type BackupPoint, type Reach } from '../backup/postgres/reach.ts';
import { readWalMap } from '../backup/postgres/recovery-plan.ts';
import { openRepositoryWalArchive } from '../backup/postgres/repository-wal-archive.ts';
import { readIdentity, type WalArchive } from '../backup/postgres/wal-archive.ts';
import { readAll } from '../backup/postgres/wal-content.ts';
import { segmentAt, segmentName } from '../backup/postgres/wal-name.ts';
import { WalScanner } from '../backup/postgres/wal-scan.ts';
import { openVault } from './vault.ts';

/** How far a base backup and the archived WAL lead. */
export interface WalWindow {
  /** Time of the last commit that can be replayed, by the source's clock, Unix milliseconds; null: nobody knows. */
  toMs: number | null;
  toLsn: string;
  /** The first missing segment, when WAL behind it is there. */
  gap: string | null;
}

/** An idle database writes no commits: so many segments are looked through for the last one. */
const segmentsBack = 4;

/**
 * Up to when each recovery point of a database can be brought by WAL that its vault holds; points that no WAL belongs to
 * are left out. @throws MusterError as `openVault`, REPOSITORY_DAMAGED
 */
export async function walWindows(vault: Vault, points: readonly RecoveryPoint[]): Promise<Map<string, WalWindow>> {
  const windows = new Map<string, WalWindow>();
  const repository = await openVault(vault);
  try {
    const ends = new Map<string, Promise<number | null>>();
    for (const point of points) {
      const window = await windowOf(repository, point, ends);
      if (window !== null) windows.set(point.id, window);
    }
  } finally {
    await repository.close();
  }
  return windows;
}

async function windowOf(
  repository: Repository,
  { service, resource, facts, takenAtMs }: RecoveryPoint,
  ends: Map<string, Promise<number | null>>,
): Promise<WalWindow | null> {
  const { systemId, timeline, startLsn, endLsn } = facts;
  if (typeof systemId !== 'string' || typeof timeline !== 'number') return null;
  if (typeof startLsn !== 'string' || typeof endLsn !== 'string') return null;
  const archive = openRepositoryWalArchive(repository, { service, resource, systemId });
  const identity = await readIdentity(archive);
  if (identity === null) return null;
  const map = await readWalMap(archive, identity.segmentBytes);
  const backup: BackupPoint = { timeline, startLsn, endLsn, hasWal: true, endedAtMs: takenAtMs };
  const reach = reachable(map, backup).at(-1);
  if (reach === undefined || reach.toLsn === reach.fromLsn) return null;
  const key = `${systemId}/${reach.timeline}/${reach.toLsn}/${reach.partial}`;
  let toMs = ends.get(key);
  if (toMs === undefined) {
    toMs = lastCommitMs(archive, reach, identity);
    ends.set(key, toMs);
  }
  return { toMs: await toMs, toLsn: reach.toLsn, gap: reach.gap };
}

async function lastCommitMs(
  archive: WalArchive,
  { timeline, toLsn, partial }: Reach,
  { segmentBytes, systemId }: { segmentBytes: number; systemId: string },
): Promise<number | null> {
  const end = segmentAt(parseLsn(toLsn) ?? 0n, segmentBytes);
  for (let back = 0; back <= segmentsBack; back++) {
    const segment = end - back;
    const name = back === 0 && partial !== null ? partial : segmentName(timeline, segment, segmentBytes);
    const pieces = await archive.get(name);
    if (pieces === null) continue;
    const { marks } = new WalScanner({ segmentBytes, systemId }).scan(timeline, segment, await readAll(pieces));
    const commits = marks.flatMap(({ mark }) => (mark.kind === 'end' && mark.isCommit ? [mark.atMs] : []));
    if (commits.length > 0) return Math.max(...commits);
  }
  return null;
}
