import { type Agreed, type LedgerRow, type NotedWrite, type SettledWrite } from './ledger.ts';

/** The row after a write was seen at the source; undefined when it tells nothing new. Pure. */
export function noteWrite(row: LedgerRow | undefined, write: NotedWrite, seq: number): LedgerRow | undefined {
  if (row !== undefined && tellsNothingNew(row, write)) return undefined;
  const open = row !== undefined && row.state !== 'verified';
  const sameBytes = row?.state === 'verified' && row.op !== 'delete' && row.sourceEtag === write.sourceEtag;
  const op = sameBytes && write.op === 'put' ? 'metadata' : write.op;
  const agreed = row === undefined ? undefined : agreedIn(row);
  return {
    ...{ key: write.key, version: write.version, seq, op, writtenAtMs: write.writtenAtMs },
    // What was never proved stays due since its first write, however often it was overwritten.
    dueSinceMs: open ? Math.min(row.dueSinceMs, write.writtenAtMs) : write.writtenAtMs,
    ...{ sizeBytes: write.sizeBytes, state: 'pending', attempts: 0, sourceEtag: write.sourceEtag },
    ...{ targetEtag: row?.targetEtag ?? '', targetVersion: row?.targetVersion ?? '', checksums: {} },
    ...(agreed === undefined ? {} : { agreed }),
  };
}

/** What both sides last agreed on by a row; undefined when they never did. Pure. */
export function agreedIn({ state, op, sourceEtag, targetEtag, agreed }: LedgerRow): Agreed | undefined {
  if (state !== 'verified') return agreed;
  return op === 'delete' ? { sourceEtag: '', targetEtag: '' } : { sourceEtag, targetEtag };
}

/**
 * A listing and a change log may tell of one write twice, and the listing knows its time to the second only, cut off. The
 * same bytes at a later time are a write all the same: of metadata.
 */
function tellsNothingNew(row: LedgerRow, write: NotedWrite): boolean {
  if ((row.op === 'delete') !== (write.op === 'delete')) return write.writtenAtMs < row.writtenAtMs;
  if (row.sourceEtag !== write.sourceEtag) return false;
  return write.writtenAtMs <= row.writtenAtMs && row.state !== 'failed';
}

/** The row after its write was tried; undefined when it is about a write that another has overtaken. Pure. */
export function settleWrite(
  row: LedgerRow | undefined,
  outcome: SettledWrite & Partial<NotedWrite>,
  seq: number,
): LedgerRow | undefined {
  const base = row ?? madeOf(outcome, seq);
  if (outcome.sourceEtag !== '' && base.sourceEtag !== outcome.sourceEtag) return undefined;
  const { errorCode: _, agreed, ...kept } = base;
  return {
    ...kept,
    ...(agreed === undefined || outcome.state === 'verified' ? {} : { agreed }),
    state: outcome.state,
    attempts: base.attempts + 1,
    targetEtag: outcome.targetEtag ?? base.targetEtag,
    targetVersion: outcome.targetVersion ?? base.targetVersion,
    checksums: outcome.checksums ?? base.checksums,
    ...(outcome.errorCode === undefined ? {} : { errorCode: outcome.errorCode }),
  };
}

function madeOf(outcome: SettledWrite & Partial<NotedWrite>, seq: number): LedgerRow {
  const writtenAtMs = outcome.writtenAtMs ?? 0;
  return {
    ...{ key: outcome.key, version: outcome.version, seq, op: outcome.op ?? 'put', writtenAtMs },
    ...{ dueSinceMs: writtenAtMs, sizeBytes: outcome.sizeBytes ?? 0, state: 'pending', attempts: 0 },
    ...{ sourceEtag: outcome.sourceEtag, targetEtag: '', targetVersion: '', checksums: {} },
  };
}
