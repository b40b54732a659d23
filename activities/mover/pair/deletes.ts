import { MusterError } from '../../../workflows/engine/errors.ts';
import { callOf, headOrNone, orNone } from '../copy/landing.ts';
import { usualDeleteShare, guardDeletes } from '../run/delete-guard.ts';
import { type Doomed } from '../run/doomed.ts';
import { fullKey, sideName } from '../side.ts';
import { lookAgain, type PairTask } from './carry.ts';
import { rowsOf } from './agreement.ts';
import { noBase } from './judge.ts';
import { type Way, ways } from './pair.ts';
import { type PairSession } from './session.ts';

/** Deletes looked at and carried out at once. */
const wide = 16;

/** Carries the deletes that a pass found, once it has seen everything. @throws DELETE_GUARD before the first */
export async function carryDeletes(session: PairSession): Promise<void> {
  const { pass } = session.input.rule;
  for (const way of ways) {
    const { toDelete, targetObjects } = session.counts[way];
    const share = pass.deleteShare ?? usualDeleteShare;
    guardDeletes({ deletes: toDelete, present: targetObjects }, share, sideName(session.runs[way].target));
  }
  for (const way of ways) {
    const { doomed } = session.runs[way];
    if (pass.mode === 'plan') {
      for await (const { key, sizeBytes } of doomed.all())
        session.tellObject(way, { key, version: '', sizeBytes, kind: 'would-delete' });
    } else await deleteAll(session, way, doomed.all());
    doomed.clear();
  }
}

async function deleteAll(session: PairSession, way: Way, doomed: AsyncGenerator<Doomed>): Promise<void> {
  const worker = async (): Promise<void> => {
    for (let next = await doomed.next(); next.done !== true; next = await doomed.next())
      await deleteAgreed(session, way, next.value);
  };
  await Promise.all(Array.from({ length: wide }, worker));
}

/**
 * Deletes one object that the other side deleted, if the other side still lacks it and here it still is what both had
 * agreed on. Between this look and the delete a write may come in that a bucket without versions loses: stores have no
 * condition for deletes.
 */
export async function deleteAgreed(session: PairSession, way: Way, one: Doomed): Promise<void> {
  const { setup } = session.runs[way];
  const { source } = setup;
  const { key } = one;
  const [back, there] = await Promise.all([
    orNone('OBJECT_UNKNOWN', source.client.head(fullKey(source, key), {}, callOf(setup))),
    headOrNone(setup, key),
  ]);
  if (back !== undefined || (there !== undefined && !isStill(there, one))) return questionAgain(session, key);
  if (there !== undefined && !(await remove(session, way, one))) return;
  await session.recorder.agree({ key, a: undefined, b: undefined });
}

/** Heads tell times to the second, listings to the millisecond. */
function isStill(there: { etag: string; lastModifiedMs: number }, { etag, lastModifiedMs }: Doomed): boolean {
  const second = (ms: number): number => Math.floor(ms / 1_000);
  return there.etag === etag && second(there.lastModifiedMs) <= second(lastModifiedMs ?? Infinity);
}

async function remove(session: PairSession, way: Way, { key, sizeBytes }: Doomed): Promise<boolean> {
  const { setup, counts, meter } = session.runs[way];
  try {
    await setup.target.client.delete(fullKey(setup.target, key), {}, callOf(setup));
  } catch (err) {
    if (!(err instanceof MusterError) || (err.code !== 'OBJECT_LOCKED' && err.code !== 'OBJECT_STORE_REFUSED'))
      throw err;
    counts.failed += 1;
    const why = err.code === 'OBJECT_LOCKED' ? 'locked' : 'refused';
    session.tellObject(way, { key, version: '', sizeBytes, kind: 'kept-extra', why });
    return false;
  }
  counts.deleted += 1;
  meter.add(1, 0);
  session.tellObject(way, { key, version: '', sizeBytes, kind: 'deleted' });
  return true;
}

/** Somebody wrote since it was found: what that means now is decided anew, and a delete waits for the next pass. */
async function questionAgain(session: PairSession, key: string): Promise<void> {
  const [rows] = await rowsOf(session.ledgers, [key]);
  const look = { a: undefined, b: undefined, base: noBase, touched: { a: false, b: false } };
  const task: PairTask = { key, rows: rows!, look, verdict: { kind: 'both' }, tries: 0 };
  await lookAgain(session, task, () => Promise.resolve());
}
