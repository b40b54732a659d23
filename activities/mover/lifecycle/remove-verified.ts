import { type ErrorCode, MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { compareSides, type Comparing } from '../compare/compare.ts';
import { type Joined } from '../compare/join.ts';
import { type Entry } from '../compare/pages.ts';
import { type KeyRange, wholeRange } from '../compare/ranges.ts';
import { orNone } from '../copy/landing.ts';
import { runEnding } from '../copy/outcome.ts';
import { type LedgerRow, type ReplicationLedger } from '../ledger/ledger.ts';
import { compileFilter, type Filter } from '../run/filter.ts';
import { type PassRule } from '../run/pass.ts';
import { fullKey, type Side } from '../side.ts';
import { isTagged } from './tagged.ts';

export interface RemoveInput {
  source: Side;
  target: Side;
  /** Whose filter says what is meant. */
  rule: PassRule;
  /** What was proved at the target is what may go at the source. */
  ledger: ReplicationLedger;
  /** Where to go on, as `ranges` gave it; default: everything. */
  ranges?: readonly KeyRange[];
  /** A piece of it: ends after so many bytes of removed objects or so much time, between pages. */
  until?: { bytes?: number; ms?: number };
  /** Keys of a page: what is begun when a piece is large enough. */
  pageKeys?: number;
  onObject?: (event: Removed) => void;
  /** About each `checkpointMs`: where it would go on. */
  onCheckpoint?: (ranges: KeyRange[]) => void;
  checkpointMs?: number;
  /** Nothing more is begun; the answer is `more`. */
  signal?: AbortSignal;
}

/** `kept`: proved, and changed or gone on either side since, or the store does not let it go. */
export type Removed = { key: string; sizeBytes: number } & ({ kind: 'removed' } | { kind: 'kept'; why: string });

export type RemoveResult = { removed: number; kept: number } & (
  | { kind: 'complete' }
  | { kind: 'more'; ranges: KeyRange[] }
  | { kind: 'stopped'; code: ErrorCode; message: string; ranges: KeyRange[] }
);

/** Ranges listed at once: looks and deletes take the time, not the listing. */
const listers = 4;

interface Removing {
  input: RemoveInput;
  filter: Filter;
  endsAtMs: number;
  removed: number;
  kept: number;
  removedBytes: number;
  /** Ends the listing. */
  listing: AbortController;
}

/**
 * Deletes at the source what is proved at the target, page by page: each object is looked at on both sides right before,
 * and must be the one that was proved. Never rejects. Memory: a few pages, however many objects.
 */
export async function removeVerified(input: RemoveInput): Promise<RemoveResult> {
  const removing: Removing = {
    ...{ input, filter: compileFilter(input.rule.filter, Date.now()), listing: new AbortController() },
    endsAtMs: performance.now() + (input.until?.ms ?? Infinity),
    ...{ removed: 0, kept: 0, removedBytes: 0 },
  };
  const { source, target, ranges = [wholeRange], pageKeys = 1_000 } = input;
  const comparing = compareSides(
    { source, target, ranges, pageKeys, parallel: listers, signal: removing.listing.signal },
    async (batch, finishBatch) => {
      await removeOf(removing, batch);
      finishBatch();
      endWhenEnough(removing);
    },
  );
  const beat = setInterval(() => input.onCheckpoint?.(rangesOf(comparing)), input.checkpointMs ?? 5_000);
  try {
    await comparing.finished;
    return { ...countsOf(removing), kind: 'complete' };
  } catch (err) {
    const at = { ...countsOf(removing), ranges: rangesOf(comparing) };
    if (removing.listing.signal.aborted || input.signal?.aborted === true) return { ...at, kind: 'more' };
    const { code, message } = toMusterError(err);
    return { ...at, kind: 'stopped', code, message };
  } finally {
    clearInterval(beat);
  }
}

function countsOf({ removed, kept }: Removing): { removed: number; kept: number } {
  return { removed, kept };
}

function rangesOf(comparing: Comparing): KeyRange[] {
  return structuredClone(comparing.remaining());
}

function endWhenEnough({ input, listing, removedBytes, endsAtMs }: Removing): void {
  const isEnough = removedBytes >= (input.until?.bytes ?? Infinity) || performance.now() >= endsAtMs;
  if (isEnough) listing.abort(new Error('enough for this piece'));
}

/** Some at once; done when all are. */
async function removeOf(removing: Removing, batch: readonly Joined<Entry>[]): Promise<void> {
  const { input, filter } = removing;
  const rows = await input.ledger.lookUp(batch.map(({ key }) => ({ key, version: '' })));
  const meant = batch.flatMap(({ key, source, target }, i) => {
    const row = rows[i];
    if (source === undefined || row?.state !== 'verified') return [];
    if (!filter.named(key) || !filter.sized(source)) return [];
    return [{ source, target, row }];
  });
  let next = 0;
  const remover = async (): Promise<void> => {
    for (let one = meant[next++]; one !== undefined; one = meant[next++]) {
      input.signal?.throwIfAborted();
      tell(removing, one.source, await removeOne(input, one).catch(whyKept));
    }
  };
  const wide = Math.max(1, Math.floor(input.rule.transfers / listers));
  await Promise.all(Array.from({ length: wide }, remover));
}

interface Meant {
  source: Entry;
  target: Entry | undefined;
  row: LedgerRow;
}

/** Null: nobody meant it. */
type Outcome = 'removed' | { kept: string } | null;

async function removeOne(input: RemoveInput, { source: { key, ...listed }, target, row }: Meant): Promise<Outcome> {
  const { source, rule } = input;
  // What both had before the rule came is proved, too, whatever its tags.
  const { tags } = rule.filter;
  if (tags !== undefined && !(await orGone(isTagged(source, key, tags)))) return null;
  const isProved = row.sourceEtag === listed.etag && row.targetEtag === target?.etag;
  if (!isProved || target?.sizeBytes !== listed.sizeBytes || !(await isStillProved(input, key, row)))
    return { kept: 'it has changed since its copy was proved' };
  if (rule.mode !== 'do') return null;
  await source.client.delete(fullKey(source, key));
  return 'removed';
}

/** What is about this one object only. */
function whyKept(err: unknown): Outcome {
  const isOfAll = !(err instanceof MusterError) || runEnding.has(err.code) || ofAll.has(err.code);
  if (isOfAll) throw err;
  return { kept: `${err.code}: ${err.message}` };
}
const ofAll: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CREDENTIALS_REFUSED', 'OBJECT_STORE_UNREACHABLE']);

function tell(removing: Removing, { key, sizeBytes }: Entry, outcome: Outcome): void {
  const { onObject } = removing.input;
  if (outcome === null) return;
  if (outcome !== 'removed') {
    removing.kept += 1;
    return onObject?.({ key, sizeBytes, kind: 'kept', why: outcome.kept });
  }
  removing.removed += 1;
  removing.removedBytes += sizeBytes;
  onObject?.({ key, sizeBytes, kind: 'removed' });
}

async function orGone(asked: Promise<boolean>): Promise<boolean> {
  return (await orNone('OBJECT_UNKNOWN', asked)) ?? false;
}

async function isStillProved({ source, target }: RemoveInput, key: string, row: LedgerRow): Promise<boolean> {
  const head = (side: Side) => orNone('OBJECT_UNKNOWN', side.client.head(fullKey(side, key)));
  const [here, there] = await Promise.all([head(source), head(target)]);
  if (here === undefined || here.etag !== row.sourceEtag || there?.etag !== row.targetEtag) return false;
  return there.sizeBytes === here.sizeBytes;
}
