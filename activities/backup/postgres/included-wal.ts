import { parseLsn } from '../../drivers/postgres/lsn.ts';
import type { IncludedSegment } from './file-inspector.ts';
import type { FileFault } from './manifest-check.ts';
import type { WalRange } from './manifest.ts';
import type { ServerIdentity } from './replication-session.ts';
import { parseWalName, segmentAt, segmentBefore, segmentName } from './wal-name.ts';
import { segmentProblem } from './wal-page.ts';

/** What is wrong with the WAL inside a backup: no manifest lists it, so its own headers and the ranges must do. */
export function includedWalFaults(
  segments: readonly IncludedSegment[],
  ranges: readonly WalRange[],
  server: Pick<ServerIdentity, 'systemId' | 'segmentBytes'>,
): FileFault[] {
  const { segmentBytes, systemId } = server;
  const faults: FileFault[] = [];
  const present = new Set<number>();
  for (const { name, sizeBytes, head } of segments) {
    const parsed = parseWalName(name, segmentBytes);
    if (parsed?.kind !== 'segment') continue;
    const why =
      sizeBytes === segmentBytes
        ? segmentProblem(head, { ...parsed, segmentBytes, systemId })
        : `${sizeBytes} bytes, not ${segmentBytes}`;
    if (why === null) present.add(parsed.segment);
    else faults.push({ kind: 'different', path: `pg_wal/${name}`, why });
  }
  for (const { timeline, startLsn, endLsn } of ranges) {
    const [start, end] = [parseLsn(startLsn) ?? 0n, parseLsn(endLsn) ?? 0n];
    for (let at = segmentAt(start, segmentBytes); at <= segmentBefore(end, segmentBytes); at++) {
      if (!present.has(at)) faults.push({ kind: 'missing', path: `pg_wal/${segmentName(timeline, at, segmentBytes)}` });
    }
  }
  if (ranges.length === 0) faults.push({ kind: 'missing', path: 'the range of WAL in the manifest' });
  return faults;
}
