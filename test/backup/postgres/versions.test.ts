/**
 * What differs from one major version of PostgreSQL to the next, tried on each: `npm run test:postgres-versions` fetches
 * them all; without that the oldest one is tried where it has been fetched before.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openBackupDirectory, saveBackup } from '../../../activities/backup/postgres/backup-directory.ts';
import type { StoredBackup } from '../../../activities/backup/postgres/backup-entry.ts';
import { openBaseBackup } from '../../../activities/backup/postgres/base-backup.ts';
import { checkStored } from '../../../activities/backup/postgres/check-stored.ts';
import { DirectoryWalArchive } from '../../../activities/backup/postgres/directory-wal-archive.ts';
import { layDown, tablespaceDir } from '../../../activities/backup/postgres/lay-down.ts';
import { recover, type RecoveredServer } from '../../../activities/backup/postgres/recover.ts';
import { readWalMap } from '../../../activities/backup/postgres/recovery-plan.ts';
import type { RecoveryTarget } from '../../../activities/backup/postgres/recovery-target.ts';
import { verifyRestored } from '../../../activities/backup/postgres/verify.ts';
import { archiveWal } from '../../../activities/backup/postgres/wal-archive.ts';
import { fileContent } from '../../../activities/backup/postgres/wal-content.ts';
import { walRanges } from '../../../activities/backup/postgres/wal-gaps.ts';
import { startReceiver } from '../../../activities/backup/postgres/wal-stream.ts';
import { hasReached } from '../../../activities/drivers/postgres/lsn.ts';
import { giveToOwner, makeOwnedDir } from '../../../activities/drivers/postgres/owner.ts';
import { prepareDatabase } from '../../../activities/drivers/postgres/prepare.ts';
import { withSql } from '../../../activities/drivers/postgres/sql.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { versionsToTry, type FetchedVersion } from './support/fetched-versions.ts';
import { failOverAndBack } from './support/failover-and-back.ts';
import { testHome, testServer, type TestHome, type TestServer } from './support/servers.ts';

const segmentBytes = 1 << 20;
const slot = 'muster_wal_vault';
const receiverProgram = path.join(import.meta.dirname, 'support', 'receive.ts');
const oldestOfDriver = 15;
const onlySmoke = process.env['MUSTER_POSTGRES_VERSIONS'] === undefined && 'a smoke test only';

for (const version of await versionsToTry()) {
  describe(version.name, { skip: version.skip }, () => conformance(version));
}

function conformance({ major, binDir }: FetchedVersion): void {
  const binaries = binDir === null ? {} : { binDir };
  let home: TestHome;
  let primary: TestServer;
  let standby: TestServer;
  let backup: StoredBackup;
  let archive: DirectoryWalArchive;
  /** What the table held at moments: where recovery to them must lead. */
  const moments: { name: string; atMs: number; lsn: string; rows: number }[] = [];

  before(async () => {
    home = await testHome('versions');
    archive = new DirectoryWalArchive(home.path('archive'));
    // As a server in production has it; nothing of it may be in force in a copy.
    const extra = { archive_mode: 'on', archive_command: 'false', wal_level: 'logical', wal_keep_size: '64MB' };
    primary = await testServer(home, { binDir, walSegmentMegabytes: 1, extra });
    await makeOwnedDir(home.path('fast'));
    await primary.sql(async (client) => {
      await client.query(`CREATE TABLESPACE fast LOCATION '${home.path('fast')}'`);
      await client.query('CREATE TABLE aside TABLESPACE fast AS SELECT generate_series(1, 3000) AS i');
      await client.query('CREATE TABLE marks (i int PRIMARY KEY, what text)');
    });
  });
  after(async () => {
    await (standby as TestServer | undefined)?.[Symbol.asyncDispose]();
    await primary[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  const recoverTo = (target: RecoveryTarget, from: DirectoryWalArchive | null = archive): Promise<RecoveredServer> =>
    recover({
      ...{ backup, archive: from, target, dataDir: home.path('restored'), user: 'muster', ...binaries },
      settings: { fsync: 'off' },
    });
  const rowsIn = ({ url }: { url: string }, where: string): Promise<number> =>
    withSql(url, { statementMs: 20_000 }, async (client) => {
      const { rows } = await client.query<{ n: number }>(`SELECT count(*)::int AS n FROM marks WHERE ${where}`);
      return rows[0]?.n ?? -1;
    });
  /** Everything written so far has come into the archive. */
  const archived = async (of: TestServer, timeline: number): Promise<void> => {
    const own = of === primary ? { slot, name: slot } : { slot: null };
    await using receiver = startReceiver({ url: () => of.url, ...own, store: archive });
    const lsn = await flushLsn(of);
    await eventually('all is received', () => {
      const { flushedLsn, timeline: at } = receiver.status();
      return at === timeline && hasReached(flushedLsn, lsn);
    });
    await receiver.stop();
  };

  test('a base backup under load agrees with its manifest, comes up elsewhere, and holds by amcheck', async () => {
    const stop = new AbortController();
    await primary.sql((client) => client.query('CREATE TABLE load (i int)'));
    const load = primary.sql(async (client) => {
      while (!stop.signal.aborted) await client.query('INSERT INTO load SELECT generate_series(1, 50)');
    });
    await using base = await openBaseBackup({ url: primary.url, wal: 'included' });
    await primary.sql((client) => writeWal(client, 3));
    const { files, postgresMajor, tablespaces } = await saveBackup(base, home.path('backup'), { sync: false });
    stop.abort();
    await load;
    backup = await openBackupDirectory(home.path('backup'));
    assert.equal(postgresMajor, major);
    assert.equal((await checkStored(backup)).files, files);
    await using restored = await recoverTo({ kind: 'latest', timeline: 'latest' }, null);
    const proof = await verifyRestored({
      url: restored.url,
      rows: [{ table: 'aside', min: 3000, max: 3000 }],
      checks: [
        { name: 'no half transaction', sql: 'SELECT count(*) % 50 = 0 FROM load' },
        { name: 'no archive', sql: "SELECT current_setting('archive_mode') = 'off'" },
        {
          name: 'a tablespace of its own',
          sql: `SELECT pg_tablespace_location(oid) = '${path.join(tablespaceDir(restored.dataDir), String(tablespaces[0]?.oid))}'
                  FROM pg_tablespace WHERE spcname = 'fast'`,
        },
      ],
    });
    assert.equal(proof.verdict, 'passed', JSON.stringify(proof.findings));
    assert.ok(proof.findings.some(({ check, verdict }) => check === 'amcheck' && verdict === 'passed'));
  });

  test('a receiver that is killed goes on without a hole, byte for byte as the server has it', async () => {
    const names = (): string[] =>
      existsSync(home.path('archive'))
        ? readdirSync(home.path('archive')).filter((name) => /^[0-9A-F]{24}$/.test(name))
        : [];
    const args = [receiverProgram, primary.url, home.path('archive'), slot];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    try {
      await eventually('it streams', () => isListed(primary));
      const writing = writeMoments();
      await eventually('something is archived', () => names().length > 1);
      child.kill('SIGKILL');
      await Promise.all([once(child, 'exit'), writing]);
    } finally {
      child.kill('SIGKILL');
    }
    await archived(primary, 1);
    assert.ok(names().length > 5);
    for (const name of names()) {
      const theirs = readFileSync(path.join(primary.dataDir, 'pg_wal', name));
      assert.ok(readFileSync(home.path('archive', name)).equals(theirs), name);
    }
    const ranges = walRanges(await readWalMap(archive, segmentBytes));
    assert.deepEqual(ranges.map(({ kind }) => kind).slice(0, 1), ['found']);
    assert.ok(ranges.every(({ kind }) => kind === 'found' || kind === 'partial'));
  });

  async function writeMoments(): Promise<void> {
    for (let round = 1; round <= 3; round++) {
      await primary.sql(async (client) => {
        await client.query("INSERT INTO marks SELECT i, 'before' FROM generate_series($1::int, $2) i", [
          round * 100,
          round * 100 + 9,
        ]);
        const { rows } = await client.query<{ at: number; lsn: string }>(
          'SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS at, pg_current_wal_insert_lsn()::text AS lsn',
        );
        moments.push({
          name: `round ${round}`,
          atMs: rows[0]?.at ?? 0,
          lsn: rows[0]?.lsn ?? '',
          rows: round * 10,
        });
        await client.query('SELECT pg_create_restore_point($1)', [`round ${round}`]);
        await client.query('SELECT pg_sleep(0.02)');
        await writeWal(client, 2);
      });
    }
  }

  const targets: [what: string, target: () => RecoveryTarget, moment: number][] = [
    ['a time', () => ({ kind: 'time', atMs: moments[0]?.atMs ?? 0, timeline: 'latest' }), 0],
    ['a position', () => ({ kind: 'lsn', lsn: moments[1]?.lsn ?? '', timeline: 'latest' }), 1],
    ['a name', () => ({ kind: 'name', name: 'round 3', timeline: 'latest' }), 2],
  ];
  test('base backup and archive lead to a time, a position and a name', async (t) => {
    for (const [what, target, moment] of targets) {
      await t.test(what, { skip: what !== 'a position' && onlySmoke }, async () => {
        await using restored = await recoverTo(target());
        assert.equal(await rowsIn(restored, 'true'), moments[moment]?.rows);
        assert.equal(restored.reached.timeline, 2);
      });
    }
  });

  test('after a promotion both timelines are archived, and either can be recovered', { skip: onlySmoke }, async () => {
    await layDownStandby();
    await eventually('it follows', () => isListed(primary, 'standby'));
    const shared = await flushLsn(primary);
    await eventually('it has what the primary has', async () => hasReached(await replayLsn(standby), shared));
    await standby.sql((client) => client.query('SELECT pg_promote(true)'));
    for (const [of, what] of [
      [standby, 'promoted'],
      [primary, 'alone'],
    ] as const) {
      await of.sql(async (client) => {
        await client.query('INSERT INTO marks VALUES (1000, $1)', [what]);
        await writeWal(client, 2);
      });
    }
    await archived(primary, 1);
    await archived(standby, 2);
    assert.deepEqual((await readWalMap(archive, segmentBytes)).tree.timelines, [1, 2]);
    for (const [timeline, what] of [
      [1, 'alone'],
      ['latest', 'promoted'],
    ] as const) {
      await using restored = await recoverTo({ kind: 'latest', timeline });
      assert.deepEqual(
        [await rowsIn(restored, "what = 'before'"), await rowsIn(restored, `what = '${what}'`)],
        [30, 1],
        String(timeline),
      );
    }
  });

  /** A restored base backup that follows the primary. */
  async function layDownStandby(): Promise<void> {
    const dataDir = home.path('standby');
    await makeOwnedDir(dataDir);
    await layDown(backup, { dataDir });
    await writeFile(path.join(dataDir, 'standby.signal'), '');
    await giveToOwner(path.join(dataDir, 'standby.signal'));
    standby = await testServer(home, { name: 'standby', binDir, exists: true, upstream: primary.url });
  }

  test('what the server has removed is a gap, and it is named', { skip: onlySmoke }, async () => {
    const [first = ''] = readdirSync(home.path('archive')).toSorted();
    const stale = new DirectoryWalArchive(home.path('stale'));
    await archiveWal(stale, first, await fileContent(home.path('archive', first)));
    await primary.sql(async (client) => {
      await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
      for (const setting of ["wal_keep_size = '0'", "max_wal_size = '2MB'", "min_wal_size = '2MB'"])
        await client.query(`ALTER SYSTEM SET ${setting}`);
      await client.query("ALTER SYSTEM SET archive_command = 'true'");
      await client.query('SELECT pg_reload_conf()');
      await writeWal(client, 3);
    });
    const oldest = path.join(primary.dataDir, 'pg_wal', first);
    await eventually('the server has removed it', async () => {
      await primary.sql((client) => client.query('CHECKPOINT'));
      return !existsSync(oldest);
    });
    const receiver = startReceiver({ url: () => primary.url, slot: null, store: stale });
    await assert.rejects(receiver.done, (err) => err instanceof MusterError && err.code === 'WAL_GAP');
  });

  if (major < oldestOfDriver) {
    test('to fail over needs a later version, and that is said before anything is changed', async () => {
      await assert.rejects(
        prepareDatabase(primary.url, { tables: ['marks'] }),
        (err) => err instanceof MusterError && /PostgreSQL 14 is too old, 15/.test(err.message),
      );
      const { rows } = await primary.sql((client) =>
        client.query("SELECT 1 FROM pg_namespace WHERE nspname = 'muster'"),
      );
      assert.deepEqual(rows, []);
    });
  } else {
    test('a service fails over to its standby, and the old writer rejoins with its own rows saved', async () => {
      await failOverAndBack(binaries);
    });
  }
}

type Sql = Parameters<Parameters<TestServer['sql']>[0]>[0];

/** About that many megabytes of WAL. */
function writeWal(client: Sql, megabytes: number): Promise<unknown> {
  return client.query(
    "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1024)) FROM generate_series(1, $1)",
    [megabytes * 1000],
  );
}

async function lsnOf(of: TestServer, expression: string): Promise<string> {
  const { rows } = await of.sql((client) => client.query<{ lsn: string }>(`SELECT ${expression}::text AS lsn`));
  return rows[0]?.lsn ?? '';
}

const flushLsn = (of: TestServer): Promise<string> => lsnOf(of, 'pg_current_wal_flush_lsn()');
const replayLsn = (of: TestServer): Promise<string> => lsnOf(of, 'pg_last_wal_replay_lsn()');

async function isListed(of: TestServer, name = slot): Promise<boolean> {
  const { rows } = await of.sql((client) =>
    client.query("SELECT 1 FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'", [name]),
  );
  return rows.length === 1;
}
