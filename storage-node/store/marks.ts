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
  const { core, shards, turns } = deps;
  const marks = new Map<string, Mark>();
  let closed = false;

  const put = (id: string, mark: Mark): void => {
    // Behind all others: they are kept in the order of their times.
    marks.delete(id);
    marks.set(id, mark);
  };
  const takeDue = (sinceMs: number): [string, Mark][] => {
    const due: [string, Mark][] = [];
    for (const [id, mark] of marks) {
      if (mark.atMs > sinceMs || due.length === marksAtOnce) break;
      if (!turns.busy(id)) due.push([id, mark]);
    }
    return due;
  };
  const writeDown = async (due: readonly [string, Mark][]): Promise<void> => {
    const nowMs = core.env.clock.monotonicMs();
    const writes: IndexWrite[] = [];
    for (const [id, mark] of due) {
      const applied = apply(deps, Buffer.from(id, 'latin1'), mark);
      writes.push(...applied.writes);
      if (applied.waits) put(id, { ...mark, atMs: nowMs });
    }
    if (writes.length === 0) return due.forEach(([id, mark]) => dropSame(id, mark));
    const work = core.writing(core.index.write(writes));
    for (const [id] of due) turns.hold(id, work).catch(() => {});
    try {
      await work;
    } catch (error) {
      shards.freed(writes, false);
      throw error;
    }
    shards.freed(writes, true);
    for (const [id, mark] of due) dropSame(id, mark);
  };
  const dropSame = (id: string, mark: Mark): void => {
    if (marks.get(id) === mark) marks.delete(id);
  };
  const flush = async (all: boolean): Promise<void> => {
    const nowMs = core.env.clock.monotonicMs();
    for (;;) {
      // Those that are put back because somebody still reads get a later time, and end this loop.
      const due = takeDue(all ? nowMs : nowMs - freeAfterMs);
      if (due.length === 0) return;
      await writeDown(due);
      if (all && due.every(([id]) => marks.has(id))) return;
    }
  };
  const tick = (): void => {
    if (closed) return;
    shards.dropForgotten();
    // A failed write has stopped the drive, and every call says so; a full disk is tried again.
    flush(false)
      .catch(() => {})
      .finally(() => {
        if (!closed) core.env.clock.setTimer(lookEveryMs, tick);
      });
  };
  core.env.clock.setTimer(lookEveryMs, tick);
  return {
    add(id, ballot) {
      if (marks.get(id)?.ballot === ballot) return;
      put(id, { ballot, atMs: core.env.clock.monotonicMs() });
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
      await turns.settled();
    },
  };
}

/** The rows of one mark; it waits on when data it frees is still being read. */
function apply({ shards, storedRow }: MarksDeps, key: IndexKey, mark: Mark): { writes: IndexWrite[]; waits: boolean } {
  const row = storedRow(key);
  if (row === undefined || row.ballot !== mark.ballot) return { writes: [], waits: false };
  const { writes, kept } = shards.free(row.frees);
  const waits = kept.length > 0;
  if (row.decided && waits && kept.length === row.frees.length) return { writes, waits };
  const value = encodeRegister({ ...row, decided: true, frees: kept });
  return { writes: [...writes, { table: 'registers', key, value }], waits };
}
