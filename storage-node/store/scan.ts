import { type Ballot, writeBallot } from '../consensus/ballot.ts';
import { textOf } from './bytes.ts';
import {
  type IndexKey,
  type LogRequest,
  type LogRow,
  type ScanDigest,
  type ScanPage,
  type ScanRequest,
} from './drive-api.ts';
import { type Hasher } from './drive-core.ts';
import { type IndexStore } from './index-store.ts';
import { type RegisterStore } from './register-store.ts';
import { copyState, decodeHead, decodeLog, logKey, type RegisterHead } from './rows.ts';

interface Stores {
  index: IndexStore;
  registers: RegisterStore;
}

/** The bytes are lent for the time of the call. */
interface Found {
  row: (key: Buffer, head: RegisterHead, bytes: Buffer) => void;
  rollup: (prefix: Buffer) => void;
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
 * @returns where it stopped; undefined at the end
 */
function walk({ index, registers }: Stores, request: ScanRequest, found: Found): IndexKey | undefined {
  const prefix = Buffer.from(request.prefix);
  const to = endOfPrefix(prefix);
  const { skipTombstones, skipHidden, limit, delimiter } = request;
  const { marks } = registers;
  let from: Buffer | undefined = request.after === undefined ? prefix : startAfter(request, prefix);
  let count = 0;
  let last: Buffer | undefined;
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
      last = Buffer.from(rolled ?? key);
      if (rolled === undefined) {
        found.row(last, head, bytes);
        return true;
      }
      found.rollup(last);
      seek = endOfPrefix(last);
      return false;
    });
    from = more ? undefined : seek;
  }
  return more ? last : undefined;
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
  page.next = walk(stores, request, {
    row(key, { ballot, decided, tombstone, hidden }, bytes) {
      page.rows.push({ key, ballot, decided, tombstone, hidden, state: copyState(bytes) });
    },
    rollup: (prefix) => page.rollups.push(prefix),
  });
  return page;
}

/** The digest of exactly the page that `scan` would return: keys with ballots, roll-ups, and where it ends. */
export function scanDigest(stores: Stores & { hasher: Hasher }, request: ScanRequest): ScanDigest {
  const digest = createPageDigest();
  let rows = 0;
  let undecided = false;
  const next = walk(stores, request, {
    row(key, head) {
      rows += 1;
      if (!head.decided) undecided = true;
      digest.add(key, head.ballot);
    },
    rollup: (prefix) => digest.add(prefix, 0),
  });
  return { digest: digest.end(next, stores.hasher), rows, next, undecided };
}

/** The same digest over a page that is at hand. */
export function digestOfPage(page: ScanPage, hasher: Hasher): Uint8Array {
  const digest = createPageDigest();
  const entries = [
    ...page.rows.map((row) => ({ key: Buffer.from(row.key), ballot: row.ballot })),
    ...page.rollups.map((prefix) => ({ key: Buffer.from(prefix), ballot: 0 })),
  ].sort((a, b) => Buffer.compare(a.key, b.key));
  for (const { key, ballot } of entries) digest.add(key, ballot);
  return digest.end(page.next, hasher);
}

/** Gathers the entries of a page in one piece of memory: length (2), ballot (8), key; at the end the next key. */
function createPageDigest(): {
  add: (key: Uint8Array, ballot: Ballot) => void;
  end: (next: IndexKey | undefined, hasher: Hasher) => Uint8Array;
} {
  let bytes = Buffer.allocUnsafe(64 * 1024);
  let at = 0;
  const room = (count: number): void => {
    if (at + count <= bytes.length) return;
    const wider = Buffer.allocUnsafe((at + count) * 2);
    bytes.copy(wider, 0, 0, at);
    bytes = wider;
  };
  return {
    add(key, ballot) {
      room(10 + key.length);
      bytes.writeUInt16BE(key.length, at);
      writeBallot(bytes, at + 2, ballot);
      bytes.set(key, at + 10);
      at += 10 + key.length;
    },
    end(next, hasher) {
      const ending = next ?? Buffer.from([0]);
      room(ending.length);
      bytes.set(ending, at);
      const all = bytes.subarray(0, at + ending.length);
      const digest = Buffer.alloc(16);
      digest.writeBigUInt64BE(hasher.xxh64Of(all, 1n), 0);
      digest.writeBigUInt64BE(hasher.xxh64Of(all, 2n), 8);
      return digest;
    },
  };
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
