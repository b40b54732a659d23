import { MusterError } from '../../../workflows/engine/errors.ts';
import { judgeSameness } from '../compare/judge.ts';
import { type Entry } from '../compare/pages.ts';
import { type CopyOutcome } from '../copy/outcome.ts';
import { type CopyTask } from '../copy/ports.ts';
import { bringProperties, copyAndSettle, outcomeOf } from '../run/work.ts';
import { heldOf, isRecorded, lookAt, type PairRows, rowsOf, writeOf } from './agreement.ts';
import { conflictOf } from './conflicts.ts';
import { judgePair, type PairLook, type PairSide, type PairVerdict, winnerOf } from './judge.ts';
import { type Way, wayFrom, ways } from './pair.ts';
import { entryOf, headBoth, reconcile, type Reconciled } from './reconcile.ts';
import { isMeant, type PairSession } from './session.ts';

/** A key that a pass has to see to. */
export interface PairTask {
  key: string;
  rows: PairRows;
  look: PairLook;
  verdict: PairVerdict;
  /** How often it was looked at before. */
  tries: number;
}

/** What is to be deleted is not deleted here: who calls decides when, with the guard. */
export interface ToDelete {
  way: Way;
  key: string;
  /** What is there, and has to be that still. */
  entry: Entry;
}
export type DeleteLater = (one: ToDelete) => Promise<void>;

/** So often is a key looked at that somebody writes meanwhile. */
const mostTries = 3;

/**
 * Sees to one key: carries what one side wrote to the other, records what agrees, tells what does not. Rejects with what
 * ends the pass.
 */
export async function settleKey(session: PairSession, task: PairTask, later: DeleteLater): Promise<void> {
  const { verdict, key } = task;
  try {
    const found: Reconciled = verdict.kind === 'both' ? await askAbout(session, task) : { ...task, verdict };
    await act(session, task, { found, later });
  } catch (err) {
    if (err instanceof MusterError && err.code === 'OBJECT_CHANGED') return lookAgain(session, task, later);
    if (session.patient && err instanceof MusterError && err.code === 'OBJECT_STORE_UNREACHABLE') throw err;
    const way = verdict.kind === 'carry' ? wayFrom(verdict.from) : 'aToB';
    const outcome = outcomeOf(err, session.runs[way].credentials.gaveUp !== undefined);
    if (outcome.kind === 'gone') return lookAgain(session, task, later);
    session.counts[way].failed += 1;
    const sizeBytes = (way === 'aToB' ? task.look.a : task.look.b)?.sizeBytes ?? 0;
    session.tellObject(way, { key, version: '', sizeBytes, kind: 'outcome', outcome });
  }
}

/** Two buckets that begin as a pair agree by their listings about most: that costs no request. */
function askAbout(session: PairSession, { key, rows, look }: PairTask): Promise<Reconciled> {
  const { a, b, base } = look;
  const { compareProperties } = session.input.rule.pass;
  const isNew = base.a === '' && base.b === '' && a !== undefined && b !== undefined;
  if (isNew && !compareProperties && judgeSameness(a, b).kind === 'same')
    return Promise.resolve({ look, verdict: { kind: 'same' } });
  return reconcile(session, key, rows);
}

async function act(
  session: PairSession,
  task: PairTask,
  { found, later }: { found: Reconciled; later: DeleteLater },
): Promise<void> {
  const { key, rows } = task;
  const { look, verdict } = found;
  switch (verdict.kind) {
    case 'agreed':
    case 'same':
    case 'gone':
      session.counts.agreed += 1;
      if (verdict.kind === 'agreed' && isRecorded(rows, look)) return;
      return record(session, key, look);
    case 'carry':
      return carry(session, task, { from: verdict.from, why: verdict.why, look, later });
    case 'delete':
      return markDelete(session, key, { from: verdict.from, look, rows, later });
    case 'conflict':
      return decide(session, task, { look, later });
  }
}

function record({ input, recorder }: PairSession, key: string, { a, b }: PairLook): Promise<void> {
  if (input.rule.pass.mode !== 'do') return Promise.resolve();
  return recorder.agree({
    key,
    a: a === undefined ? undefined : heldOf(a),
    b: b === undefined ? undefined : heldOf(b),
  });
}

interface Carry {
  from: PairSide;
  why: 'absent' | 'different' | 'properties';
  look: PairLook;
  later: DeleteLater;
}

async function carry(session: PairSession, task: PairTask, { from, why, look, later }: Carry): Promise<void> {
  const { key, rows } = task;
  const way = wayFrom(from);
  const { work, rule } = session.runs[way];
  const [entry, there] = from === 'a' ? [look.a!, look.b] : [look.b!, look.a];
  const counts = session.counts[way];
  counts.wanted += 1;
  counts.wantedBytes += entry.sizeBytes;
  if (rule.mode === 'plan') {
    if (why === 'absent') counts.onlySource += 1;
    else counts.different += 1;
    return session.tellObject(way, { key, version: '', sizeBytes: entry.sizeBytes, kind: 'would-copy' });
  }
  await session.ledgers[way].note([writeOf(key, heldOf(entry), rows[way])]);
  const copying: CopyTask = {
    ...{ key, sizeBytes: entry.sizeBytes, etag: entry.etag, writtenAtMs: entry.lastModifiedMs },
    ...(there === undefined
      ? { seen: { kind: 'absent' } }
      : { seen: { kind: 'present', etag: there.etag }, knownEtag: there.etag }),
  };
  const outcome = why === 'properties' ? await bringProperties(work, copying) : await copyAndSettle(work, copying);
  if (session.patient && outcome?.kind === 'failed' && outcome.code === 'OBJECT_STORE_UNREACHABLE') {
    counts.failed -= 1;
    throw new MusterError(outcome.code, outcome.message);
  }
  if (!hasMoved(outcome)) return;
  // Somebody wrote meanwhile: it is another question now.
  counts[outcome.kind] -= 1;
  counts.wanted -= 1;
  await lookAgain(session, task, later);
}

function hasMoved(outcome: CopyOutcome | undefined): outcome is CopyOutcome & { kind: 'kept' | 'gone' | 'changing' } {
  return outcome?.kind === 'kept' || outcome?.kind === 'gone' || outcome?.kind === 'changing';
}

/** Asks both sides anew, so often; then it is left for a later pass. */
export async function lookAgain(session: PairSession, { key, tries }: PairTask, later: DeleteLater): Promise<void> {
  if (tries + 1 >= mostTries) {
    session.counts.unsettled += 1;
    return;
  }
  await settleNow(session, key, { tries: tries + 1, later });
}

/** Sees to a key by asking both sides about it, without a listing. */
export async function settleNow(
  session: PairSession,
  key: string,
  { tries = 0, later, touchedBy }: { tries?: number; later: DeleteLater; touchedBy?: PairSide },
): Promise<void> {
  const { a, b } = await headBoth(session, key);
  const [rows] = await rowsOf(session.ledgers, [key]);
  const look = lookAt(rows!, { a: entryOf(key, a), b: entryOf(key, b) });
  // No time of the object tells of new tags, a change log does.
  if (touchedBy !== undefined) look.touched[touchedBy] = true;
  if (!isMeant(session, key, look.a, look.b)) return;
  await settleKey(session, { key, rows: rows!, look, verdict: judgePair(look), tries }, later);
}

async function markDelete(
  session: PairSession,
  key: string,
  { from, look, rows, later }: { from: PairSide; look: PairLook; rows: PairRows; later: DeleteLater },
): Promise<void> {
  const way = wayFrom(from);
  const entry = from === 'a' ? look.b : look.a;
  if (entry === undefined) return record(session, key, look);
  session.counts[way].onlyTarget += 1;
  session.counts[way].toDelete += 1;
  if (session.input.rule.pass.mode === 'do') await session.ledgers[way].note([writeOf(key, undefined, rows[way])]);
  await later({ way, key, entry });
}

async function decide(
  session: PairSession,
  task: PairTask,
  { look, later }: { look: PairLook; later: DeleteLater },
): Promise<void> {
  const { key, rows } = task;
  const { rule } = session.input;
  const winner = winnerOf(rule.conflicts, look);
  session.tell({ kind: 'conflict', conflict: conflictOf(key, look), winner });
  if (winner !== undefined) {
    session.counts.resolved += 1;
    const [won, lost] = winner === 'a' ? [look.a, look.b] : [look.b, look.a];
    if (won === undefined) return markDelete(session, key, { from: winner, look, rows, later });
    const why = lost === undefined ? 'absent' : 'different';
    return carry(session, task, { from: winner, why, look, later });
  }
  session.counts.conflicts += 1;
  if (rule.pass.mode !== 'do') return;
  for (const way of ways) {
    const entry = way === 'aToB' ? look.a : look.b;
    const write = writeOf(key, entry === undefined ? undefined : heldOf(entry), rows[way]);
    const ledger = session.ledgers[way];
    await Promise.all([
      ledger.note([write]),
      ledger.settle([{ key, version: '', state: 'failed', sourceEtag: '', errorCode: 'OBJECT_CHANGED' }]),
    ]);
  }
}
