/** The activity that streams a database's WAL into a vault: killed, cut off, resumed, refused. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { readWalMap } from '../../activities/backup/postgres/recovery-plan.ts';
import { openRepositoryWalArchive } from '../../activities/backup/postgres/repository-wal-archive.ts';
import type { WalArchive } from '../../activities/backup/postgres/wal-archive.ts';
import { bytesContent, readAll } from '../../activities/backup/postgres/wal-content.ts';
import { walRanges } from '../../activities/backup/postgres/wal-gaps.ts';
import type { Repository } from '../../activities/backup/repository/attach.ts';
import { hasReached } from '../../activities/drivers/postgres/lsn.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { ArchiveWalOrder } from '../../workflows/engine/protection.ts';
import { testHome, testServer, type TestHome, type TestServer } from '../backup/postgres/support/servers.ts';
import { initCheaply, password } from '../backup/repository/support/repositories.ts';
import { eventually } from '../support/eventually.ts';
import { startArchiving } from './support/archiving.ts';

const segmentBytes = 1 << 20;
const root = mkdtempSync(path.join(tmpdir(), 'muster-archive-wal-'));
let home: TestHome;
let server: TestServer;
let systemId: string;
const open: Repository[] = [];

before(async () => {
  home = await testHome('archive-wal');
  server = await testServer(home, { walSegmentMegabytes: 1, extra: { wal_keep_size: '256MB' } });
  process.env['TEST_WAL_URL'] = server.url;
  process.env['TEST_WAL_VAULT'] = password;
  systemId = await one<string>('SELECT system_identifier::text AS it FROM pg_control_system()');
});
after(async () => {
  for (const repository of open) await repository.close();
  await server[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

interface Tried {
  order: ArchiveWalOrder;
  archive: WalArchive;
  repository: Repository;
  home: string;
}

async function tried(name: string, change: Partial<ArchiveWalOrder> = {}): Promise<Tried> {
  const repository = await initCheaply(path.join(root, name));
  open.push(repository);
  const resource = {
    ...{ name: 'orders', driver: 'postgres', shared: { tables: '*' } },
    sites: { hangzhou: { url: 'env:TEST_WAL_URL', dataDir: '/nowhere' } },
  };
  const vault = {
    ...{ name, repository: path.join(root, name), password: 'env:TEST_WAL_VAULT' },
    ...{ site: null, verifyWithinSeconds: null, lockSeconds: null },
  };
  return {
    order: { service: 'shop', resource, site: 'hangzhou', vault, synchronous: false, startedBy: 'test', ...change },
    archive: openRepositoryWalArchive(repository, { service: 'shop', resource: 'orders', systemId }),
    ...{ repository, home: path.join(root, `${name}-home`) },
  };
}

async function one<T>(sql: string, values: unknown[] = []): Promise<T> {
  return server.sql(async (client) => {
    const { rows } = await client.query<{ it: T }>(sql, values);
    return rows[0]?.it as T;
  });
}

const flushLsn = (): Promise<string> => one('SELECT pg_current_wal_flush_lsn()::text AS it');
const writeWal = (bytes: number): Promise<unknown> =>
  one(
    "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 900), true)::text AS it FROM generate_series(1, $1)",
    [Math.ceil(bytes / 960)],
  );

async function namesIn(archive: WalArchive): Promise<string[]> {
  const names: string[] = [];
  for await (const name of archive.list()) names.push(name);
  return names.toSorted();
}

/** Every segment is there once, whole, as the server has it; the last one as far as it goes. */
async function assertWhole(archive: WalArchive, atLeast: number): Promise<void> {
  const names = (await namesIn(archive)).filter((name) => !name.endsWith('.partial'));
  assert.ok(names.length >= atLeast, names.join(' '));
  for (const name of names) {
    const pieces = await archive.get(name);
    assert.ok(pieces !== null);
    assert.ok((await readAll(pieces)).equals(readFileSync(path.join(server.dataDir, 'pg_wal', name))), name);
  }
  const kinds = walRanges(await readWalMap(archive, segmentBytes)).map(({ kind }) => kind);
  assert.deepEqual(
    kinds.filter((kind) => kind === 'lost'),
    [],
  );
}

test('WAL comes into the vault, the slot follows what is there, and no lock of the repository is held', async () => {
  const { order, archive, repository, home: at } = await tried('plain');
  await using archiving = startArchiving(order, at);
  await eventually('it streams', () => archiving.progress()?.state === 'streaming');
  const begun = await flushLsn();
  await writeWal(4 * segmentBytes);
  const lsn = await flushLsn();
  await eventually('all of it is received', () => hasReached(archiving.progress()?.receivedLsn, lsn));
  for await (const lock of repository.store.list('lock')) assert.fail(`a lock: ${lock.name}`);
  const said = archiving.progress();
  assert.deepEqual(
    { problem: said?.problem, gaps: said?.gaps, sync: said?.syncState, systemId: said?.systemId },
    { problem: null, gaps: [], sync: 'async', systemId },
  );
  const slot = "SELECT restart_lsn::text AS it FROM pg_replication_slots WHERE slot_name = 'muster_wal_plain'";
  await eventually('the slot follows', async () => {
    const kept = await one<string>(slot);
    return kept === archiving.progress()?.safeLsn && hasReached(kept, begun);
  });
  const end = await archiving.stop();
  assert.ok(hasReached(end.safeLsn, lsn), `${end.safeLsn} of ${lsn}`);
  assert.equal(end.state, 'stopped');
  await assertWhole(archive, 4);
});

test('kill -9 in the middle of segments, again and again: it goes on, nothing is missing, nothing is doubled', async () => {
  const { order, archive, home: at } = await tried('killed');
  const program = path.join(import.meta.dirname, 'support', 'archive-wal-program.ts');
  let archived = 0;
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, [program, JSON.stringify(order), at], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const writing = (async () => {
      for (let i = 0; i < 6; i++) await writeWal(segmentBytes / 2);
    })();
    try {
      await eventually(
        'something of this round is in the vault',
        async () => (await namesIn(archive)).length > archived,
      );
    } finally {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
    await writing;
    archived = (await namesIn(archive)).length;
  }
  await using archiving = startArchiving(order, at);
  const lsn = await flushLsn();
  await eventually('all of it is received', () => hasReached(archiving.progress()?.receivedLsn, lsn));
  const end = await archiving.stop();
  assert.ok(hasReached(end.safeLsn, lsn));
  assert.deepEqual(end.gaps, []);
  await assertWhole(archive, 8);
});

test('commits wait for the archive where the server names it, and the progress says so', async () => {
  const { order, home: at } = await tried('sync', { synchronous: true });
  await using archiving = startArchiving(order, at);
  await eventually('it streams', () => archiving.progress()?.state === 'streaming');
  await server.sql(async (client) => {
    await client.query("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (muster_wal_sync)'");
    await client.query('SELECT pg_reload_conf()');
  });
  await eventually('it is synchronous', () => archiving.progress()?.syncState === 'sync');
  await server.sql((client) => client.query('CREATE TABLE acknowledged (i int)'));
  const lsn = await flushLsn();
  await eventually('it has the commit', () => hasReached(archiving.progress()?.receivedLsn, lsn));
  await server.sql(async (client) => {
    await client.query('ALTER SYSTEM RESET synchronous_standby_names');
    await client.query('SELECT pg_reload_conf()');
  });
});

test('WAL that the server gave up is a gap that is named, and what comes is archived again', async () => {
  const { order, archive, home: at } = await tried('gap');
  const first = startArchiving(order, at);
  await eventually('it streams', () => first.progress()?.state === 'streaming');
  await writeWal(2 * segmentBytes);
  await first.stop();
  await server.sql(async (client) => {
    for (const set of [
      "wal_keep_size = '0'",
      "max_slot_wal_keep_size = '1MB'",
      "max_wal_size = '4MB'",
      "min_wal_size = '2MB'",
    ])
      await client.query(`ALTER SYSTEM SET ${set}`);
    await client.query('SELECT pg_reload_conf()');
    await client.query(
      "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name <> 'muster_wal_gap'",
    );
  });
  await eventually('the server has given the slot up', async () => {
    await writeWal(3 * segmentBytes);
    await one('SELECT pg_switch_wal()::text AS it');
    await server.sql((client) => client.query('CHECKPOINT'));
    return (
      (await one("SELECT wal_status AS it FROM pg_replication_slots WHERE slot_name = 'muster_wal_gap'")) === 'lost'
    );
  });
  await using second = startArchiving(order, at);
  await eventually('the gap is named', () => (second.progress()?.gaps.length ?? 0) > 0);
  assert.match(second.progress()?.gaps[0] ?? '', /already been removed/);
  assert.deepEqual(second.gaps, second.progress()?.gaps, 'somebody is told');
  await eventually('it streams', () => second.progress()?.state === 'streaming');
  await eventually(
    'WAL is kept again',
    async () =>
      (await one("SELECT wal_status AS it FROM pg_replication_slots WHERE slot_name = 'muster_wal_gap'")) !== 'lost',
  );
  await second.stop();
  const kinds = walRanges(await readWalMap(archive, segmentBytes)).map(({ kind }) => kind);
  assert.ok(kinds.includes('lost'), kinds.join(' '));
  await keepWalAgain();
});

/** As the server began, so that the next test has no gap. */
async function keepWalAgain(): Promise<void> {
  await server.sql(async (client) => {
    await client.query('ALTER SYSTEM RESET ALL');
    await client.query('SELECT pg_reload_conf()');
  });
  const kept = "SELECT current_setting('wal_keep_size') AS it";
  await eventually('WAL is kept as before', async () => (await one(kept)) === '256MB');
}

test('other bytes in the vault end it, and they stay', { timeout: 120_000 }, async () => {
  const { order, archive, home: at } = await tried('conflict');
  await using archiving = startArchiving(order, at);
  await eventually('it streams', () => archiving.progress()?.state === 'streaming');
  const current = await one<string>('SELECT pg_walfile_name(pg_current_wal_lsn()) AS it');
  const wrong = Buffer.from(readFileSync(path.join(server.dataDir, 'pg_wal', current)));
  wrong[segmentBytes - 10] = (wrong[segmentBytes - 10] ?? 0) ^ 1;
  await archive.create(current, bytesContent(wrong));
  await writeWal(3 * segmentBytes);
  await assert.rejects(archiving.done, (err) => err instanceof MusterError && err.code === 'WAL_CONFLICT');
  assert.ok(wrong.equals(await readAll((await archive.get(current))!)));
});

test('what cannot work is said at once, and no secret with it', async () => {
  const { order, home: at } = await tried('refused');
  const missing = { ...order, vault: { ...order.vault, password: 'env:TEST_NO_SUCH_PASSWORD' } };
  await assert.rejects(
    startArchiving(missing, at).done,
    (err) =>
      err instanceof MusterError && err.code === 'SECRET_MISSING' && err.message.includes('TEST_NO_SUCH_PASSWORD'),
  );
  process.env['TEST_WRONG_URL'] = server.url.replace(':test@', ':geheim@');
  const sites = { hangzhou: { url: 'env:TEST_WRONG_URL', dataDir: '/nowhere' } };
  await assert.rejects(
    startArchiving({ ...order, resource: { ...order.resource, sites } }, at).done,
    (err) => err instanceof MusterError && !err.message.includes('geheim'),
  );
});

// Last: the server does not come back.
test('after the server and the process died, the next attempt brings what the disk has into the vault, without a server', async () => {
  const { order, archive, home: at } = await tried('dead');
  const program = path.join(import.meta.dirname, 'support', 'archive-wal-program.ts');
  const child = spawn(process.execPath, [program, JSON.stringify(order), at], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const flushed =
    "SELECT write_lsn::text AS it FROM pg_stat_replication WHERE application_name = 'muster_wal_dead' AND state = 'streaming'";
  try {
    await eventually('it streams', async () => (await one<string | undefined>(flushed)) !== undefined);
    await writeWal(segmentBytes / 4);
    const lsn = await flushLsn();
    await eventually('it has it all', async () => hasReached(await one<string>(flushed), lsn));
  } finally {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  const last = await one<string>('SELECT pg_walfile_name(pg_current_wal_lsn()) AS it');
  await server.kill();
  await assert.rejects(
    startArchiving(order, at).done,
    (err) => err instanceof MusterError && err.code === 'DATABASE_UNREACHABLE' && err.retryable,
  );
  const partial = await readAll((await archive.get(`${last}.partial`))!);
  const theirs = readFileSync(path.join(server.dataDir, 'pg_wal', last));
  assert.ok(partial.length > 200_000 && theirs.subarray(0, partial.length).equals(partial), `${partial.length} bytes`);
});
