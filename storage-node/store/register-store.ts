import { type Ballot, maxBallot } from '../consensus/ballot.ts';
import {
  type AcceptReply,
  type AcceptRequest,
  type DataId,
  type DecideRequest,
  type HeldRegister,
  type IndexKey,
  type LearnReply,
  type LearnRequest,
  type PrepareReply,
  type PrepareRequest,
  type ReadReply,
  type ReadRequest,
  type Register,
} from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { type Guards } from './guards.ts';
import { type IndexWrite } from './index-store.ts';
import { type Promises } from './promises.ts';
import { decodeLog, decodeRegister, encodeLog, encodeRegister, logKey, type RegisterRow, textOf } from './rows.ts';
import { type ShardStore } from './shard-store.ts';

/** How long freed data stays readable: for reads that saw the old value and have not begun yet, milliseconds. */
const freeAfterMs = 5_000;
const markEveryMs = 1_000;

/** The registers of a drive: its vote on every key. */
export interface RegisterStore {
  read(request: ReadRequest): ReadReply;
  prepare(request: PrepareRequest): Promise<PrepareReply>;
  accept(request: AcceptRequest): Promise<AcceptReply>;
  learn(request: LearnRequest): Promise<LearnReply>;
  decide(requests: readonly DecideRequest[]): void;
  forget(request: DecideRequest): Promise<boolean>;
  repair(key: IndexKey, ballot: Ballot, puts: AcceptRequest['puts']): Promise<boolean>;
  /** The row as it counts now: a mark of decision that is not on disk yet is seen. */
  row(key: IndexKey): RegisterRow | undefined;
  seen(key: IndexKey, row: RegisterRow): RegisterRow;
  undecidedMarks(): number;
  /** Resolves when every write that was under way at the call has ended. */
  settled(): Promise<void>;
  /** Writes the marks that wait, and lets go of what they freed. */
  flushMarks(all: boolean): Promise<void>;
  close(): Promise<void>;
}

export interface RegisterStoreDeps {
  core: DriveCore;
  promises: Promises;
  guards: Guards;
  shards: ShardStore;
}

interface Mark {
  key: IndexKey;
  ballot: Ballot;
  atMs: number;
}

export function createRegisterStore(deps: RegisterStoreDeps): RegisterStore {
  const { core, promises, shards } = deps;
  const { index } = core;
  const marks = new Map<string, Mark>();
  const turns = new Map<string, Promise<unknown>>();
  let closed = false;

  /** Writers of one key take turns here; nobody waits for a writer of another. */
  const inTurn = <T>(key: IndexKey, work: () => Promise<T>): Promise<T> => {
    const id = textOf(key);
    const before = turns.get(id);
    const turn = before === undefined ? work() : before.then(work, work);
    turns.set(id, turn);
    const over = (): void => {
      if (turns.get(id) === turn) turns.delete(id);
    };
    turn.then(over, over);
    return turn;
  };
  const seen = (key: IndexKey, row: RegisterRow): RegisterRow => {
    if (row.decided || marks.size === 0) return row;
    return marks.get(textOf(key))?.ballot === row.ballot ? { ...row, decided: true } : row;
  };
  const rowOf = (key: IndexKey): RegisterRow | undefined => {
    const bytes = index.get('registers', key);
    return bytes === undefined ? undefined : seen(key, decodeRegister(bytes));
  };
  const flushMarks = async (all: boolean): Promise<void> => {
    const dueMs = all ? Number.POSITIVE_INFINITY : core.env.clock.monotonicMs() - freeAfterMs;
    for (const [id, mark] of [...marks]) {
      if (mark.atMs > dueMs) break;
      await inTurn(mark.key, () => applyMark(deps, mark, rowOf(mark.key)));
      if (marks.get(id) === mark) marks.delete(id);
    }
  };
  const tick = (): void => {
    if (closed) return;
    flushMarks(false)
      .catch(() => {})
      .finally(() => {
        if (!closed) core.env.clock.setTimer(markEveryMs, tick);
      });
  };
  core.env.clock.setTimer(markEveryMs, tick);

  return {
    read({ key, withHead }) {
      core.check();
      const row = rowOf(key);
      if (row === undefined) return { ...absent, head: undefined };
      const head = withHead && row.headData !== undefined ? shards.small(row.headData) : undefined;
      return { ...registerOf(row), head };
    },
    async prepare({ key, ballot }) {
      core.check();
      await turns.get(textOf(key))?.catch(() => {});
      const register = heldOf(deps, key, rowOf(key));
      const promised = Math.max(promises.of(key), register.ballot);
      if (ballot <= promised || ballot > maxBallot) return { kind: 'outbid', promised, register };
      await promises.promise(key, ballot);
      return { kind: 'promised', register };
    },
    accept: (request) => inTurn(request.key, () => accept(deps, request, rowOf(request.key))),
    learn: (request) =>
      inTurn(request.key, async () => {
        core.check();
        const row = rowOf(request.key);
        if (row !== undefined && row.ballot > request.ballot) return { kind: 'newer', ballot: row.ballot };
        if (core.space.full() && request.puts.length > 0) return { kind: 'full' };
        const stored = await store(deps, request, row, true);
        if (stored) marks.set(textOf(request.key), markOf(core, request));
        return { kind: stored ? 'learned' : 'no-data' };
      }),
    decide(requests) {
      for (const { key, ballot } of requests) {
        const row = rowOf(key);
        if (row === undefined || row.ballot !== ballot || (row.decided && row.frees.length === 0)) continue;
        const id = textOf(key);
        if (marks.get(id)?.ballot === ballot) continue;
        marks.delete(id);
        marks.set(id, markOf(core, { key, ballot }));
      }
    },
    forget: ({ key, ballot }) =>
      inTurn(key, async () => {
        const row = rowOf(key);
        if (row === undefined || row.ballot !== ballot || !row.tombstone || !row.decided) return false;
        await promises.raiseFloor(ballot);
        const { writes } = shards.free(row.frees);
        marks.delete(textOf(key));
        await core.writing(index.write([...writes, { table: 'registers', key, value: undefined }]));
        return true;
      }),
    repair: (key, ballot, puts) =>
      inTurn(key, async () => {
        core.check();
        if (rowOf(key)?.ballot !== ballot) return false;
        const writes = await core.writing(shards.place(puts));
        if (writes === undefined) return false;
        await core.writing(index.write(writes));
        shards.placed(puts);
        return true;
      }),
    row: rowOf,
    seen,
    undecidedMarks: () => marks.size,
    flushMarks,
    settled: async () => void (await Promise.allSettled(turns.values())),
    async close() {
      closed = true;
      await flushMarks(true).catch(() => {});
      await Promise.allSettled(turns.values());
    },
  };
}

const absent: Register = { ballot: 0, decided: false, tombstone: false, hidden: false, state: new Uint8Array(0) };

function markOf(core: DriveCore, { key, ballot }: DecideRequest): Mark {
  return { key: Uint8Array.from(key), ballot, atMs: core.env.clock.monotonicMs() };
}

function registerOf({ ballot, decided, tombstone, hidden, state }: RegisterRow): Register {
  return { ballot, decided, tombstone, hidden, state };
}

function heldOf({ core }: RegisterStoreDeps, key: IndexKey, row: RegisterRow | undefined): HeldRegister {
  if (row === undefined) return { ...absent, headData: undefined, note: undefined };
  const log = row.decided ? undefined : core.index.get('log', logKey(key, row.ballot));
  const note = log === undefined ? undefined : decodeLog(key, log).note;
  return { ...registerOf(row), headData: row.headData, note };
}

async function accept(
  deps: RegisterStoreDeps,
  request: AcceptRequest,
  row: RegisterRow | undefined,
): Promise<AcceptReply> {
  const { core, guards, promises } = deps;
  core.check();
  const refusal = guards.refuse(request);
  if (refusal !== undefined) return refusal;
  const held = row?.ballot ?? 0;
  if (held === request.ballot) return { kind: 'accepted' };
  const promised = Math.max(promises.of(request.key), held);
  if (request.ballot < promised || request.ballot <= promises.floor()) return { kind: 'outbid', promised };
  if (request.puts.length > 0 && core.space.full()) return { kind: 'full' };
  await promises.promise(request.key, request.ballot);
  return (await store(deps, request, row, false)) ? { kind: 'accepted' } : { kind: 'no-data' };
}

/** Shards first or at the same time, then one batch of rows; durable when it resolves. */
async function store(
  deps: RegisterStoreDeps,
  request: AcceptRequest | LearnRequest,
  before: RegisterRow | undefined,
  decided: boolean,
): Promise<boolean> {
  const { core, shards } = deps;
  const { key, ballot, tombstone, hidden, state, headData, puts } = request;
  const placed = puts.length === 0 ? [] : await core.writing(shards.place(puts));
  if (placed === undefined) return false;
  const frees = freesOf(request, before);
  const row: RegisterRow = {
    ballot,
    decided: decided && frees.length === 0,
    tombstone,
    hidden,
    state,
    headData,
    frees,
  };
  const writes: IndexWrite[] = [...placed, { table: 'registers', key, value: encodeRegister(row) }];
  for (const cancelled of request.cancels) {
    writes.push({ table: 'log', key: logKey(key, cancelled), value: undefined });
  }
  if (before?.decided === true && !request.cancels.includes(before.ballot))
    writes.push(...confirmLog(core, key, before.ballot));
  if (request.change !== undefined) {
    const value = encodeLog({ key, note: request.change.note, decided });
    writes.push({ table: 'log', key: logKey(key, ballot), value });
  }
  await core.writing(core.index.write(writes));
  if (puts.length > 0) shards.placed(puts);
  return true;
}

/** The log row of a ballot that a newer one replaces: from now on only the row itself can say that it was decided. */
function confirmLog(core: DriveCore, key: IndexKey, ballot: Ballot): IndexWrite[] {
  const at = logKey(key, ballot);
  const value = core.index.get('log', at);
  if (value === undefined || value[0] === 1) return [];
  const confirmed = Buffer.from(value);
  confirmed[0] = 1;
  return [{ table: 'log', key: at, value: confirmed }];
}

/** What the older ballots meant to free, and this one, less what this one keeps or brings. */
function freesOf(request: AcceptRequest | LearnRequest, before: RegisterRow | undefined): DataId[] {
  if (request.frees.length === 0 && (before === undefined || before.frees.length === 0)) return [];
  const frees = new Map<string, DataId>();
  for (const id of [...(before?.frees ?? []), ...request.frees]) frees.set(textOf(id), id);
  for (const id of [...request.keeps, ...request.puts.map(({ dataId }) => dataId)]) frees.delete(textOf(id));
  return [...frees.values()];
}

/** Makes a mark durable and lets go of what the ballot freed. What somebody still reads stays for the next time. */
async function applyMark(deps: RegisterStoreDeps, mark: Mark, row: RegisterRow | undefined): Promise<void> {
  if (row === undefined || row.ballot !== mark.ballot) return;
  const { writes, kept } = deps.shards.free(row.frees);
  const value = encodeRegister({ ...row, decided: true, frees: kept });
  await deps.core.writing(deps.core.index.write([...writes, { table: 'registers', key: mark.key, value }]));
}
