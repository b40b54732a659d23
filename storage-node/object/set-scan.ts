import { type Answered, collect } from '../consensus/collect.ts';
import { bareEnvelope, valueOf } from '../consensus/envelope.ts';
import { judge } from '../consensus/judge.ts';
import { byNearness } from '../consensus/look.ts';
import { type Registers } from '../consensus/registers.ts';
import { StorageError } from '../errors.ts';
import { type Env } from '../ports.ts';
import { type IndexKey, type ScanPage, type ScanRequest, type ScanRow } from '../store/drive-api.ts';
import { EntryCursor, EntryPacker, spanOf } from '../store/packed-entries.ts';
import { type DriveHandle, type ErasureSet, readQuorum } from '../store/set.ts';

/** A live register found by a scan. */
export interface LiveRow {
  key: IndexKey;
  value: Uint8Array;
  hidden: boolean;
}
/** What a merged scan comes upon: a live register, or a roll-up of several. */
interface ScanEntry {
  /** The register's key, or what its key and others begin with. */
  at: Uint8Array;
  row: LiveRow | undefined;
}
export interface EntryPage {
  /** In byte order, see store/packed-entries.ts. */
  entries: Uint8Array;
  /** Give as `after` for the next page; undefined at the end. */
  next: IndexKey | undefined;
}

export interface SetScanRequest {
  prefix: Uint8Array;
  after?: IndexKey;
  delimiter?: Uint8Array;
  skipHidden?: boolean;
  /** Rows asked for at a time. */
  pageRows?: number;
}

/** Ordered, complete scans of one set: every acknowledged register is in them, no removed one is. */
export interface SetScanner {
  /** A page may be empty though it is not the last. @throws StorageError ReadQuorumLost, Undecided. */
  page(set: ErasureSet, request: SetScanRequest): Promise<EntryPage>;
  rows(set: ErasureSet, request: Omit<SetScanRequest, 'delimiter'>): AsyncGenerator<LiveRow>;
}

export interface SetScannerDeps {
  env: Env;
  registers: Registers;
  deadlineMs: number;
}

export function createSetScanner(deps: SetScannerDeps): SetScanner {
  const page = async (set: ErasureSet, request: SetScanRequest): Promise<EntryPage> => {
    const asked = scanRequest(request, request.after);
    return (await agreedPage(deps, set, asked)) ?? mergedPage(deps, set, asked);
  };
  return {
    page,
    async *rows(set, request) {
      for (let { after } = request; ;) {
        const { entries, next } = await page(set, after === undefined ? request : { ...request, after });
        for (const entry = new EntryCursor(entries); entry.valid; entry.next()) {
          const { key, value, hidden } = entry;
          if (entry.isRow) yield { key, value, hidden };
        }
        if (next === undefined) return;
        after = next;
      }
    },
  };
}

function scanRequest(request: SetScanRequest, after: IndexKey | undefined): ScanRequest {
  return {
    prefix: request.prefix,
    after,
    delimiter: request.delimiter,
    limit: request.pageRows ?? 1_000,
    skipTombstones: true,
    skipHidden: request.skipHidden ?? false,
  };
}

/**
 * The page of the nearest drive, when as many others as make a read quorum have exactly the same one (they send only a
 * digest of it) and every row of it is decided. Undefined when they differ.
 */
async function agreedPage(deps: SetScannerDeps, set: ErasureSet, request: ScanRequest): Promise<EntryPage | undefined> {
  const [first, ...others] = byNearness(set.drives).slice(0, readQuorum(set.drives.length));
  const options = { deadlineMs: deps.deadlineMs };
  try {
    const [page, ...digests] = await withinHedge(
      deps,
      Promise.all([
        first!.api.scanPacked(request, options),
        ...others.map((drive) => drive.api.scanDigest(request, options)),
      ]),
    );
    if (page.undecided || digests.some(({ undecided }) => undecided)) return undefined;
    if (digests.some(({ digest }) => Buffer.compare(digest, page.digest) !== 0)) return undefined;
    return { entries: page.entries, next: page.next };
  } catch {
    return undefined;
  }
}

/** The quick way is given up before anybody notices that a drive hangs. */
async function withinHedge<T>(deps: SetScannerDeps, work: Promise<T>): Promise<T> {
  let timer: { cancel: () => void } | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = deps.env.clock.setTimer(250, () => reject(new Error('late')));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.cancel();
  }
}

/**
 * The page as all drives that answer make it together: for each key the newest value, settled where it is not decided.
 * Tombstones are asked for too, for they out-vote; rolling up is done here, when it is known what is alive.
 */
async function mergedPage(deps: SetScannerDeps, set: ErasureSet, request: ScanRequest): Promise<EntryPage> {
  const rows: LiveRow[] = [];
  for (let after = request.after; ;) {
    const read = await mergedRows(deps, set, { ...request, after });
    rows.push(...read.rows);
    const page = rollUp(rows, read.next, request);
    // Ending amid a roll-up of which nothing alive was met yet would skip the rest of it.
    if (page !== undefined) return page;
    after = read.next;
  }
}

async function mergedRows(
  deps: SetScannerDeps,
  set: ErasureSet,
  request: ScanRequest,
): Promise<{ rows: LiveRow[]; next: IndexKey | undefined }> {
  const quorum = readQuorum(set.drives.length);
  const limit = Math.max(request.limit, 100);
  const all = { ...request, limit, delimiter: undefined, skipTombstones: false, skipHidden: false };
  const { answered } = await collect(set.drives, (drive) => drive.api.scan(all, { deadlineMs: deps.deadlineMs }), {
    clock: deps.env.clock,
    deadlineMs: deps.deadlineMs,
    graceMs: 250,
    enough: (now) => now.answered.length >= quorum,
  });
  if (answered.length < quorum) {
    const message = `${answered.length} of ${set.drives.length} drives of set ${set.index} answered, listing needs ${quorum}`;
    throw new StorageError('ReadQuorumLost', message);
  }
  return newestRows(deps, set, answered);
}

async function newestRows(
  deps: SetScannerDeps,
  set: ErasureSet,
  answered: readonly Answered<ScanPage>[],
): Promise<{ rows: LiveRow[]; next: IndexKey | undefined }> {
  const ends = answered.flatMap(({ value }) => (value.next === undefined ? [] : [Buffer.from(value.next)]));
  const next = ends.sort(Buffer.compare)[0];
  const keys = new Map<string, { key: IndexKey; rows: Map<DriveHandle, ScanRow> }>();
  for (const { drive, value } of answered) {
    for (const row of value.rows) {
      if (next !== undefined && Buffer.compare(row.key, next) > 0) break;
      const text = Buffer.from(row.key).toString('latin1');
      const entry = keys.get(text) ?? { key: row.key, rows: new Map<DriveHandle, ScanRow>() };
      entry.rows.set(drive, row);
      keys.set(text, entry);
    }
  }
  const rows: LiveRow[] = [];
  for (const { key, rows: found } of keys.values()) {
    const live = await settled(deps, set, { key, found, answered });
    if (live !== undefined) rows.push(live);
  }
  rows.sort((a, b) => Buffer.compare(a.key, b.key));
  return { rows, next };
}

async function settled(
  deps: SetScannerDeps,
  set: ErasureSet,
  entry: { key: IndexKey; found: ReadonlyMap<DriveHandle, ScanRow>; answered: readonly Answered<ScanPage>[] },
): Promise<LiveRow | undefined> {
  const known = entry.answered.map(({ drive }) => ({ ...(entry.found.get(drive) ?? absent(entry.key)), older: [] }));
  const newest = Math.max(...known.map(({ ballot }) => ballot));
  const judgement = judge(known, set.drives.length);
  // Rows show only what lies on top; what a value that was passed over covers, only a look at the register tells.
  if (judgement.kind === 'value' && judgement.ballot === newest) {
    const row = judgement.register;
    return row === undefined || row.tombstone ? undefined : liveRow({ ...row, key: entry.key });
  }
  const current = await deps.registers.get(set, entry.key);
  if (current.ballot === 0 || current.tombstone) return undefined;
  return { key: entry.key, value: current.state, hidden: current.hidden };
}

function absent(key: IndexKey): ScanRow {
  return { key, ballot: 0, decided: false, tombstone: false, hidden: false, state: new Uint8Array(0) };
}

function liveRow(row: ScanRow): LiveRow {
  return { key: row.key, value: valueOf(row.state), hidden: row.hidden };
}

/** Undefined when the page ends inside a roll-up that it does not hold. */
function rollUp(rows: readonly LiveRow[], next: IndexKey | undefined, request: ScanRequest): EntryPage | undefined {
  const entries: ScanEntry[] = [];
  const after = request.after === undefined ? undefined : Buffer.from(request.after);
  let last: Buffer | undefined;
  for (const row of rows) {
    if (request.skipHidden && row.hidden) continue;
    const rolled = rollupOf(row.key, request);
    if (rolled === undefined) {
      entries.push({ at: row.key, row });
      continue;
    }
    if (last?.equals(rolled) === true || after?.subarray(0, rolled.length).equals(rolled) === true) continue;
    last = rolled;
    entries.push({ at: rolled, row: undefined });
  }
  const open = next === undefined ? undefined : rollupOf(next, request);
  if (open === undefined) return { entries: packed(entries), next };
  // What follows of a roll-up that is in this page is skipped in the next one.
  const known = last?.equals(open) === true || after?.subarray(0, open.length).equals(open) === true;
  return known ? { entries: packed(entries), next: Buffer.concat([open, Buffer.from([0xff])]) } : undefined;
}

function rollupOf(key: IndexKey, request: ScanRequest): Buffer | undefined {
  if (request.delimiter === undefined) return undefined;
  const bytes = Buffer.from(key);
  const at = bytes.indexOf(request.delimiter, request.prefix.length);
  return at < 0 ? undefined : bytes.subarray(0, at + request.delimiter.length);
}

function packed(entries: readonly ScanEntry[]): Uint8Array {
  const packer = new EntryPacker();
  for (const { at, row } of entries) {
    if (row === undefined) packer.rollup(at);
    else
      packer.row(
        at,
        { ballot: 0, decided: true, tombstone: false, hidden: row.hidden },
        spanOf(bareEnvelope(row.value)),
      );
  }
  return packer.end();
}
