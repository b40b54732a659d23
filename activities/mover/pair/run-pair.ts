import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { compareSides, type Comparing, type Visit } from '../compare/compare.ts';
import { type Joined } from '../compare/join.ts';
import { type Entry } from '../compare/pages.ts';
import { type KeyRange, wholeRange } from '../compare/ranges.ts';
import { weightOf } from '../run/lanes.ts';
import { checkVersioning } from '../run/pass.ts';
import { isRecorded, lookAt, type PairRows, rowsOf } from './agreement.ts';
import { type DeleteLater, type PairTask, settleKey } from './carry.ts';
import { carryDeletes } from './deletes.ts';
import { judgePair } from './judge.ts';
import {
  checkPairRule,
  type PairCursor,
  type PairInput,
  type PairProgress,
  type PairResult,
  type PairRun,
  wayFrom,
  ways,
} from './pair.ts';
import { isMeant, openPairSession, type PairSession } from './session.ts';

/** A sweep of both sides under way. */
interface Sweep {
  session: PairSession;
  comparing: Comparing | undefined;
  startedAtMs: number;
  begunAtMs: number;
  listed: boolean;
  /** The piece is large enough. */
  enough: boolean;
  listing: AbortController;
  batches: Set<Promise<void>>;
  isEnough(): boolean;
}

/**
 * Brings two buckets that both have users to one state: what one side wrote or deleted since they last agreed goes to
 * the other; what both changed is a conflict, told by name and left as it is unless the policy decides. One pass, or a
 * piece of it from a cursor. `finished` never rejects: what ends a pass is its result.
 *
 * No write is overwritten that this pass has not seen: every copy is written under the condition that the other side
 * still is what it was judged by.
 */
export function runPair(input: PairInput): PairRun {
  checkPairRule(input.rule);
  const session = openPairSession(input);
  const sweep: Sweep = {
    ...{ session, comparing: undefined, listed: false, enough: false, listing: new AbortController() },
    ...{ startedAtMs: performance.now(), begunAtMs: input.cursor?.begunAtMs ?? Date.now(), batches: new Set() },
    isEnough: enoughFor(session),
  };
  for (const way of ways) {
    const { signal } = session.runs[way].setup;
    signal?.addEventListener('abort', () => sweep.listing.abort(signal.reason));
  }
  return {
    finished: finish(sweep),
    pause: () => ways.forEach((way) => session.runs[way].gate.pause('paused')),
    resume: () => ways.forEach((way) => session.runs[way].gate.resume()),
    progress: () => progressOf(sweep),
    cursor: () => cursorOf(sweep),
  };
}

function enoughFor({ input: { until }, counts }: PairSession): () => boolean {
  const startedAtMs = performance.now();
  const copied = (): number => counts.aToB.copiedBytes + counts.bToA.copiedBytes;
  const before = copied();
  return () =>
    until !== undefined &&
    (copied() - before >= (until.bytes ?? Infinity) || performance.now() - startedAtMs >= (until.ms ?? Infinity));
}

function cursorOf({ session, comparing, begunAtMs }: Sweep): PairCursor {
  const ranges = comparing?.remaining() ?? session.input.cursor?.ranges ?? [wholeRange];
  return { ranges: structuredClone(ranges), begunAtMs, counts: structuredClone(session.counts) };
}

function progressOf({ session, listed, startedAtMs }: Sweep): PairProgress {
  for (const way of ways) session.runs[way].listed = listed;
  return {
    ...{ aToB: session.runs.aToB.progress(), bToA: session.runs.bToA.progress() },
    ...{ counts: structuredClone(session.counts), elapsedMs: performance.now() - startedAtMs, listed },
  };
}

type Ended =
  | { kind: 'complete' }
  | { kind: 'more'; cursor: PairCursor }
  | { kind: 'stopped'; code: (PairResult & { kind: 'stopped' })['code']; message: string; cursor: PairCursor };

async function finish(sweep: Sweep): Promise<PairResult> {
  const { session } = sweep;
  const ended = await perform(sweep).catch((err: unknown): Ended => {
    const cursor = cursorOf(sweep);
    if (session.input.signal?.aborted === true)
      return { kind: 'stopped', code: 'ABORTED', message: 'ended from outside', cursor };
    const { code, message } = toMusterError(err);
    return { kind: 'stopped', code, message, cursor };
  });
  await session[Symbol.asyncDispose]();
  return { ...ended, counts: structuredClone(session.counts), elapsedMs: performance.now() - sweep.startedAtMs };
}

async function perform(sweep: Sweep): Promise<Ended> {
  const { session } = sweep;
  const { input } = session;
  await begin(session);
  const beat = setInterval(() => input.onCheckpoint?.(cursorOf(sweep), progressOf(sweep)), input.checkpointMs ?? 5_000);
  try {
    sweep.comparing = compareSides(
      {
        ...{ source: session.runs.aToB.source, target: session.runs.aToB.target },
        ...{ parallel: input.rule.pass.listers, emptySpans: true, signal: sweep.listing.signal },
        ...(input.cursor === undefined ? {} : { ranges: input.cursor.ranges }),
      },
      visit(sweep),
    );
    await sweep.comparing.finished;
    sweep.listed = true;
    await Promise.all(sweep.batches);
    throwFailure(session);
    if (sweep.enough) return { kind: 'more', cursor: cursorOf(sweep) };
    await endSweep(sweep);
    return { kind: 'complete' };
  } catch (err) {
    if (!sweep.enough) session.fail(err);
    await Promise.all(sweep.batches);
    throwFailure(session);
    if (sweep.enough) return { kind: 'more', cursor: cursorOf(sweep) };
    throw err;
  } finally {
    clearInterval(beat);
  }
}

/** @throws REPLICATION_FROZEN */
export async function begin(session: PairSession): Promise<void> {
  for (const way of ways) {
    const frozen = await session.ledgers[way].frozen();
    if (frozen !== undefined) throw new MusterError('REPLICATION_FROZEN', `this pair was frozen: ${frozen.why}`);
    const run = session.runs[way];
    run.setup.targetVersioned = (await checkVersioning(run)).target;
  }
}

function throwFailure({ runs }: PairSession): void {
  const failure = runs.aToB.failure ?? runs.bToA.failure;
  if (failure !== undefined) throw failure;
}

/** What only a whole sweep may do: deletes, and to say up to when everything was seen. */
async function endSweep({ session, begunAtMs }: Sweep): Promise<void> {
  const { input } = session;
  // Of a pass in pieces every piece has to have written down what it saw.
  if (input.cursor === undefined || input.workDirectory !== undefined) await carryDeletes(session);
  for (const way of ways) session.runs[way].doomed.clear();
  if (input.rule.pass.mode !== 'do') return;
  for (const way of ways) {
    const before = await session.ledgers[way].observed();
    if (before?.by !== 'change-log') await session.ledgers[way].setObserved({ upToMs: begunAtMs, by: 'sweep' });
  }
}

function visit(sweep: Sweep): Visit {
  const { session } = sweep;
  const later: DeleteLater = ({ way, key, entry }) => {
    const { etag, sizeBytes, lastModifiedMs } = entry;
    return session.runs[way].doomed.add([{ key, etag, sizeBytes, lastModifiedMs }]);
  };
  return async (batch, finishBatch, span) => {
    countListed(session, batch);
    const rows = await rowsOf(
      session.ledgers,
      batch.map(({ key }) => key),
    );
    const work: Promise<void>[] = [];
    for (const task of tasksOf(session, batch, rows)) work.push((await inLane(session, task, later)).done);
    for await (const task of goneOf(session, batch, span)) work.push((await inLane(session, task, later)).done);
    // The range goes on listing; its cursor waits until all of this is done.
    const settled = Promise.all(work).then(
      () => finishBatch(),
      () => {},
    );
    sweep.batches.add(settled);
    void settled.finally(() => sweep.batches.delete(settled));
    if (sweep.isEnough()) {
      sweep.enough = true;
      sweep.listing.abort(new Error('enough for this piece'));
    }
  };
}

function countListed({ counts }: PairSession, batch: readonly Joined<Entry>[]): void {
  const count = (ofA: 'sourceObjects' | 'targetObjects', ofB: 'sourceObjects' | 'targetObjects'): void => {
    counts.aToB[ofA] += 1;
    counts.bToA[ofB] += 1;
  };
  for (const { source, target } of batch) {
    if (source !== undefined) count('sourceObjects', 'targetObjects');
    if (target !== undefined) count('targetObjects', 'sourceObjects');
  }
}

/** What there is to see to; keys that nobody touched since are only counted. */
function* tasksOf(
  session: PairSession,
  batch: readonly Joined<Entry>[],
  rows: readonly PairRows[],
): Generator<PairTask> {
  for (const [i, { key, source: a, target: b }] of batch.entries()) {
    if (!isMeant(session, key, a, b)) continue;
    const look = lookAt(rows[i]!, { a, b });
    const verdict = judgePair(look);
    if (verdict.kind === 'agreed' && isRecorded(rows[i]!, look)) session.counts.agreed += 1;
    else yield { key, rows: rows[i]!, look, verdict, tries: 0 };
  }
}

/** What both deleted since: no listing tells of it, only the ledger still does. */
async function* goneOf(
  { ledgers, runs }: PairSession,
  batch: readonly Joined<Entry>[],
  span: KeyRange,
): AsyncGenerator<PairTask> {
  const listed = new Set(batch.map(({ key }) => key));
  for await (const row of ledgers.aToB.rows(span)) {
    const isTombstone = row.op === 'delete' && row.state === 'verified';
    if (isTombstone || listed.has(row.key) || !runs.aToB.filter.named(row.key)) continue;
    const [rows] = await rowsOf(ledgers, [row.key]);
    const look = lookAt(rows!, { a: undefined, b: undefined });
    yield { key: row.key, rows: rows!, look, verdict: { kind: 'both' }, tries: 0 };
  }
}

/** Waits for a lane, then works on its own. In an object, since a promise of a promise is one of its end. */
async function inLane(session: PairSession, task: PairTask, later: DeleteLater): Promise<{ done: Promise<void> }> {
  const run = session.runs[task.verdict.kind === 'carry' ? wayFrom(task.verdict.from) : 'aToB'];
  const shut = run.gate.passed();
  if (shut !== undefined) await shut;
  run.stop.signal.throwIfAborted();
  const leave = await run.lanes.take(weightOf(Math.max(task.look.a?.sizeBytes ?? 0, task.look.b?.sizeBytes ?? 0)));
  const done = settleKey(session, task, later)
    .catch((err: unknown) => {
      session.fail(err);
      throw err;
    })
    .finally(leave);
  done.catch(() => undefined); // asked for at the end of its batch
  return { done };
}
