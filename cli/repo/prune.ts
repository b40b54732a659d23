import { prune as clean, type PruneProgress, type PruneResult } from '../../activities/backup/engine/prune.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { countOf, formatBytes, formatClock, formatElapsed, formatTime } from '../format.ts';
import { parseMaxUnused } from './parse.ts';
import type { Screen, Status } from './screen.ts';
import type { Body, RepoOptions, Session } from './action.ts';
import { withRepository, type OpenRepository } from './session.ts';

export interface PruneFlags extends RepoOptions {
  maxUnused: string;
  dryRun?: boolean;
}

/** Gives back the space of what no snapshot needs. */
export const prune: Body<PruneFlags> = async (session, flags) => {
  const settings = { maxUnusedPercent: parseMaxUnused(flags.maxUnused), dryRun: flags.dryRun === true };
  return withRepository(session, 'exclusive', (open) => pruneOpen(session, open, settings));
};

/** The same on a repository that is open and locked already. */
export async function pruneOpen(
  session: Session,
  { repository, lock, signal }: OpenRepository,
  settings: { maxUnusedPercent: number; dryRun: boolean },
): Promise<ExitCode> {
  const { screen } = session;
  if (lock === null) throw new MusterError('INTERNAL', 'a prune without a lock');
  session.whenStopped = 'every snapshot is whole; run `muster repo prune` again to go on';
  const result = await clean({ repository, lock, signal, ...settings, onProgress: pruneProgress(screen) });
  if (screen.json) screen.value(summaryOf(result));
  screen.remark(textOf(result));
  return exitCodes.met;
}

function pruneProgress(screen: Screen): (progress: PruneProgress) => void {
  const beganMs = performance.now();
  return ({ stage, done, of }) =>
    screen.progress((): Status => {
      const seconds = (performance.now() - beganMs) / 1_000;
      const what = { marking: 'snapshots looked through', repacking: 'packs rewritten', removing: 'files removed' }[
        stage
      ];
      return {
        line: `[${formatClock(seconds)}]  ${done} of ${of} ${what}`,
        fields: { seconds_elapsed: Math.floor(seconds), stage, done, of },
      };
    });
}

function heldText({ count, bytes, untilMs }: PruneResult['held']): string[] {
  if (count === 0) return [];
  const until = untilMs === null ? 'until its locks end' : `until ${formatTime(new Date(untilMs).toISOString())}`;
  return [
    `${countOf(count, 'pack')}, ${formatBytes(bytes)}, under a lock of the store ${until}: a later prune removes them`,
  ];
}

function textOf({ kind, packs, bytes, seconds, snapshots, held }: PruneResult): string {
  const freed = bytes.unusedBefore - bytes.unusedAfter + bytes.orphans - held.bytes;
  const [removes, frees] = kind === 'planned' ? ['would remove', 'would free'] : ['removed', 'freed'];
  return [
    `${countOf(snapshots, 'snapshot')} ${snapshots === 1 ? 'needs' : 'need'} ${formatBytes(bytes.used)}`,
    `${removes} ${countOf(packs.removed + packs.orphans, 'pack')}, rewrote ${packs.repacked}, kept ${packs.kept}`.replace(
      'rewrote',
      kind === 'planned' ? 'rewrite' : 'rewrote',
    ),
    `${frees} ${formatBytes(freed)}; ${formatBytes(bytes.unusedAfter)} of no use stays, in ${formatElapsed(seconds)}`,
    ...heldText(held),
  ].join('\n');
}

function summaryOf({ kind, snapshots, packs, bytes, held, seconds }: PruneResult): object {
  return {
    ...{ message_type: 'summary', dry_run: kind === 'planned', snapshots_count: snapshots },
    ...{ packs_kept: packs.kept, packs_repacked: packs.repacked, packs_removed: packs.removed },
    ...{ orphaned_packs_removed: packs.orphans, bytes_used: bytes.used, bytes_unused_before: bytes.unusedBefore },
    ...{ bytes_unused_after: bytes.unusedAfter, orphaned_bytes: bytes.orphans, total_duration: seconds },
    ...{ packs_held: held.count, bytes_held: held.bytes, held_until_ms: held.untilMs },
  };
}
