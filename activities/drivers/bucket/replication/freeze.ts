import path from 'node:path';
import { MusterError } from '../../../../workflows/engine/errors.ts';
import type { PlanResource } from '../../../../workflows/engine/plan.ts';
import type { Measurement } from '../../../../workflows/engine/measure.ts';
import { headAtTarget } from '../../../mover/copy/head-target.ts';
import { readMarks } from '../../../mover/copy/marks.ts';
import type { LedgerRow, ReplicationLedger } from '../../../mover/ledger/ledger.ts';
import { lostWrite, type LostWrite } from '../../../mover/ledger/lost.ts';
import { compileFilter } from '../../../mover/run/filter.ts';
import type { Side } from '../../../mover/side.ts';
import { openBucketEnds, type BucketEnds } from './bucket-ends.ts';
import { filterOf } from './rule.ts';
import { shareLedgerWithin } from '../../../mover/ledger/shared-ledger.ts';
import { writeTurn, type Turn } from './turn.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../../driver.ts';
import type { DriverServices } from '../../guarded/services.ts';
import { done, measure, poll, waitMs } from '../../guarded/verb.ts';
import { writeEvidence } from './evidence.ts';
import { directoryOf, lastWriteMs, method, secondsLost, turnOfMove } from './look.ts';

const namedKeys = 100;
const ledgerWithinMs = 2_000;
/** More than these are not looked for at the target one by one: they count as lost. */
const mostLookedFor = 2_000;
const lookAtOnce = 32;
const lookMs = 1_500;

/**
 * After the fence: in a planned move waits until everything that was written is at the other site; then freezes the
 * ledger for good, and lists what it knows to be lost. Of writes that the change log had not told when the site was lost
 * nobody knows the names before the site is back: they lie behind `observedUpToMs`, and the figure counts them.
 * @throws MusterError LAG_UNKNOWN when it cannot be told, or a planned move would lose something
 */
export async function freeze(
  input: VerbInput,
  context: VerbContext,
  services: DriverServices,
): Promise<PerformOutcome> {
  const { plan, resource } = input;
  const directory = directoryOf(input, services);
  const turn = turnOfMove(input, services);
  const ungraceful = plan.mode === 'ungraceful';
  // Another process that replicates lets its ledger go when it sees this.
  if (turn.state === 'active' && ungraceful) writeTurn(directory, frozenTurn(input, turn, false));
  await using ends = openBucketEnds(resource, plan);
  await using shared = await shareLedgerWithin(path.join(directory, turn.ledger), ledgerWithinMs);
  const { ledger } = shared;
  const complete = turn.frozen?.complete ?? (!ungraceful && (await drained(input, context, ends, ledger)));
  if (turn.state === 'active' && !ungraceful) writeTurn(directory, frozenTurn(input, turn, complete));
  const { atMs } = await ledger.freeze({ epoch: plan.epoch, why: `${plan.kind} to ${plan.to}, run ${input.runId}` });
  const lost = complete ? [] : await notArrived(await meant(ledger, resource), ends.target, context.signal);
  return await outcomeOf({ input, services, ledger, lost, complete, atMs });
}

function frozenTurn({ plan, runId }: VerbInput, turn: Turn, complete: boolean): Turn {
  return { ...turn, state: 'frozen', frozen: { epoch: plan.epoch, runId, atMs: Date.now(), complete } };
}

/** The fenced source has nothing to tell behind what the ledger knows, and all of that is proved at the target. */
async function drained(
  input: VerbInput,
  context: VerbContext,
  { log }: BucketEnds,
  ledger: ReplicationLedger,
): Promise<true> {
  let left = 'nothing is known of it yet';
  const isDrained = await poll({ limitMs: waitMs(input), everyMs: 50, context }, async () => {
    const after = (await ledger.getNote('position')) as number | undefined;
    if (after === undefined) return null;
    const answer = await log.read({ after, limit: 1, signal: context.signal }).catch(() => null);
    if (answer?.kind !== 'page') return null;
    const { pending, copied, failed } = await ledger.totals();
    const open = pending.objects + copied.objects + failed.objects;
    left = `${open} objects are not there yet, ${failed.objects} of them cannot be copied`;
    return answer.page.changes.length === 0 && !answer.page.more && open === 0 ? true : null;
  });
  if (isDrained !== null) return true;
  const { plan, resource } = input;
  throw new MusterError('LAG_UNKNOWN', `${resource.name} at ${plan.to} has not all that ${plan.from} wrote: ${left}`);
}

/** The backlog, without keys that the estate does not want copied any more: their rows are of before. */
async function meant(ledger: ReplicationLedger, resource: PlanResource): Promise<LedgerRow[]> {
  const { named } = compileFilter(filterOf(resource), Date.now());
  const rows: LedgerRow[] = [];
  for await (const row of ledger.backlog()) if (named(row.key)) rows.push(row);
  return rows;
}

/** Without what had arrived when its answer was lost. */
async function notArrived(rows: LedgerRow[], target: Side, signal: AbortSignal): Promise<LedgerRow[]> {
  if (rows.length > mostLookedFor) return rows;
  const limit = { signal: AbortSignal.any([signal, AbortSignal.timeout(lookMs)]) };
  const arrived = new Set<LedgerRow>();
  const waiting = rows.values();
  const look = async (): Promise<void> => {
    for (const row of waiting) if (await isThere(row, target, limit).catch(() => false)) arrived.add(row);
  };
  await Promise.all(Array.from({ length: lookAtOnce }, look));
  return rows.filter((row) => !arrived.has(row));
}

async function isThere(row: LedgerRow, target: Side, limit: { signal: AbortSignal }): Promise<boolean> {
  const there = await headAtTarget(target, row.key, limit);
  if (row.op === 'delete') return there === undefined;
  const marks = there === undefined ? undefined : readMarks(there.metadata);
  return marks?.sourceEtag === row.sourceEtag && marks.writtenAtMs >= row.writtenAtMs;
}

interface Frozen {
  input: VerbInput;
  services: DriverServices;
  ledger: ReplicationLedger;
  lost: readonly LedgerRow[];
  complete: boolean;
  atMs: number;
}

async function outcomeOf(frozen: Frozen): Promise<PerformOutcome> {
  const { input, services, ledger, complete, atMs } = frozen;
  const { plan, resource, runId } = input;
  const lost = frozen.lost.map(lostWrite);
  const sizeBytes = lost.reduce((sum, one) => sum + one.sizeBytes, 0);
  const observed = await ledger.observed();
  const header = { kind: 'losses', frozenAtMs: atMs, epoch: plan.epoch, observedUpToMs: observed?.upToMs ?? null };
  const file = complete
    ? null
    : await writeEvidence(services.home(), `${runId}-${resource.name}-lost.jsonl`, [
        { ...header, complete, writes: lost.length, sizeBytes },
        ...lost,
      ]);
  const evidence = {
    ...{ complete, observedUpToMs: header.observedUpToMs, lostObjects: lost.length, lostBytes: sizeBytes },
    ...{
      lostFile: file?.file ?? null,
      lostSha256: file?.sha256 ?? null,
      lostKeys: lost.slice(0, namedKeys).map(named),
    },
  };
  return done(evidence, await figures(frozen, lost));
}

function named({ key, op, writtenAtMs, certainty }: LostWrite): { [name: string]: string | number } {
  return { key, op, writtenAtMs, certainty };
}

async function figures({ input, ledger, complete, lost: rows }: Frozen, lost: LostWrite[]): Promise<Measurement[]> {
  const count = (value: number): Measurement =>
    // What nobody had seen yet is not among them.
    measure(input, 'lostObjects', 'objects', { value, method, confidence: complete ? 'measured' : 'estimated' });
  if (complete) return [measure(input, 'rpoSeconds', 's', { value: 0, method }), count(0)];
  const observed = await ledger.observed();
  const due = rows.map(({ dueSinceMs }) => dueSinceMs);
  const value = secondsLost(
    { observed, oldestDueMs: due.length === 0 ? undefined : Math.min(...due) },
    lastWriteMs(input),
  );
  const isExact = observed?.by === 'change-log' && observed.clockOffsetMs !== undefined;
  const confidence = isExact ? 'measured' : 'estimated';
  return [measure(input, 'rpoSeconds', 's', { value, method, confidence }), count(lost.length)];
}
