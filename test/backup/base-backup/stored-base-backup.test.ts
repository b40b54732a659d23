import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { check } from '../../../activities/backup/engine/check.ts';
import { saveStream } from '../../../activities/backup/engine/save-stream.ts';
import type { BackupResult } from '../../../activities/backup/engine/backup.ts';
import { openBaseBackup } from '../../../activities/backup/postgres/base-backup.ts';
import { manifestName, manifestPath } from '../../../activities/backup/postgres/backup-entry.ts';
import { readManifest, type ManifestFile } from '../../../activities/backup/postgres/manifest.ts';
import type { Repository } from '../../../activities/backup/repository/attach.ts';
import { baseBackupEntries, basePaths, storedBaseBackup } from '../../../activities/backup/source/postgres.ts';
import { initServer } from '../../../activities/drivers/postgres/init.ts';
import { makeOwnedDir, usableDataHome } from '../../../activities/drivers/postgres/owner.ts';
import { killServer, startServer } from '../../../activities/drivers/postgres/server.ts';
import { withSql } from '../../../activities/drivers/postgres/sql.ts';
import { anyPort } from '../../support/ports.ts';
import { initCheaply, password } from '../repository/support/repositories.ts';

let root: string;
let dataDir: string;
let url: string;
let repository: Repository;

before(async () => {
  root = mkdtempSync(path.join(usableDataHome(tmpdir()), 'muster-stored-base-'));
  chmodSync(root, 0o711);
  dataDir = path.join(root, 'sites', 'source');
  const port = await anyPort();
  await makeOwnedDir(path.dirname(dataDir));
  await initServer({ dataDir, superuser: 'muster', password: 'test' });
  await startServer({ dataDir, settings: { host: '127.0.0.1', port } });
  url = `postgres://muster:test@127.0.0.1:${port}/postgres`;
  await withSql(url, { statementMs: 60_000 }, async (client) => {
    await client.query('CREATE TABLE filler AS SELECT i, md5(i::text) AS x FROM generate_series(1, 100000) i');
    await client.query('CHECKPOINT');
  });
  repository = await initCheaply(path.join(root, 'repo'));
});
after(async () => {
  await repository.close();
  await killServer(dataDir);
  rmSync(root, { recursive: true, force: true });
});

async function saveBase(): Promise<BackupResult> {
  await using base = await openBaseBackup({ url, wal: 'included', checksums: 'SHA256' });
  const entries = baseBackupEntries(base);
  return await saveStream({ repository, entries, paths: basePaths, parent: null, threads: 2, host: 'test' });
}

test('a base backup comes back out of a repository as its manifest says, and a second one costs what changed', async () => {
  const first = await saveBase();
  assert.equal(first.kind, 'complete');
  const stored = await storedBaseBackup(repository, first.snapshot);
  assert.equal(stored.facts.hasWal, true);
  const [found, names] = [new Map<string, string>(), [] as string[]];
  let manifest = Buffer.alloc(0);
  for await (const entry of stored.entries()) {
    names.push(manifestPath(entry));
    if (entry.kind !== 'file') continue;
    const pieces: Buffer[] = [];
    for await (const piece of entry.body) pieces.push(piece);
    const content = Buffer.concat(pieces);
    assert.equal(content.length, entry.sizeBytes, entry.path);
    if (entry.path === manifestName) manifest = content;
    else found.set(manifestPath(entry), hash('sha256', content));
  }
  assert.equal(names.at(-1), manifestName);
  const listed: ManifestFile[] = [];
  readManifest(manifest, (file) => listed.push(file));
  assert.ok(listed.length > 500, `${listed.length} files`);
  for (const { path: name, checksum } of listed) assert.equal(found.get(name), checksum, name);

  await withSql(url, { statementMs: 60_000 }, (client) => client.query('UPDATE filler SET x = x WHERE i = 1'));
  const second = await saveBase();
  assert.ok(
    second.added.data.bytes < first.added.data.bytes / 2,
    `${second.added.data.bytes} of ${first.added.data.bytes}`,
  );
  assert.equal((await check({ repository, read: { kind: 'all' }, threads: 2 })).kind, 'intact');
});

const hasRestic = await promisify(execFile)('restic', ['version']).then(
  () => true,
  () => false,
);

test(
  'stock restic restores it as a data directory',
  { skip: hasRestic ? false : 'restic is not installed' },
  async () => {
    await saveBase();
    const target = path.join(root, 'by-restic');
    const env = { ...process.env, RESTIC_PASSWORD: password, RESTIC_CACHE_DIR: path.join(root, 'cache') };
    const repo = path.join(root, 'repo');
    await promisify(execFile)('restic', ['-r', repo, 'restore', 'latest', '--target', target], { env });
    const data = path.join(target, 'postgres', 'data');
    const listed: ManifestFile[] = [];
    readManifest(readFileSync(path.join(data, manifestName)), (file) => listed.push(file));
    for (const { path: name, checksum } of listed) {
      assert.equal(hash('sha256', readFileSync(path.join(data, name))), checksum, name);
    }
  },
);
