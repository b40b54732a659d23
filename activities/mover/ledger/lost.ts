import { type ReplicationLedger, type LedgerRow, type Operation } from './ledger.ts';

/** One write at the source that the target does not have, or is not proved to have. */
export interface LostWrite {
  key: string;
  version: string;
  op: Operation;
  writtenAtMs: number;
  sizeBytes: number;
  sourceEtag: string;
  /** `lost`: it was never written at the target. `unproved`: it was, and nobody compared it. */
  certainty: 'lost' | 'unproved';
}

/** The frame of the list: what it can say, and from when on nobody looked. */
export interface LossHeader {
  frozenAtMs: number;
  epoch: number;
  /** Writes after this, by the source's clock, were never seen; null: the source was never seen whole. */
  observedUpToMs: number | null;
  writes: number;
  sizeBytes: number;
}

/** What a freeze found lost, the longest due first. One write a key and version, however many there are. */
export async function* lostWrites(ledger: ReplicationLedger): AsyncGenerator<LostWrite> {
  for await (const row of ledger.backlog()) yield lostWrite(row);
}

export function lostWrite(row: LedgerRow): LostWrite {
  const { key, version, op, writtenAtMs, sizeBytes, sourceEtag } = row;
  const certainty = row.state === 'copied' ? 'unproved' : 'lost';
  return { key, version, op, writtenAtMs, sizeBytes, sourceEtag, certainty };
}

export async function lossHeader(ledger: ReplicationLedger): Promise<LossHeader> {
  const [frozen, observed, totals] = [await ledger.frozen(), await ledger.observed(), await ledger.totals()];
  const open = [totals.pending, totals.copied, totals.failed];
  return {
    frozenAtMs: frozen?.atMs ?? Date.now(),
    epoch: frozen?.epoch ?? 0,
    observedUpToMs: observed?.upToMs ?? null,
    writes: open.reduce((sum, { objects }) => sum + objects, 0),
    sizeBytes: open.reduce((sum, tally) => sum + tally.sizeBytes, 0),
  };
}

/** The list as lines of JSON: the header, then a line for each write. */
export async function* lossLines(ledger: ReplicationLedger): AsyncGenerator<string> {
  yield `${JSON.stringify({ kind: 'losses', ...(await lossHeader(ledger)) })}\n`;
  for await (const lost of lostWrites(ledger)) yield `${JSON.stringify(lost)}\n`;
}
