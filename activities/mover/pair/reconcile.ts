import { compareChecksums } from '../../objects/checksum/values.ts';
import { type ObjectInfo } from '../../objects/types.ts';
import { type Entry } from '../compare/pages.ts';
import { callOf, orNone } from '../copy/landing.ts';
import { readMarks } from '../copy/marks.ts';
import { sameProperties } from '../copy/refresh-properties.ts';
import { type LedgerRow } from '../ledger/ledger.ts';
import { hashObject } from '../run/resolve.ts';
import { fullKey } from '../side.ts';
import { lookAt, type PairRows } from './agreement.ts';
import { judgePair, type PairLook, type PairVerdict } from './judge.ts';
import { type PairSession } from './session.ts';

/** What was found after asking both sides about a key. */
export type Reconciled = { look: PairLook } & (
  | { verdict: Exclude<PairVerdict, { kind: 'both' }> }
  /** Both wrote, and hold the same. */
  | { verdict: { kind: 'same' } }
  | { verdict: { kind: 'conflict' } }
);

/** Both sides as they are now. */
interface Heads {
  a: ObjectInfo | undefined;
  b: ObjectInfo | undefined;
}

export async function headBoth({ runs }: PairSession, key: string): Promise<Heads> {
  const { setup } = runs.aToB;
  const head = (side: typeof setup.source): Promise<ObjectInfo | undefined> =>
    orNone('OBJECT_UNKNOWN', side.client.head(fullKey(side, key), {}, callOf(setup)));
  const [a, b] = await Promise.all([head(setup.source), head(setup.target)]);
  return { a, b };
}

export function entryOf(key: string, info: ObjectInfo | undefined): Entry | undefined {
  if (info === undefined) return undefined;
  const { sizeBytes, etag, lastModifiedMs, storageClass } = info;
  return { key, sizeBytes, etag, lastModifiedMs, storageClass };
}

/**
 * Asks both sides about a key that both seem to have changed: a copy of ours that a kill left unrecorded is no change,
 * nor is one whose time only looks later because clocks differ; and who wrote the same on both sides agrees.
 */
export async function reconcile(session: PairSession, key: string, rows: PairRows): Promise<Reconciled> {
  const heads = await headBoth(session, key);
  const seen = lookAt(rows, { a: entryOf(key, heads.a), b: entryOf(key, heads.b) });
  const look = withoutOwnCopies(session, seen, rows, heads);
  const verdict = judgePair(look);
  if (verdict.kind !== 'both') return { look, verdict };
  if (await holdTheSame(session, key, heads)) return { look, verdict: { kind: 'same' } };
  return { look, verdict: { kind: 'conflict' } };
}

function withoutOwnCopies(session: PairSession, look: PairLook, rows: PairRows, { a, b }: Heads): PairLook {
  const { names } = session.input.rule;
  let { base } = look;
  if (isUnrecorded(rows.aToB, { from: a, to: b }, names.a)) base = { a: rows.aToB!.sourceEtag, b: b!.etag };
  else if (isUnrecorded(rows.bToA, { from: b, to: a }, names.b)) base = { a: a!.etag, b: rows.bToA!.sourceEtag };
  const ours = (info: ObjectInfo | undefined, otherEtag: string, name: string): boolean => {
    const marks = info === undefined ? undefined : readMarks(info.metadata);
    return marks?.origin === name && marks.sourceEtag === otherEtag;
  };
  const touched = {
    a: look.touched.a && !ours(a, base.b, names.b),
    b: look.touched.b && !ours(b, base.a, names.a),
  };
  return { ...look, base, touched };
}

/**
 * A copy that arrived, of the very write that the ledger still has pending. Its mark is not enough: users may write other
 * bytes and keep the metadata.
 */
function isUnrecorded(
  row: LedgerRow | undefined,
  { from, to }: { from: ObjectInfo | undefined; to: ObjectInfo | undefined },
  origin: string,
): boolean {
  if (row === undefined || row.state === 'verified' || row.op === 'delete' || to === undefined) return false;
  const marks = readMarks(to.metadata);
  if (marks?.origin !== origin || marks.sourceEtag !== row.sourceEtag || row.sizeBytes !== to.sizeBytes) return false;
  if (to.etag.toLowerCase() === row.sourceEtag.toLowerCase()) return true;
  return from?.etag === row.sourceEtag && compareChecksums(from.checksums, to.checksums).kind === 'same';
}

async function holdTheSame(session: PairSession, key: string, { a, b }: Heads): Promise<boolean> {
  if (a === undefined || b === undefined || a.sizeBytes !== b.sizeBytes) return false;
  return (await sameBytes(session, key, a, b)) && sameProperties(a, b);
}

/** A mark proves nothing here: users may write other bytes and keep the metadata. */
async function sameBytes(session: PairSession, key: string, a: ObjectInfo, b: ObjectInfo): Promise<boolean> {
  const said = compareChecksums(a.checksums, b.checksums);
  if (said.kind !== 'unknown') return said.kind === 'same';
  if (a.etag.toLowerCase() === b.etag.toLowerCase() && !a.etag.includes('-')) return true;
  if (!session.input.rule.pass.compareBytes) return false;
  const { setup } = session.runs.aToB;
  const [left, right] = await Promise.all([hashObject(setup, setup.source, key), hashObject(setup, setup.target, key)]);
  return compareChecksums(left, right).kind === 'same';
}
