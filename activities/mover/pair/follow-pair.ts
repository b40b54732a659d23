import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { deleteWindow } from '../changes/drain.ts';
import { gapIn, logBehindMs, longPollSeconds, retryMs, startOf, untilReachable } from '../changes/follow.ts';
import { type LogPage, type NodeLog, timeOfPosition } from '../changes/node-log.ts';
import { writesOf } from '../changes/note-changes.ts';
import { type LedgerRow, type NotedWrite } from '../ledger/ledger.ts';
import { replicationFigures, type ReplicationFigures } from '../ledger/figures.ts';
import { type DeleteLater, settleNow } from './carry.ts';
import { type CarriedTags, createCarriedTags } from './carried-tags.ts';
import { deleteAgreed } from './deletes.ts';
import { type PairSide } from './judge.ts';
import { checkPairRule, type PairInput, type PairResult, type Way, ways } from './pair.ts';
import { begin, runPair } from './run-pair.ts';
import { openPairSession, type PairSession } from './session.ts';

export interface FollowPairInput extends Omit<PairInput, 'cursor' | 'until'> {
  /** The change log of each direction's source, where it has one. */
  logs: Partial<Record<Way, NodeLog>>;
  /** Between two sweeps, milliseconds: the truth where a side has no log, a check where both have. */
  everyMs: number;
  onPass?: (result: PairResult) => void;
  onFigures?: (figures: Record<Way, ReplicationFigures>) => void;
  /** Told when a change log cannot be gone on from, and why. */
  onGap?: (way: Way, why: string) => void;
  figuresEveryMs?: number;
}

/** A pair that is followed: one thing is done at a time, a sweep or a page of either log. */
interface Following {
  input: FollowPairInput;
  session: PairSession;
  signal: AbortSignal;
  /** Where each log goes on; undefined: it has to be swept first. */
  positions: Partial<Record<Way, number>>;
  /** A log lost its place since the last sweep began. */
  gap: boolean;
  /** Wakes the sweeper. */
  wake: () => void;
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  later: DeleteLater;
  tags: CarriedTags;
}

/**
 * Keeps two buckets in one state for good: a sweep, then what both change logs tell, and a sweep now and then. Resolves
 * when the signal is aborted; throws what a person has to see to (DELETE_GUARD, TARGET_FULL, CREDENTIALS_REFUSED after
 * its wait, REPLICATION_FROZEN).
 */
export async function followPair(input: FollowPairInput): Promise<void> {
  checkPairRule(input.rule);
  const stop = new AbortController();
  const signal = input.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, input.signal]);
  await using session = openPairSession({ ...input, signal });
  session.patient = true;
  await begin(session);
  const following: Following = {
    ...{ input, session, signal, positions: {}, gap: false, wake: () => {}, inTurn: oneAtATime() },
    later: deleteAtOnce(session),
    tags: createCarriedTags(session),
  };
  const figures = setInterval(() => void tellFigures(following).catch(() => {}), input.figuresEveryMs ?? 1_000);
  try {
    for (const way of ways) following.positions[way] = (await session.ledgers[way].getNote('position')) as never;
    const loops = [sweeper(following), ...ways.map((way) => tail(following, way))];
    await Promise.all(
      loops.map((loop) =>
        loop.catch((err: unknown) => {
          stop.abort(err);
          throw err;
        }),
      ),
    );
  } catch (err) {
    if (input.signal?.aborted !== true) throw session.runs.aToB.failure ?? session.runs.bToA.failure ?? err;
  } finally {
    clearInterval(figures);
    stop.abort(new Error('ended'));
    await following.inTurn(() => Promise.resolve());
  }
}

/** Work that never overlaps, in the order asked for. */
function oneAtATime(): Following['inTurn'] {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
}

function deleteAtOnce(session: PairSession): DeleteLater {
  const guards = {
    aToB: deleteWindow(session.runs.aToB, session.ledgers.aToB),
    bToA: deleteWindow(session.runs.bToA, session.ledgers.bToA),
  };
  return async ({ way, key, entry: { etag, sizeBytes, lastModifiedMs } }) => {
    await guards[way]();
    await deleteAgreed(session, way, { key, etag, sizeBytes, lastModifiedMs });
  };
}

async function tellFigures({ session, input }: Following): Promise<void> {
  if (input.onFigures === undefined) return;
  const figuresOf = async (way: Way): Promise<ReplicationFigures> => {
    const [totals, observed] = [await session.ledgers[way].totals(), await session.ledgers[way].observed()];
    const rate = session.runs[way].meter.rate();
    return replicationFigures({ totals, observed, rate, nowMs: Date.now() });
  };
  input.onFigures({ aToB: await figuresOf('aToB'), bToA: await figuresOf('bToA') });
}

/** Sweeps at once where a log has no position yet, and every so often. */
async function sweeper(following: Following): Promise<void> {
  const { input, session, signal } = following;
  for (;;) {
    const starts: Partial<Record<Way, number>> = {};
    for (const way of ways) {
      const log = input.logs[way];
      if (log === undefined || following.positions[way] !== undefined) continue;
      const start = await startOf(log, signal);
      if (start !== undefined) starts[way] = start;
    }
    await following.inTurn(() => sweep(following));
    for (const way of ways) {
      if (starts[way] === undefined) continue;
      await session.ledgers[way].setNote('position', starts[way]);
      following.positions[way] = starts[way];
    }
    await untilNextSweep(following);
  }
}

async function untilNextSweep(following: Following): Promise<void> {
  const { gap, signal, input } = following;
  following.gap = false;
  if (gap) return;
  await new Promise<void>((resolve) => {
    following.wake = resolve;
    sleep(input.everyMs, undefined, { signal }).then(resolve, () => resolve());
  });
  signal.throwIfAborted();
}

/** A sweep that was stopped by something passing is taken up again; what a person has to see to is thrown. */
async function sweep({ input, signal }: Following): Promise<void> {
  for (;;) {
    const result = await runPair({ ...input, signal }).finished;
    input.onPass?.(result);
    if (result.kind === 'complete') return;
    signal.throwIfAborted();
    if (result.kind === 'stopped' && result.code !== 'OBJECT_STORE_UNREACHABLE' && result.code !== 'ABORTED')
      throw new MusterError(result.code, result.message);
    await sleep(retryMs, undefined, { signal });
  }
}

async function tail(following: Following, way: Way): Promise<void> {
  const { input, signal, positions } = following;
  const log = input.logs[way];
  if (log === undefined) return;
  const waitSeconds = Math.min(longPollSeconds, Math.max(1, Math.floor(input.everyMs / 1_000)));
  for (;;) {
    signal.throwIfAborted();
    const after = positions[way];
    if (after === undefined) {
      await sleep(50, undefined, { signal });
      continue;
    }
    const answer = await untilReachable(() => log.read({ after, waitSeconds, signal }), signal);
    const why = answer.kind === 'none' ? `the change log is gone: ${answer.why}` : gapIn(answer.page, after);
    if (why !== undefined || answer.kind === 'none') {
      input.onGap?.(way, why ?? 'it cannot be read');
      delete positions[way];
      following.gap = true;
      following.wake();
      continue;
    }
    await following.inTurn(() => settlePage(following, way, answer.page));
    positions[way] = answer.page.position;
  }
}

/** The position is kept only after its writes are settled: what a kill loses is read again. */
async function settlePage(following: Following, way: Way, page: LogPage): Promise<void> {
  const { session, signal, tags } = following;
  const { filter, lanes, source } = session.runs[way];
  const ledger = session.ledgers[way];
  const writes = writesOf(page.changes, {
    ...{ prefix: source.prefix, versions: false, deletes: true, named: filter.named },
  });
  const tagged = keysWithTags(page, source.prefix);
  const rows = await ledger.lookUp(writes.map(({ key }) => ({ key, version: '' })));
  await Promise.all(
    writes.map(async (write, i) => {
      const { key, op } = write;
      if (op !== 'tags') tags.forget(sideOf(way), key);
      const isTagged = op !== 'delete' && tagged.has(key);
      if (!isTagged && isKnown(write, rows[i])) return;
      const leave = await lanes.take(1);
      // What cannot be reached is no fault of the object: the page waits.
      await untilReachable(() => settleTold(following, way, { key, isTagged }), signal).finally(leave);
    }),
  );
  const before = await ledger.observed();
  const upToMs = timeOfPosition(page.position);
  const clockOffsetMs = page.more ? before?.clockOffsetMs : upToMs + logBehindMs - Date.now();
  await ledger.setObserved({ upToMs, by: 'change-log', ...(clockOffsetMs === undefined ? {} : { clockOffsetMs }) });
  await ledger.setNote('position', page.position);
}

/** Relative to the prefix. */
function keysWithTags({ changes }: LogPage, prefix: string): ReadonlySet<string> {
  const told = changes.filter(({ kind, key }) => kind === 'tags' && key.startsWith(prefix));
  return new Set(told.map(({ key }) => key.slice(prefix.length)));
}

/** No time of the object tells of new tags, only the log does. */
function settleTold(
  { session, later, tags }: Following,
  way: Way,
  { key, isTagged }: { key: string; isTagged: boolean },
): Promise<void> {
  if (!isTagged) return settleNow(session, key, { later });
  const touchedBy = sideOf(way);
  return tags.carryFrom(touchedBy, key, () => settleNow(session, key, { later, touchedBy }));
}

function sideOf(way: Way): PairSide {
  return way === 'aToB' ? 'a' : 'b';
}

/** Our own copies and deletes come back in the log of the side they were made at. */
function isKnown(write: NotedWrite, row: LedgerRow | undefined): boolean {
  if (row?.state !== 'verified') return false;
  if (write.op === 'delete') return row.op === 'delete';
  return row.op !== 'delete' && row.sourceEtag === write.sourceEtag && write.writtenAtMs < row.writtenAtMs + 1_000;
}
