/** From a repository back to any moment: base backup and WAL of one server, recovered elsewhere. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { saveStream } from '../../../activities/backup/engine/save-stream.ts';
import type { StoredBackup } from '../../../activities/backup/postgres/backup-entry.ts';
import { openBaseBackup } from '../../../activities/backup/postgres/base-backup.ts';
import { originalsDir } from '../../../activities/backup/postgres/recovered-place.ts';
import { recover, type RecoveredServer } from '../../../activities/backup/postgres/recover.ts';
import type { RecoveryTarget } from '../../../activities/backup/postgres/recovery-target.ts';
import { openRepositoryWalArchive } from '../../../activities/backup/postgres/repository-wal-archive.ts';
import { SpooledWalStore } from '../../../activities/backup/postgres/spooled-wal-store.ts';
import { verifyRestored } from '../../../activities/backup/postgres/verify.ts';
import { bytesContent, readAll } from '../../../activities/backup/postgres/wal-content.ts';
import type { WalArchive } from '../../../activities/backup/postgres/wal-archive.ts';
import { startReceiver, type WalReceiver } from '../../../activities/backup/postgres/wal-stream.ts';
import type { Repository } from '../../../activities/backup/repository/attach.ts';
import { baseBackupEntries, basePaths, storedBaseBackup } from '../../../activities/backup/source/postgres.ts';
import { bytesBetween, hasReached } from '../../../activities/drivers/postgres/lsn.ts';
import { withSql } from '../../../activities/drivers/postgres/sql.ts';
import { MusterError, type ErrorCode } from '../../../workflows/engine/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { initCheaply } from '../repository/support/repositories.ts';
import { debianBinDir, hasDebian, testHome, testServer, type TestHome, type TestServer } from './support/servers.ts';

const name = 'muster_wal_vault';
/** More WAL than one segment holds. */
const filler = "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1500000))";
/** No copy outlives its test. */
const settings = { fsync: 'off' };
let home: TestHome;
let server: TestServer;
let repository: Repository;
let stored: StoredBackup;
let archive: WalArchive;
let spool: SpooledWalStore;
let receiver: WalReceiver;
/** What the table held at moments: where recovery to them must lead. */
const moments: { atMs: number; lsn: string; rows: number }[] = [];

before(async () => {
  home = await testHome('recover');
  server = await testServer(home, {
    walSegmentMegabytes: 1,
    // As a server in production has it; nothing of it may be in force in a copy.
    extra: { archive_mode: 'on', archive_command: `cp %p ${home.path('by-command')}/%f`, wal_level: 'logical' },
  });
  await server.sql(async (client) => {
    await client.query('CREATE TABLE marks (i int PRIMARY KEY)');
    await client.query('CREATE PUBLICATION all_of_it FOR ALL TABLES');
  });
  repository = await initCheaply(path.join(home.dir, 'repo'));
  await using base = await openBaseBackup({ url: server.url, wal: 'included', checksums: 'SHA256' });
  archive = openRepositoryWalArchive(repository, {
    ...{ service: 'shop', resource: 'orders', systemId: base.server.systemId },
  });
  spool = await SpooledWalStore.open({ archive, dir: path.join(home.dir, 'spool'), partialMs: 200 });
  const options = { slot: name, slotFollows: 'caller', name, store: spool, synchronous: true } as const;
  receiver = startReceiver({ url: () => server.url, ...options });
  await eventually('it streams', () => receiver.status().state === 'streaming');
  // The server is busy while it is backed up: the WAL that comes with the backup is of several segments.
  await server.sql(async (client) => {
    await client.query('CREATE TABLE during AS SELECT 7 AS i');
    for (let i = 0; i < 3; i++) await client.query(filler);
  });
  const entries = baseBackupEntries(base);
  const saved = await saveStream({ repository, entries, paths: basePaths, parent: null, threads: 1, host: 'test' });
  assert.equal(saved.kind, 'complete');
  stored = await storedBaseBackup(repository, saved.snapshot);
  await writeMoments();
  await archived();
});
after(async () => {
  await receiver[Symbol.asyncDispose]();
  await spool[Symbol.asyncDispose]();
  await repository.close();
  await server[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

async function writeMoments(): Promise<void> {
  for (let round = 1; round <= 3; round++) {
    await server.sql(async (client) => {
      await client.query('INSERT INTO marks SELECT generate_series($1::int, $2)', [round * 100, round * 100 + 9]);
      // A moment is a commit's, and all that came before it.
      const { rows } = await client.query<{ at: number; lsn: string }>(
        `SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS at, pg_current_wal_insert_lsn()::text AS lsn`,
      );
      moments.push({ atMs: rows[0]?.at ?? 0, lsn: rows[0]?.lsn ?? '', rows: round * 10 });
      await client.query('SELECT pg_create_restore_point($1)', [`round ${round}`]);
      await client.query('SELECT pg_sleep(0.02)');
      await client.query(filler);
    });
  }
  await server.sql((client) => client.query('DELETE FROM marks'));
}

async function archived(): Promise<void> {
  const lsn = await server.sql(async (client) => {
    const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
    return rows[0]?.lsn ?? '';
  });
  await eventually('all is received', () => hasReached(receiver.status().flushedLsn, lsn));
  await spool.flush();
}

const recoverTo = (
  target: RecoveryTarget,
  from: WalArchive | null = archive,
  binDir?: string,
): Promise<RecoveredServer> =>
  recover({
    ...{ backup: stored, archive: from, target, dataDir: home.path('restored'), user: 'muster', settings },
    ...(binDir !== undefined && { binDir }),
  });

async function marksIn({ url }: RecoveredServer): Promise<number> {
  return withSql(url, { connectMs: 30_000, statementMs: 20_000 }, async (client) => {
    const { rows } = await client.query<{ n: number }>('SELECT count(*)::int AS n FROM marks');
    return rows[0]?.n ?? -1;
  });
}

const targets: [what: string, target: () => RecoveryTarget, rows: number][] = [
  ['the latest state', () => ({ kind: 'latest', timeline: 'latest' }), 0],
  ['a time', () => ({ kind: 'time', atMs: moments[1]?.atMs ?? 0, timeline: 'latest' }), 20],
  ['a position', () => ({ kind: 'lsn', lsn: moments[2]?.lsn ?? '', timeline: 'latest' }), 30],
];
for (const [what, target, rows] of targets) {
  test(`a base backup and WAL in a repository lead to ${what}`, async () => {
    await using restored = await recoverTo(target());
    assert.equal(await marksIn(restored), rows);
    assert.ok(restored.timings.bytes > 10_000_000 && restored.timings.walBytes > 0);
    // Opened on a timeline of its own, of which nobody else hears.
    assert.equal(restored.reached.timeline, 2);
    for await (const one of archive.list()) assert.ok(!one.startsWith('00000002'), one);
  });
}

test('a base backup of a busy server comes up with the WAL it holds, without any archive', async () => {
  const { startLsn, endLsn } = stored.facts;
  assert.ok((bytesBetween(endLsn, startLsn) ?? 0) > 3_000_000, `${startLsn} to ${endLsn}`);
  await using restored = await recoverTo({ kind: 'latest', timeline: 'latest' }, null);
  assert.ok(hasReached(restored.reached.lsn, endLsn));
  const { rows } = await withSql(restored.url, { connectMs: 30_000 }, (client) => client.query('SELECT i FROM during'));
  assert.deepEqual(rows, [{ i: 7 }]);
});

test('what lies before a missing segment can be reached all the same, by its name', async () => {
  const gone = spoilt(await aSegmentInTheMiddle(), () => null);
  await using restored = await recoverTo({ kind: 'name', name: 'round 1', timeline: 'latest' }, gone);
  assert.equal(await marksIn(restored), 10);
});

test('the backup alone leads to its own end, and paused it is read-only', async () => {
  await using restored = await recover({
    ...{ backup: stored, archive: null, target: { kind: 'immediate', timeline: 'latest' }, action: 'pause' },
    ...{ dataDir: home.path('restored'), user: 'muster', settings },
  });
  assert.equal(await marksIn(restored), 0);
  await assert.rejects(
    withSql(restored.url, { connectMs: 30_000 }, (client) => client.query('INSERT INTO marks VALUES (1)')),
    /read-only/,
  );
});

test('a restored copy archives nothing, follows nobody, listens on the loopback only, and passes its checks', async () => {
  await using restored = await recoverTo({ kind: 'name', name: 'round 3', timeline: 'latest' });
  const shown = await withSql(restored.url, { connectMs: 30_000 }, async (client) => {
    const { rows } = await client.query<{ name: string; setting: string }>('SELECT name, setting FROM pg_settings');
    return new Map(rows.map((row) => [row.name, row.setting]));
  });
  const wanted = {
    ...{ archive_mode: 'off', archive_command: '(disabled)', primary_conninfo: '', primary_slot_name: '' },
    ...{ listen_addresses: '127.0.0.1', synchronous_standby_names: '', max_logical_replication_workers: '0' },
    ...{ shared_preload_libraries: '', ssl: 'off', wal_segment_size: '1048576' },
  };
  for (const [setting, value] of Object.entries(wanted)) assert.equal(shown.get(setting), value, setting);
  // The source's own configuration is kept aside for whoever wants to run it for good.
  assert.match(readFileSync(path.join(originalsDir(restored.dataDir), 'pg_hba.conf'), 'utf8'), /scram-sha-256/);
  const verified = await verifyRestored({
    ...{ url: restored.url, rows: [{ table: 'marks', min: 30, max: 30 }] },
    checks: [{ name: 'none twice', sql: 'SELECT count(*) = count(DISTINCT i) FROM marks' }],
  });
  assert.deepEqual([verified.verdict, verified.rows], ['passed', { marks: 30 }]);
  const wrong = await verifyRestored({ url: restored.url, structure: false, rows: [{ table: 'marks', min: 31 }] });
  assert.equal(wrong.verdict, 'failed');
});

/** The same archive, one file of which is gone or changed. */
function spoilt(file: string, change: (bytes: Buffer) => Buffer | null): WalArchive {
  return {
    ...archive,
    async *list() {
      for await (const one of archive.list()) if (one !== file || change(Buffer.alloc(1 << 20)) !== null) yield one;
    },
    async get(one) {
      const found = await archive.get(one);
      if (one !== file || found === null) return found;
      const bytes = change(await readAll(found));
      return bytes === null ? null : bytesContent(bytes).read();
    },
  };
}

async function aSegmentInTheMiddle(): Promise<string> {
  const names: string[] = [];
  for await (const one of archive.list()) if (/^[0-9A-F]{24}$/.test(one)) names.push(one);
  return names.toSorted().at(-3) ?? '';
}

const refusals: [
  what: string,
  from: (segment: string) => WalArchive,
  target: () => RecoveryTarget,
  code: ErrorCode,
  says: (segment: string) => RegExp,
][] = [
  [
    'a missing segment',
    (segment) => spoilt(segment, () => null),
    () => ({ kind: 'latest', timeline: 'latest' }),
    'WAL_GAP',
    (segment) => new RegExp(`${segment} is missing; without it \\w+/\\w+ is as far as it goes`),
  ],
  [
    'a flipped bit in a segment',
    (segment) => spoilt(segment, (bytes) => bytes.fill(bytes[500_000]! ^ 1, 500_000, 500_001)),
    () => ({ kind: 'latest', timeline: 'latest' }),
    'CHECKSUM_MISMATCH',
    (segment) => new RegExp(`${segment}`),
  ],
  [
    'a time that no WAL reaches',
    () => archive,
    () => ({ kind: 'time', atMs: Date.now() + 86_400_000, timeline: 'latest' }),
    'RECOVERY_TARGET_UNREACHABLE',
    () => /WAL ends at/,
  ],
  [
    'a position behind the end',
    () => archive,
    () => ({ kind: 'lsn', lsn: 'FF/0', timeline: 'latest' }),
    'RECOVERY_TARGET_UNREACHABLE',
    () => /before FF\/0/,
  ],
  [
    'a timeline that there is not',
    () => archive,
    () => ({ kind: 'latest', timeline: 7 }),
    'RECOVERY_TARGET_UNREACHABLE',
    () => /timeline 7/,
  ],
];
test('what cannot be reached is said, and nothing is left of the attempt', async (t) => {
  const segment = await aSegmentInTheMiddle();
  for (const [what, from, target, code, says] of refusals) {
    await t.test(what, async () => {
      await assert.rejects(recoverTo(target(), from(segment)), (err) => {
        assert.ok(err instanceof MusterError, String(err));
        assert.equal(err.code, code, err.message);
        assert.match(err.message, says(segment));
        return true;
      });
      assert.deepEqual(
        readdirSync(home.path()).filter((one) => one.startsWith('restored')),
        [],
      );
    });
  }
});

const noDebian = !hasDebian && 'no other major version is installed';
test('programs of another major version are refused before anything is written', { skip: noDebian }, async () => {
  await assert.rejects(
    recoverTo({ kind: 'latest', timeline: 'latest' }, archive, debianBinDir),
    (err) =>
      err instanceof MusterError && err.code === 'CONFIG_INVALID' && /of PostgreSQL 18,.* is 15/.test(err.message),
  );
  assert.equal(existsSync(home.path('restored')), false);
});

test('an archive that is not said to be synchronous is never taken for it, whatever the server is told', async () => {
  await server.sql(async (client) => {
    await client.query("ALTER SYSTEM SET synchronous_standby_names = '*'");
    await client.query('SELECT pg_reload_conf()');
  });
  const dir = path.join(home.dir, 'other');
  await using store = await SpooledWalStore.open({ archive, dir });
  const other = { slot: 'other', slotFollows: 'caller', name: 'other', store } as const;
  await using asynchronous = startReceiver({ url: () => server.url, ...other });
  const states = (): Promise<Record<string, string>> =>
    server.sql(async (client) => {
      const { rows } = await client.query<{ name: string; state: string }>(
        "SELECT application_name AS name, sync_state AS state FROM pg_stat_replication WHERE state = 'streaming'",
      );
      return Object.fromEntries(rows.map((row) => [row.name, row.state]));
    });
  await eventually('both stream', async () => Object.keys(await states()).length === 2);
  await eventually('one is synchronous', async () => (await states())[name] === 'sync');
  assert.deepEqual(await states(), { [name]: 'sync', other: 'async' });
  await asynchronous.stop();
});

test('kill -9 of a server whose commits wait for the archive: every acknowledged row is recovered from the archive', async () => {
  await server.sql(async (client) => {
    await client.query(`ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (${name})'`);
    await client.query('SELECT pg_reload_conf()');
  });
  const acknowledged: number[] = [];
  const clients = [0, 1, 2].map((client) =>
    server
      .sql(async (sql) => {
        for (let i = 0; ; i++) {
          await sql.query('INSERT INTO marks VALUES ($1)', [1_000_000 * (client + 1) + i]);
          acknowledged.push(1_000_000 * (client + 1) + i);
        }
      })
      .catch(() => undefined),
  );
  await eventually('rows are acknowledged', () => acknowledged.length > 300);
  await server.kill();
  await Promise.all(clients);
  await eventually('the archive notices', () => receiver.status().state === 'waiting');
  await spool.flush();
  await using restored = await recoverTo({ kind: 'latest', timeline: 'latest' });
  const found = await withSql(restored.url, { connectMs: 30_000 }, async (client) => {
    const { rows } = await client.query<{ i: number }>('SELECT i FROM marks');
    return new Set(rows.map(({ i }) => i));
  });
  assert.deepEqual(
    acknowledged.filter((i) => !found.has(i)),
    [],
  );
  // At most one row a client was on its way.
  assert.ok(found.size - acknowledged.length <= 3 && acknowledged.length > 300);
});
