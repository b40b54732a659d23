/** File names of WAL as PostgreSQL gives them (src/include/access/xlog_internal.h), and where in the log they lie. */

export const defaultSegmentBytes = 16 * 1024 * 1024;

export type WalName =
  | { kind: 'segment'; timeline: number; segment: number }
  /** The last segment of a timeline, or the one being received: not full. */
  | { kind: 'partial'; timeline: number; segment: number }
  /** How a timeline came about. */
  | { kind: 'history'; timeline: number }
  /** What a base backup noted when it ended. */
  | { kind: 'backup'; timeline: number; segment: number; offset: number };

const namePattern =
  /^(?<timeline>[0-9A-F]{8})(?:(?<history>\.history)|(?<log>[0-9A-F]{8})(?<part>[0-9A-F]{8})(?:(?<partial>\.partial)|\.(?<offset>[0-9A-F]{8})\.backup)?)$/;

/** `null` for what is no name of WAL, or none with segments of that size. */
export function parseWalName(name: string, segmentBytes: number): WalName | null {
  const found = namePattern.exec(name)?.groups;
  if (found === undefined) return null;
  const timeline = Number.parseInt(found['timeline'] ?? '', 16);
  if (timeline === 0) return null;
  if (found['history'] !== undefined) return { kind: 'history', timeline };
  const part = Number.parseInt(found['part'] ?? '', 16);
  const perLog = segmentsPerLog(segmentBytes);
  if (part >= perLog) return null;
  const segment = Number.parseInt(found['log'] ?? '', 16) * perLog + part;
  if (found['partial'] !== undefined) return { kind: 'partial', timeline, segment };
  if (found['offset'] === undefined) return { kind: 'segment', timeline, segment };
  return { kind: 'backup', timeline, segment, offset: Number.parseInt(found['offset'], 16) };
}

/** Whether it is a name that PostgreSQL gives to anything in `pg_wal`, whatever the size of segments. */
export function isWalName(name: string): boolean {
  return namePattern.test(name);
}

export function segmentName(timeline: number, segment: number, segmentBytes: number): string {
  const perLog = segmentsPerLog(segmentBytes);
  return hex8(timeline) + hex8(Math.floor(segment / perLog)) + hex8(segment % perLog);
}

export function historyName(timeline: number): string {
  return `${hex8(timeline)}.history`;
}

/** Number of the segment that holds the byte at `lsn`. */
export function segmentAt(lsn: bigint, segmentBytes: number): number {
  return Number(lsn / BigInt(segmentBytes));
}

/** Where a segment begins. */
export function segmentStart(segment: number, segmentBytes: number): bigint {
  return BigInt(segment) * BigInt(segmentBytes);
}

/** Number of the segment that holds the last byte before `lsn`. */
export function segmentBefore(lsn: bigint, segmentBytes: number): number {
  return lsn === 0n ? 0 : segmentAt(lsn - 1n, segmentBytes);
}

function segmentsPerLog(segmentBytes: number): number {
  return 0x1_0000_0000 / segmentBytes;
}

function hex8(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}
