import { checksumsOf } from '../../objects/checksum/hasher.ts';
import { type ObjectBytes, type WriteConditions } from '../../objects/types.ts';
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
  const own = checksumsOf(kindsToCompute(info.checksums, target.client.supports.wholeChecksum), bytes);
  proveRead(task.key, info.checksums, own);
  const waited = setup.throttle?.(bytes.length);
  if (waited !== undefined) await waited;
  const delivery = await prepare(setup, task, info);
  const put = await withoutRefused(setup, delivery, () =>
    fromTarget(
      target.client.put(
        fullKey(target, task.key),
        bytes,
        { ...putOptions(delivery.carried), checksums: own, ...conditions },
        callOf(setup),
      ),
    ),
  );
  const proof = proveCopy(task.key, { source: info.checksums, own, target: put.checksums });
  return copied({ task, info, delivery, put, own, proof });
}

function readWhole(setup: CopySetup, task: CopyTask): Promise<ObjectBytes> {
  const { source } = setup;
  // A version never changes; a key is the one that was listed, or it is looked at anew.
  const which = task.versionId === undefined ? { ifMatch: task.etag } : { versionId: task.versionId };
  return source.client.getBytes(fullKey(source, task.key), which, callOf(setup));
}
