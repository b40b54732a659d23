/** A promotion while the old primary goes on: both histories are kept, told apart, and either can be recovered. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { StoredBackup } from '../../../activities/backup/postgres/backup-entry.ts';
import { openBackupDirectory, saveBackup } from '../../../activities/backup/postgres/backup-directory.ts';
import { openBaseBackup } from '../../../activities/backup/postgres/base-backup.ts';
import { DirectoryWalArchive } from '../../../activities/backup/postgres/directory-wal-archive.ts';
import { recover } from '../../../activities/backup/postgres/recover.ts';
import { readWalMap } from '../../../activities/backup/postgres/recovery-plan.ts';
import { archiveWal } from '../../../activities/backup/postgres/wal-archive.ts';
import { fileContent } from '../../../activities/backup/postgres/wal-content.ts';
import { divergedWal, walRanges } from '../../../activities/backup/postgres/wal-gaps.ts';
import { startReceiver, type ReceiverEvent } from '../../../activities/backup/postgres/wal-stream.ts';
import { cloneServer } from '../../../activities/drivers/postgres/clone.ts';
import { hasReached } from '../../../activities/drivers/postgres/lsn.ts';
import { withSql } from '../../../activities/drivers/postgres/sql.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { namesIn } from './support/wal-archive-conformance.ts';
import { testHome, testServer, type TestHome, type TestServer } from './support/servers.ts';

const segmentBytes = 1 << 20;
let home: TestHome;
let old: TestServer;
let promoted: TestServer;
let backup: StoredBackup;
let archive: DirectoryWalArchive;

before(async () => {
  home = await testHome('timelines');
  archive = new DirectoryWalArchive(home.path('archive'));
  old = await testServer(home, { name: 'old', walSegmentMegabytes: 1 });
  await old.sql((client) => client.query('CREATE TABLE marks (what text)'));
  await cloneServer({ url: old.url, dataDir: home.path('promoted'), as: 'standby' });
  promoted = await testServer(home, { name: 'promoted', exists: true, upstream: old.url });
  await using base = await openBaseBackup({ url: old.url, wal: 'included' });
  await saveBackup(base, home.path('backup'), { sync: false });
  backup = await openBackupDirectory(home.path('backup'));
});
after(async () => {
  await promoted[Symbol.asyncDispose]();
  await old[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

/** Rows, and WAL enough to fill segments. */
const mark = (of: TestServer, what: string): Promise<unknown> =>
  of.sql(async (client) => {
    await client.query('INSERT INTO marks VALUES ($1)', [what]);
    await client.query(
      "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 900), true) FROM generate_series(1, 2500)",
    );
  });
const flushLsn = (of: TestServer): Promise<string> =>
  of.sql(async (client) => {
    const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
    return rows[0]?.lsn ?? '';
  });

test('a promotion is followed: history first, the old timeline to its end, then the new one', async () => {
  const events: ReceiverEvent[] = [];
  const onEvent = (event: ReceiverEvent): void => void events.push(event);
  await using receiver = startReceiver({ url: () => promoted.url, slot: null, store: archive, onEvent });
  await mark(old, 'before');
  const before = await flushLsn(old);
  await eventually('the standby has it', () => hasReached(receiver.status().flushedLsn, before));
  await promoted.sql((client) => client.query('SELECT pg_promote(true)'));
  await mark(promoted, 'after');
  const lsn = await flushLsn(promoted);
  await eventually('the new timeline is received', () => {
    const { timeline, flushedLsn } = receiver.status();
    return timeline === 2 && hasReached(flushedLsn, lsn);
  });
  await receiver.stop();
  assert.deepEqual(
    events.flatMap((event) => (event.kind === 'timeline' ? [event.timeline] : [])),
    [2],
  );
  const map = await readWalMap(archive, segmentBytes);
  assert.deepEqual(map.tree.timelines, [1, 2]);
  assert.ok(walRanges(map).every(({ kind }) => kind === 'found' || kind === 'partial'));
  for (const name of (await namesIn(archive)).filter((one) => /^00000002[0-9A-F]{16}$/.test(one))) {
    const theirs = readFileSync(path.join(promoted.dataDir, 'pg_wal', name));
    assert.ok(readFileSync(home.path('archive', name)).equals(theirs), name);
  }
});

test('what the old primary wrote on its own is archived beside it, and named as the record of what was left', async () => {
  // Nobody has fenced it: it goes on, and its archive command with it.
  await mark(old, 'alone');
  await mark(old, 'alone');
  const names = await old.sql(async (client) => {
    const { rows } = await client.query<{ name: string }>(
      'SELECT name FROM pg_ls_waldir() WHERE name ~ $1 AND name < pg_walfile_name(pg_current_wal_flush_lsn()) ORDER BY 1',
      ['^[0-9A-F]{24}$'],
    );
    return rows.map(({ name }) => name);
  });
  for (const name of names) await archiveWal(archive, name, await fileContent(path.join(old.dataDir, 'pg_wal', name)));
  const map = await readWalMap(archive, segmentBytes);
  const [diverged, ...more] = divergedWal(map);
  assert.deepEqual(more, []);
  assert.deepEqual([diverged?.timeline, diverged?.without, diverged?.newestName], [1, 2, names.at(-1)]);
});

for (const [timeline, wanted] of [
  ['latest', ['before', 'after']],
  [1, ['before', 'alone']],
] as const) {
  test(`recovery on timeline ${timeline} has the rows ${wanted.join(' and ')}, and no others`, async () => {
    await using restored = await recover({
      ...{ backup, archive, target: { kind: 'latest', timeline }, dataDir: home.path('restored'), user: 'muster' },
      settings: { fsync: 'off' },
    });
    const { rows } = await withSql(restored.url, { connectMs: 30_000 }, (client) =>
      client.query<{ what: string }>('SELECT what FROM marks GROUP BY 1 ORDER BY min(ctid)'),
    );
    assert.deepEqual(
      rows.map(({ what }) => what),
      wanted,
    );
  });
}

test('an archive follows no server that never was where it ends', async () => {
  const other = new DirectoryWalArchive(home.path('other'));
  for (const name of await namesIn(archive)) {
    if (!name.endsWith('.partial')) await archiveWal(other, name, await fileContent(home.path('archive', name)));
  }
  const events: string[] = [];
  await using receiver = startReceiver({
    ...{ url: () => old.url, slot: null, store: other, retryMs: 100 },
    onEvent: (event) => void (event.kind === 'disconnected' && events.push(event.why)),
  });
  await eventually('it says so', () => events.some((why) => /timeline 2 is archived.*is on 1/.test(why)));
  assert.equal(receiver.status().state === 'streaming', false);
  await receiver.stop();
});

test('a gap is named on the timeline where it is', async () => {
  const map = await readWalMap(
    {
      ...{ place: '', get: (name) => archive.get(name), create: refuse, replace: refuse, remove: refuse },
      async *list() {
        const names = await namesIn(archive);
        const second = names.filter((name) => /^00000002[0-9A-F]{16}$/.test(name))[0];
        for (const name of names) if (name !== second) yield name;
      },
    },
    segmentBytes,
  );
  const lost = walRanges(map).filter(({ kind }) => kind === 'lost');
  assert.deepEqual(
    lost.map(({ timeline, segments }) => [timeline, segments]),
    [[2, 1]],
  );
});

const refuse = (): Promise<never> => Promise.reject(new MusterError('CONFIG_INVALID', 'to be read only'));
