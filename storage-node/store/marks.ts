import { type Ballot } from '../consensus/ballot.ts';
import { type IndexKey } from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { type IndexWrite } from './index-store.ts';
import { encodeRegister, type RegisterRow } from './rows.ts';
import { type ShardStore } from './shard-store.ts';
import { type Turns } from './turns.ts';

/** How long freed data stays readable: for reads that saw the old value and have not begun yet, milliseconds. */
const freeAfterMs = 5_000;
const lookEveryMs = 1_000;
const marksAtOnce = 256;

/** Decisions a drive was told of and has not written down yet. A lost one costs a later reader one more look. */
export interface Marks {
  add(id: string, ballot: Ballot): void;
  /** The newest ballot of a key known to be decided; undefined: see the row. */
  of(id: string): Ballot | undefined;
  drop(id: string): void;
  readonly size: number;
  /** Writes down what waits long enough (or all), and lets go of what it freed. */
  flush(all: boolean): Promise<void>;
  close(): Promise<void>;
}

interface Mark {
  ballot: Ballot;
  atMs: number;
}

interface MarksDeps {
  core: DriveCore;
  shards: ShardStore;
  turns: Turns;
  /** As it is on disk; undefined also for one that cannot be read. */
  storedRow: (key: IndexKey) => RegisterRow | undefined;
}

export function createMarks(deps: MarksDeps): Marks {
  const { clock } = deps.core.env;
  const marks = new Map<string, Mark>();
  let closed = false;
  const flush = (all: boolean): Promise<void> => writeDown(deps, marks, all);
  const tick = (): void => {
    if (closed) return;
    deps.shards.dropForgotten();
    // A failed write has stopped the drive, and every call says so; a full disk is tried again.
    flush(false)
      .catch(() => {})
      .finally(() => {
        if (!closed) clock.setTimer(lookEveryMs, tick);
      });
  };
  clock.setTimer(lookEveryMs, tick);
  return {
    add(id, ballot) {
      if (marks.get(id)?.ballot !== ballot) putLast(marks, id, { ballot, atMs: clock.monotonicMs() });
    },
    of: (id) => marks.get(id)?.ballot,
    drop: (id) => void marks.delete(id),
    get size() {
      return marks.size;
    },
    flush,
    async close() {
      closed = true;
      await flush(true).catch(() => {});
      await deps.turns.settled();
    },
  };
}

/** Behind all others: marks are kept in the order of their times. */
function putLast(marks: Map<string, Mark>, id: string, mark: Mark): void {
  marks.delete(id);
  marks.set(id, mark);
}

async function writeDown(deps: MarksDeps, marks: Map<string, Mark>, all: boolean): Promise<void> {
  const nowMs = deps.core.env.clock.monotonicMs();
  for (;;) {
    const due = takeDue(deps, marks, all ? nowMs : nowMs - freeAfterMs);
    if (due.length === 0) return;
    await writeSome(deps, marks, due);
    // What somebody still reads was put back, and comes again.
    if (all && due.every(([id]) => marks.has(id))) return;
  }
}

function takeDue({ turns }: MarksDeps, marks: Map<string, Mark>, sinceMs: number): [string, Mark][] {
  const due: [string, Mark][] = [];
  for (const [id, mark] of marks) {
    if (mark.atMs > sinceMs || due.length === marksAtOnce) break;
    if (!turns.busy(id)) due.push([id, mark]);
  }
  return due;
}

async function writeSome(deps: MarksDeps, marks: Map<string, Mark>, due: readonly [string, Mark][]): Promise<void> {
  const { core, turns, shards } = deps;
  const nowMs = core.env.clock.monotonicMs();
  const writes: IndexWrite[] = [];
  for (const [id, mark] of due) {
    const applied = apply(deps, Buffer.from(id, 'latin1'), mark);
    writes.push(...applied.writes);
    if (applied.waits) putLast(marks, id, { ...mark, atMs: nowMs });
  }
  if (writes.length > 0) {
    const work = core.writing(core.index.write(writes));
    for (const [id] of due) turns.hold(id, work).catch(() => {});
    try {
      await work;
      shards.freed(writes, true);
    } catch (error) {
      shards.freed(writes, false);
      throw error;
    }
  }
  for (const [id, mark] of due) if (marks.get(id) === mark) marks.delete(id);
}

/** The rows of one mark; it waits on when data it frees is still being read. */
function apply({ shards, storedRow }: MarksDeps, key: IndexKey, mark: Mark): { writes: IndexWrite[]; waits: boolean } {
  const row = storedRow(key);
  if (row === undefined || row.ballot !== mark.ballot) return { writes: [], waits: false };
  const { writes, kept } = shards.free(row.frees);
  const waits = kept.length > 0;
  if (row.decided && waits && kept.length === row.frees.length) return { writes, waits };
  const value = encodeRegister({ ...row, decided: true, frees: kept, older: [] });
  return { writes: [...writes, { table: 'registers', key, value }], waits };
}
