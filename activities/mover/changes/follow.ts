import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { replicationFigures, type ReplicationFigures } from '../ledger/figures.ts';
import { type ReplicationLedger } from '../ledger/ledger.ts';
import { createRun, type Run } from '../run/begin-run.ts';
import { type PassInput, type PassResult } from '../run/pass.ts';
import { runPass } from '../run/run-pass.ts';
import { type Drain, drainBacklog } from './drain.ts';
import { type LogPage, type NodeLog, positionAt, timeOfPosition } from './node-log.ts';
import { writesOf } from './note-changes.ts';

export interface FollowInput extends PassInput {
  ledger: ReplicationLedger;
  /** The source's change log; without one there are sweeps. */
  log?: NodeLog;
  /** Between two sweeps, milliseconds: the truth where there is no log, a check where there is one. */
  everyMs: number;
  onPass?: (result: PassResult) => void;
  onFigures?: (figures: ReplicationFigures) => void;
  /** Told when the change log cannot be gone on from, and why. */
  onGap?: (why: string) => void;
  figuresEveryMs?: number;
  /** Least time between two pages of the log that has nothing more to tell: each of them costs the cluster a round. */
  paceMs?: number;
}

/** Between two tries of what could not be reached, milliseconds. */
export const retryMs = 2_000;
export const longPollSeconds = 20;
/** The server's clock tells seconds; the log is taken up a little before. */
const overlapMs = 2_000;
/** How far the log's own present lies behind the cluster's clock. Source: the storage nodes' change feed. */
export const logBehindMs = 50;

/**
 * Replicates for good: one sweep, then what the change log tells, and a sweep now and then. Resolves when the signal is
 * aborted; throws what a person has to see to (DELETE_GUARD, TARGET_FULL, CREDENTIALS_REFUSED after its wait,
 * REPLICATION_FROZEN).
 */
export async function follow(input: FollowInput): Promise<void> {
  await using run = createRun(input);
  const { signal } = input;
  signal?.addEventListener('abort', () => run.stop.abort(signal.reason));
  const figures = setInterval(() => void tellFigures(run, input).catch(() => {}), input.figuresEveryMs ?? 1_000);
  let drain: Drain | undefined;
  let begin: () => void = () => {};
  // What the first sweep finds it copies itself: two at once would only be in each other's way.
  const draining = new Promise<void>((resolve) => (begin = resolve)).then(() => {
    drain = drainBacklog(run, input.ledger);
    return drain.finished;
  });
  const loops = [draining, source(run, input, { begin, wake: () => drain?.wake() })];
  try {
    await Promise.race(loops);
  } catch (err) {
    run.fail(err);
  } finally {
    clearInterval(figures);
    run.stop.abort(new Error('ended'));
    begin();
    await Promise.allSettled(loops);
    await run.lanes.idle();
  }
  if (run.failure !== undefined && signal?.aborted !== true) throw run.failure;
}

async function tellFigures(run: Run, { ledger, onFigures }: FollowInput): Promise<void> {
  if (onFigures === undefined) return;
  const [totals, observed] = [await ledger.totals(), await ledger.observed()];
  onFigures(replicationFigures({ totals, observed, rate: run.meter.rate(), nowMs: Date.now() }));
}

async function source(
  run: Run,
  input: FollowInput,
  { begin, wake }: { begin: () => void; wake: () => void },
): Promise<void> {
  const { log, ledger } = input;
  const { signal } = run.stop;
  let position = (await ledger.getNote('position')) as number | undefined;
  const checks = checkNowAndThen(run, input, { wake, sweptAtMs: await sweptAt(ledger) });
  while (!signal.aborted) {
    if (log === undefined || position === undefined) {
      const start = log === undefined ? undefined : await startOf(log, signal);
      await sweep(run, input);
      await checks.swept();
      begin();
      wake();
      if (start === undefined) {
        await sleep(input.everyMs, undefined, { signal });
        continue;
      }
      position = start;
      await ledger.setNote('position', position);
    }
    begin();
    const tailed = await tail(run, input, { log: log!, after: position, wake });
    if (tailed.kind === 'gap') {
      input.onGap?.(tailed.why);
      position = undefined;
      continue;
    }
    ({ position } = tailed);
    checks.look();
    if (!tailed.more && input.paceMs !== undefined) await sleep(input.paceMs, undefined, { signal });
  }
}

/** When the last sweep ended, by this machine's clock: it is remembered over restarts. */
async function sweptAt(ledger: ReplicationLedger): Promise<number> {
  const noted = await ledger.getNote('swept-at-ms');
  return typeof noted === 'number' ? noted : Date.now();
}

/** Sweeps beside a change log that goes on being read: a check on it, which must not hold it up. */
function checkNowAndThen(
  run: Run,
  input: FollowInput,
  { wake, ...since }: { wake: () => void; sweptAtMs: number },
): { swept(): Promise<void>; look(): void } {
  let { sweptAtMs } = since;
  let sweeping = false;
  const swept = async (): Promise<void> => {
    sweptAtMs = Date.now();
    await input.ledger.setNote('swept-at-ms', sweptAtMs);
  };
  const check = async (): Promise<void> => {
    try {
      await sweep(run, input);
      await swept();
      wake();
    } catch (err) {
      if (!run.stop.signal.aborted) run.fail(err);
    } finally {
      sweeping = false;
    }
  };
  return {
    swept,
    look() {
      if (sweeping || Date.now() - sweptAtMs < input.everyMs) return;
      sweeping = true;
      void check();
    },
  };
}

/** The log's position of now; undefined where there is no log after all. */
export async function startOf(log: NodeLog, signal: AbortSignal): Promise<number | undefined> {
  const answer = await untilReachable(() => log.read({ after: positionAt(Date.now()), limit: 1, signal }), signal);
  return answer.kind === 'page' ? positionAt(answer.page.serverMs - overlapMs) : undefined;
}

/** A sweep that was stopped by something passing is taken up again; what a person has to see to is thrown. */
async function sweep(run: Run, input: FollowInput): Promise<void> {
  for (;;) {
    const { cursor: _, ...whole } = input;
    const pass = runPass({ ...whole, signal: run.stop.signal });
    const result = await pass.finished;
    input.onPass?.(result);
    if (result.kind === 'complete') return;
    run.stop.signal.throwIfAborted();
    if (result.kind === 'stopped' && result.code !== 'OBJECT_STORE_UNREACHABLE' && result.code !== 'ABORTED')
      throw new MusterError(result.code, result.message);
    await sleep(retryMs, undefined, { signal: run.stop.signal });
  }
}

type Tailed = { kind: 'position'; position: number; more: boolean } | { kind: 'gap'; why: string };

async function tail(
  run: Run,
  input: FollowInput,
  { log, after, wake }: { log: NodeLog; after: number; wake: () => void },
): Promise<Tailed> {
  const { signal } = run.stop;
  // Who asks at a pace of its own is told at once how far the log has come, also when nothing was written.
  const waits = Math.min(longPollSeconds, Math.max(1, Math.floor(input.everyMs / 1_000)));
  const waitSeconds = input.paceMs === undefined ? waits : 0;
  const answer = await untilReachable(() => log.read({ after, waitSeconds, signal }), signal);
  if (answer.kind === 'none') return { kind: 'gap', why: `the change log is gone: ${answer.why}` };
  const { page } = answer;
  const why = gapIn(page, after);
  if (why !== undefined) return { kind: 'gap', why };
  await notePage(run, input, page);
  if (page.changes.length > 0) wake();
  return { kind: 'position', position: page.position, more: page.more };
}

/** What cannot be in a log that goes on: then something is missing, and only a sweep knows what. */
export function gapIn(page: LogPage, after: number): string | undefined {
  if (page.position < after) return 'the change log has gone back';
  if (page.changes.some(({ position }) => position <= after)) return 'the change log repeats itself';
  if (timeOfPosition(after) > page.serverMs + 60_000) return 'the clock of the source has gone back';
  return undefined;
}

/** The position is kept only after its writes are: what a kill loses is read again. */
async function notePage(run: Run, { ledger, source, rule }: FollowInput, page: LogPage): Promise<void> {
  const writes = writesOf(page.changes, {
    ...{ prefix: source.prefix, versions: rule.versions, deletes: rule.deleteShare !== undefined },
    named: run.filter.named,
  });
  if (writes.length > 0) await ledger.note(writes);
  const before = await ledger.observed();
  const upToMs = timeOfPosition(page.position);
  const clockOffsetMs = page.more ? before?.clockOffsetMs : upToMs + logBehindMs - Date.now();
  await ledger.setObserved({ upToMs, by: 'change-log', ...(clockOffsetMs === undefined ? {} : { clockOffsetMs }) });
  await ledger.setNote('position', page.position);
}

/** Asks again and again while the store does not answer. */
export async function untilReachable<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (err) {
      signal.throwIfAborted();
      if (!(err instanceof MusterError) || err.code !== 'OBJECT_STORE_UNREACHABLE') throw err;
      await sleep(retryMs, undefined, { signal });
    }
  }
}
