/** Base backups of real servers, in every version that is here: whole, or named for what is wrong with them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openBaseBackup } from '../../../activities/backup/postgres/base-backup.ts';
import { openBackupDirectory, saveBackup } from '../../../activities/backup/postgres/backup-directory.ts';
import type { BackupFacts } from '../../../activities/backup/postgres/backup-entry.ts';
import { checkStored } from '../../../activities/backup/postgres/check-stored.ts';
import { tablespaceDir } from '../../../activities/backup/postgres/lay-down.ts';
import { recover } from '../../../activities/backup/postgres/recover.ts';
import { readControlSettings } from '../../../activities/backup/postgres/control-settings.ts';
import { makeOwnedDir } from '../../../activities/drivers/postgres/owner.ts';
import { withSql } from '../../../activities/drivers/postgres/sql.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { leftOut } from '../../support/long.ts';
import {
  debianBinDir,
  hasDebian,
  testHome,
  testServer,
  versions,
  type TestHome,
  type TestServer,
} from './support/servers.ts';

for (const { name, binDir } of versions) {
  // The same way once more; `npm run test:postgres-versions` tries what differs.
  const mark = binDir === null ? '' : ' (long)';
  const skip = binDir !== null && (hasDebian ? leftOut : `${name} is not installed`);
  describe(`base backups of ${name}${mark}`, { skip }, () => {
    let home: TestHome;
    let server: TestServer;
    before(async () => {
      home = await testHome('base-backup');
      server = await testServer(home, { binDir });
      await makeOwnedDir(home.path('fast'));
      await server.sql(async (client) => {
        await client.query(`CREATE TABLESPACE fast LOCATION '${home.path('fast')}'`);
        await client.query(
          'CREATE TABLE aside TABLESPACE fast AS SELECT i, md5(i::text) AS x FROM generate_series(1, 5000) i',
        );
        await client.query(
          'CREATE TABLE plain AS SELECT i, repeat(md5(i::text), 10) AS x FROM generate_series(1, 5000) i',
        );
      });
    });
    after(async () => {
      await server[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    });
    const binaries = binDir === null ? {} : { binDir };

    test('one is taken under load, stands alone, and comes up elsewhere with its tablespace and all rows', async () => {
      const stop = new AbortController();
      await server.sql((client) => client.query('CREATE TABLE load (i int)'));
      const load = server.sql(async (client) => {
        for (let i = 0; !stop.signal.aborted; i++)
          await client.query('INSERT INTO load SELECT $1::int FROM generate_series(1, 50)', [i]);
      });
      let told = 0;
      const onProgress = ({ bytes }: { bytes: number }): void => void (told = bytes);
      await using backup = await openBaseBackup({ url: server.url, wal: 'included', onProgress });
      assert.deepEqual(
        backup.start.tablespaces.map(({ location }) => location),
        [home.path('fast')],
      );
      assert.throws(() => backup.facts(), /has not ended/);
      const facts = await saveBackup(backup, home.path('backup'), { sync: binDir !== null });
      stop.abort();
      await load;
      assert.ok(facts.hasWal && facts.files > 900 && facts.bytes > 20_000_000 && told === facts.bytes);

      await using restored = await recover({
        ...{ backup: await openBackupDirectory(home.path('backup')), archive: null, user: 'muster', ...binaries },
        settings: { fsync: 'off' },
        ...{ dataDir: home.path('restored'), target: { kind: 'latest', timeline: 'latest' } },
      });
      const { rows } = await withSql(restored.url, { connectMs: 30_000, statementMs: 20_000 }, (client) =>
        client.query(
          `SELECT (SELECT count(*)::int FROM aside) AS aside, (SELECT sum(i)::int FROM plain) AS plain,
                  (SELECT count(*) % 50 FROM load)::int AS torn, pg_tablespace_location(oid) AS location
             FROM pg_tablespace WHERE spcname = 'fast'`,
        ),
      );
      const location = path.join(tablespaceDir(home.path('restored')), String(facts.tablespaces[0]?.oid));
      assert.deepEqual({ ...rows[0] }, { aside: 5000, plain: 12_502_500, torn: 0, location });
    });

    // Another version's program cannot read the WAL, and from 17 on the manifest neither.
    const noVerify = (!hasDebian || binDir === null) && 'there is no pg_verifybackup of this version';
    test('what is stored passes the check of PostgreSQL itself', { skip: noVerify }, () => {
      // It knows one directory only: tablespaces are linked into it.
      const copy = home.path('for-verify');
      cpSync(home.path('backup', 'data'), copy, { recursive: true });
      const facts = JSON.parse(readFileSync(home.path('backup', 'backup.json'), 'utf8')) as BackupFacts;
      for (const { oid } of facts.tablespaces) {
        symlinkSync(home.path('backup', 'tablespaces', String(oid)), path.join(copy, 'pg_tblspc', String(oid)));
      }
      const { status, stderr } = spawnSync(path.join(debianBinDir, 'pg_verifybackup'), [copy], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    });

    test('the limits of the source are read from its control file as the server itself says them', async () => {
      const { hasDataChecksums, ...limits } = await readControlSettings(server.dataDir);
      const { rows } = await server.sql((client) =>
        client.query('SELECT name, setting FROM pg_settings WHERE name = ANY($1)', [
          [...Object.keys(limits), 'data_checksums'],
        ]),
      );
      const said = Object.fromEntries(rows.map((row: { name: string; setting: string }) => [row.name, row.setting]));
      for (const [limit, value] of Object.entries(limits)) {
        assert.equal(said[limit], typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value), limit);
      }
      assert.equal(said['data_checksums'], hasDataChecksums ? 'on' : 'off');
    });

    // Several at once, where one error names them all.
    const damages: Record<string, (dir: string) => [damage: Damage, says: RegExp][]> = {
      'bytes, files missing and one too many': (dir) => [
        [flip(largest(path.join(dir, 'data', 'base'))), /differs \(SHA256/],
        [remove(path.join(dir, 'data', 'global', 'pg_filenode.map')), /pg_filenode.map is missing/],
        [remove(path.join(dir, 'data', 'backup_label')), /backup_label is missing/],
        [flip(largest(path.join(dir, 'tablespaces'))), /pg_tblspc\S+ differs/],
        [add(path.join(dir, 'data', 'base', 'more')), /more is not in the manifest/],
      ],
      'files cut short': (dir) => [
        [cut(largest(path.join(dir, 'data', 'base'))), /base\S+ differs \(\d+ bytes, not \d+\)/],
        [cut(largest(path.join(dir, 'data', 'pg_wal'))), /pg_wal\S+ differs \(\d+ bytes, not \d+\)/],
      ],
      'a missing segment of WAL': (dir) => [
        [remove(largest(path.join(dir, 'data', 'pg_wal'))), /pg_wal\S+ is missing/],
      ],
      'a manifest with a changed letter': (dir) => [
        [flip(path.join(dir, 'data', 'backup_manifest')), /backup_manifest is damaged/],
      ],
      'no manifest': (dir) => [[remove(path.join(dir, 'data', 'backup_manifest')), /is not there/]],
    };
    const filesOnly = binDir !== null && 'files are no business of any version';
    const damagesTitle =
      'each damage to a stored backup is found and named, by a check as by a restore, which leaves nothing';
    test(damagesTitle, { skip: filesOnly }, async (t) => {
      await using backup = await openBaseBackup({ url: server.url, wal: 'included', checksums: 'SHA256' });
      const { files } = await saveBackup(backup, home.path('whole'), { sync: false });
      assert.equal((await checkStored(await openBackupDirectory(home.path('whole')))).files, files);
      for (const [index, [what, damage]] of Object.entries(damages).entries()) {
        await t.test(what, async () => {
          const done = damage(home.path('whole'));
          const names = (err: unknown): boolean => {
            assert.ok(err instanceof MusterError && err.code === 'RESTORE_FAILED', String(err));
            for (const [{ file }, says] of done) {
              assert.match(err.message, says);
              assert.ok(err.message.includes(path.basename(file)), err.message);
            }
            return true;
          };
          const stored = await openBackupDirectory(home.path('whole'));
          await assert.rejects(checkStored(stored), names);
          if (index === 0) {
            const target = { kind: 'latest', timeline: 'latest' } as const;
            const place = { dataDir: home.path('from-damaged'), user: 'muster', ...binaries };
            await assert.rejects(recover({ backup: stored, archive: null, target, ...place }), names);
            assert.deepEqual(
              readdirSync(home.path()).filter((one) => one.startsWith('from-damaged')),
              [],
            );
          }
          for (const [one] of done) one.now();
        });
      }
      await checkStored(await openBackupDirectory(home.path('whole')));
    });

    test('a page that is damaged at the source fails the backup, and the file is named', async () => {
      const { rows } = await server.sql((client) =>
        client.query<{ file: string }>("SELECT pg_relation_filepath('plain') AS file"),
      );
      const file = path.join(server.dataDir, rows[0]?.file ?? '');
      await server.sql((client) => client.query('CHECKPOINT'));
      const damage = flip(file);
      try {
        await using backup = await openBaseBackup({ url: server.url, wal: 'archived' });
        await assert.rejects(saveBackup(backup, home.path('refused')), (err) => {
          assert.ok(err instanceof MusterError);
          assert.equal(err.code, 'CHECKSUM_MISMATCH');
          assert.ok(err.message.includes(rows[0]?.file ?? ''), err.message);
          return true;
        });
      } finally {
        damage.now();
      }
      assert.equal(existsSync(home.path('refused')), false);
    });

    test('one that is stopped, or whose reader goes away, leaves nothing and holds nothing open at the server', async () => {
      const stopped = new AbortController();
      const slow = { maxKilobytesPerSecond: 500, signal: stopped.signal };
      await using backup = await openBaseBackup({ url: server.url, wal: 'archived', ...slow });
      setTimeout(() => stopped.abort(), 100);
      await assert.rejects(saveBackup(backup, home.path('stopped')), /stopped/);
      assert.equal(existsSync(home.path('stopped')), false);

      await using other = await openBaseBackup({ url: server.url, wal: 'archived' });
      for await (const entry of other.entries) if (entry.kind === 'file') break;
      assert.throws(() => other.facts(), /has not ended/);
    });

    test('a server that goes away in the middle is an error, never a shorter backup', async () => {
      await using backup = await openBaseBackup({ url: server.url, wal: 'archived', maxKilobytesPerSecond: 2_000 });
      const saving = saveBackup(backup, home.path('torn'));
      setTimeout(() => void server.kill(), 200);
      await assert.rejects(saving, (err) => err instanceof MusterError && err.code === 'DATABASE_UNREACHABLE');
      assert.equal(existsSync(home.path('torn')), false);
    });
  });
}

function largest(dir: string): string {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  return files.toSorted((a, b) => statSync(b).size - statSync(a).size)[0] ?? '';
}

interface Damage {
  file: string;
  now(): void;
}

/** Does something to a file; `now` undoes it. */
function damaged(file: string, change: (bytes: Buffer) => Buffer | null): Damage {
  const before = existsSync(file) ? readFileSync(file) : null;
  const put = (bytes: Buffer | null): void => {
    if (bytes === null) rmSync(file);
    else if (before === null) writeFileSync(file, bytes);
    else writeFileSync(file, bytes, { flag: existsSync(file) ? 'r+' : 'w' });
    if (bytes !== null) truncateSync(file, bytes.length);
  };
  put(change(before ?? Buffer.alloc(0)));
  return { file, now: () => put(before) };
}

/** Changes one bit in the middle. */
function flip(file: string): Damage {
  return damaged(file, (bytes) => {
    const changed = Buffer.from(bytes);
    const place = Math.floor(bytes.length / 2) + 5;
    changed[place] = (changed[place] ?? 0) ^ 1;
    return changed;
  });
}

function cut(file: string): Damage {
  return damaged(file, (bytes) => bytes.subarray(0, bytes.length - 512));
}

function remove(file: string): Damage {
  return damaged(file, () => null);
}

function add(file: string): Damage {
  return damaged(file, () => Buffer.from('more'));
}
