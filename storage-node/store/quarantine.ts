import { type FileSystem, writeWhole } from './file-system.ts';
import { type IndexKey } from './drive-api.ts';
import { type IndexStore, type IndexWrite } from './index-store.ts';

const folder = 'quarantine';
const reasonSuffix = '.reason.txt';

/** Moves a file nobody can explain out of the way, with a note why; it is never deleted. */
export async function quarantineFile(
  { files, home }: { files: FileSystem; home: string },
  path: string,
  reason: string,
): Promise<void> {
  const directory = `${home}/${folder}`;
  await files.makeDirectory(directory);
  const taken = new Set(await files.list(directory));
  const base = path.slice(path.lastIndexOf('/') + 1);
  let name = base;
  for (let i = 1; taken.has(name); i++) name = `${base}.${i}`;
  await writeWhole(files, directory, `${name}${reasonSuffix}`, Buffer.from(`${path}: ${reason}\n`));
  await files.rename(path, `${directory}/${name}`);
  await files.syncDirectory(directory);
}

/** How many files lie in quarantine. */
export async function countQuarantine(files: FileSystem, home: string): Promise<number> {
  const names = await files.list(`${home}/${folder}`).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => !name.startsWith('.') && !name.endsWith(reasonSuffix)).length;
}

const rowPrefix = 'quarantine/';

/** Keeps a copy of a register's row that cannot be read any more. */
export function quarantineRow(key: IndexKey, row: Buffer): IndexWrite {
  return { table: 'meta', key: Buffer.concat([Buffer.from(rowPrefix), key]), value: row };
}

export function countQuarantinedRows(index: IndexStore): number {
  let count = 0;
  index.each({ table: 'meta', from: Buffer.from(rowPrefix), to: Buffer.from('quarantine0') }, () => {
    count += 1;
    return true;
  });
  return count;
}
