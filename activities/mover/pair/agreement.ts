import { agreedIn } from '../ledger/advance-row.ts';
import { type LedgerRow, type NotedWrite } from '../ledger/ledger.ts';
import { type Entry } from '../compare/pages.ts';
import { type Checksums } from '../../objects/types.ts';
import { type Base, noBase, type PairLook } from './judge.ts';
import { type PairLedgers, type Way } from './pair.ts';

/** What the ledgers have about one key. */
export type PairRows = Record<Way, LedgerRow | undefined>;

export async function rowsOf(ledgers: PairLedgers, keys: readonly string[]): Promise<PairRows[]> {
  const ids = keys.map((key) => ({ key, version: '' }));
  const [there, back] = [await ledgers.aToB.lookUp(ids), await ledgers.bToA.lookUp(ids)];
  return keys.map((_, i) => ({ aToB: there[i], bToA: back[i] }));
}

/** Times of listings are cut off to the second. */
const touchedAfterMs = 1_000;

/** What the ledgers and two listings say about a key; pure. */
export function lookAt(rows: PairRows, { a, b }: Pick<PairLook, 'a' | 'b'>): PairLook {
  const base = baseOf(rows.aToB);
  const touched = (entry: Entry | undefined, row: LedgerRow | undefined): boolean =>
    entry !== undefined && row?.state === 'verified' && entry.lastModifiedMs >= row.writtenAtMs + touchedAfterMs;
  return {
    ...{ a, b, base },
    touched: {
      a: a?.etag === base.a && touched(a, rows.aToB),
      b: b?.etag === base.b && rows.bToA?.sourceEtag === b?.etag && touched(b, rows.bToA),
    },
  };
}

export function baseOf(row: LedgerRow | undefined): Base {
  const agreed = row === undefined ? undefined : agreedIn(row);
  return agreed === undefined ? noBase : { a: agreed.sourceEtag, b: agreed.targetEtag };
}

/** Whether both rows say that the two agree on what was just seen: then there is nothing to write down. */
export function isRecorded({ aToB, bToA }: PairRows, { base }: PairLook): boolean {
  if (aToB?.state !== 'verified' || bToA?.state !== 'verified') return false;
  return bToA.op !== 'delete' && bToA.sourceEtag === base.b && bToA.targetEtag === base.a;
}

/** One state of a key as a side holds it. */
export interface HeldState {
  etag: string;
  sizeBytes: number;
  /** By that side's clock, as far as it is known. */
  writtenAtMs: number;
}
/** What both sides are known to hold; both undefined: nothing. */
export interface Agreement {
  key: string;
  a: HeldState | undefined;
  b: HeldState | undefined;
  checksums?: Checksums;
}

export function heldOf(entry: Entry): HeldState {
  return { etag: entry.etag, sizeBytes: entry.sizeBytes, writtenAtMs: entry.lastModifiedMs };
}

/** Writes agreements down, many with one commit. */
export interface Recorder {
  /** Resolves when both ledgers have it. */
  agree(agreement: Agreement): Promise<void>;
}

/** Agreements wait so long for others, milliseconds. */
const gatherMs = 20;

export function createRecorder(ledgers: PairLedgers): Recorder {
  let waiting: Agreement[] = [];
  let flush: Promise<void> | undefined;
  return {
    agree(agreement) {
      waiting.push(agreement);
      flush ??= new Promise<void>((resolve) => setTimeout(resolve, gatherMs)).then(async () => {
        const all = waiting;
        waiting = [];
        flush = undefined;
        await recordAll(ledgers, all);
      });
      return flush;
    },
  };
}

/** In this order: what `aToB` has is never older than what `bToA` has. */
export async function recordAll(ledgers: PairLedgers, all: readonly Agreement[]): Promise<void> {
  if (all.length === 0) return;
  await record(ledgers, 'aToB', all);
  await record(ledgers, 'bToA', all);
}

async function record(ledgers: PairLedgers, way: Way, all: readonly Agreement[]): Promise<void> {
  const ledger = ledgers[way];
  const rows = await ledger.lookUp(all.map(({ key }) => ({ key, version: '' })));
  const known = all.flatMap((one, i) => {
    const [source, target] = way === 'aToB' ? [one.a, one.b] : [one.b, one.a];
    // Of what was never known and is not there, there is nothing to say.
    if (source === undefined && rows[i] === undefined) return [];
    return [{ write: writeOf(one.key, source, rows[i]), targetEtag: target?.etag ?? '', checksums: one.checksums }];
  });
  // In one turn of the event loop, which is one transaction.
  await Promise.all([
    ledger.note(known.map(({ write }) => write)),
    ledger.settle(
      known.map(({ write, targetEtag, checksums }) => ({
        ...{ ...write, targetEtag, state: 'verified' },
        ...(checksums === undefined ? {} : { checksums }),
      })),
    ),
  ]);
}

/** Never before the row's own time: clocks of two stores and this machine's may differ, and what is said now is newest. */
export function writeOf(key: string, state: HeldState | undefined, row: LedgerRow | undefined): NotedWrite {
  const noEarlierThan = (atMs: number): number => Math.max(atMs, row?.writtenAtMs ?? 0);
  if (state !== undefined) {
    const { etag, sizeBytes, writtenAtMs } = state;
    return { key, version: '', op: 'put', sizeBytes, sourceEtag: etag, writtenAtMs: noEarlierThan(writtenAtMs) };
  }
  const isOpen = row?.op === 'delete' && row.state !== 'verified';
  const sourceEtag = isOpen ? row.sourceEtag : `deleted-${Date.now()}`;
  return { key, version: '', op: 'delete', sizeBytes: 0, sourceEtag, writtenAtMs: noEarlierThan(Date.now()) };
}
