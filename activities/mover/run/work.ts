import { createHash } from 'node:crypto';
import { compareChecksums } from '../../objects/checksum/values.ts';
import { type ChecksumKind } from '../../objects/types.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { copyObject } from '../copy/copy-object.ts';
import { callOf } from '../copy/landing.ts';
import { refreshProperties } from '../copy/refresh-properties.ts';
import { type CopyOutcome, runEnding } from '../copy/outcome.ts';
import { type CopySetup, type CopyTask } from '../copy/ports.ts';
import { type LedgerRow } from '../ledger/ledger.ts';
import { fullKey } from '../side.ts';
import { type ObjectEvent, type PassRule } from './pass.ts';
import { type ChainTask, type Step } from './plan-batch.ts';
import { type Counts, type Meter } from './progress.ts';
import { hashObject, resolveSameness } from './resolve.ts';
import { type Settler } from './settler.ts';
import { type UnderWay } from './under-way.ts';

/** What carrying out a step needs and tells. */
export interface Work {
  setup: CopySetup;
  rule: PassRule;
  counts: Counts;
  meter: Meter;
  /** Of large objects; without it they count when they are whole. */
  underWay?: UnderWay;
  settler: Settler;
  tell: (event: ObjectEvent) => void;
  /** Objects in a row whose store did not answer. */
  unreachable: number;
}

/** Ends the run, where the same code about one object does not. */
class StoreGone extends Error {
  override readonly cause: MusterError;
  constructor(message: string) {
    super(message);
    this.cause = new MusterError('OBJECT_STORE_UNREACHABLE', message);
  }
}

/**
 * Copies what a step asks for. Resolves when it is settled in the ledger; `leave` is called as soon as others may have
 * its lane, which is mostly before. Throws what ends the run.
 */
export async function carryOut(work: Work, step: Step & { kind: 'copy' | 'chain' }, leave?: () => void): Promise<void> {
  const { tags } = work.rule.filter;
  if (tags !== undefined && !(await isTagged(work.setup, step, tags))) return leaveOut(work, step);
  if (step.kind === 'chain') return carryOutChain(work, step.tasks);
  const { task } = step;
  if (step.why === 'properties') return void (await bringProperties(work, task));
  if (step.why === 'unsure') {
    const said = await resolveSameness(work.setup, task, work.rule.compareBytes);
    if (said.kind === 'same') {
      work.counts.same += 1;
      work.counts.wanted -= 1;
      work.counts.wantedBytes -= task.sizeBytes;
      const { targetEtag, checksums } = said;
      return work.settler.settle({ ...settled(task, 'verified'), targetEtag, checksums });
    }
  }
  await copyAndSettle(work, task, leave);
}

/**
 * Same bytes: what goes with them is written anew where it differs, without reading them. The outcome, where it had to
 * be copied whole after all.
 */
export async function bringProperties(work: Work, task: CopyTask): Promise<CopyOutcome | undefined> {
  const said = await refreshProperties(work.setup, task);
  if (said.kind === 'copy') return copyAndSettle(work, task);
  if (said.kind === 'same') {
    work.counts.same += 1;
    work.counts.wanted -= 1;
  } else {
    work.counts.copied += 1;
    work.counts.refreshed += 1;
    work.meter.add(1, 0);
  }
  work.counts.wantedBytes -= task.sizeBytes;
  const { targetEtag } = said;
  await work.settler.settle({ ...settled(task, 'verified'), targetEtag });
  return undefined;
}

async function isTagged(
  setup: CopySetup,
  step: Step & { kind: 'copy' | 'chain' },
  wanted: Readonly<Record<string, string>>,
): Promise<boolean> {
  const { key } = step.kind === 'copy' ? step.task : step;
  const tags = await setup.source.client.getTags(fullKey(setup.source, key), {}, callOf(setup));
  return Object.entries(wanted).every(([name, value]) => tags[name] === value);
}

function leaveOut({ counts }: Work, step: Step & { kind: 'copy' | 'chain' }): void {
  const tasks = step.kind === 'copy' ? [step.task] : step.tasks;
  counts.wanted -= tasks.length;
  counts.wantedBytes -= tasks.reduce((sum, task) => sum + task.sizeBytes, 0);
}

/** Versions follow each other, oldest first; when one fails those behind it wait for a later pass. */
async function carryOutChain(work: Work, tasks: readonly ChainTask[]): Promise<void> {
  for (const task of tasks) {
    const outcome = task.deleteMarker ? await placeMarker(work, task) : await copyAndSettle(work, task);
    if (outcome.kind !== 'copied' && outcome.kind !== 'same') return;
  }
}

async function placeMarker({ setup, counts, meter, settler }: Work, task: ChainTask): Promise<CopyOutcome> {
  const { target } = setup;
  const made = await target.client.delete(fullKey(target, task.key), {}, callOf(setup));
  counts.copied += 1;
  meter.add(1, 0);
  const targetVersion = made.versionId ?? '';
  await settler.settle({ ...settled(task, 'verified'), op: 'delete', targetVersion });
  return { kind: 'same', sourceEtag: '', targetEtag: '' };
}

/** Copies one object, proves it as far as the rule asks, counts it, and settles its row. */
export async function copyAndSettle(work: Work, task: CopyTask, leave?: () => void): Promise<CopyOutcome> {
  const outcome = await proveFurther(work, task, await copyObject(work.setup, task));
  count(work, task, { outcome, metered: work.underWay?.end(task.key) ?? 0 });
  if (isNews(outcome))
    work.tell({ key: task.key, version: task.versionId ?? '', sizeBytes: task.sizeBytes, kind: 'outcome', outcome });
  const row = settledBy(task, outcome);
  if (row === undefined) return outcome;
  const durable = work.settler.settle(row);
  // The disk needs no lane.
  if (leave !== undefined && !work.settler.crowded) leave();
  await durable;
  return outcome;
}

/** What nobody hears of every time: an object that arrived whole. */
function isNews(outcome: CopyOutcome): boolean {
  return outcome.kind !== 'copied' || outcome.notCarried.length > 0 || outcome.proof !== 'three-way';
}

/** Reads back where the target told nothing, and of the others the share that was asked for. */
async function proveFurther(work: Work, task: CopyTask, outcome: CopyOutcome): Promise<CopyOutcome> {
  if (outcome.kind !== 'copied') return outcome;
  const untold = outcome.proof === 'none' || outcome.proof === 'source-only';
  if (!untold && !isSampled(task.key, work.rule.verifyShare)) return outcome;
  const kinds = Object.keys(outcome.checksums) as ChecksumKind[];
  const found = await hashObject(work.setup, work.setup.target, task.key, kinds);
  if (compareChecksums(outcome.checksums, found).kind === 'different') {
    const message = `${JSON.stringify(task.key)}: read again at the target it is not what was sent`;
    return { kind: 'failed', code: 'CHECKSUM_MISMATCH', message };
  }
  work.counts.readBack += 1;
  return untold ? { ...outcome, proof: outcome.proof === 'none' ? 'target-only' : 'three-way' } : outcome;
}

/** The same keys each time, spread evenly. */
export function isSampled(key: string, share: number): boolean {
  if (share <= 0) return false;
  return createHash('sha256').update(key).digest().readUInt32BE(0) < share * 2 ** 32;
}

/** So many in a row and nothing in between: it is not about single objects any more. */
const mostUnreachable = 20;

/** `metered`: bytes of its parts, of which the meter knows. */
function count(work: Work, task: CopyTask, { outcome, metered }: { outcome: CopyOutcome; metered: number }): void {
  const { counts, meter } = work;
  if (outcome.kind === 'failed' && outcome.code === 'OBJECT_STORE_UNREACHABLE') {
    work.unreachable += 1;
    if (work.unreachable >= mostUnreachable) throw new StoreGone(outcome.message);
  } else work.unreachable = 0;
  switch (outcome.kind) {
    case 'copied':
      counts.copied += 1;
      counts.copiedBytes += outcome.sizeBytes;
      counts.wantedBytes += outcome.sizeBytes - task.sizeBytes;
      if (outcome.proof !== 'three-way') counts.sourceUntold += 1;
      if (outcome.notCarried.length > 0) counts.notCarried += 1;
      meter.add(1, Math.max(0, outcome.sizeBytes - metered));
      return;
    case 'same':
      counts.same += 1;
      counts.wanted -= 1;
      counts.wantedBytes -= task.sizeBytes;
      return;
    default:
      counts[outcome.kind] += 1;
      counts.wantedBytes -= task.sizeBytes;
  }
}

function settled(task: CopyTask, state: LedgerRow['state']): Parameters<Settler['settle']>[0] {
  return {
    ...{ key: task.key, version: task.versionId ?? '', state, sourceEtag: task.etag },
    ...{ op: 'put', writtenAtMs: task.writtenAtMs, sizeBytes: task.sizeBytes },
  };
}

/** Undefined leaves the row as it is: the next pass looks at it again. */
function settledBy(task: CopyTask, outcome: CopyOutcome): Parameters<Settler['settle']>[0] | undefined {
  switch (outcome.kind) {
    case 'copied': {
      const { targetEtag, targetVersion, checksums, sourceEtag, writtenAtMs, sizeBytes } = outcome;
      const now = { ...task, etag: sourceEtag, writtenAtMs, sizeBytes };
      return {
        ...settled(now, 'verified'),
        ...(sourceEtag === task.etag ? {} : { sourceEtag: '' }),
        targetEtag,
        targetVersion,
        checksums,
      };
    }
    case 'same':
      return { ...settled(task, 'verified'), targetEtag: outcome.targetEtag };
    case 'kept':
      return { ...settled(task, 'failed'), errorCode: 'OBJECT_CHANGED' };
    case 'archived':
      return { ...settled(task, 'failed'), errorCode: 'OBJECT_ARCHIVED' };
    case 'failed':
      return { ...settled(task, 'failed'), errorCode: outcome.code };
    case 'gone':
    case 'changing':
      return undefined;
  }
}

/** Failures that one object can have and another not, as an outcome; the rest is thrown on. */
export function outcomeOf(err: unknown, gaveUpOnKeys: boolean): CopyOutcome {
  if (err instanceof StoreGone) throw err.cause;
  if (!(err instanceof MusterError) || runEnding.has(err.code)) throw err;
  if (err.code === 'CREDENTIALS_REFUSED' && gaveUpOnKeys) throw err;
  if (err.code === 'OBJECT_UNKNOWN') return { kind: 'gone' };
  return { kind: 'failed', code: err.code, message: err.message };
}
