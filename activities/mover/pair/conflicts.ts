import { type Entry } from '../compare/pages.ts';
import { type LedgerRow } from '../ledger/ledger.ts';
import { type Base } from './judge.ts';
import { type PairLedgers } from './pair.ts';

/** What one side holds; undefined: it deleted it, or never had it. */
export interface ConflictState {
  etag: string;
  sizeBytes: number;
  lastModifiedMs: number;
}

/** A key that both sides wrote or deleted since they agreed about it. Neither was overwritten. */
export interface PairConflict {
  key: string;
  /** `both`: each changed what they had agreed on. `unknown`: they were never seen to agree about it. */
  why: 'both' | 'unknown';
  a: ConflictState | undefined;
  b: ConflictState | undefined;
  /** ETags of what they last agreed on; '' where that was nothing. */
  agreed: Base | undefined;
}

export function conflictOf(
  key: string,
  { a, b, base }: { a: Entry | undefined; b: Entry | undefined; base: Base },
): PairConflict {
  const known = base.a !== '' || base.b !== '';
  return {
    ...{ key, why: known ? 'both' : 'unknown', a: stateOf(a), b: stateOf(b) },
    agreed: known ? base : undefined,
  };
}

function stateOf(entry: Entry | undefined): ConflictState | undefined {
  if (entry === undefined) return undefined;
  const { etag, sizeBytes, lastModifiedMs } = entry;
  return { etag, sizeBytes, lastModifiedMs };
}

/** Every conflict that stands, as the ledgers of a pair remember it; the longest standing first. */
export async function* pairConflicts(ledgers: PairLedgers): AsyncGenerator<PairConflict> {
  for await (const row of ledgers.aToB.backlog()) {
    if (!isConflict(row)) continue;
    const [back] = await ledgers.bToA.lookUp([row]);
    if (back === undefined || !isConflict(back)) continue;
    const agreed = row.agreed === undefined ? undefined : { a: row.agreed.sourceEtag, b: row.agreed.targetEtag };
    const known = agreed !== undefined && (agreed.a !== '' || agreed.b !== '');
    yield {
      ...{ key: row.key, why: known ? 'both' : 'unknown', a: rememberedBy(row), b: rememberedBy(back) },
      agreed: known ? agreed : undefined,
    };
  }
}

function isConflict({ state, errorCode }: LedgerRow): boolean {
  return state === 'failed' && errorCode === 'OBJECT_CHANGED';
}

function rememberedBy({ op, sourceEtag, sizeBytes, writtenAtMs }: LedgerRow): ConflictState | undefined {
  return op === 'delete' ? undefined : { etag: sourceEtag, sizeBytes, lastModifiedMs: writtenAtMs };
}

/** The list as lines of JSON, one a conflict. */
export async function* conflictLines(ledgers: PairLedgers): AsyncGenerator<string> {
  for await (const conflict of pairConflicts(ledgers)) yield `${JSON.stringify(conflict)}\n`;
}
