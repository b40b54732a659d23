import { type PackedScan, type ScanPage, type ScanRow } from '../../../storage-node/store/drive-api.ts';
import { EntryPacker, spanOf } from '../../../storage-node/store/packed-entries.ts';

/** The page as `scanPacked` has it, but for its digest. */
export function packedOf(page: ScanPage): Pick<PackedScan, 'entries' | 'rows' | 'next' | 'undecided'> {
  const packer = new EntryPacker();
  const entries: { key: Uint8Array; row?: ScanRow }[] = [
    ...page.rows.map((row) => ({ key: row.key, row })),
    ...page.rollups.map((key) => ({ key })),
  ];
  for (const { key, row } of entries.sort((a, b) => Buffer.compare(a.key, b.key))) {
    if (row === undefined) packer.rollup(key);
    else packer.row(key, row, spanOf(row.state));
  }
  const undecided = page.rows.some(({ decided }) => !decided);
  return { entries: packer.end(), rows: page.rows.length, next: page.next, undecided };
}
