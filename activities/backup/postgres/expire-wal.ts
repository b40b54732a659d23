import type { Repository } from '../repository/attach.ts';
import { parseLsn } from '../../drivers/postgres/lsn.ts';
import type { BackupFacts } from './backup-entry.ts';
import { archivedSystems, openRepositoryWalArchive, type WalOwner } from './repository-wal-archive.ts';
import { readIdentity } from './wal-archive.ts';
import { parseWalName, segmentAt } from './wal-name.ts';

/** A base backup that is kept, as far as it decides which WAL is needed. */
export type KeptBackup = Pick<BackupFacts, 'systemId' | 'startLsn'>;

/**
 * Names of the files that no recovery from the kept base backups can want: everything before the oldest of them begins,
 * on whatever timeline, since positions only grow along every way a system has gone. What lies behind stays, branches that
 * were given up included: they are the only record of what a former primary had alone. Histories stay for ever. Pure.
 */
export function unneededWal(names: Iterable<string>, keptStarts: readonly string[], segmentBytes: number): string[] {
  const starts = keptStarts.map((lsn) => parseLsn(lsn));
  // Without a base backup, or with one nobody understands, nothing is known to be unneeded: the first may be on its way.
  if (starts.length === 0 || starts.includes(null)) return [];
  const oldest = Math.min(...starts.map((lsn) => segmentAt(lsn ?? 0n, segmentBytes)));
  return [...names].filter((name) => {
    const parsed = parseWalName(name, segmentBytes);
    return parsed !== null && parsed.kind !== 'history' && parsed.segment < oldest;
  });
}

export interface ExpiredWal {
  /** Files that were removed (or would be). */
  removed: number;
  kept: number;
  /** Systems of which there is WAL but no kept base backup; theirs was left as it is. */
  withoutBackup: string[];
}

/**
 * Removes from a repository the WAL of a database that no kept base backup needs. Needs no lock: no other than such WAL is
 * ever removed, and a base backup that is being taken begins behind all of it. `kept` must hold every base backup of the
 * database that anybody may still restore.
 * @throws MusterError REPOSITORY_DAMAGED, OBJECT_STORE_UNREACHABLE, ...
 */
export async function expireWal(
  repository: Repository,
  database: Omit<WalOwner, 'systemId'>,
  kept: readonly KeptBackup[],
  options: { dryRun?: boolean; signal?: AbortSignal } = {},
): Promise<ExpiredWal> {
  const result: ExpiredWal = { removed: 0, kept: 0, withoutBackup: [] };
  for (const systemId of await archivedSystems(repository, database)) {
    const archive = openRepositoryWalArchive(repository, { ...database, systemId });
    const identity = await readIdentity(archive);
    const names: string[] = [];
    for await (const name of archive.list()) names.push(name);
    const starts = kept.filter((one) => one.systemId === systemId).map((one) => one.startLsn);
    if (starts.length === 0) result.withoutBackup.push(systemId);
    const unneeded = identity === null ? [] : unneededWal(names, starts, identity.segmentBytes);
    // From the oldest on: what an interruption leaves has no hole.
    for (const name of unneeded.toSorted()) {
      options.signal?.throwIfAborted();
      if (options.dryRun !== true) await archive.remove(name);
    }
    result.removed += unneeded.length;
    result.kept += names.length - unneeded.length;
  }
  return result;
}
