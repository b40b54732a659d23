import { textOf } from './bytes.ts';
import {
  type LogRequest,
  type LogRow,
  type PackedScan,
  type ScanDigest,
  type ScanPage,
  type ScanRequest,
} from './drive-api.ts';
import { type Hasher } from './drive-core.ts';
import { type IndexStore } from './index-store.ts';
import { type EntryHead, EntryPacker } from './packed-entries.ts';
import { type RegisterStore } from './register-store.ts';
import { copyState, decodeHead, decodeLog, logKey, type RegisterHead, stateEndIn, stateStartIn } from './rows.ts';

interface Stores {
  index: IndexStore;
  registers: RegisterStore;
}

/** Takes what a walk comes upon. The bytes are lent for the time of the call. */
interface Sink {
  row(key: Buffer, head: RegisterHead, bytes: Buffer): void;
  rollup(prefix: Buffer): void;
}

/** The least bytes greater than everything that starts with these; undefined when there are none. */
export function endOfPrefix(prefix: Uint8Array): Buffer | undefined {
  const end = Buffer.from(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    if (end[i] === 0xff) continue;
    end[i]! += 1;
    return end.subarray(0, i + 1);
  }
  return undefined;
}

/**
 * Walks over the registers a request asks for, in order, seeking past what is rolled up.
 * @returns whether it stopped at the limit with more to come
 */
function walk({ index, registers }: Stores, request: ScanRequest, sink: Sink): boolean {
  const prefix = Buffer.from(request.prefix);
  const to = endOfPrefix(prefix);
  const { skipTombstones, skipHidden, limit, delimiter } = request;
  const { marks } = registers;
  let from: Buffer | undefined = request.after === undefined ? prefix : startAfter(request, prefix);
  let count = 0;
  let more = false;
  while (from !== undefined) {
    let seek: Buffer | undefined;
    index.each({ table: 'registers', from, to }, (key, bytes) => {
      const head = decodeHead(bytes);
      if (!head.decided && marks.size > 0 && marks.of(textOf(key)) === head.ballot) head.decided = true;
      if (head.decided && ((skipTombstones && head.tombstone) || (skipHidden && head.hidden))) return true;
      if (count === limit) {
        more = true;
        return false;
      }
      count += 1;
      const rolled = rollupOf(key, prefix, delimiter);
      if (rolled === undefined) {
        sink.row(key, head, bytes);
        return true;
      }
      sink.rollup(rolled);
      seek = endOfPrefix(rolled);
      return false;
    });
    from = more ? undefined : seek;
  }
  return more;
}

/** The first place behind `after`: behind the whole roll-up when it lies in one. */
function startAfter(request: ScanRequest, prefix: Buffer): Buffer | undefined {
  const after = Buffer.from(request.after!);
  if (Buffer.compare(after, prefix) < 0) return prefix;
  const inside = after.subarray(0, prefix.length).equals(prefix);
  const rolled = inside ? rollupOf(after, prefix, request.delimiter) : undefined;
  return rolled === undefined ? Buffer.concat([after, Buffer.from([0])]) : endOfPrefix(rolled);
}

function rollupOf(key: Buffer, prefix: Buffer, delimiter: Uint8Array | undefined): Buffer | undefined {
  if (delimiter === undefined || delimiter.length === 0) return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.subarray(0, at + delimiter.length);
}

export function scan(stores: Stores, request: ScanRequest): ScanPage {
  const page: ScanPage = { rows: [], rollups: [], next: undefined };
  let last: Buffer | undefined;
  const more = walk(stores, request, {
    row(key, { ballot, decided, tombstone, hidden }, bytes) {
      last = Buffer.from(key);
      page.rows.push({ key: last, ballot, decided, tombstone, hidden, state: copyState(bytes) });
    },
    rollup(prefix) {
      last = Buffer.from(prefix);
      page.rollups.push(last);
    },
  });
  return { ...page, next: more ? last : undefined };
}

/** Entries without their states; what a digest is made of. */
class PageDigest implements Sink {
  readonly entries = new EntryPacker();
  rows = 0;
  undecided = false;
  row(key: Uint8Array, head: EntryHead): void {
    this.rows += 1;
    if (!head.decided) this.undecided = true;
    this.entries.row(key, head);
  }
  rollup(prefix: Uint8Array): void {
    this.entries.rollup(prefix);
  }
  end(more: boolean, hasher: Hasher): ScanDigest {
    const next = more ? this.entries.lastKey() : undefined;
    const all = this.entries.end(next ?? endMark);
    const digest = Buffer.alloc(16);
    digest.writeBigUInt64BE(hasher.xxh64Of(all, 1n), 0);
    digest.writeBigUInt64BE(hasher.xxh64Of(all, 2n), 8);
    return { digest, rows: this.rows, next, undecided: this.undecided };
  }
}
const endMark = Buffer.from([0]);

/** The digest of exactly the page that `scan` would return: keys with ballots and flags, roll-ups, and where it ends. */
export function scanDigest(stores: Stores & { hasher: Hasher }, request: ScanRequest): ScanDigest {
  const digest = new PageDigest();
  return digest.end(walk(stores, request, digest), stores.hasher);
}

export function scanPacked(stores: Stores & { hasher: Hasher }, request: ScanRequest): PackedScan {
  const digest = new PageDigest();
  const entries = new EntryPacker(expectedBytes(request));
  const more = walk(stores, request, {
    row(key, head, bytes) {
      digest.row(key, head);
      entries.row(key, head, { bytes, from: stateStartIn(bytes), to: stateEndIn(bytes) });
    },
    rollup(prefix) {
      digest.rollup(prefix);
      entries.rollup(prefix);
    },
  });
  return { ...digest.end(more, stores.hasher), entries: entries.end() };
}

/** Of a plain small object an entry takes some 200 bytes. */
function expectedBytes({ limit }: ScanRequest): number {
  return Math.min(1_000, limit) * 256;
}

/** Rows of a bucket's change log, in ballot order. */
export function readLog({ index, registers }: Stores, request: LogRequest): LogRow[] {
  const rows: LogRow[] = [];
  const from = logKey(request.bucketId, request.after + 1);
  const to = logKey(request.bucketId, request.upTo + 1);
  index.each({ table: 'log', from, to }, (at, value) => {
    if (rows.length === request.limit) return false;
    const ballot = at.readUInt32BE(8) * 0x1_0000_0000 + at.readUInt32BE(12);
    rows.push({ ...decodeLog(request.bucketId, Buffer.from(value)), ballot });
    return true;
  });
  for (const row of rows) row.decided ||= registers.isDecided(row.key, row.ballot);
  return rows;
}
