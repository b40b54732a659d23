import { type Ballot, maxBallot } from '../consensus/ballot.ts';
import { StorageError } from '../errors.ts';
import { textOf } from './bytes.ts';
import {
  type AcceptReply,
  type AcceptRequest,
  type DecideRequest,
  type HeldRegister,
  type IndexKey,
  type LearnReply,
  type LearnRequest,
  type PreparedRegister,
  type PrepareReply,
  type PrepareRequest,
  type ReadReply,
  type ReadRequest,
  type ShardPut,
} from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { type Guards } from './guards.ts';
import { createMarks, type Marks } from './marks.ts';
import { type Promises } from './promises.ts';
import { quarantineRow } from './quarantine.ts';
import { acceptWrites, forgetWrites } from './register-writes.ts';
import {
  ballotIn,
  decodeLog,
  decodeRegister,
  hasFrees,
  isMarked,
  isWhole,
  logKey,
  type OlderRow,
  type RegisterRow,
} from './rows.ts';
import { readSmall } from './shard-read.ts';
import { type Placed, type ShardStore } from './shard-store.ts';
import { createTurns } from './turns.ts';

/** The registers of a drive: its vote on every key. */
export interface RegisterStore {
  read(request: ReadRequest): ReadReply;
  prepare(request: PrepareRequest): Promise<PrepareReply>;
  accept(request: AcceptRequest): Promise<AcceptReply>;
  learn(request: LearnRequest): Promise<LearnReply>;
  decide(requests: readonly DecideRequest[]): void;
  forget(request: DecideRequest): Promise<boolean>;
  repair(key: IndexKey, ballot: Ballot, puts: readonly ShardPut[]): Promise<boolean>;
  /** A mark that is not on disk yet counts. */
  isDecided(key: IndexKey, ballot: Ballot): boolean;
  readonly marks: Pick<Marks, 'of' | 'size' | 'flush'>;
  /** Accepted and not known to be decided. */
  readonly undecided: number;
  /** Resolves when every write that was under way at the call has ended. */
  settled(): Promise<void>;
  /** Looks through the rows of earlier lives for what was left undone. */
  resume(stopped: () => boolean): Promise<void>;
  close(): Promise<void>;
}

export interface RegisterStoreDeps {
  core: DriveCore;
  promises: Promises;
  guards: Guards;
  shards: ShardStore;
}

/** Rows looked at before others get their turn. */
const resumedAtOnce = 1_000;

export function createRegisterStore(deps: RegisterStoreDeps): RegisterStore {
  const { core, promises, guards, shards } = deps;
  const { index } = core;
  const turns = createTurns();
  const undecided = new Map<string, Ballot>();
  const storedRow = (key: IndexKey): RegisterRow | undefined => {
    const bytes = index.get('registers', key);
    return bytes === undefined ? undefined : decodeRegister(bytes);
  };
  const wholeRow = (key: IndexKey): RegisterRow | undefined =>
    rottenRow(core, key) === undefined ? storedRow(key) : undefined;
  const marks = createMarks({ core, shards, turns, storedRow: wholeRow });
  const rowOf = (key: IndexKey, id?: string): RegisterRow | undefined => {
    const row = storedRow(key);
    if (row !== undefined && !row.decided && marks.size > 0 && marks.of(id ?? textOf(key)) === row.ballot) {
      row.decided = true;
      row.older = [];
    }
    return row;
  };
  /** Shards first, then one batch of rows that name them; durable when it resolves. */
  const store = async (
    request: AcceptRequest | LearnRequest,
    before: RegisterRow | undefined,
    learnt?: { rotten: Buffer | undefined },
  ): Promise<boolean> => {
    const placed = await shards.place(request.puts);
    if (placed === undefined) return false;
    const writes = acceptWrites(index, request, { before, decided: learnt !== undefined });
    if (learnt?.rotten !== undefined) writes.push(quarantineRow(request.key, learnt.rotten));
    await writeDown(core, shards, { ...placed, writes: [...placed.writes, ...writes] });
    return true;
  };
  const mark = (id: string, ballot: Ballot): void => {
    undecided.delete(id);
    marks.add(id, ballot);
  };

  return {
    read({ key, withHead }) {
      const row = rowOf(key);
      if (row === undefined) return { ...absent(), head: undefined };
      const { ballot, decided, tombstone, hidden, state, headData } = row;
      const head = withHead && headData !== undefined ? readSmall(core, headData) : undefined;
      const older = row.older.map((one) => ({ ...one, note: undefined }));
      return { ballot, decided, tombstone, hidden, state, older, head };
    },
    async prepare({ key, ballot }) {
      const id = textOf(key);
      while (turns.busy(id)) await turns.over(id);
      core.check();
      // From here to the promise nothing may come between: what is accepted later knows of the promise.
      const register = heldOf(core, key, rowOf(key, id));
      const promised = Math.max(promises.of(id), register.ballot);
      if (ballot <= promised || ballot > maxBallot) return { kind: 'outbid', promised, register };
      await promises.promise(id, ballot);
      return { kind: 'promised', register };
    },
    async accept(request) {
      const { key, ballot } = request;
      const id = textOf(key);
      while (turns.busy(id)) await turns.over(id);
      core.check();
      const row = rowOf(key, id);
      const refusal = guards.refuse(request) ?? refuse(deps, request, { id, held: row?.ballot ?? 0 });
      if (refusal !== undefined) return refusal;
      const covered = promises.promise(id, ballot);
      const work = covered === undefined ? store(request, row) : covered.then(() => store(request, row));
      try {
        if (!(await turns.hold(id, work))) return { kind: 'no-data' };
      } catch (error) {
        if (error instanceof StorageError && error.code === 'OutOfSpace') return { kind: 'full' };
        throw error;
      }
      undecided.set(id, ballot);
      // A process that was frozen meanwhile must not say of a lease long over that it covered this.
      return guards.refuse(request) ?? { kind: 'accepted' };
    },
    async learn(request) {
      const { key, ballot } = request;
      const id = textOf(key);
      while (turns.busy(id)) await turns.over(id);
      core.check();
      const rotten = rottenRow(core, key);
      const row = rotten === undefined ? rowOf(key, id) : undefined;
      const held = rotten === undefined ? (row?.ballot ?? 0) : ballotIn(rotten);
      if (held > ballot) return { kind: 'newer', ballot: held };
      if (needsRoom(request.puts) && core.space.full()) return { kind: 'full' };
      if (!(await turns.hold(id, store(request, row, { rotten })))) return { kind: 'no-data' };
      mark(id, ballot);
      return { kind: 'learned' };
    },
    decide(requests) {
      for (const { key, ballot } of requests) {
        const id = textOf(key);
        if (undecided.get(id) === ballot || needsMark(core, key, ballot)) mark(id, ballot);
      }
    },
    async forget({ key, ballot }) {
      const id = textOf(key);
      while (turns.busy(id)) await turns.over(id);
      core.check();
      const row = rowOf(key, id);
      if (row === undefined || row.ballot !== ballot || !row.tombstone || !row.decided) return false;
      return turns.hold(
        id,
        promises.raiseFloor(ballot).then(async () => {
          const { writes, kept } = shards.free(row.frees);
          if (kept.length > 0) {
            shards.freed(writes, false);
            return false;
          }
          marks.drop(id);
          const rows = [...writes, ...forgetWrites(index, key, ballot)];
          await writeDown(core, shards, { writes: rows, appended: [], staged: [] });
          return true;
        }),
      );
    },
    async repair(key, ballot, puts) {
      const id = textOf(key);
      while (turns.busy(id)) await turns.over(id);
      core.check();
      if (rowOf(key, id)?.ballot !== ballot) return false;
      const work = shards.place(puts).then(async (placed) => {
        if (placed === undefined) return false;
        await writeDown(core, shards, placed);
        return true;
      });
      return turns.hold(id, work);
    },
    isDecided(key, ballot) {
      const row = rowOf(key);
      return row !== undefined && row.ballot === ballot && row.decided;
    },
    marks,
    get undecided() {
      return undecided.size;
    },
    settled: turns.settled,
    resume: (stopped) => resume(core, stopped, { undecided, marks }),
    close: marks.close,
  };
}

function absent(): PreparedRegister {
  const none = { headData: undefined, note: undefined, older: [] };
  return { ballot: 0, decided: false, tombstone: false, hidden: false, state: new Uint8Array(0), ...none };
}

function heldOf(core: DriveCore, key: IndexKey, row: RegisterRow | undefined): PreparedRegister {
  if (row === undefined) return absent();
  const withNote = ({ ballot, decided, tombstone, hidden, state, headData }: OlderRow): HeldRegister => {
    const log = decided ? undefined : core.index.get('log', logKey(key, ballot));
    const note = log === undefined ? undefined : decodeLog(key, log).note;
    return { ballot, decided, tombstone, hidden, state, headData, note };
  };
  return { ...withNote(row), older: row.older.map(withNote) };
}

/** What promises and the free space say to an accept. */
function refuse(
  { core, promises }: RegisterStoreDeps,
  { ballot, puts }: AcceptRequest,
  { id, held }: { id: string; held: Ballot },
): AcceptReply | undefined {
  if (held === ballot) return { kind: 'accepted' };
  const promised = Math.max(promises.of(id), held);
  if (ballot < promised || ballot <= promises.floor() || ballot > maxBallot) return { kind: 'outbid', promised };
  return needsRoom(puts) && core.space.full() ? { kind: 'full' } : undefined;
}

/** What was staged has its place already: to refuse it the name would only waste that. */
function needsRoom(puts: readonly ShardPut[]): boolean {
  return puts.some(({ kind }) => kind === 'small');
}

async function writeDown(core: DriveCore, shards: ShardStore, placed: Placed): Promise<void> {
  if (placed.writes.length > 0) {
    try {
      await core.writing(core.index.write(placed.writes));
    } catch (error) {
      shards.placed(placed, false);
      throw error;
    }
  }
  shards.placed(placed, true);
}

/** Whether a register has this ballot, and the row does not say yet that it is decided, or holds frees. */
function needsMark({ index }: DriveCore, key: IndexKey, ballot: Ballot): boolean {
  const bytes = index.get('registers', key);
  if (bytes === undefined || ballotIn(bytes) !== ballot) return false;
  return hasFrees(bytes) || !isMarked(bytes);
}

/** The row of a key when it has rotted: what is learnt takes its place, and a copy is kept. */
function rottenRow({ index }: DriveCore, key: IndexKey): Buffer | undefined {
  const bytes = index.get('registers', key);
  return bytes === undefined || isWhole(bytes) ? undefined : bytes;
}

/** Marks of an earlier life that freed less than they should have are done again; undecided rows are counted. */
async function resume(
  core: DriveCore,
  stopped: () => boolean,
  found: { undecided: Map<string, Ballot>; marks: Marks },
): Promise<void> {
  let from: Buffer | undefined = Buffer.alloc(0);
  while (from !== undefined && !stopped()) {
    let rows = 0;
    let last: Buffer | undefined;
    core.index.each({ table: 'registers', from }, (key, bytes) => {
      if (rows++ === resumedAtOnce) return false;
      last = Buffer.from(key);
      const ballot = ballotIn(bytes);
      const id = textOf(key);
      if (isMarked(bytes)) {
        if (hasFrees(bytes)) found.marks.add(id, ballot);
      } else if (!found.undecided.has(id) && found.marks.of(id) !== ballot) found.undecided.set(id, ballot);
      return true;
    });
    from = last === undefined || rows <= resumedAtOnce ? undefined : Buffer.concat([last, Buffer.from([0])]);
    await new Promise<void>((resolve) => {
      core.env.clock.setTimer(0, resolve);
    });
  }
}
