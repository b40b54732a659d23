import { MusterError } from '../../../workflows/engine/errors.ts';
import { parseLsn } from '../../drivers/postgres/lsn.ts';
import type { BackupFacts } from './backup-entry.ts';
import { chooseBackup, type BackupChoice, type Reach } from './reach.ts';
import { describeTarget, type RecoveryTarget } from './recovery-target.ts';
import { readIdentity, type WalArchive } from './wal-archive.ts';
import { readAll } from './wal-content.ts';
import { mapWal, type WalMap } from './wal-gaps.ts';
import { parseWalName } from './wal-name.ts';
import type { SupplyPlan } from './wal-supply.ts';

/** Lists an archive and reads its histories. Segments must be of the given size. */
export async function readWalMap(archive: WalArchive, segmentBytes: number): Promise<WalMap> {
  const names: string[] = [];
  const histories = new Map<number, string>();
  for await (const name of archive.list()) {
    names.push(name);
    const parsed = parseWalName(name, segmentBytes);
    const pieces = parsed?.kind === 'history' ? await archive.get(name) : null;
    if (parsed !== null && pieces !== null) histories.set(parsed.timeline, (await readAll(pieces)).toString('utf8'));
  }
  return mapWal({ names, histories, segmentBytes });
}

export interface RecoveryPlan {
  reach: Reach;
  supply: SupplyPlan;
}

/**
 * Whether a backup and an archive lead to a target, before anything is moved.
 * @throws MusterError WAL_GAP naming the first missing segment; RECOVERY_TARGET_UNREACHABLE; WAL_CONFLICT when the
 * archive is another system's
 */
export async function planRecovery(
  facts: BackupFacts,
  archive: WalArchive | null,
  target: RecoveryTarget,
): Promise<RecoveryPlan> {
  const { segmentBytes, systemId } = facts;
  const empty = mapWal({ names: [], histories: new Map(), segmentBytes });
  const map = archive === null ? empty : await readWalMap(archive, segmentBytes);
  const identity = archive === null ? null : await readIdentity(archive);
  if (identity !== null && identity.systemId !== systemId) {
    const whose = `${archive?.place} holds the WAL of system ${identity.systemId}`;
    throw new MusterError('WAL_CONFLICT', `${whose}, the base backup is of ${systemId}`);
  }
  // A backup alone leads along its own timeline, whatever that is.
  const reach = archive === null ? ownReach(facts, target) : chosen(chooseBackup(map, [facts], target), target);
  const path = map.tree.pathTo(reach.timeline) ?? [{ timeline: reach.timeline, fromLsn: 0n, toLsn: null }];
  const from = path.findIndex((leg) => leg.timeline === facts.timeline);
  const ownToLsn = facts.hasWal ? (parseLsn(facts.endLsn) ?? 0n) : 0n;
  const toLsn = parseLsn(reach.toLsn) ?? 0n;
  const supply = { systemId, segmentBytes, path: path.slice(Math.max(0, from)), toLsn, ownToLsn };
  return { reach, supply };
}

function ownReach({ timeline, endLsn, hasWal }: BackupFacts, target: RecoveryTarget): Reach {
  const isOwn = target.timeline === 'latest' || target.timeline === timeline;
  if (!hasWal || !isOwn) {
    const why = hasWal ? `it is on timeline ${timeline}` : 'it needs WAL, and there is no archive';
    throw unreachable(target, `the base backup alone does not lead there: ${why}`);
  }
  return { timeline, fromLsn: endLsn, toLsn: endLsn, partial: null, gap: null };
}

function chosen(choice: BackupChoice<BackupFacts>, target: RecoveryTarget): Reach {
  if (choice.kind === 'found') return choice.reach;
  if (choice.kind === 'gap')
    throw new MusterError('WAL_GAP', `${describeTarget(target)} cannot be reached: ${choice.why}`);
  throw unreachable(target, choice.why);
}

function unreachable(target: RecoveryTarget, why: string): MusterError {
  return new MusterError('RECOVERY_TARGET_UNREACHABLE', `${describeTarget(target)} cannot be reached: ${why}`);
}
