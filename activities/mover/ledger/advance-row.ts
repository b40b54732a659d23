import { type Agreed, type LedgerRow, type NotedWrite, type Operation, type SettledWrite } from './ledger.ts';

/** The row after a write was seen at the source; undefined when it tells nothing new. Pure. */
export function noteWrite(row: LedgerRow | undefined, write: NotedWrite, seq: number): LedgerRow | undefined {
  if (row !== undefined && tellsNothingNew(row, write)) return undefined;
  const open = row !== undefined && row.state !== 'verified';
  const sameBytes = row?.state === 'verified' && row.op !== 'delete' && row.sourceEtag === write.sourceEtag;
  const op = write.op === 'tags' ? opOfTags(row, write) : sameBytes && write.op === 'put' ? 'metadata' : write.op;
  const agreed = row === undefined ? undefined : agreedIn(row);
  return {
    ...{ key: write.key, version: write.version, seq, op, writtenAtMs: write.writtenAtMs },
    // What was never proved stays due since its first write, however often it was overwritten.
    dueSinceMs: open ? Math.min(row.dueSinceMs, write.writtenAtMs) : write.writtenAtMs,
    ...{ sizeBytes: write.sizeBytes, state: 'pending', attempts: 0, sourceEtag: write.sourceEtag },
    ...{ targetEtag: row?.targetEtag ?? '', targetVersion: row?.targetVersion ?? '', checksums: {} },
    ...(agreed === undefined ? {} : { agreed }),
    ...(write.op === 'tags' ? { tagsAtMs: write.writtenAtMs } : {}),
  };
}

/** Tags go along with the bytes where those are still to be copied, or were never seen to arrive. */
function opOfTags(row: LedgerRow | undefined, write: NotedWrite): Operation {
  // A version without a row was there when its history was compared.
  if (row === undefined) return write.version === '' ? 'put' : 'tags';
  if (row.op === 'delete' || row.sourceEtag !== write.sourceEtag) return 'put';
  return row.state === 'verified' ? 'tags' : row.op;
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
  const overtaken = underTags(base, outcome);
  if (overtaken !== undefined) return overtaken;
  const { errorCode: _, agreed, tagsAtMs, ...kept } = base;
  const isOpen = outcome.state !== 'verified';
  return {
    ...kept,
    ...(isOpen && agreed !== undefined ? { agreed } : {}),
    ...(isOpen && tagsAtMs !== undefined ? { tagsAtMs } : {}),
    state: outcome.state,
    attempts: base.attempts + 1,
    targetEtag: outcome.targetEtag ?? base.targetEtag,
    targetVersion: outcome.targetVersion ?? base.targetVersion,
    checksums: outcome.checksums ?? base.checksums,
    ...(outcome.errorCode === undefined ? {} : { errorCode: outcome.errorCode }),
  };
}

/** The bytes arrived, of a try that began before the tags became others: those are still to be brought. */
function underTags(base: LedgerRow, outcome: SettledWrite & Partial<NotedWrite>): LedgerRow | undefined {
  const { tagsAtMs = 0, sourceEtag } = base;
  if (outcome.state !== 'verified' || outcome.writtenAtMs === undefined || outcome.writtenAtMs >= tagsAtMs)
    return undefined;
  const targetEtag = outcome.targetEtag ?? base.targetEtag;
  return {
    ...{ ...base, op: 'tags', targetEtag, targetVersion: outcome.targetVersion ?? base.targetVersion },
    ...{ checksums: outcome.checksums ?? base.checksums, agreed: { sourceEtag, targetEtag } },
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
