import { check as examine, type CheckProgress, type CheckResult } from '../../activities/backup/engine/check.ts';
import { parseReadChoice, type ReadChoice } from '../../activities/backup/engine/read-choice.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { countOf, formatAge, formatBytes, formatElapsed, formatCount, printable } from '../format.ts';
import { invalid } from './parse.ts';
import type { Screen } from './screen.ts';
import type { Body, RepoOptions, Session } from './action.ts';
import { withRepository } from './session.ts';
import { WorkStatus } from './status.ts';

export interface CheckFlags extends RepoOptions {
  readData?: boolean;
  readDataSubset?: string;
}

/** Compares the repository with itself, and reads as much of it as is asked for. */
export const check: Body<CheckFlags> = async (session, flags) => {
  const read = choiceOf(flags);
  return withRepository(session, 'exclusive', async ({ repository, signal }) => {
    session.whenStopped = 'nothing was changed; what was read is not remembered as verified';
    const result = await examine({ repository, read, signal, onProgress: checkProgress(session.screen) });
    return tell(session, result);
  });
};

function choiceOf({ readData, readDataSubset }: CheckFlags): ReadChoice {
  if (readData === true && readDataSubset !== undefined) {
    throw invalid('--read-data and --read-data-subset exclude each other: leave one out');
  }
  if (readDataSubset !== undefined) return parseReadChoice(readDataSubset);
  return { kind: readData === true ? 'all' : 'none' };
}

function checkProgress(screen: Screen): (progress: CheckProgress) => void {
  const status = new WorkStatus();
  return ({ packs, ofPacks, bytes, ofBytes }) =>
    screen.progress(() =>
      status.of({
        what: `${formatCount(packs)} of ${countOf(ofPacks, 'pack')}`,
        ...{ bytes, totalBytes: ofBytes, problems: 0 },
        fields: { packs_done: packs, total_packs: ofPacks, bytes_done: bytes },
      }),
    );
}

/** So many names are shown; all of them by `--json`. */
const mostShown = 200;

function tell({ screen }: Session, result: CheckResult): ExitCode {
  const { kind, problems, hurt, packs } = result;
  if (screen.json) tellJson(screen, result);
  const wrong = problems.filter(({ severity }) => severity === 'damage');
  tellMost(
    screen,
    wrong.map(({ file, why }) => (file === '' ? why : `${file} ${why}`)),
  );
  const files = hurt.map(({ snapshot, path, why }) => `snapshot ${snapshot}: ${printable(path)}: ${why}`);
  if (files.length > 0) screen.say(`files that cannot be restored whole:`);
  tellMost(
    screen,
    files.map((line) => `  ${line}`),
  );
  screen.remark(
    `checked ${countOf(result.snapshots, 'snapshot')}, ${countOf(packs.count, 'pack')} (${formatBytes(packs.bytes)}), ` +
      `${countOf(result.blobs.count, 'blob')}; read ${countOf(packs.read, 'pack')} (${formatBytes(packs.bytesRead)}) ` +
      `in ${formatElapsed(result.seconds)}`,
  );
  for (const line of [wasteText(result), verifiedText(result)]) if (line !== '') screen.remark(line);
  if (kind === 'intact') {
    screen.remark('no damage was found');
    return exitCodes.met;
  }
  // Of one file several things may be wrong.
  const wrongFiles = new Set(wrong.map(({ file, why }) => file || why)).size;
  const what = `${countOf(wrongFiles, 'wrong file')} of the repository, ${countOf(hurt.length, 'file')} of snapshots hurt`;
  throw new MusterError('REPOSITORY_DAMAGED', `${what}, as named above`);
}

function tellMost(screen: Screen, lines: readonly string[]): void {
  for (const line of lines.slice(0, mostShown)) screen.say(line);
  if (lines.length > mostShown) screen.say(`  … and ${formatCount(lines.length - mostShown)} more; --json names all`);
}

function wasteText({ problems }: CheckResult): string {
  const waste = problems.filter(({ severity }) => severity === 'waste').length;
  return waste === 0
    ? ''
    : `${countOf(waste, 'pack')} in no index, of a backup that was cut off: no damage, a prune removes them`;
}

function verifiedText({ verified, packs }: CheckResult): string {
  if (packs.count === 0 || packs.read === packs.count) return '';
  if (verified.never > 0)
    return `${countOf(verified.never, 'pack')} of ${formatCount(packs.count)} never read since written`;
  return `every pack was read within the last ${formatAge(verified.oldestAgeSeconds ?? 0)}`;
}

function tellJson(
  screen: Screen,
  { kind, problems, hurt, snapshots, packs, blobs, verified, seconds }: CheckResult,
): void {
  for (const { severity, file, why } of problems) {
    screen.value({ message_type: 'error', error: { message: why }, during: 'check', item: file, severity });
  }
  for (const { snapshot, path, why } of hurt) {
    screen.value({ message_type: 'hurt_file', snapshot, path, message: why });
  }
  const damage = problems.filter(({ severity }) => severity === 'damage');
  screen.value({
    ...{ message_type: 'summary', kind, num_errors: damage.length, hurt_files: hurt.length },
    broken_packs: damage.map(({ file }) => file).filter((file) => file.startsWith('data/')),
    suggest_prune: damage.length < problems.length,
    ...{ snapshots_count: snapshots, packs_count: packs.count, packs_bytes: packs.bytes, packs_read: packs.read },
    ...{ bytes_read: packs.bytesRead, blobs_count: blobs.count, blobs_used: blobs.used },
    ...{ packs_never_read: verified.never, oldest_read_seconds: verified.oldestAgeSeconds, total_duration: seconds },
  });
}
