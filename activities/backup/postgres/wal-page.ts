import { segmentStart } from './wal-name.ts';

/** Headers of WAL pages as src/include/access/xlog_internal.h lays them out, the same in PostgreSQL 9.3 to 18. */
export interface PageHeader {
  magic: number;
  flags: number;
  timeline: number;
  /** Where in the log the page lies. */
  address: bigint;
  /** Bytes of a record that began on a page before. */
  remainingBytes: number;
}

/** XLOG_PAGE_MAGIC of each major version. */
const magicOfMajor: Record<number, number> = { 14: 0xd10d, 15: 0xd110, 16: 0xd113, 17: 0xd116, 18: 0xd118 };
const magics = new Set(Object.values(magicOfMajor));

export const pageBytes = 8192;
export const shortHeaderBytes = 24;
export const longHeaderBytes = 40;

export const pageFlags = { firstIsContinued: 0x1, longHeader: 0x2, firstIsOverwritten: 0x8 } as const;

export function parsePageHeader(bytes: Buffer, at = 0): PageHeader {
  return {
    magic: bytes.readUInt16LE(at),
    flags: bytes.readUInt16LE(at + 2),
    timeline: bytes.readUInt32LE(at + 4),
    address: bytes.readBigUInt64LE(at + 8),
    remainingBytes: bytes.readUInt32LE(at + 16),
  };
}

/** What the first page of a segment says of the server that wrote it. */
export interface SegmentHeader extends PageHeader {
  systemId: string;
  segmentBytes: number;
}

/** `null` when the bytes are not the beginning of a segment. */
export function parseSegmentHeader(bytes: Buffer): SegmentHeader | null {
  if (bytes.length < longHeaderBytes) return null;
  const page = parsePageHeader(bytes);
  if (!isWalMagic(page.magic) || (page.flags & pageFlags.longHeader) === 0) return null;
  if (bytes.readUInt32LE(36) !== pageBytes) return null;
  return { ...page, systemId: bytes.readBigUInt64LE(24).toString(), segmentBytes: bytes.readUInt32LE(32) };
}

/** Versions to come begin with the same byte. */
export function isWalMagic(magic: number): boolean {
  return magics.has(magic) || (magic > 0xd118 && magic <= 0xd1ff);
}

export interface ExpectedSegment {
  timeline: number;
  segment: number;
  segmentBytes: number;
  /** `null`: any. */
  systemId: string | null;
}

/**
 * What is wrong with the beginning of a segment, or `null`. Up to the point where a timeline branched off, its first
 * segment is a copy of the parent's and names that: older timelines are right there.
 */
export function segmentProblem(bytes: Buffer, expected: ExpectedSegment): string | null {
  const header = parseSegmentHeader(bytes);
  if (header === null) return 'does not begin like a segment of WAL';
  if (header.segmentBytes !== expected.segmentBytes) {
    return `has segments of ${header.segmentBytes} bytes, not ${expected.segmentBytes}`;
  }
  if (expected.systemId !== null && header.systemId !== expected.systemId) {
    return `is of system ${header.systemId}, not ${expected.systemId}`;
  }
  const start = segmentStart(expected.segment, expected.segmentBytes);
  if (header.address !== start) return `holds another part of the log (${header.address}, not ${start})`;
  if (header.timeline > expected.timeline) return `is of timeline ${header.timeline}, not ${expected.timeline}`;
  return null;
}
