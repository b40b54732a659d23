import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
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
import { openRepositoryWalArchive } from '../../../activities/backup/postgres/repository-wal-archive.ts';
import { SpooledWalStore } from '../../../activities/backup/postgres/spooled-wal-store.ts';
import { startReceiver } from '../../../activities/backup/postgres/wal-stream.ts';
import { findPostgres } from '../../../activities/drivers/postgres/binaries.ts';
import { hasReached } from '../../../activities/drivers/postgres/lsn.ts';
import { eventually } from '../../support/eventually.ts';
import { readManifest, type ManifestFile } from '../../../activities/backup/postgres/manifest.ts';
import type { Repository } from '../../../activities/backup/repository/attach.ts';
import { baseBackupEntries, basePaths, storedBaseBackup } from '../../../activities/backup/source/postgres.ts';
import { initServer } from '../../../activities/drivers/postgres/init.ts';
import { asOwner, giveTreeToOwner, makeOwnedDir, usableDataHome } from '../../../activities/drivers/postgres/owner.ts';
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
  await startServer({ dataDir, settings: { host: '127.0.0.1', port, extra: { fsync: 'off' } } });
  url = `postgres://muster:test@127.0.0.1:${port}/postgres`;
  const aside = path.join(root, 'sites', 'aside');
  await makeOwnedDir(aside);
  await withSql(url, { connectMs: 30_000, statementMs: 60_000 }, async (client) => {
    await client.query(`CREATE TABLESPACE aside LOCATION '${aside}'`);
    await client.query('CREATE TABLE there TABLESPACE aside AS SELECT generate_series(1, 100) AS i');
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

  await withSql(url, { connectMs: 30_000, statementMs: 60_000 }, (client) =>
    client.query('UPDATE filler SET x = x WHERE i = 1'),
  );
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
      const file = name.startsWith('pg_tblspc/') ? `../${name.replace('pg_tblspc', 'tablespaces')}` : name;
      assert.equal(hash('sha256', readFileSync(path.join(data, file))), checksum, name);
    }
  },
);

const missing = ['openssl', 'zstd', 'xxd', 'jq'].filter(
  (program) => spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status !== 0,
);

/** A block of the page on PostgreSQL, as it stands there. */
function documented(name: string): string {
  const page = readFileSync(path.join(import.meta.dirname, '../../../docs/protection-postgresql.md'), 'utf8');
  const block = page.split(`<!-- ${name} -->`)[1]?.split('```')[1] ?? '';
  assert.ok(block.startsWith('sh\n'), `the page has no block ${name}`);
  return block.slice('sh\n'.length);
}

test(
  'without Muster: base backup and WAL come back to the last archived row, as the documentation says',
  { skip: !hasRestic ? 'restic is not installed' : missing.length > 0 && `${missing.join(', ')} is not installed` },
  async () => {
    await using base = await openBaseBackup({ url, wal: 'included' });
    const { systemId } = base.server;
    const archive = openRepositoryWalArchive(repository, { service: 'shop', resource: 'orders', systemId });
    await using store = await SpooledWalStore.open({ archive, dir: path.join(root, 'spool') });
    await using receiver = startReceiver({ url: () => url, slot: null, store });
    await eventually('it streams', () => receiver.status().state === 'streaming');
    const entries = baseBackupEntries(base);
    await saveStream({ repository, entries, paths: basePaths, parent: null, threads: 2, host: 'test' });
    const lsn = await withSql(url, { connectMs: 30_000, statementMs: 60_000 }, async (client) => {
      await client.query('CREATE TABLE later AS SELECT generate_series(1, 1000) AS i');
      await client.query('SELECT pg_switch_wal()');
      await client.query('INSERT INTO later VALUES (1001)');
      const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
      return rows[0]?.lsn ?? '';
    });
    await eventually('all of it is received', () => hasReached(receiver.status().flushedLsn, lsn));
    await receiver.stop();
    await store.flush();

    const target = path.join(root, 'sites', 'by-hand');
    const [data, wal] = [path.join(target, 'postgres', 'data'), path.join(target, 'wal')];
    const script = [
      'restic restore latest --path /postgres --target "$TARGET"',
      ...['unpack-wal', 'recover-by-hand'].map(documented),
    ];
    await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script.join('\n')], {
      env: {
        ...process.env,
        ...{
          RESTIC_REPOSITORY: path.join(root, 'repo'),
          RESTIC_PASSWORD: password,
          RESTIC_CACHE_DIR: path.join(root, 'cache'),
        },
        ...{ SEALED: path.join(root, 'repo', 'muster', 'wal', 'shop', 'orders', systemId), TARGET: target, WAL: wal },
        ...{ DATA: data, SPACES: path.join(target, 'postgres', 'tablespaces') },
      },
    });
    await giveTreeToOwner(target);
    const port = await anyPort();
    const { postgres } = await findPostgres();
    const options = [
      '-D',
      data,
      '-p',
      String(port),
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      'unix_socket_directories=',
    ];
    const child = spawn(postgres, options, { ...asOwner(), cwd: data, stdio: 'ignore' });
    const gone = once(child, 'exit');
    try {
      await eventually('it has all rows and is open', async () =>
        withSql(`postgres://muster:test@127.0.0.1:${port}/postgres`, { connectMs: 30_000 }, async (client) => {
          const { rows } = await client.query<{ n: number; there: number; recovering: boolean }>(
            'SELECT (SELECT count(*) FROM later)::int AS n, (SELECT count(*) FROM there)::int AS there, pg_is_in_recovery() AS recovering',
          );
          return rows[0]?.n === 1001 && rows[0].there === 100 && !rows[0].recovering;
        }),
      );
    } finally {
      child.kill('SIGKILL');
      await gone;
    }
  },
);
