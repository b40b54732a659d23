/** Segments of WAL as far as an archive looks at them: headers of pages, and something between. */
import { createHash } from 'node:crypto';
import { segmentName, segmentStart } from '../../../../activities/backup/postgres/wal-name.ts';
import { longHeaderBytes, pageBytes, shortHeaderBytes } from '../../../../activities/backup/postgres/wal-page.ts';

export const smallSegment = 1 << 20;
export const systemId = '7412345678901234567';

export interface SegmentKind {
  timeline?: number;
  systemId?: string;
  /** How much of it is written; default: all. */
  usedBytes?: number;
  /** Other bytes between the headers. */
  seed?: string;
}

export function segmentBytesOf(segment: number, kind: SegmentKind = {}): Buffer {
  const { timeline = 1, usedBytes = smallSegment, seed = '' } = kind;
  const bytes = Buffer.alloc(smallSegment);
  const start = segmentStart(segment, smallSegment);
  for (let at = 0; at < usedBytes; at += pageBytes) {
    const isFirst = at === 0;
    const filler = createHash('sha512').update(`${segment} ${at} ${seed}`).digest();
    for (let to = at; to < at + pageBytes; to += filler.length) filler.copy(bytes, to);
    bytes.writeUInt16LE(0xd118, at);
    bytes.writeUInt16LE(isFirst ? 2 : 0, at + 2);
    bytes.writeUInt32LE(timeline, at + 4);
    bytes.writeBigUInt64LE(start + BigInt(at), at + 8);
    bytes.fill(0, at + 16, at + (isFirst ? longHeaderBytes : shortHeaderBytes));
  }
  bytes.writeBigUInt64LE(BigInt(kind.systemId ?? systemId), 24);
  bytes.writeUInt32LE(smallSegment, 32);
  bytes.writeUInt32LE(pageBytes, 36);
  return bytes.fill(0, usedBytes);
}

export function nameOf(segment: number, timeline = 1): string {
  return segmentName(timeline, segment, smallSegment);
}
