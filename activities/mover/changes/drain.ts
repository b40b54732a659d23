import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { callOf, headOrNone, orNone } from '../copy/landing.ts';
import { readMarks } from '../copy/marks.ts';
import { type CopyTask } from '../copy/ports.ts';
import { type LedgerRow, type ReplicationLedger } from '../ledger/ledger.ts';
import { type Run } from '../run/begin-run.ts';
import { guardDeletes } from '../run/delete-guard.ts';
import { weightOf } from '../run/lanes.ts';
import { carryOut, outcomeOf } from '../run/work.ts';
import { sideName, fullKey } from '../side.ts';

/** Failed rows are tried again after a pause that doubles, milliseconds. */
const firstRetryMs = 5_000;
const longestRetryMs = 600_000;
/** A store that was away may be back at any moment: it is no fault of the object. */
const awayRetryMs = 2_000;
const idleMs = 500;

export interface Drain {
  /** Something was noted. */
  wake(): void;
  /** Resolves when it was stopped; rejects with what ended it. */
  finished: Promise<void>;
}

/**
 * Carries out what the ledger has pending, the longest due first; versions of one key one after the other. Goes on
 * until the run is stopped.
 */
export function drainBacklog(run: Run, ledger: ReplicationLedger): Drain {
  const busy = new Set<string>();
  const retryAtMs = new Map<string, number>();
  const guard = deleteWindow(run, ledger);
  let wake: () => void = () => {};
  const working = new Set<Promise<void>>();

  async function drain(): Promise<void> {
    for (;;) {
      run.stop.signal.throwIfAborted();
      let begun = 0;
      for await (const row of ledger.backlog()) {
        if (busy.has(row.key) || (retryAtMs.get(row.key) ?? 0) > performance.now()) continue;
        const shut = run.gate.passed();
        if (shut !== undefined) await shut;
        const leave = await run.lanes.take(weightOf(row.sizeBytes));
        run.stop.signal.throwIfAborted();
        busy.add(row.key);
        begun += 1;
        const worked = work(row, leave).finally(() => {
          leave();
          working.delete(worked);
        });
        working.add(worked);
      }
      if (begun > 0) continue;
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await Promise.race([woken, sleep(idleMs, undefined, { signal: run.stop.signal })]);
    }
  }

  async function work(row: LedgerRow, leave: () => void): Promise<void> {
    try {
      run.counts.wanted += 1;
      run.counts.wantedBytes += row.sizeBytes;
      if (row.op === 'delete' && row.version === '') await applyDelete(run, row, guard);
      else await carryOut(run.work, stepOf(row), leave);
      const [now] = await ledger.lookUp([row]);
      if (now === undefined || now.state === 'verified') retryAtMs.delete(row.key);
      // Not what was noted meanwhile: that has not failed.
      else if (now.seq === row.seq) retryAtMs.set(row.key, performance.now() + pauseAfter(now));
    } catch (err) {
      try {
        outcomeOf(err, run.credentials.gaveUp !== undefined);
        retryAtMs.set(row.key, performance.now() + firstRetryMs);
      } catch (ending) {
        run.fail(ending);
      }
    } finally {
      busy.delete(row.key);
      wake();
    }
  }

  const finished = drain().catch(async (err: unknown) => {
    if (!run.stop.signal.aborted) run.fail(err);
    // They use the ledger, also those that have left their lanes.
    await Promise.all(working);
    if (run.failure !== undefined) throw run.failure;
  });
  return { finished, wake: () => wake() };
}

function pauseAfter({ errorCode, attempts }: LedgerRow): number {
  if (errorCode === 'OBJECT_STORE_UNREACHABLE') return awayRetryMs;
  return Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(10, attempts));
}

function stepOf(row: LedgerRow): Parameters<typeof carryOut>[1] {
  const task: CopyTask = {
    ...{ key: row.key, sizeBytes: row.sizeBytes, etag: row.sourceEtag, writtenAtMs: row.writtenAtMs },
    ...(row.version === '' ? {} : { versionId: row.version, follows: true, targetVersion: row.targetVersion }),
    // Tried under the condition that all is as the ledger knows it; only when that fails is the target looked at.
    ...(row.targetEtag === ''
      ? { seen: { kind: 'absent' } }
      : { knownEtag: row.targetEtag, seen: { kind: 'present', etag: row.targetEtag } }),
  };
  if (row.op === 'delete')
    return { kind: 'chain', key: row.key, tasks: [{ ...task, deleteMarker: true }], why: 'different' };
  return { kind: 'copy', task, why: row.op === 'metadata' || row.op === 'tags' ? 'properties' : 'different' };
}

async function applyDelete(run: Run, row: LedgerRow, guard: () => Promise<void>): Promise<void> {
  const { setup, settler, counts, meter } = run;
  const { key, sourceEtag } = row;
  const back = await orNone('OBJECT_UNKNOWN', setup.source.client.head(fullKey(setup.source, key), {}, callOf(setup)));
  if (back !== undefined) {
    const { etag, sizeBytes, lastModifiedMs } = back;
    const again = { key, version: '', op: 'put' as const, writtenAtMs: lastModifiedMs, sizeBytes, sourceEtag: etag };
    await setup.ledger?.note([{ ...again, writtenAtMs: Math.max(lastModifiedMs, row.writtenAtMs) }]);
    return;
  }
  const there = await headOrNone(setup, key);
  if (there !== undefined) {
    const marks = readMarks(there.metadata);
    const ours = row.targetEtag === there.etag || marks !== undefined || setup.rule.overwrite === 'always';
    if (!ours || (marks !== undefined && marks.epoch > setup.rule.epoch)) {
      counts.kept += 1;
      return settler.settle({ key, version: '', sourceEtag, state: 'failed', errorCode: 'OBJECT_CHANGED' });
    }
    await guard();
    await setup.target.client.delete(fullKey(setup.target, key), {}, callOf(setup));
    counts.deleted += 1;
    meter.add(1, 0);
  }
  await settler.settle({ key, version: '', sourceEtag, state: 'verified', targetEtag: '' });
}

const windowMs = 3_600_000;

/** Deletes of an hour, against what there was when it began. @throws DELETE_GUARD */
export function deleteWindow(run: Run, ledger: ReplicationLedger): () => Promise<void> {
  let beganAtMs = -Infinity;
  let present = 0;
  let deletes = 0;
  return async () => {
    const share = run.rule.deleteShare;
    if (share === undefined)
      throw new MusterError('DELETE_GUARD', `deletes are not carried to ${sideName(run.target)}`);
    if (performance.now() - beganAtMs > windowMs) {
      beganAtMs = performance.now();
      present = (await ledger.totals()).verifiedRows;
      deletes = 0;
    }
    guardDeletes({ deletes: deletes + 1, present }, share, `${sideName(run.target)} within an hour`);
    deletes += 1;
  };
}
