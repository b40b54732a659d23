import type { ObjectClient } from '../../objects/types.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { orNull } from './objects-calls.ts';
import type { FileKind, ObjectLocks, RemovedForGood } from './store.ts';

/** Object lock of a bucket; null where the bucket has none, or its dialect locks buckets only. */
export async function openObjectLocks(
  client: ObjectClient,
  keyOf: (kind: FileKind, name: string) => string,
): Promise<ObjectLocks | null> {
  if (!client.supports.objectLock || !(await isLocked(client))) return null;
  return {
    async retentionOf(kind, name) {
      const found = await orNull(client.head(keyOf(kind, name)));
      return found === null ? 'missing' : (found.retention ?? null);
    },
    retain: (kind, name, retention) => client.putRetention(keyOf(kind, name), retention),
    removeForGood: (kind, name) => removeForGood(client, keyOf(kind, name)),
  };
}

/** A store that does not know the question has no locks. */
async function isLocked(client: ObjectClient): Promise<boolean> {
  try {
    return (await client.getBucketLock()).state !== 'off';
  } catch (err) {
    if (err instanceof MusterError && err.code === 'OBJECT_STORE_REFUSED') return false;
    throw err;
  }
}

/** By its version: without one a marker would hide it, and its bytes would stay and cost. */
async function removeForGood(client: ObjectClient, key: string): Promise<RemovedForGood> {
  const found = await orNull(client.head(key));
  if (found === null) return { kind: 'removed' };
  const { retention, legalHold = false, versionId } = found;
  if (legalHold) return { kind: 'held', untilMs: null };
  if (retention !== undefined && retention.untilMs > Date.now()) return { kind: 'held', untilMs: retention.untilMs };
  try {
    await client.delete(key, versionId === undefined ? {} : { versionId });
    return { kind: 'removed' };
  } catch (err) {
    // The store's clock decides, and a rule of the bucket that HEAD does not tell of.
    if (err instanceof MusterError && err.code === 'OBJECT_LOCKED') return { kind: 'held', untilMs: null };
    throw err;
  }
}
