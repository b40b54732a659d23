import { toMusterError } from '../../workflows/engine/errors.ts';
import type { JsonObject } from '../../workflows/engine/plan.ts';
import { gapIn } from '../mover/changes/follow.ts';
import { openNodeLog, positionAt, type NodeLog } from '../mover/changes/node-log.ts';
import { providerOf } from '../objects/credentials.ts';
import type { ObjectClient } from '../objects/types.ts';

/** Without a change log all tags are read anew so often, milliseconds. */
const readEveryMs = 24 * 3_600_000;
/** More keys than this are not remembered one by one: about a hundred bytes each. */
const mostKeys = 200_000;
const changesAtOnce = 10_000;
/** The cluster's clock is told to the second. */
const overlapMs = 2_000;

/** Which objects a backup asks for their tags though they are listed as before: a change of tags alone leaves no trace there. */
export interface TagsPlan {
  isAskedAnew: (key: string) => boolean;
  /** Facts of the recovery point, which the next backup goes on from. */
  facts: JsonObject;
}

export interface TagsPlanInput {
  client: ObjectClient;
  /** Facts of the point that is compared with; `{}` where it is of another bucket, or there is none. */
  before: JsonObject;
  /** The moment the backup begins, Unix milliseconds. */
  nowMs: number;
  signal: AbortSignal;
}

/**
 * On our own nodes those whose tags the change log says were changed; elsewhere all, once a day.
 * @throws MusterError OBJECT_STORE_UNREACHABLE
 */
export async function planTags({ client, before, nowMs, signal }: TagsPlanInput): Promise<TagsPlan> {
  const logged = await changedTags(client, before['logPosition'], signal);
  if (logged !== null) {
    const { keys, position } = logged;
    return { isAskedAnew: keys === 'any' ? () => true : (key) => keys.has(key), facts: { logPosition: position } };
  }
  const readAtMs = before['tagsReadAtMs'];
  if (typeof readAtMs === 'number' && nowMs - readAtMs < readEveryMs && readAtMs <= nowMs)
    return { isAskedAnew: () => false, facts: { tagsReadAtMs: readAtMs } };
  return { isAskedAnew: () => true, facts: { tagsReadAtMs: nowMs } };
}

/** `any`: which ones is not known. */
interface ChangedTags {
  keys: ReadonlySet<string> | 'any';
  /** What the log tells behind it is not in `keys`. */
  position: number;
}

/** Null where there is no log. Read before the bucket is listed, so that what comes later is told to the next backup. */
async function changedTags(client: ObjectClient, after: unknown, signal: AbortSignal): Promise<ChangedTags | null> {
  if (client.dialect !== 's3') return null;
  await using log = openNodeLog(client.place, providerOf(client.place.credentials, process.env));
  const found = typeof after === 'number' ? await readOn(log, after, signal) : null;
  if (found !== null) return found;
  const position = await presentOf(log, signal);
  return position === null ? null : { keys: 'any', position };
}

/** A little before the log's present; null where nothing tells one. */
async function presentOf(log: NodeLog, signal: AbortSignal): Promise<number | null> {
  try {
    const answer = await log.read({ after: positionAt(Date.now()), limit: 1, signal });
    return answer.kind === 'page' ? positionAt(answer.page.serverMs - overlapMs) : null;
  } catch (err) {
    signal.throwIfAborted();
    // The bucket has answered before: what fails here for good is a store that does not know the path.
    if (toMusterError(err).code === 'OBJECT_STORE_UNREACHABLE') return null;
    throw err;
  }
}

/** Null where the log cannot be gone on from. */
async function readOn(log: NodeLog, after: number, signal: AbortSignal): Promise<ChangedTags | null> {
  const keys = new Set<string>();
  let [position, more] = [after, true];
  while (more) {
    const answer = await log.read({ after: position, limit: changesAtOnce, signal });
    if (answer.kind === 'none' || gapIn(answer.page, position) !== undefined) return null;
    for (const { kind, key } of answer.page.changes) if (kind === 'tags') keys.add(key);
    if (keys.size > mostKeys) return null;
    ({ position, more } = answer.page);
  }
  return { keys, position };
}
