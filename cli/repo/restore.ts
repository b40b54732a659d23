import { restore as write, type RestoreCounts, type RestoreResult } from '../../activities/backup/engine/restore.ts';
import type { Snapshot } from '../../activities/backup/repository/snapshot.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { oneSnapshot, shortId, type ChoiceOptions } from './choice.ts';
import { countOf, formatBytes, formatElapsed, printable } from '../format.ts';
import { parseChoice, parseSnapshotPath } from './parse.ts';
import type { Screen } from './screen.ts';
import type { Body, RepoOptions, Session } from './action.ts';
import { withRepository } from './session.ts';
import { WorkStatus, type Done } from './status.ts';

export interface RestoreFlags extends RepoOptions, ChoiceOptions {
  target: string;
  include?: string[];
  exclude?: string[];
  sparse?: boolean;
  overwrite: string;
  /** False with `--no-lock`. */
  lock: boolean;
}

/** Writes a snapshot, or a part of one, into a directory. */
export const restore: Body<RestoreFlags> = async (session, flags, [wanted]) => {
  const { snapshot: name, subpath } = parseSnapshotPath(wanted as string);
  const overwrite = parseChoice('--overwrite', flags.overwrite, ['always', 'if-changed', 'never']);
  return withRepository(session, flags.lock ? 'shared' : 'none', async ({ repository, signal }) => {
    const snapshot = await oneSnapshot(repository, name, flags);
    session.screen.remark(
      `restoring ${shortId(snapshot)} of ${snapshot.time.slice(0, 19)}Z, ${snapshot.paths.map(printable).join(', ')}`,
    );
    session.whenStopped = 'files that were under way are not whole; run it again with --overwrite if-changed to go on';
    const everything = subpath === null && flags.include === undefined && flags.exclude === undefined;
    const total = everything && overwrite === 'always' ? totalOf(snapshot) : null;
    const result = await write({
      ...{ repository, snapshot, target: flags.target, overwrite, signal },
      ...(subpath !== null && { subpath }),
      ...{ includes: flags.include ?? [], excludes: flags.exclude ?? [], sparse: flags.sparse === true },
      onProgress: restoreProgress(session.screen, total),
    });
    return tell(session, result, flags.target);
  });
};

/** What the snapshot says of its own size; null where nobody wrote it down. */
function totalOf({ summary }: Snapshot): { files: number; bytes: number } | null {
  const { total_files_processed: files, total_bytes_processed: bytes } = (summary ?? {}) as Record<string, unknown>;
  return typeof files === 'number' && typeof bytes === 'number' ? { files, bytes } : null;
}

function restoreProgress(screen: Screen, total: ReturnType<typeof totalOf>): (counts: RestoreCounts) => void {
  const status = new WorkStatus();
  return (counts) => screen.progress(() => status.of(doneOf(counts, total)));
}

function doneOf(counts: RestoreCounts, total: ReturnType<typeof totalOf>): Done {
  return {
    ...{ what: countOf(counts.files, 'file'), bytes: counts.bytes, problems: counts.problems },
    totalBytes: total?.bytes ?? null,
    fields: {
      ...(total !== null && { total_files: total.files }),
      ...{ files_restored: counts.files, files_skipped: counts.skipped, bytes_restored: counts.bytes },
    },
  };
}

function tell({ screen }: Session, { kind, counts, problems, seconds }: RestoreResult, target: string): ExitCode {
  for (const { path, why } of problems) screen.problem(path, why, { during: 'restore' });
  if (screen.json) {
    screen.value({
      ...{ message_type: 'summary', kind, seconds_elapsed: Math.floor(seconds) },
      ...{ files_restored: counts.files, files_skipped: counts.skipped, dirs_restored: counts.directories },
      ...{ others_restored: counts.others, bytes_restored: counts.bytes, error_count: problems.length },
      total_duration: seconds,
    });
  }
  const skipped = counts.skipped === 0 ? '' : `; ${countOf(counts.skipped, 'file')} left as they were`;
  screen.remark(
    `restored ${countOf(counts.files, 'file')} and ${countOf(counts.directories, 'directory', 'directories')}, ` +
      `${formatBytes(counts.bytes)}, into ${printable(target)} in ${formatElapsed(seconds)}${skipped}`,
  );
  if (kind === 'complete') return exitCodes.met;
  throw new MusterError('RESTORE_FAILED', `${countOf(problems.length, 'problem')}: what is named above is not whole`);
}
