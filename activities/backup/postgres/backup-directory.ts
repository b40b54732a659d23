import { lstat, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { codeOf, failedWrite, syncDirectory, writeWhole } from '../repository/durable-write.ts';
import {
  manifestName,
  type BackupEntry,
  type BackupFacts,
  type StoredBackup,
  type Tablespace,
} from './backup-entry.ts';
import { BackupWriter } from './backup-writer.ts';
import type { BaseBackup } from './base-backup.ts';
import { bytesContent, readFilePieces } from './wal-content.ts';

/**
 * A base backup as plain files: `data/`, `tablespaces/<oid>/`, and `backup.json` with the facts, which is written last:
 * without it the backup does not count.
 */
const factsFile = 'backup.json';

/**
 * Saves a base backup into a new directory and returns its facts. Everything is on disk then. On failure what was
 * written is removed again.
 * @throws MusterError CONFIG_INVALID when the directory is not empty, TARGET_FULL, CREDENTIALS_REFUSED, and what
 * reading the backup throws
 */
export async function saveBackup(backup: BaseBackup, dir: string, options = { sync: true }): Promise<BackupFacts> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if ((await readdir(dir)).length > 0) throw new MusterError('CONFIG_INVALID', `${dir} is not empty`);
  try {
    await writeEntries(backup, dir, options.sync);
    const facts = backup.facts();
    if (options.sync) await syncDirectories(dir);
    const text = `${JSON.stringify(facts, null, 2)}\n`;
    await writeWhole(path.join(dir, factsFile), [Buffer.from(text)], { directory: 0o700, file: 0o600 });
    return facts;
  } catch (err) {
    await rm(dir, { recursive: true, force: true });
    throw codeOf(err) === '' || err instanceof MusterError ? err : failedWrite(dir, err);
  }
}

async function writeEntries(backup: BaseBackup, dir: string, sync: boolean): Promise<void> {
  await mkdir(path.join(dir, 'data'), { mode: 0o700 });
  const tree = new BackupWriter(dir, { sync });
  try {
    await backup.deliver({
      entry({ tablespace, path: name, kind, linkTarget }) {
        tree.entry({ name: path.join(folderOf(tablespace), name), kind, linkTarget });
      },
      data: (bytes) => tree.data(bytes),
      handOver: (release) => tree.handOver(release),
      get full() {
        return tree.full;
      },
      room: () => tree.room(),
    });
    await tree.end();
  } catch (err) {
    await tree.settle();
    throw err;
  }
}

function folderOf(tablespace: Tablespace | null): string {
  return tablespace === null ? 'data' : path.join('tablespaces', String(tablespace.oid));
}

async function syncDirectories(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await syncDirectory(path.join(entry.parentPath, entry.name));
  }
  await syncDirectory(dir);
}

/** @throws MusterError SNAPSHOT_UNKNOWN when there is no complete backup */
export async function openBackupDirectory(dir: string): Promise<StoredBackup> {
  const text = await readFile(path.join(dir, factsFile), 'utf8').catch((cause: unknown) => {
    throw new MusterError('SNAPSHOT_UNKNOWN', `there is no complete base backup in ${dir}`, { cause });
  });
  const facts = JSON.parse(text) as BackupFacts;
  return { facts, entries: () => readBack(dir, facts) };
}

async function* readBack(dir: string, { tablespaces }: BackupFacts): AsyncGenerator<BackupEntry> {
  for (const tablespace of [...tablespaces, null]) {
    const root = path.join(dir, folderOf(tablespace));
    const found = await readdir(root, { recursive: true }).catch(() => []);
    const names = found.filter((name) => name !== manifestName).toSorted();
    if (tablespace === null) names.push(manifestName);
    yield* readAhead(names.map((name) => () => entryOf(root, name, tablespace)));
  }
}

/** A cluster is a thousand small files and a few large ones: the small ones are read several at a time, before their turn. */
const entriesAhead = 16;
const smallBytes = 256 << 10;

async function* readAhead(makers: readonly (() => Promise<BackupEntry>)[]): AsyncGenerator<BackupEntry> {
  const waiting: Promise<BackupEntry>[] = [];
  const begin = (index: number): void => {
    const entry = makers[index]?.();
    if (entry === undefined) return;
    entry.catch(() => undefined); // asked for in its turn
    waiting.push(entry);
  };
  for (let index = 0; index < entriesAhead; index++) begin(index);
  for (let next = entriesAhead; waiting.length > 0; next++) {
    const entry = await waiting.shift();
    begin(next);
    if (entry !== undefined) yield entry;
  }
}

async function entryOf(root: string, name: string, tablespace: Tablespace | null): Promise<BackupEntry> {
  const file = path.join(root, name);
  const stats = await lstat(file).catch((cause: unknown) => {
    throw new MusterError('RESTORE_FAILED', `${file} is not there`, { cause });
  });
  const kind = stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'symlink' : 'file';
  const small = kind === 'file' && stats.size <= smallBytes ? await readFile(file) : null;
  return {
    ...{ tablespace, path: name.split(path.sep).join('/'), kind, mode: stats.mode & 0o7777, mtimeMs: stats.mtimeMs },
    ...{ sizeBytes: kind === 'file' ? stats.size : 0, linkTarget: '' },
    body: small === null && kind === 'file' ? readFilePieces(file) : bytesContent(small ?? Buffer.alloc(0)).read(),
  };
}
