import { listKeys } from '../activities/drivers/bucket/cluster.ts';
import type { BucketSite } from '../activities/drivers/bucket/config.ts';
import type { TruthRow } from './truth.ts';

/** What became of the receipts: held against what the writer's cluster has at the end. */
export interface ReceiptsTruth {
  /** Orders whose answer said that the receipt is kept. */
  written: number;
  /** Of these, receipts that the writer does not have: lost. */
  missing: TruthRow[];
  /** Objects at each site. */
  held: Record<string, number>;
}

export const receiptOf = ({ id }: Pick<TruthRow, 'id'>): string => `${id}.json`;

/**
 * Counts receipts, a page of keys at a time.
 * @param writer name of the site that writes now; null where nothing is copied, and each site has its own
 * @throws MusterError STORAGE_UNREACHABLE
 */
export async function compareReceipts(
  rows: readonly TruthRow[],
  sites: readonly BucketSite[],
  writer: string | null,
): Promise<ReceiptsTruth> {
  const held = new Map<string, Set<string>>();
  for (const site of sites) held.set(site.site, await keysOf(site));
  const said = rows.filter(({ receipt }) => receipt === 'written');
  return {
    written: said.length,
    missing: said.filter((row) => held.get(writer ?? row.site ?? '')?.has(receiptOf(row)) !== true),
    held: Object.fromEntries([...held].map(([site, keys]) => [site, keys.size])),
  };
}

async function keysOf(site: BucketSite): Promise<Set<string>> {
  const keys = new Set<string>();
  let after = '';
  for (;;) {
    const page = await listKeys(site, after, { timeoutMs: 10_000 });
    for (const key of page) if (!key.startsWith('.muster/')) keys.add(key);
    const last = page.at(-1);
    if (last === undefined) return keys;
    after = last;
  }
}
