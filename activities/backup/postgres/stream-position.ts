import type { TimelineHistory } from '../../drivers/postgres/history.ts';
import { parseLsn } from '../../drivers/postgres/lsn.ts';
import { parseWalName, segmentAt, segmentStart } from './wal-name.ts';

/** A place on a timeline. */
export interface WalPosition {
  timeline: number;
  lsn: bigint;
}

/** Where the WAL goes on that an archive does not hold for certain: always the beginning of a segment. `null`: it holds none. */
export function endOfArchive(names: Iterable<string>, segmentBytes: number): WalPosition | null {
  let newest: { timeline: number; segment: number } | null = null;
  for (const name of names) {
    const parsed = parseWalName(name, segmentBytes);
    if (parsed?.kind !== 'segment' && parsed?.kind !== 'partial') continue;
    // A partial one is received again from its beginning: nobody knows how much of it had reached the disk.
    const at = { timeline: parsed.timeline, segment: parsed.segment + (parsed.kind === 'segment' ? 1 : 0) };
    const isNewer =
      newest === null ||
      at.timeline > newest.timeline ||
      (at.timeline === newest.timeline && at.segment > newest.segment);
    if (isNewer) newest = at;
  }
  return newest === null ? null : { timeline: newest.timeline, lsn: segmentStart(newest.segment, segmentBytes) };
}

export type StreamStart =
  | { kind: 'at'; position: WalPosition }
  /** The archive holds what this server never had; its history goes on elsewhere. */
  | { kind: 'stranger'; why: string };

/**
 * Where to take a server's WAL up again behind what is there. A timeline that the server has left is followed to its end
 * first. When more than that is there already, the rest belongs to a branch that was given up: the next timeline begins.
 */
export function streamStart(end: WalPosition, server: TimelineHistory, segmentBytes: number): StreamStart {
  const at = server.timelines.findIndex((one) => one.timeline === end.timeline);
  const here = server.timelines[at];
  if (here === undefined) {
    const newest = server.timelines.at(-1)?.timeline ?? 0;
    const why = `timeline ${end.timeline} is archived, but the server is on ${newest} and never was on that`;
    return { kind: 'stranger', why };
  }
  const [left, next] = [parseLsn(here.endLsn), server.timelines[at + 1]];
  if (left === null || next === undefined || end.lsn < left) return { kind: 'at', position: end };
  const lsn = segmentStart(segmentAt(left, segmentBytes), segmentBytes);
  return streamStart({ timeline: next.timeline, lsn }, server, segmentBytes);
}
