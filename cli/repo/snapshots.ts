import type { Snapshot } from '../../activities/backup/repository/snapshot.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { manySnapshots, shortId, type ChoiceOptions } from './choice.ts';
import { countOf, formatBytes, formatTable, formatTime, printable, type Column } from '../format.ts';
import { parseWhole } from './parse.ts';
import type { Screen } from './screen.ts';
import type { Body, RepoOptions } from './action.ts';
import { withRepository } from './session.ts';
import type { MusterError } from '../../workflows/engine/errors.ts';

export interface SnapshotsFlags extends RepoOptions, ChoiceOptions {
  latest?: string;
}

/** Lists snapshots, oldest first. Takes no lock: it reads nothing that others could pull away half-read. */
export const snapshots: Body<SnapshotsFlags> = async (session, flags, [ids = []]) => {
  const latest = flags.latest === undefined ? null : parseWhole('--latest', flags.latest, 1);
  return withRepository(session, 'none', async ({ repository }) => {
    const { screen } = session;
    const found = await manySnapshots(repository, ids as readonly string[], flags);
    const shown = latest === null ? found.snapshots : newestOfEach(found.snapshots, latest);
    if (screen.json) screen.value(shown.map(snapshotJson));
    if (shown.length > 0) screen.say(snapshotTable(shown));
    screen.remark(countOf(shown.length, 'snapshot'));
    return tellDamaged(screen, found.damaged);
  });
};

/** The newest of each host and set of paths, as restic counts them. */
export function newestOfEach(oldestFirst: readonly Snapshot[], count: number): Snapshot[] {
  const seen = new Map<string, number>();
  const kept = oldestFirst.toReversed().filter(({ hostname = '', paths }) => {
    const key = JSON.stringify([hostname, paths.toSorted()]);
    seen.set(key, (seen.get(key) ?? 0) + 1);
    return (seen.get(key) as number) <= count;
  });
  return kept.toReversed();
}

/** What cannot be read is named, and is a failure. */
export function tellDamaged(screen: Screen, damaged: readonly MusterError[]): ExitCode {
  for (const { message } of damaged) screen.problem('', message, { during: 'snapshots' });
  return damaged.length === 0 ? exitCodes.met : exitCodes.failed;
}

/** A snapshot as restic's `--json` has it. */
export function snapshotJson(snapshot: Snapshot): object {
  return { ...snapshot, short_id: shortId(snapshot) };
}

const columns: Column[] = [
  ...[{ title: 'ID' }, { title: 'Time' }, { title: 'Host' }, { title: 'Tags' }, { title: 'Paths' }],
  { title: 'Size', align: 'right' },
];

export function snapshotTable(list: readonly Snapshot[]): string {
  return formatTable(columns, list.map(rowOf));
}

export function rowOf(snapshot: Snapshot): string[] {
  return [
    ...[shortId(snapshot), formatTime(snapshot.time), printable(snapshot.hostname ?? '')],
    ...[(snapshot.tags ?? []).map(printable).join(','), snapshot.paths.map(printable).join('\n')],
    sizeOf(snapshot),
  ];
}

/** Snapshots of old clients do not say it. */
function sizeOf({ summary }: Snapshot): string {
  const bytes = (summary as { total_bytes_processed?: unknown } | undefined)?.total_bytes_processed;
  return typeof bytes === 'number' ? formatBytes(bytes) : '';
}
