/** Counts files and bytes as a backup would find them; see scan.ts. */
import { lstatSync, readdirSync, type Dirent } from 'node:fs';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { excludeBy } from '../../activities/backup/source/excludes.ts';
import type { ScanSource, Total } from './scan.ts';

const { paths, excludes, oneFileSystem } = workerData as ScanSource;
const isExcluded = excludeBy(excludes);
const total: Total = { files: 0, bytes: 0 };

function count(at: string, device: number): void {
  for (const entry of entriesOf(at)) {
    const inner = at === '/' ? `/${entry.name}` : `${at}/${entry.name}`;
    if (isExcluded(inner, entry.isDirectory()) || (!entry.isDirectory() && !entry.isFile())) continue;
    const stats = lstatSync(inner, { throwIfNoEntry: false });
    if (stats === undefined || (oneFileSystem && stats.dev !== device)) continue;
    if (stats.isDirectory()) count(inner, device);
    else add(stats.size);
  }
}

function add(sizeBytes: number): void {
  total.files += 1;
  total.bytes += sizeBytes;
}

/** What cannot be read counts for nothing here: the backup names it. */
function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

for (const one of paths.map((given) => path.resolve(given))) {
  const stats = lstatSync(one, { throwIfNoEntry: false });
  if (stats?.isDirectory() === true) count(one, stats.dev);
  else if (stats?.isFile() === true) add(stats.size);
}
parentPort?.postMessage(total);
