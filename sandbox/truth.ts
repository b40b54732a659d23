import { createReadStream } from 'node:fs';

/** `acked`: the client was told that the order is placed. `refused`: told that it is not. `unknown`: told nothing it can trust. */
export type TruthOutcome = 'acked' | 'refused' | 'unknown';

/** One order as its client saw it; times are Unix milliseconds of the clients' clock. */
export interface TruthRow {
  id: string;
  client: string;
  sentAtMs: number;
  endAtMs: number;
  outcome: TruthOutcome;
  /** Site that answered, when one did. */
  site: string | null;
  /** Whether the answer said that the order's receipt is kept at that site. */
  receipt?: 'written' | 'pending';
}

export interface TruthComparison {
  acked: number;
  refused: number;
  unknown: number;
  /** Acknowledged and not in the database: lost. Every one is listed. */
  missing: TruthRow[];
  /** Nobody was told, and it is there. */
  unknownCommitted: number;
  /** Told that it is not placed, and it is there: the shop or the entry lied. */
  refusedCommitted: TruthRow[];
}

const lookupAtOnce = 5000;

/** Reads the clients' truth file row by row. A last line that was cut off is left out. */
export async function* readTruth(file: string): AsyncGenerator<TruthRow> {
  let rest = '';
  for await (const chunk of createReadStream(file, { encoding: 'utf8', highWaterMark: 1 << 20 })) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield JSON.parse(line) as TruthRow;
  }
}

/**
 * Holds what the clients saw against what a database has, a few thousand rows at a time.
 * @param lookup which of these ids the database has
 */
export async function compareTruth(
  rows: AsyncIterable<TruthRow> | Iterable<TruthRow>,
  lookup: (ids: string[]) => Promise<ReadonlySet<string>>,
): Promise<TruthComparison> {
  const result: TruthComparison = {
    acked: 0,
    refused: 0,
    unknown: 0,
    missing: [],
    unknownCommitted: 0,
    refusedCommitted: [],
  };
  let batch: TruthRow[] = [];
  const flush = async () => {
    const present = await lookup(batch.map((row) => row.id));
    for (const row of batch) count(result, row, present.has(row.id));
    batch = [];
  };
  for await (const row of rows) {
    batch.push(row);
    if (batch.length >= lookupAtOnce) await flush();
  }
  if (batch.length > 0) await flush();
  return result;
}

/** A lookup in the shop's own table. */
export function lookupOrders(db: { query(text: string, values: unknown[]): Promise<{ rows: unknown[] }> }) {
  return async (ids: string[]): Promise<ReadonlySet<string>> => {
    const { rows } = await db.query('SELECT id FROM orders WHERE id = ANY($1::uuid[])', [ids]);
    return new Set((rows as { id: string }[]).map((row) => row.id));
  };
}

function count(result: TruthComparison, row: TruthRow, present: boolean): void {
  result[row.outcome] += 1;
  if (row.outcome === 'acked' && !present) result.missing.push(row);
  if (row.outcome === 'unknown' && present) result.unknownCommitted += 1;
  if (row.outcome === 'refused' && present) result.refusedCommitted.push(row);
}
