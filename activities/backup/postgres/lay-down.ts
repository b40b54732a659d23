import { symlink, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { giveToOwner, makeOwnedDir } from '../../drivers/postgres/owner.ts';
import { TreeWriter } from '../../drivers/postgres/tree-writer.ts';
import { codeOf, failedWrite } from '../repository/durable-write.ts';
import { manifestName, type BackupEntry, type StoredBackup, type Tablespace } from './backup-entry.ts';
import { safePath } from './backup-flow.ts';
import { compareStored } from './check-stored.ts';
import { FileInspector } from './file-inspector.ts';
import { readAll } from './wal-content.ts';

export interface LayDownOptions {
  /** Empty, and the server owner's. */
  dataDir: string;
  signal?: AbortSignal;
  onProgress?(progress: { bytes: number; totalBytes: number }): void;
}

export interface LaidDown {
  bytes: number;
  files: number;
}

const reportBytes = 4 << 20;

/** Where the tablespaces of a restored server lie: beside its data directory, one folder each. */
export function tablespaceDir(dataDir: string): string {
  return `${dataDir}.tablespaces`;
}

/**
 * Writes a base backup as a data directory, its tablespaces beside it, and compares every file with the manifest on the
 * way: what is missing, extra or different is named, all of it. Removes nothing on failure.
 * @throws MusterError RESTORE_FAILED, TARGET_FULL, CREDENTIALS_REFUSED
 */
export async function layDown(backup: StoredBackup, options: LayDownOptions): Promise<LaidDown> {
  const { facts } = backup;
  const writing = new Writing(options, new FileInspector(facts.checksums), facts.bytes);
  try {
    for (const tablespace of facts.tablespaces) await writing.link(tablespace);
    for await (const entry of backup.entries()) await writing.write(entry);
    await writing.end();
  } catch (err) {
    await writing.settle();
    throw codeOf(err) === '' || err instanceof MusterError ? err : failedWrite(options.dataDir, err);
  }
  const { inspector, manifest } = writing;
  compareStored(facts, inspector, manifest);
  return { bytes: inspector.bytes, files: inspector.files };
}

class Writing {
  readonly #options: LayDownOptions;
  readonly #totalBytes: number;
  readonly #trees = new Map<number | null, TreeWriter>();
  readonly inspector: FileInspector;
  #reportAt = reportBytes;
  manifest: Buffer | null = null;

  constructor(options: LayDownOptions, inspector: FileInspector, totalBytes: number) {
    this.#options = options;
    this.#totalBytes = totalBytes;
    this.inspector = inspector;
  }

  /** Links are made for the place where the tablespace lies now; one that lies inside the data directory needs none. */
  async link({ oid, location }: Tablespace): Promise<void> {
    if (!path.isAbsolute(location)) return;
    const { dataDir } = this.#options;
    const home = path.join(tablespaceDir(dataDir), String(oid));
    await makeOwnedDir(tablespaceDir(dataDir));
    await makeOwnedDir(home);
    await mkdir(path.join(dataDir, 'pg_tblspc'), { recursive: true, mode: 0o700 });
    await giveToOwner(path.join(dataDir, 'pg_tblspc'));
    await symlink(home, path.join(dataDir, 'pg_tblspc', String(oid)));
  }

  async write(entry: BackupEntry): Promise<void> {
    this.#options.signal?.throwIfAborted();
    const { kind, mode, sizeBytes: size, mtimeMs } = entry;
    const name = safePath(entry.path);
    if (kind === 'symlink') throw new MusterError('RESTORE_FAILED', `${name} is a link, which no base backup has`);
    if (entry.tablespace === null && name === manifestName) {
      this.manifest = await readAll(entry.body);
      return;
    }
    const tree = this.#treeOf(entry.tablespace);
    if (kind === 'file') this.inspector.begin(entry);
    tree.entry({ name, kind, mode, size, linkTarget: '', mtimeSeconds: mtimeMs / 1000 });
    for await (const bytes of entry.body) {
      this.inspector.update(bytes);
      tree.data(bytes);
      if (tree.full) await tree.room();
      this.#report();
    }
    this.inspector.end();
  }

  #report(): void {
    const { bytes } = this.inspector;
    if (bytes < this.#reportAt && bytes < this.#totalBytes) return;
    this.#reportAt = bytes + reportBytes;
    this.#options.signal?.throwIfAborted();
    this.#options.onProgress?.({ bytes, totalBytes: this.#totalBytes });
  }

  async end(): Promise<void> {
    for (const tree of this.#trees.values()) await tree.end();
  }

  async settle(): Promise<void> {
    for (const tree of this.#trees.values()) await tree.settle();
  }

  #treeOf(tablespace: Tablespace | null): TreeWriter {
    const key = tablespace?.oid ?? null;
    let tree = this.#trees.get(key);
    if (tree === undefined) this.#trees.set(key, (tree = new TreeWriter(this.#homeOf(tablespace))));
    return tree;
  }

  #homeOf(tablespace: Tablespace | null): string {
    const { dataDir } = this.#options;
    if (tablespace === null) return dataDir;
    const { oid, location } = tablespace;
    if (path.isAbsolute(location)) return path.join(tablespaceDir(dataDir), String(oid));
    return path.join(dataDir, safePath(location));
  }
}
