import { type ErrorCode, MusterError } from '../../../workflows/engine/errors.ts';
import { type ObjectInfo, type WriteConditions } from '../../objects/types.ts';
import { fullKey } from '../side.ts';
import { readMarks } from './marks.ts';
import { type OverwriteVerdict, judgeOverwrite } from './overwrite.ts';
import { type CopySetup, type CopyTask } from './ports.ts';

/** How a write may land: under which condition, or why not at all. */
export type Landing =
  | { kind: 'land'; conditions: WriteConditions }
  | { kind: 'same'; targetEtag: string }
  | { kind: 'kept'; why: (OverwriteVerdict & { kind: 'keep' })['why']; targetEtag: string };

/**
 * Looks at the target as little as it can: a key that a listing did not see is written only if it is still absent; what
 * this replication left there is written over only if it is still that. The store holds the condition where it can;
 * where it cannot (OSS), the target is looked at right before.
 */
export async function chooseLanding(setup: CopySetup, task: CopyTask): Promise<Landing> {
  if (task.follows === true) return { kind: 'land', conditions: {} };
  const { supports } = setup.target.client;
  const absentHolds = supports.ifAbsent === 'always' || !setup.targetVersioned;
  if (task.seen?.kind === 'absent' && absentHolds) return { kind: 'land', conditions: { ifAbsent: true } };
  const known = task.seen?.kind === 'present' && task.knownEtag === task.seen.etag;
  if (known && supports.putIfMatch) return { kind: 'land', conditions: { ifMatch: task.knownEtag! } };
  return lookAndChoose(setup, task);
}

/** The same with a look at what is there now. */
export async function lookAndChoose(setup: CopySetup, task: CopyTask): Promise<Landing> {
  const { client } = setup.target;
  const present = await headOrNone(setup, task.key);
  if (present === undefined) {
    if (setup.rule.overwrite === 'known' && task.seen?.kind === 'present')
      return { kind: 'kept', why: 'foreign', targetEtag: '' };
    const absentHolds = client.supports.ifAbsent === 'always' || !setup.targetVersioned;
    return { kind: 'land', conditions: absentHolds ? { ifAbsent: true } : {} };
  }
  const verdict = judgeOverwrite(
    { etag: task.etag, writtenAtMs: task.writtenAtMs, epoch: setup.rule.epoch },
    { etag: present.etag, lastModifiedMs: present.lastModifiedMs, marks: readMarks(present.metadata) },
    {
      policy: setup.rule.overwrite,
      ...(task.knownEtag === undefined ? {} : { knownEtag: task.knownEtag }),
    },
  );
  if (verdict.kind === 'same') return { kind: 'same', targetEtag: present.etag };
  if (verdict.kind === 'keep') return { kind: 'kept', why: verdict.why, targetEtag: present.etag };
  return { kind: 'land', conditions: client.supports.putIfMatch ? { ifMatch: present.etag } : {} };
}

export async function headOrNone(setup: CopySetup, key: string): Promise<ObjectInfo | undefined> {
  return orNone('OBJECT_UNKNOWN', setup.target.client.head(fullKey(setup.target, key), {}, callOf(setup)));
}

/** Undefined for the one failure that says it is not there. */
export async function orNone<T>(code: ErrorCode, asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (err) {
    if (err instanceof MusterError && err.code === code) return undefined;
    throw err;
  }
}

export function callOf({ signal }: { signal?: AbortSignal }): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
