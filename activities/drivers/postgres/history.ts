import { connectReplication } from './sql.ts';
import { parseLsn } from './lsn.ts';
import { readAnswer, sendCommand } from './replication.ts';
import type { ControlFile } from './control-file.ts';

/** The timelines a server has come through, oldest first; the last is the present one and has no end. */
export interface TimelineHistory {
  systemId: string;
  timelines: { timeline: number; endLsn: string | null }[];
}

/** Asks a running server. @throws MusterError DATABASE_UNREACHABLE */
export async function readHistory(url: string, connectMs = 2_000): Promise<TimelineHistory> {
  const [identity] = await rowsOf(url, 'IDENTIFY_SYSTEM', connectMs);
  const timeline = Number(identity?.[1] ?? 1);
  // The first timeline has no history file.
  const [file] = timeline === 1 ? [] : await rowsOf(url, `TIMELINE_HISTORY ${timeline}`, connectMs);
  const timelines = [...parseHistory(file?.[1] ?? ''), { timeline, endLsn: null }];
  return { systemId: identity?.[0] ?? '', timelines };
}

async function rowsOf(url: string, command: string, connectMs: number): Promise<(string | null)[][]> {
  const socket = await connectReplication(url, connectMs);
  sendCommand(socket, command);
  const rows: (string | null)[][] = [];
  for await (const piece of readAnswer(socket, connectMs)) if (piece.kind === 'row') rows.push(piece.columns);
  return rows;
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
