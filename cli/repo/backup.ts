import { readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { backup as save, type BackupProgress, type BackupResult } from '../../activities/backup/engine/backup.ts';
import type { Repository } from '../../activities/backup/repository/attach.ts';
import { isLocation } from '../../activities/objects/location.ts';
import { findSnapshot, type Snapshot } from '../../activities/backup/repository/snapshot.ts';
import { software } from '../../worker/software.ts';
import type { ExitCode } from '../exit-codes.ts';
import { shortId } from './choice.ts';
import { countOf, formatBytes, formatElapsed, formatCount } from '../format.ts';
import { invalid, parseChoice, parseTags } from './parse.ts';
import { startScan, type Scan, type Total } from './scan.ts';
import type { Screen } from './screen.ts';
import type { Body, RepoOptions, Session } from './action.ts';
import { exitOf, withRepository } from './session.ts';
import { WorkStatus, type Done } from './status.ts';
import { boundYoungGeneration } from './young-generation.ts';

export interface BackupFlags extends RepoOptions {
  tag?: string[];
  host?: string;
  exclude?: string[];
  excludeFile?: string[];
  oneFileSystem?: boolean;
  parent?: string;
  force?: boolean;
  compression: string;
  /** False with `--no-xattrs`. */
  xattrs: boolean;
  /** False with `--no-scan`. */
  scan: boolean;
}

/** Saves files and directories as a snapshot. */
export const backup: Body<BackupFlags> = async (session, flags, [paths = []]) => {
  const excludes = [...(flags.exclude ?? []), ...(flags.excludeFile ?? []).flatMap(readPatterns)].map(plainPattern);
  const compression = parseChoice('--compression', flags.compression, ['auto', 'off']);
  boundYoungGeneration();
  if (flags.parent !== undefined && flags.force === true) throw invalid('--parent and --force exclude each other');
  return withRepository(session, 'shared', async ({ repository, signal }) => {
    session.whenStopped =
      'no snapshot was saved. What was written stays in the repository; run the same command again to go on';
    const parent = await parentOf(repository, flags);
    const source = {
      paths: (paths as readonly string[]).map(pastLinks),
      excludes,
      oneFileSystem: flags.oneFileSystem === true,
    };
    const scan = session.screen.showsProgress && flags.scan ? startScan(source) : null;
    const onProgress = backupProgress(session.screen, scan);
    try {
      const result = await save({
        ...{ repository, ...source, signal, onProgress },
        tags: parseTags(flags.tag ?? []),
        ...(flags.host !== undefined && { host: flags.host }),
        ...(parent !== undefined && { parent }),
        ...{ compress: compression === 'auto', xattrs: flags.xattrs, programVersion: software },
      });
      return tell(session, result);
    } finally {
      scan?.end();
    }
  });
};

async function parentOf(repository: Repository, flags: BackupFlags): Promise<Snapshot | 'none' | undefined> {
  if (flags.force === true) return 'none';
  return flags.parent === undefined ? undefined : findSnapshot(repository, flags.parent);
}

/** One pattern a line; `#` begins a comment, `$NAME` stands for a variable of the environment, `$$` for a dollar sign. */
function readPatterns(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (err) {
    const why = err instanceof Error && 'code' in err ? String(err.code) : 'unreadable';
    throw invalid(`--exclude-file names ${file}, which cannot be read (${why})`);
  }
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) =>
      line.replaceAll(/\$(?:(\$)|\{(\w+)\}|(\w+))/g, (_, dollar?: string, braced?: string, bare?: string) =>
        dollar === undefined ? (process.env[braced ?? bare ?? ''] ?? '') : '$',
      ),
    );
}

/** A path through a symbolic link is saved where it really lies: a snapshot of the link would lack what is behind it. */
function pastLinks(given: string): string {
  if (isLocation(given))
    throw invalid(
      `${given} is a bucket: this saves files; an estate's backups save buckets, \`muster copy\` copies them`,
    );
  const whole = path.resolve(given);
  try {
    return path.join(realpathSync(path.dirname(whole)), path.basename(whole));
  } catch {
    // It is not there, which is said by whoever looks for it.
    return whole;
  }
}

/** What restic would take for "but not this" must not be taken for a name. */
function plainPattern(pattern: string): string {
  if (pattern.startsWith('!')) throw invalid(`exclude "${pattern}": patterns that take back others are not known`);
  return pattern;
}

function backupProgress(screen: Screen, scan: Scan | null): (progress: BackupProgress) => void {
  const status = new WorkStatus();
  return (progress) => screen.progress(() => status.of(doneOf(progress, scan?.total() ?? null)));
}

function doneOf(progress: BackupProgress, total: Total | null): Done {
  const files = progress.filesNew + progress.filesChanged + progress.filesUnmodified;
  return {
    ...{ what: countOf(files, 'file'), bytes: progress.bytesDone, problems: progress.problems },
    totalBytes: total?.bytes ?? null,
    fields: { ...(total !== null && { total_files: total.files }), files_done: files, bytes_done: progress.bytesDone },
  };
}

function tell({ screen }: Session, result: BackupResult): ExitCode {
  const { kind, snapshot, counts, added, problems } = result;
  for (const { kind: what, path, why } of problems) screen.problem(path, why, { during: 'archival', kind: what });
  const files = counts.filesNew + counts.filesChanged + counts.filesUnmodified;
  if (screen.json) screen.value(summaryOf(result, files));
  const [addedBytes, storedBytes] = [
    added.data.bytes + added.trees.bytes,
    added.data.storedBytes + added.trees.storedBytes,
  ];
  const changes = `${formatCount(counts.filesNew)} new, ${formatCount(counts.filesChanged)} changed, ${formatCount(counts.filesUnmodified)} unmodified`;
  const lines = [
    ...(result.adopted === 0 ? [] : [`took over ${countOf(result.adopted, 'pack')} of a backup that was killed`]),
    `${countOf(files, 'file')}, ${formatBytes(counts.bytesDone)}: ${changes}`,
    `added ${formatBytes(addedBytes)}, stored as ${formatBytes(storedBytes)}, in ${formatElapsed(result.seconds)}`,
  ];
  for (const line of lines) screen.remark(line);
  const partly = `, but it is partial: ${countOf(problems.length, 'problem')}, named above`;
  screen.remark(`snapshot ${shortId(snapshot)} saved${kind === 'partial' ? partly : ''}`);
  return exitOf(kind);
}

/** In restic's names; `kind` and `adopted_packs` are Muster's own. */
function summaryOf({ kind, snapshot, counts, added, problems, seconds, adopted }: BackupResult, files: number): object {
  return {
    ...{ message_type: 'summary', kind, snapshot_id: snapshot.id },
    ...{ files_new: counts.filesNew, files_changed: counts.filesChanged, files_unmodified: counts.filesUnmodified },
    ...{ dirs_processed: counts.directories, dirs_unmodified: counts.directoriesUnmodified },
    ...{ data_blobs: added.data.blobs, tree_blobs: added.trees.blobs },
    data_added: added.data.bytes + added.trees.bytes,
    data_added_packed: added.data.storedBytes + added.trees.storedBytes,
    ...{ total_files_processed: files, total_bytes_processed: counts.bytesDone },
    ...{ total_duration: seconds, error_count: problems.length, adopted_packs: adopted },
  };
}
