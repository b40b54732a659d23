import { StorageError } from '../errors.ts';
import { type IndexStore } from './index-store.ts';

const key = Buffer.from('drive');

/**
 * An index belongs to one drive, and a drive is nothing without it: it holds the votes. A drive whose index was lost or
 * exchanged must not vote as if it had never voted; it is to be replaced, and healed from the others.
 * @throws StorageError Corrupt
 */
export async function checkIdentity(
  { index, driveId, directory }: { index: IndexStore; driveId: string; directory: string },
  segmentFiles: number,
): Promise<void> {
  const stored = index.get('meta', key)?.toString();
  if (stored === driveId) return;
  if (stored !== undefined) {
    const message = `the index in ${directory} is that of drive ${stored}, not of ${driveId}; the drive is left as it is`;
    throw new StorageError('Corrupt', message);
  }
  if (segmentFiles > 0 || index.count('registers') > 0) {
    const message = `the index of ${directory} is lost, and ${segmentFiles} segment files are there; replace the drive by an empty one`;
    throw new StorageError('Corrupt', message);
  }
  await index.write([{ table: 'meta', key, value: Buffer.from(driveId) }]);
}
