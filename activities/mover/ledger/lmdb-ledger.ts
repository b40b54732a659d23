import path from 'node:path';
import { type Database, open } from 'lmdb';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { makeDirectories } from '../../make-directories.ts';
import { noteWrite, settleWrite } from './advance-row.ts';
import {
  type DonePart,
  type Frozen,
  type LedgerRow,
  type LedgerTotals,
  type Observed,
  type ReplicationLedger,
  type Tally,
  type UploadState,
} from './ledger.ts';
import { holdDirectory } from './hold-directory.ts';
import {
  backlogKey,
  behindRowsOf,
  packPlain,
  packRow,
  parseRowKey,
  rowKey,
  type RowId,
  unpackPlain,
  unpackRow,
} from './row-codec.ts';

type Table = Database<Buffer, Buffer>;

const binary = {
  keyEncoder: {
    writeKey(key: Uint8Array, target: Uint8Array, start: number): number {
      target.set(key, start);
      return start + key.length;
    },
    readKey: (source: Buffer, start: number, end: number): Buffer => Buffer.from(source.subarray(start, end)),
  },
  encoding: 'binary',
} as const;

/** Said outright: without a start the package leaves out keys that begin with a byte below 5. */
const lowest = Buffer.from([0]);
const formatVersion = 1;
/** Rows handed out before others get their turn. */
const scanRows = 512;

function prepare(directory: string): void {
  try {
    makeDirectories(directory);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'it, or what it lies in, is no directory' : String(code);
    throw new MusterError('CONFIG_INVALID', `the state directory ${directory} cannot be made (${why})`, { cause });
  }
}

/**
 * A ledger in a directory of this machine: one LMDB file. One process at a time. Writes of one turn of the event loop
 * are one transaction; a call resolves when it is synced. LMDB syncs in a thread of its own.
 * @throws LEDGER_CONFLICT when another process has it open, or another version of Muster wrote it; CONFIG_INVALID when
 * the directory cannot be made
 */
export function openLmdbLedger(directory: string): ReplicationLedger {
  prepare(directory);
  const release = holdDirectory(directory);
  const root = open<Buffer, Buffer>({
    ...{ path: path.join(directory, 'ledger.mdb'), noSubdir: true, maxDbs: 5, overlappingSync: false, noMemInit: true },
    ...(binary as object),
  });
  const table = (name: string): Table => root.openDB<Buffer, Buffer>({ name, ...(binary as object) });
  const tables = { rows: table('rows'), backlog: table('backlog'), uploads: table('uploads'), notes: table('notes') };
  const notes = notesIn(tables.notes);
  const version = notes.get('format');
  if (version !== undefined && version !== formatVersion) {
    release();
    throw new MusterError('LEDGER_CONFLICT', `${directory} holds a ledger of another format`);
  }
  const state: State = {
    ...tables,
    notes,
    tallies: countBacklog(tables.backlog),
    fresh: new Map(),
    ...{ seq: 0, frozen: undefined },
  };
  state.seq = (notes.get('seq') as number | undefined) ?? 0;
  state.frozen = notes.get('frozen') as Frozen | undefined;
  if (version === undefined) void notes.set('format', formatVersion);
  return {
    ...readers(state),
    ...writers(state),
    ...uploadsOf(state),
    observed: () => Promise.resolve(notes.get('observed') as Observed | undefined),
    setObserved: (observed) => guarded(state, () => notes.set('observed', observed)),
    getNote: (name) => Promise.resolve(notes.get(`note:${name}`)),
    setNote: (name, value) => guarded(state, () => notes.set(`note:${name}`, value)),
    async freeze(why) {
      state.frozen ??= { ...why, atMs: Date.now() };
      await notes.set('frozen', state.frozen);
      return state.frozen;
    },
    frozen: () => Promise.resolve(state.frozen),
    async [Symbol.asyncDispose]() {
      await root.close();
      release();
    },
  };
}

interface State {
  rows: Table;
  backlog: Table;
  uploads: Table;
  notes: Notes;
  tallies: Tallies;
  /** Rows that are written and not yet to be read from LMDB, by their key as text. */
  fresh: Map<string, LedgerRow>;
  seq: number;
  frozen: Frozen | undefined;
}
type Open = 'pending' | 'copied' | 'failed';
type Tallies = Record<Open, Tally>;

interface Notes {
  get(name: string): unknown;
  set(name: string, value: unknown): Promise<void>;
}

function notesIn(table: Table): Notes {
  return {
    get(name) {
      const bytes = table.getBinary(Buffer.from(name) as never);
      return bytes === undefined ? undefined : unpackPlain(bytes);
    },
    async set(name, value) {
      const key = Buffer.from(name);
      await (value === undefined ? table.remove(key) : table.put(key, packPlain(value)));
    },
  };
}

/** What the backlog's index says of a row, beside where it is: [state, bytes, row key]. */
function countBacklog(backlog: Table): Tallies {
  const tallies = emptyTallies();
  for (const { value } of backlog.getRange({ start: lowest })) {
    const [state, sizeBytes] = unpackPlain(value) as [Open, number, Buffer];
    tallies[state].objects += 1;
    tallies[state].sizeBytes += sizeBytes;
  }
  return tallies;
}

function emptyTallies(): Tallies {
  const none = (): Tally => ({ objects: 0, sizeBytes: 0 });
  return { pending: none(), copied: none(), failed: none() };
}

function guarded<T>(state: State, write: () => Promise<T>): Promise<T> {
  if (state.frozen === undefined) return write();
  const at = new Date(state.frozen.atMs).toISOString();
  return Promise.reject(
    new MusterError('REPLICATION_FROZEN', `this replication was frozen at ${at}: ${state.frozen.why}`),
  );
}

const textOf = ({ key, version }: RowId): string => `${key}\0${version}`;

function rowAt(state: State, id: RowId): LedgerRow | undefined {
  const fresh = state.fresh.get(textOf(id));
  if (fresh !== undefined) return fresh;
  const bytes = state.rows.getBinary(rowKey(id) as never);
  return bytes === undefined ? undefined : unpackRow(id, bytes);
}

/** Puts a row and its place in the backlog; the last promise of a turn stands for all of its transaction. */
function replaceRow(state: State, before: LedgerRow | undefined, row: LedgerRow): Promise<boolean> {
  const key = rowKey(row);
  if (before !== undefined && before.state !== 'verified') {
    count(state.tallies[before.state], -1, before.sizeBytes);
    void state.backlog.remove(backlogKey(before));
  }
  if (row.state !== 'verified') {
    count(state.tallies[row.state], 1, row.sizeBytes);
    void state.backlog.put(backlogKey(row), packPlain([row.state, row.sizeBytes, key]));
  }
  return state.rows.put(key, packRow(row));
}

function count(tally: Tally, by: 1 | -1, sizeBytes: number): void {
  tally.objects += by;
  tally.sizeBytes += by * sizeBytes;
}

function writers(state: State): Pick<ReplicationLedger, 'note' | 'settle'> {
  const write = <T extends RowId>(
    all: readonly T[],
    next: (before: LedgerRow | undefined, one: T) => LedgerRow | undefined,
  ): Promise<void> =>
    guarded(state, async () => {
      const written: LedgerRow[] = [];
      let last: Promise<unknown> | undefined;
      for (const one of all) {
        const before = rowAt(state, one);
        const row = next(before, one);
        if (row === undefined) continue;
        state.fresh.set(textOf(row), row);
        written.push(row);
        last = replaceRow(state, before, row);
      }
      if (last === undefined) return;
      void state.notes.set('seq', state.seq);
      await last;
      for (const row of written) if (state.fresh.get(textOf(row)) === row) state.fresh.delete(textOf(row));
    });
  return {
    note: (writes) => write(writes, (before, one) => noteWrite(before, one, (state.seq += 1))),
    settle: (outcomes) => write(outcomes, (before, one) => settleWrite(before, one, before?.seq ?? (state.seq += 1))),
  };
}

function readers(state: State): Pick<ReplicationLedger, 'lookUp' | 'rows' | 'backlog' | 'totals'> {
  return {
    lookUp: (of) => Promise.resolve(of.map((id) => rowAt(state, id))),
    async *rows({ after, upTo } = {}) {
      const range = {
        ...(after === undefined || after === '' ? {} : { start: behindRowsOf(after) }),
        ...(upTo === undefined ? {} : { end: behindRowsOf(upTo) }),
      };
      for await (const { key, value } of scan(state.rows, range)) yield unpackRow(parseRowKey(key), value);
    },
    async *backlog() {
      for await (const { value } of scan(state.backlog)) {
        const row = rowAt(state, parseRowKey((unpackPlain(value) as [Open, number, Buffer])[2]));
        if (row !== undefined && row.state !== 'verified') yield row;
      }
    },
    totals() {
      const { tallies } = state;
      const open = tallies.pending.objects + tallies.copied.objects + tallies.failed.objects;
      const [oldest] = state.backlog.getKeys({ start: lowest, limit: 1 });
      const { entryCount } = state.rows.getStats() as { entryCount: number };
      return Promise.resolve({
        ...(structuredClone(tallies) as Tallies),
        verifiedRows: Math.max(0, entryCount - open),
        ...(oldest === undefined ? {} : { oldestDueMs: Number(oldest.readBigUInt64BE(0)) }),
      } satisfies LedgerTotals);
    },
  };
}

/** Reads on in slices of their own, so that a long walk keeps no old state alive and holds nobody up. */
async function* scan(
  table: Table,
  { start = lowest, end }: { start?: Buffer; end?: Buffer } = {},
): AsyncGenerator<{ key: Buffer; value: Buffer }> {
  let exclusiveStart = false;
  const upTo = end === undefined ? {} : { end };
  for (;;) {
    const slice = [...table.getRange({ start, exclusiveStart, ...upTo, limit: scanRows, snapshot: false })].map(
      ({ key, value }) => ({ key, value: Buffer.from(value) }),
    );
    yield* slice;
    if (slice.length < scanRows) return;
    start = slice.at(-1)!.key;
    exclusiveStart = true;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function uploadsOf(
  state: State,
): Pick<ReplicationLedger, 'upload' | 'saveUpload' | 'savePart' | 'dropUpload' | 'uploads'> {
  const partKey = (id: RowId, partNumber: number): Buffer => {
    const number = Buffer.alloc(2);
    number.writeUInt16BE(partNumber);
    return Buffer.concat([rowKey(id), Buffer.from([0]), number]);
  };
  // Part 0 stands for the upload itself, so that it sorts before its parts.
  const all = function* (id: RowId): Generator<{ key: Buffer; value: Buffer }> {
    yield* state.uploads.getRange({ start: partKey(id, 0), end: partKey(id, 0xffff) });
  };
  return {
    upload(of) {
      const [head, ...parts] = [...all(of)].map(({ value }) => unpackPlain(value));
      return Promise.resolve(
        head === undefined ? undefined : { state: head as UploadState, parts: parts as DonePart[] },
      );
    },
    saveUpload: (upload) =>
      guarded(state, async () => void (await state.uploads.put(partKey(upload, 0), packPlain(upload)))),
    savePart: (of, part) =>
      guarded(state, async () => void (await state.uploads.put(partKey(of, part.partNumber), packPlain(part)))),
    dropUpload: (of) =>
      guarded(state, async () => {
        await Promise.all([...all(of)].map(({ key }) => state.uploads.remove(key)));
      }),
    async *uploads() {
      for await (const { key, value } of scan(state.uploads))
        if (key.readUInt16BE(key.length - 2) === 0) yield unpackPlain(value) as UploadState;
    },
  };
}
