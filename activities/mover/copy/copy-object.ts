import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { fullKey } from '../side.ts';
import { copyInParts } from './copy-in-parts.ts';
import { copySmall } from './copy-small.ts';
import { copyStreamed } from './copy-streamed.ts';
import { callOf, chooseLanding, lookAndChoose, orNone } from './landing.ts';
import { type CopyOutcome, runEnding } from './outcome.ts';
import { type CopySetup, type CopyTask } from './ports.ts';
import { SourceChanged, TargetChanged } from './side-errors.ts';

const mostTries = 4;
const firstPauseMs = 50;

/**
 * Copies one object: read, hashed on the way, written under a condition, and proved by the checksums of both stores
 * without being read back. Taken again when either side changed meanwhile, or a checksum did not match.
 *
 * Failures of this object come back as outcomes. Thrown is what the whole run has to know: TARGET_FULL, BUCKET_UNKNOWN,
 * CREDENTIALS_REFUSED, an aborted signal.
 */
export async function copyObject(setup: CopySetup, first: CopyTask): Promise<CopyOutcome> {
  let task = first;
  let look = false;
  for (let tries = 1; ; tries++) {
    try {
      return await copyOnce(setup, task, look);
    } catch (err) {
      setup.signal?.throwIfAborted();
      const next = await after(setup, task, { err, last: tries === mostTries });
      if ('outcome' in next) return next.outcome;
      ({ task } = next);
      look = true;
      await sleep(firstPauseMs * tries, undefined, callOf(setup));
    }
  }
}

async function copyOnce(setup: CopySetup, task: CopyTask, look: boolean): Promise<CopyOutcome> {
  const landing = look && task.follows !== true ? await lookAndChoose(setup, task) : await chooseLanding(setup, task);
  if (landing.kind === 'same') return { kind: 'same', sourceEtag: task.etag, targetEtag: landing.targetEtag };
  if (landing.kind === 'kept') return landing;
  const { rule } = setup;
  if (task.sizeBytes <= rule.smallBytes) return copySmall(setup, task, landing.conditions);
  const inOne = task.sizeBytes <= Math.min(rule.multipartBytes, setup.target.client.supports.maxPutBytes);
  return inOne ? copyStreamed(setup, task, landing.conditions) : copyInParts(setup, task, landing.conditions);
}

/** What to do after a failure: an outcome, or the object once more as it is now. */
async function after(
  setup: CopySetup,
  task: CopyTask,
  { err, last }: { err: unknown; last: boolean },
): Promise<{ outcome: CopyOutcome } | { task: CopyTask }> {
  if (err instanceof TargetChanged && !last) return { task };
  if (err instanceof SourceChanged) return last ? { outcome: { kind: 'changing' } } : asItIsNow(setup, task);
  const failure = toMusterError(err);
  if (runEnding.has(failure.code) || failure.code === 'CREDENTIALS_REFUSED') throw failure;
  switch (failure.code) {
    case 'OBJECT_UNKNOWN':
      return { outcome: { kind: 'gone' } };
    case 'OBJECT_ARCHIVED':
      return { outcome: await restoreIfAsked(setup, task) };
    case 'CHECKSUM_MISMATCH':
      if (!last) return { task };
      break;
    default:
  }
  return { outcome: { kind: 'failed', code: failure.code, message: failure.message } };
}

async function asItIsNow(setup: CopySetup, task: CopyTask): Promise<{ outcome: CopyOutcome } | { task: CopyTask }> {
  const { source } = setup;
  const info = await orNone('OBJECT_UNKNOWN', source.client.head(fullKey(source, task.key), {}, callOf(setup)));
  if (info === undefined) return { outcome: { kind: 'gone' } };
  const { etag, sizeBytes, lastModifiedMs } = info;
  return { task: { ...task, etag, sizeBytes, writtenAtMs: lastModifiedMs } };
}

async function restoreIfAsked(setup: CopySetup, { key, versionId }: CopyTask): Promise<CopyOutcome> {
  const days = setup.rule.restoreDays;
  if (days === 0) return { kind: 'archived', restoring: false };
  const version = versionId === undefined ? {} : { versionId };
  try {
    await setup.source.client.restore(fullKey(setup.source, key), { days, ...version }, callOf(setup));
    return { kind: 'archived', restoring: true };
  } catch (err) {
    if (err instanceof MusterError) return { kind: 'failed', code: err.code, message: err.message };
    throw err;
  }
}
