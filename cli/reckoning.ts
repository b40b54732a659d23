/** What a game day really cost, counted by those who paid: the clients and their truth file. */
import pg from 'pg';
import { writeGapOfClients, secondsOfClients, type ClientWrite } from '../console/report/from-clients.ts';
import type { RunExtras } from '../console/report/from-ledger.ts';
import type { ClientSecond, ObjectsTruth, TruthRow as LostRow } from '../console/report/input.ts';
import type { GameDayResult } from '../sandbox/game-day.ts';
import { compareReceipts, receiptOf, type ReceiptsTruth } from '../sandbox/receipts-truth.ts';
import { compareTruth, readTruth, type TruthRow } from '../sandbox/truth.ts';
import type { BucketSite } from '../activities/drivers/bucket/config.ts';

export interface Reckoning {
  clients: ClientSecond[];
  extras: Record<string, RunExtras>;
  /** Fault to the first write that clients got acknowledged at the other site, milliseconds; null when there was none. */
  outageMs: number | null;
  lost: number;
  receipts: ReceiptsTruth;
}

/** Counts against the database that is the primary at the end. The clients must have stopped. */
export async function reckon(
  result: GameDayResult,
  truthFile: string,
  final: { url: string; buckets: readonly BucketSite[]; copied: boolean },
): Promise<Reckoning> {
  const rows: TruthRow[] = [];
  for await (const row of readTruth(truthFile)) rows.push(row);
  const direct = result.direct.acks().map((ack): TruthRow => ({
    id: ack.id,
    client: 'direct',
    sentAtMs: ack.sentAtMs,
    endAtMs: ack.ackedAtMs,
    outcome: 'acked',
    site: 'hangzhou',
  }));
  const lost = await lostRows([...rows, ...direct], final.url);
  const receipts = await compareReceipts(rows, final.buckets, final.copied ? 'hangzhou' : null);
  const writes = rows.map((row): ClientWrite => ({
    endAtMs: row.endAtMs,
    acked: row.outcome === 'acked',
    site: row.site,
  }));
  const heardUntilMs = Math.max(...rows.map((row) => row.endAtMs), result.faultAtMs);
  const firstAway = rows.find(
    (row) => row.outcome === 'acked' && row.site === 'beijing' && row.endAtMs >= result.faultAtMs,
  );
  return {
    clients: secondsOfClients(writes),
    extras: extrasOf(result, { rows, direct, writes, lost, heardUntilMs, receipts }),
    receipts,
    outageMs: firstAway === undefined ? null : firstAway.endAtMs - result.faultAtMs,
    lost: lost.length,
  };
}

interface Counted {
  rows: TruthRow[];
  direct: TruthRow[];
  writes: ClientWrite[];
  lost: TruthRow[];
  heardUntilMs: number;
  receipts: ReceiptsTruth;
}

/** A lost row belongs to the run whose switch lost it: the failover's if the old site acknowledged it, else the failback's. */
function extrasOf(result: GameDayResult, counted: Counted): Record<string, RunExtras> {
  const [failover, , failback] = result.runs;
  if (failover === undefined || failback === undefined) return {};
  // Fences, not promotions: a fence is stamped before the next writer can open, a promotion a moment after it has.
  const fencedAtMs = failover.clocks.fenced ?? Infinity;
  const homeAtMs = failback.clocks.fenced ?? Infinity;
  const byOld = (row: TruthRow): boolean => row.site === 'hangzhou' && row.endAtMs < homeAtMs;
  const afterPromotion = [...counted.rows, ...counted.direct].filter(
    (row) => row.outcome === 'acked' && byOld(row) && row.endAtMs > fencedAtMs,
  );
  const gap = (from: number | undefined, to: number | undefined): NonNullable<RunExtras['writeGap']> | null =>
    from === undefined || to === undefined
      ? null
      : writeGapOfClients(counted.writes, { fromMs: from, toMs: to }, counted.heardUntilMs);
  const acknowledged = (until: number): number =>
    [...counted.rows, ...counted.direct].filter((row) => row.outcome === 'acked' && row.endAtMs <= until).length;
  return {
    [failover.runId]: {
      writeGap: gap(result.faultAtMs, failover.clocks.committed),
      truth: {
        acknowledged: acknowledged(failover.clocks.committed ?? Infinity),
        lost: counted.lost.filter(byOld).map(toLostRow),
        ackedByOldAfterPromotion: afterPromotion.map(toLostRow),
        twoWritersMs: twoWritersMs(counted.rows, fencedAtMs, homeAtMs),
        objects: objectsOf(counted, byOld, result.faultAtMs),
      },
    },
    [failback.runId]: {
      writeGap: gap(failback.clocks.started, failback.clocks['failed-back']),
      truth: {
        acknowledged: acknowledged(Infinity),
        lost: counted.lost.filter((row) => !byOld(row)).map(toLostRow),
        ackedByOldAfterPromotion: [],
        twoWritersMs: 0,
        objects: objectsOf(counted, (row) => !byOld(row), null),
      },
    },
  };
}

/** Receipts that were confirmed by one side of a switch, and what of them was lost with it. */
function objectsOf(
  { rows, receipts }: Counted,
  belongs: (row: TruthRow) => boolean,
  struckAtMs: number | null,
): ObjectsTruth {
  return {
    ...{ resource: 'receipts', struckAtMs },
    confirmed: rows.filter((row) => row.receipt === 'written' && belongs(row)).length,
    lost: receipts.missing
      .filter(belongs)
      .map((row) => ({ ...toLostRow(row), table: 'receipts', key: receiptOf(row) })),
  };
}

/** How long the entry's clients got writes from the old site after the new one had answered its first. */
function twoWritersMs(rows: readonly TruthRow[], fencedAtMs: number, homeAtMs: number): number {
  const acked = rows.filter((row) => row.outcome === 'acked' && row.endAtMs > fencedAtMs && row.endAtMs < homeAtMs);
  const firstNewMs = acked.find((row) => row.site === 'beijing')?.endAtMs ?? Infinity;
  const lastOldMs = Math.max(-Infinity, ...acked.filter((row) => row.site === 'hangzhou').map((row) => row.sentAtMs));
  return Math.max(0, lastOldMs - firstNewMs);
}

function toLostRow(row: TruthRow): LostRow {
  return { table: 'public.orders', key: row.id, ackedAtMs: row.endAtMs, site: row.site };
}

async function lostRows(rows: readonly TruthRow[], url: string): Promise<TruthRow[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    const lookup = async (ids: string[]): Promise<ReadonlySet<string>> => {
      const found = await client.query<{ id: string }>('SELECT id FROM orders WHERE id = ANY($1::uuid[])', [ids]);
      return new Set(found.rows.map((row) => row.id));
    };
    return (await compareTruth(rows, lookup)).missing;
  } finally {
    await client.end();
  }
}
