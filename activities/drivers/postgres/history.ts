import type { ControlFile } from './control-file.ts';
import { parseLsn } from './lsn.ts';
import { oneRow, type SqlClient } from './sql.ts';

/** The timelines a server has come through, oldest first; the last is the present one and has no end. */
export interface TimelineHistory {
  systemId: string;
  timelines: { timeline: number; endLsn: string | null }[];
}

/** Asks a running primary. Its control file shows the old timeline until the first checkpoint, so its WAL tells. */
export async function readHistory(primary: SqlClient): Promise<TimelineHistory> {
  const row = await oneRow<{ system_id: string; timeline: string; file: string | null }>(
    primary,
    `SELECT (SELECT system_identifier FROM pg_control_system()) AS system_id, t.hex AS timeline,
            pg_read_file('pg_wal/' || t.hex || '.history', 0, 1000000, true) AS file
       FROM (SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) AS hex) t`,
  );
  const timeline = Number.parseInt(row?.timeline ?? '0', 16);
  // The first timeline has no history file.
  const timelines = [...parseHistory(row?.file ?? ''), { timeline, endLsn: null }];
  return { systemId: row?.system_id ?? '', timelines };
}

/** Lines `timeline <tab> switch position <tab> reason` of a history file; `#` starts a comment. */
export function parseHistory(text: string): { timeline: number; endLsn: string }[] {
  return text
    .split('\n')
    .map((line) => /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({ timeline: Number(match[1]), endLsn: match[2] ?? '' }));
}

/** Timeline that a server which ended on `timeline` must go over to, and where; `null` when that is the present one. */
export function forkAfter(history: TimelineHistory, timeline: number): { timeline: number; lsn: string } | null {
  const at = history.timelines.findIndex((one) => one.timeline === timeline);
  const [here, next] = [history.timelines[at], history.timelines[at + 1]];
  const lsn = here?.endLsn ?? null;
  return lsn === null || next === undefined ? null : { timeline: next.timeline, lsn };
}

export type Relation =
  /** It can simply follow: it has nothing that the other does not have. */
  | { kind: 'behind' }
  /** It wrote on after the other's history had parted from it (or nobody can tell). */
  | { kind: 'diverged'; why: string }
  /** A copy of something else. */
  | { kind: 'stranger'; why: string };

/** How a stopped server stands to a running one. A server that did not end cleanly may have written anything. */
export function relationTo(control: ControlFile, history: TimelineHistory): Relation {
  if (control.systemId !== history.systemId) {
    return { kind: 'stranger', why: `system id ${control.systemId}, the other has ${history.systemId}` };
  }
  const known = history.timelines.some(({ timeline }) => timeline === control.timeline);
  if (!known) return { kind: 'diverged', why: `timeline ${control.timeline} is not in the other's history` };
  const fork = forkAfter(history, control.timeline);
  const wasStandby = control.state === 'shut-down-in-recovery' || control.state === 'in-archive-recovery';
  if (wasStandby) return { kind: 'behind' };
  if (control.state !== 'shut-down') return { kind: 'diverged', why: `it did not end cleanly (${control.state})` };
  if (fork === null) return { kind: 'diverged', why: `it was a primary on the timeline of now` };
  const [last, end] = [parseLsn(control.checkpointLsn), parseLsn(fork.lsn)];
  if (last !== null && end !== null && last < end) return { kind: 'behind' };
  return {
    kind: 'diverged',
    why: `it wrote up to ${control.checkpointLsn}, the other's history parted at ${fork.lsn}`,
  };
}
