import { checksumsOf } from '../../objects/checksum/hasher.ts';
import { compareChecksums } from '../../objects/checksum/values.ts';
import { type ChecksumKind, type Checksums, type ObjectBytes, type WriteConditions } from '../../objects/types.ts';
import { fullKey } from '../side.ts';
import { copied, prepare, putOptions, withoutRefused } from './delivery.ts';
import { callOf } from './landing.ts';
import { type CopyOutcome } from './outcome.ts';
import { type CopySetup, type CopyTask } from './ports.ts';
import { kindsToCompute, proveCopy, proveRead } from './proof.ts';
import { fromSource, fromTarget } from './side-errors.ts';

/**
 * A small object goes through memory in two requests. Its checksum is known before it is sent, so that the target itself
 * refuses damaged bytes.
 */
export async function copySmall(setup: CopySetup, task: CopyTask, conditions: WriteConditions): Promise<CopyOutcome> {
  const { target } = setup;
  const read = await fromSource(readWhole(setup, task));
  const { info, bytes } = read;
  const sent = checksumsOf(kindsToCompute(info.checksums, target.client.supports.wholeChecksum), bytes);
  proveRead(task.key, info.checksums, sent);
  const waited = setup.throttle?.(bytes.length);
  if (waited !== undefined) await waited;
  const delivery = await prepare(setup, task, info);
  const put = await withoutRefused(setup, delivery, () =>
    fromTarget(
      target.client.put(
        fullKey(target, task.key),
        bytes,
        { ...putOptions(delivery.carried), checksums: sent, ...conditions },
        callOf(setup),
      ),
    ),
  );
  const own = comparable(sent, put.checksums, bytes);
  const proof = proveCopy(task.key, { source: info.checksums, own, target: put.checksums });
  return copied({ task, info, delivery, put, own, proof });
}

/** A target that tells another checksum than its dialect has is not read again: what was sent is still here. */
function comparable(own: Checksums, told: Checksums, bytes: Uint8Array): Checksums {
  if (compareChecksums(own, told).kind !== 'unknown') return own;
  return { ...own, ...checksumsOf(Object.keys(told) as ChecksumKind[], bytes) };
}

function readWhole(setup: CopySetup, task: CopyTask): Promise<ObjectBytes> {
  const { source } = setup;
  // A version never changes; a key is the one that was listed, or it is looked at anew.
  const which = task.versionId === undefined ? { ifMatch: task.etag } : { versionId: task.versionId };
  return source.client.getBytes(fullKey(source, task.key), which, callOf(setup));
}
