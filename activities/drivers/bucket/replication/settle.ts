import { createHash } from 'node:crypto';
import { MusterError } from '../../../../workflows/engine/errors.ts';
import type { CallOptions, ObjectClient } from '../../../objects/types.ts';
import type { Conflict } from '../../../mover/ledger/conflicts.ts';
import type { ReplicationLedger } from '../../../mover/ledger/ledger.ts';
import { ownKeys } from './rule.ts';

/** S3 and OSS: bytes of a key. */
const longestKeyBytes = 1_024;

/** Where the version of the old site is kept, at that site. Of a key that is too long for it the hash stands for it. */
export function keptKey(epoch: number, key: string): string {
  const place = `${ownKeys}kept/e${epoch}/`;
  const whole = place + key;
  if (Buffer.byteLength(whole) <= longestKeyBytes) return whole;
  return `${place}sha256-${createHash('sha256').update(key).digest('hex')}`;
}

/**
 * Makes room for the present writer's version of a key: what the old site has is first kept under another name there,
 * then it counts as something that may be overwritten, if it is still that, or is removed where the writer has nothing.
 * May be repeated.
 * @throws MusterError OBJECT_CHANGED when somebody writes at the old site
 */
export async function settleConflict(
  conflict: Conflict,
  at: { old: ObjectClient; home: ReplicationLedger; epoch: number; call: CallOptions },
): Promise<'kept' | 'nothing-to-keep'> {
  const { key, old, new: present } = conflict;
  const { home, call } = at;
  if (old !== undefined) await keep(conflict, old.etag, at);
  if (present === undefined) {
    if (old !== undefined) await at.old.delete(key, {}, call);
    const gone = {
      key,
      version: '',
      op: 'delete' as const,
      writtenAtMs: Date.now(),
      sizeBytes: 0,
      sourceEtag: 'settled',
    };
    await home.note([gone]);
    await home.settle([{ ...gone, state: 'verified', targetEtag: '' }]);
  } else {
    const { etag: sourceEtag, sizeBytes, lastModifiedMs: writtenAtMs } = present;
    await home.note([{ key, version: '', op: 'put', writtenAtMs, sizeBytes, sourceEtag }]);
    await home.settle([{ key, version: '', state: 'pending', sourceEtag, targetEtag: old?.etag ?? '' }]);
  }
  return old === undefined ? 'nothing-to-keep' : 'kept';
}

async function keep(
  { key }: Conflict,
  etag: string,
  { old, epoch, call }: { old: ObjectClient; epoch: number; call: CallOptions },
): Promise<void> {
  const kept = await old.copy({ key, ifMatch: etag }, keptKey(epoch, key), {}, call);
  const there = await old.head(keptKey(epoch, key), {}, call);
  if (there.etag !== kept.etag)
    throw new MusterError('OBJECT_CHANGED', `${JSON.stringify(key)}: what was kept of it is not what was copied`);
}
