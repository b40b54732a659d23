import { type Ballot, writeBallot } from '../consensus/ballot.ts';
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
import { decodeLog, decodeRegister, logKey } from './rows.ts';

interface Found {
  row: (key: Buffer, bytes: Uint8Array) => void;
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
function walk(
  stores: { index: IndexStore; registers: RegisterStore },
  request: ScanRequest,
  found: Found,
): IndexKey | undefined {
  const prefix = Buffer.from(request.prefix);
  const end = endOfPrefix(prefix);
  let from: Buffer | undefined = request.after === undefined ? prefix : startAfter(request, prefix);
  let count = 0;
  let last: IndexKey | undefined;
  while (from !== undefined) {
    let seek: Buffer | undefined;
    for (const { key: raw, value } of stores.index.range('registers', from, end)) {
      const key = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
      const row = stores.registers.seen(key, decodeRegister(value));
      if (row.decided && ((request.skipTombstones && row.tombstone) || (request.skipHidden && row.hidden))) continue;
      if (count === request.limit) return last;
      const rolled = rollupOf(key, prefix, request.delimiter);
      count += 1;
      if (rolled === undefined) {
        found.row(key, value);
        last = key;
      } else {
        found.rollup(rolled);
        last = rolled;
        seek = endOfPrefix(rolled);
        break;
      }
    }
    from = seek;
  }
  return undefined;
}

/** The first place behind `after`: behind the whole roll-up when it lies in one. */
function startAfter(request: ScanRequest, prefix: Buffer): Buffer | undefined {
  const after = Buffer.from(request.after!);
  if (Buffer.compare(after, prefix) < 0) return prefix;
  const rolled = after.subarray(0, prefix.length).equals(prefix)
    ? rollupOf(after, prefix, request.delimiter)
    : undefined;
  return rolled === undefined ? Buffer.concat([after, Buffer.from([0])]) : endOfPrefix(rolled);
}

function rollupOf(key: Buffer, prefix: Buffer, delimiter: Uint8Array | undefined): Buffer | undefined {
  if (delimiter === undefined || delimiter.length === 0) return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.subarray(0, at + delimiter.length);
}

export function scan(stores: { index: IndexStore; registers: RegisterStore }, request: ScanRequest): ScanPage {
  const page: ScanPage = { rows: [], rollups: [], next: undefined };
  page.next = walk(stores, request, {
    row(key, bytes) {
      const { ballot, decided, tombstone, hidden, state } = stores.registers.seen(key, decodeRegister(bytes));
      page.rows.push({ key, ballot, decided, tombstone, hidden, state });
    },
    rollup: (prefix) => page.rollups.push(prefix),
  });
  return page;
}

/** The digest of exactly the page that `scan` would return: keys with ballots, and roll-ups. */
export function scanDigest(
  stores: { index: IndexStore; registers: RegisterStore; hasher: Hasher },
  request: ScanRequest,
): ScanDigest {
  const parts: Buffer[] = [];
  let rows = 0;
  let undecided = false;
  const next = walk(stores, request, {
    row(key, bytes) {
      const row = stores.registers.seen(key, decodeRegister(bytes));
      rows += 1;
      if (!row.decided) undecided = true;
      parts.push(lengthAndBallot(key.length, row.ballot), key);
    },
    rollup: (prefix) => parts.push(lengthAndBallot(prefix.length, 0), prefix),
  });
  return { digest: digestOf(parts, next, stores.hasher), rows, next, undecided };
}

/** The same digest over a page that is at hand. */
export function digestOfPage(page: ScanPage, hasher: Hasher): Uint8Array {
  const entries = [
    ...page.rows.map((row) => ({ key: Buffer.from(row.key), ballot: row.ballot })),
    ...page.rollups.map((prefix) => ({ key: Buffer.from(prefix), ballot: 0 })),
  ].sort((a, b) => Buffer.compare(a.key, b.key));
  const parts = entries.flatMap(({ key, ballot }) => [lengthAndBallot(key.length, ballot), key]);
  return digestOf(parts, page.next, hasher);
}

function digestOf(parts: readonly Buffer[], next: IndexKey | undefined, hasher: Hasher): Uint8Array {
  const bytes = Buffer.concat([...parts, next ?? Buffer.from([0])]);
  const digest = Buffer.alloc(16);
  digest.writeBigUInt64BE(hasher.xxh64Of(bytes, 1n), 0);
  digest.writeBigUInt64BE(hasher.xxh64Of(bytes, 2n), 8);
  return digest;
}

function lengthAndBallot(length: number, ballot: Ballot): Buffer {
  const bytes = Buffer.allocUnsafe(10);
  bytes.writeUInt16BE(length, 0);
  writeBallot(bytes, 2, ballot);
  return bytes;
}

/** Rows of a bucket's change log, in ballot order. */
export function readLog(stores: { index: IndexStore; registers: RegisterStore }, request: LogRequest): LogRow[] {
  const rows: LogRow[] = [];
  const from = logKey(request.bucketId, request.after + 1);
  const to = logKey(request.bucketId, request.upTo + 1);
  for (const { key: raw, value } of stores.index.range('log', from, to)) {
    if (rows.length === request.limit) break;
    const at = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
    const ballot = at.readUInt32BE(8) * 0x1_0000_0000 + at.readUInt32BE(12);
    const entry = decodeLog(request.bucketId, value);
    rows.push({ ...entry, ballot, decided: entry.decided || isDecided(stores.registers, entry.key, ballot) });
  }
  return rows;
}

function isDecided(registers: RegisterStore, key: IndexKey, ballot: Ballot): boolean {
  const row = registers.row(key);
  return row !== undefined && row.ballot === ballot && row.decided;
}
