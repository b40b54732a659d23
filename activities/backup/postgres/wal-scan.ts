import { segmentStart } from './wal-name.ts';
import {
  longHeaderBytes,
  pageBytes,
  pageFlags,
  parsePageHeader,
  segmentProblem,
  shortHeaderBytes,
} from './wal-page.ts';
import { markOf, parseRecordHeader, recordHeaderBytes, recordHolds, type RecordMark } from './wal-record.ts';

export interface ScannedSegment {
  timeline: number;
  segment: number;
  /** Every record up to here is whole. */
  validToLsn: bigint;
  /** `full`: valid to its end. `ended`: nothing was written behind `validToLsn`. `damaged`: something was, and is no WAL. */
  kind: 'full' | 'ended' | 'damaged';
  /** What is wrong at `validToLsn`; empty unless damaged. */
  why: string;
  /** Transactions that ended and restore points, in the order of the log, `lsn` being the end of their record. */
  marks: { lsn: bigint; mark: Exclude<RecordMark, { kind: 'switch' }> }[];
  records: number;
}

export interface ScanOptions {
  segmentBytes: number;
  /** `null`: any. */
  systemId: string | null;
}

/** A page, by where its payload begins in that of the segment. */
interface Page {
  at: number;
  /** Bytes of a record that began before, as its header says. */
  remainingBytes: number;
  /** A record that was broken off is given up here, and another begins. */
  isRestart: boolean;
}

/** A segment's bytes without its page headers. */
interface Payload {
  bytes: Buffer;
  pages: Page[];
  /** Bytes at the beginning that belong to a record of the segment before. */
  continuedBytes: number;
  /** `null` when all pages are good. */
  badPage: { isEmpty: boolean } | null;
}

/**
 * Reads WAL record by record, segment behind segment, and says up to where it is whole: each record carries a CRC-32C, so
 * a single flipped bit is found and placed. Recovery itself stops at such a place without a word.
 */
export class WalScanner {
  readonly #options: ScanOptions;
  /** The beginning of a record that goes on in the next segment; `null` when nothing was scanned or it began anew. */
  #begun: { bytes: Buffer; lsn: bigint } | null = null;
  #next: { segment: number } | null = null;

  constructor(options: ScanOptions) {
    this.#options = options;
  }

  /** Segments must come in order; where one is skipped, a record across the hole is not checked. */
  scan(timeline: number, segment: number, bytes: Buffer): ScannedSegment {
    const { segmentBytes, systemId } = this.#options;
    const begun = this.#next?.segment === segment ? this.#begun : null;
    [this.#begun, this.#next] = [null, { segment: segment + 1 }];
    const result: ScannedSegment = {
      ...{ timeline, segment, validToLsn: segmentStart(segment, segmentBytes), kind: 'damaged' },
      ...{ why: '', marks: [], records: 0 },
    };
    const problem = segmentProblem(bytes, { timeline, segment, segmentBytes, systemId });
    if (problem !== null) return { ...result, why: `it ${problem}` };
    const payload = payloadOf(bytes, result.validToLsn, timeline);
    this.#scanRecords(result, payload, begun);
    if (result.kind === 'full' && bytes.length < segmentBytes)
      return { ...result, kind: 'damaged', why: 'it is cut short' };
    return result;
  }

  #scanRecords(result: ScannedSegment, payload: Payload, begun: { bytes: Buffer; lsn: bigint } | null): void {
    const start = result.validToLsn;
    let at = 0;
    let bytes = payload.bytes;
    // The first record may have begun before: put in front of it, what is here completes it.
    const shift = begun === null ? 0 : begun.bytes.length;
    if (begun !== null) bytes = Buffer.concat([begun.bytes, bytes]);
    else at = align(payload.continuedBytes);
    const lsnAt = (place: number): bigint =>
      place === 0 && begun !== null ? begun.lsn : start + BigInt(lsnOffset(Math.max(0, place - shift)));
    const pages = payload.pages.map((page) => ({ ...page, at: page.at + shift }));
    // Nearly always none.
    const restarts = pages.filter(({ isRestart }) => isRestart).map((one) => one.at);
    let page = pages.findIndex((one) => one.at >= at || shift > 0);
    for (;;) {
      const restart = restarts.find((one) => one > at) ?? null;
      const step = stepOver(bytes, at, restart);
      const agrees = step.kind !== 'record' || pagesAgree(pages, page, { from: at, to: at + step.bytes });
      if (!agrees)
        return finish(result, 'damaged', lsnAt(at), 'a page does not go on with the record that runs into it');
      if (step.kind === 'record') {
        at = step.next;
        while ((pages[page]?.at ?? at) < at) page++;
        result.records++;
        const { mark } = step;
        if (mark?.kind === 'switch') return finish(result, 'full', start + BigInt(this.#options.segmentBytes));
        if (mark !== null) result.marks.push({ lsn: lsnAt(at), mark });
      } else if (step.kind === 'restart') at = step.next;
      else if (step.kind === 'bad') return finish(result, 'damaged', lsnAt(at), step.why);
      else if (payload.badPage !== null) {
        const { isEmpty } = payload.badPage;
        return finish(
          result,
          isEmpty ? 'ended' : 'damaged',
          lsnAt(at),
          isEmpty ? '' : 'a page is no WAL of this place',
        );
      } else if (step.kind === 'zeros') return finish(result, 'ended', lsnAt(at));
      else {
        this.#begun = { bytes: bytes.subarray(at), lsn: lsnAt(at) };
        return finish(result, 'full', start + BigInt(this.#options.segmentBytes));
      }
    }
  }
}

function finish(result: ScannedSegment, kind: ScannedSegment['kind'], validToLsn: bigint, why = ''): void {
  Object.assign(result, { kind, validToLsn, why });
}

/** Headers of pages have no checksum: what they say of the record that runs into them must fit. */
function pagesAgree(pages: readonly Page[], first: number, record: { from: number; to: number }): boolean {
  for (let index = first; index < pages.length; index++) {
    const page = pages[index];
    if (page === undefined || page.at >= record.to) return true;
    const wanted = page.at > record.from ? record.to - page.at : 0;
    if (page.remainingBytes !== wanted) return false;
  }
  return true;
}

type Step =
  | { kind: 'record'; next: number; bytes: number; mark: RecordMark | null }
  /** A record was given up here; another begins at `next`. */
  | { kind: 'restart'; next: number }
  /** It goes on in the next segment. */
  | { kind: 'unfinished' }
  | { kind: 'zeros' }
  | { kind: 'bad'; why: string };

function stepOver(bytes: Buffer, at: number, restart: number | null): Step {
  const rest = bytes.length - at;
  const ends = (length: number): boolean => (restart === null ? false : at + length > restart);
  if (rest === 0) return { kind: 'unfinished' };
  if (rest < 4) return { kind: 'bad', why: 'a record begins where none can' };
  const totalBytes = bytes.readUInt32LE(at);
  if (ends(recordHeaderBytes) || (totalBytes > 0 && ends(totalBytes))) return { kind: 'restart', next: restart ?? at };
  if (totalBytes === 0) {
    return isZero(bytes.subarray(at))
      ? { kind: 'zeros' }
      : { kind: 'bad', why: 'a record of no length is followed by others' };
  }
  if (totalBytes < recordHeaderBytes) return { kind: 'bad', why: `a record of ${totalBytes} bytes cannot be` };
  if (totalBytes > rest)
    return totalBytes > maxRecordBytes ? { kind: 'bad', why: 'a record is too long' } : { kind: 'unfinished' };
  const record = bytes.subarray(at, at + totalBytes);
  const header = parseRecordHeader(record, 0);
  if (!recordHolds(record, header.crc)) return { kind: 'bad', why: 'the checksum of a record does not hold' };
  const next = Math.min(at + align(totalBytes), bytes.length);
  return { kind: 'record', next, bytes: totalBytes, mark: markOf(header, record) };
}

/** XLogRecordMaxSize. */
const maxRecordBytes = 1020 * 1024 * 1024;

const zeros = Buffer.alloc(1 << 16);

function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const part = bytes.subarray(at, at + zeros.length);
    if (!part.equals(zeros.subarray(0, part.length))) return false;
  }
  return true;
}

function align(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function payloadOf(bytes: Buffer, start: bigint, newest: number): Payload {
  const parts: Buffer[] = [];
  const pages: Page[] = [];
  let [length, continuedBytes, timeline] = [0, 0, 0];
  let continues = true;
  const { magic } = parsePageHeader(bytes);
  for (let at = 0; at < bytes.length; at += pageBytes) {
    const page = bytes.subarray(at, at + pageBytes);
    const header = page.length < shortHeaderBytes ? null : parsePageHeader(page);
    const isHere = header?.magic === magic && header.address === start + BigInt(at);
    if (!isHere || header.timeline < timeline || header.timeline > newest) {
      return { bytes: Buffer.concat(parts), pages, continuedBytes, badPage: { isEmpty: isZero(bytes.subarray(at)) } };
    }
    timeline = header.timeline;
    const headerBytes = header.flags & pageFlags.longHeader ? longHeaderBytes : shortHeaderBytes;
    const room = page.length - headerBytes;
    const remainingBytes = header.flags & pageFlags.firstIsContinued ? header.remainingBytes : 0;
    pages.push({ at: length, remainingBytes, isRestart: (header.flags & pageFlags.firstIsOverwritten) !== 0 });
    if (continues) continuedBytes += Math.min(remainingBytes, room);
    continues &&= remainingBytes > room;
    parts.push(page.subarray(headerBytes));
    length += room;
  }
  return { bytes: Buffer.concat(parts), pages, continuedBytes, badPage: null };
}

/** Offset in a segment of a byte of its payload; the end of a page's payload is the end of the page. */
function lsnOffset(place: number): number {
  const firstPage = pageBytes - longHeaderBytes;
  if (place === 0) return 0;
  if (place <= firstPage) return longHeaderBytes + place;
  const behind = place - firstPage;
  const perPage = pageBytes - shortHeaderBytes;
  const page = Math.ceil(behind / perPage);
  return page * pageBytes + shortHeaderBytes + behind - (page - 1) * perPage;
}
