/** Servers as processes: made, started, adopted, stopped, killed, frozen; and copied. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { findPostgres } from '../../activities/drivers/postgres/binaries.ts';
import { cloneServer } from '../../activities/drivers/postgres/clone.ts';
import { readControlFile } from '../../activities/drivers/postgres/control-file.ts';
import { initServer } from '../../activities/drivers/postgres/init.ts';
import { canTraverse, makeOwnedDir, serverOwner, usableDataHome } from '../../activities/drivers/postgres/owner.ts';
import {
  isServerProcess,
  readPostmasterFile,
  serverProcesses,
  signalProcess,
} from '../../activities/drivers/postgres/process.ts';
import { killServer, serverState, startServer, stopServer } from '../../activities/drivers/postgres/server.ts';
import { cleanAutoSettings, configDir, logFile } from '../../activities/drivers/postgres/settings.ts';
import { connectSql, dropSql, withSql } from '../../activities/drivers/postgres/sql.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { freePort } from '../../sandbox/ports.ts';

const root = mkdtempSync(path.join(usableDataHome(tmpdir()), 'muster-server-'));
chmodSync(root, 0o711);
const dataDir = path.join(root, 'sites', 'data');
const password = 's3cret:\\word';
let port = 0;
const url = (user = 'muster', secret = password): string =>
  `postgres://${user}:${encodeURIComponent(secret)}@127.0.0.1:${port}/postgres`;
const settings = () => ({ host: '127.0.0.1', port, sharedBuffersMb: 16, maxConnections: 20 });

before(async () => {
  port = await freePort('127.0.0.1', 26_000);
  await makeOwnedDir(path.dirname(dataDir));
  await initServer({ dataDir, superuser: 'muster', password });
});
after(async () => {
  await killServer(dataDir);
  rmSync(root, { recursive: true, force: true });
});

test('the bundled programs are found and say their version', async () => {
  const found = await findPostgres();
  assert.ok(found.major >= 18 && found.version.startsWith(`${found.major}.`));
  assert.ok(existsSync(found.initdb) && existsSync(found.pgCtl));
  assert.equal(await findPostgres(), found);
});

test('a directory without the programs is refused by name', async () => {
  await assert.rejects(
    findPostgres('/nowhere'),
    (err) => err instanceof MusterError && err.code === 'CONFIG_INVALID' && err.message.includes('/nowhere'),
  );
});

test(
  'a data home closed to the user of the servers is moved to a place of its own, always the same',
  { skip: serverOwner() === null && 'not root' },
  () => {
    const closed = path.join(root, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    assert.equal(canTraverse(closed), false);
    assert.match(usableDataHome(closed), /^\/var\/lib\/muster\/[0-9a-f]{12}$/);
    assert.equal(usableDataHome(closed), usableDataHome(closed));
    assert.equal(usableDataHome(root), root);
  },
);

test('a new server has checksums and takes its password only', async () => {
  assert.equal((await serverState(dataDir)).kind, 'stopped');
  await startServer({ dataDir, settings: settings() });
  await withSql(url(), {}, async (client) => {
    const { rows } = await client.query("SELECT current_setting('data_checksums') AS c, current_setting('fsync') AS f");
    assert.deepEqual({ ...rows[0] }, { c: 'on', f: 'on' });
  });
});

test('no error about a database holds its password', async () => {
  const wrongs = [
    url('muster', 'wr0ng-s3cret'),
    url('nobody', 's3cret'),
    url().replace(String(port), '1'),
    'postgres://muster:s3cret@',
  ];
  for (const wrong of wrongs) {
    await assert.rejects(connectSql(wrong), (err) => {
      assert.ok(err instanceof MusterError);
      const shown = `${err.message} ${err.stack} ${String(err.cause)} ${JSON.stringify(err.cause)}`;
      return !/s3cret|wr0ng/.test(shown);
    });
  }
  await assert.rejects(
    cloneServer({ url: url('muster', 'wr0ng-s3cret'), dataDir: path.join(root, 'x'), as: 'standby' }),
    (err) => err instanceof MusterError && !/s3cret/.test(err.message),
  );
  assert.ok(!readFileSync(logFile(dataDir), 'utf8').includes('s3cret'));
});

test('a server that runs is adopted, not started twice', async () => {
  const [first, again] = [await serverState(dataDir), await startServer({ dataDir, settings: settings() })];
  assert.equal(again.adopted, true);
  assert.equal(first.kind === 'running' && first.pid, again.pid);
});

test('a clean stop leaves a control file that says so, and the last position', async () => {
  const { clean } = await stopServer(dataDir);
  assert.equal(clean, true);
  const state = await serverState(dataDir);
  assert.ok(state.kind === 'stopped' && state.clean);
  assert.match(state.control.checkpointLsn, /^[0-9A-F]+\/[0-9A-F]+$/);
  assert.equal(state.control.timeline, 1);
});

test('a control file agrees with what the server says of itself', async () => {
  await startServer({ dataDir, settings: settings() });
  await withSql(url(), { statementMs: 30_000 }, async (client) => {
    await client.query('CHECKPOINT');
    const { rows } = await client.query(
      'SELECT (SELECT system_identifier FROM pg_control_system())::text AS id, checkpoint_lsn::text AS lsn, redo_lsn::text AS redo, timeline_id AS tli FROM pg_control_checkpoint()',
    );
    const file = await readControlFile(dataDir);
    assert.deepEqual(
      { ...rows[0] },
      { id: file.systemId, lsn: file.checkpointLsn, redo: file.redoLsn, tli: file.timeline },
    );
    assert.equal(file.state, 'in-production');
  });
});

test('a killed server is stopped but not clean, and comes back', async () => {
  await killServer(dataDir);
  assert.deepEqual(serverProcesses(dataDir), []);
  const state = await serverState(dataDir);
  assert.ok(state.kind === 'stopped' && !state.clean);
  const started = await startServer({ dataDir, settings: settings() });
  assert.equal(started.adopted, false);
});

test('a frozen server, every process of it, is ended within the limits', async () => {
  for (const pid of serverProcesses(dataDir)) signalProcess(pid, 'SIGSTOP');
  const { clean } = await stopServer(dataDir, { fastMs: 200, immediateMs: 200 });
  assert.equal(clean, false);
  assert.deepEqual(serverProcesses(dataDir), []);
});

test('orphans of a killed postmaster are ended before the server is started again', async () => {
  await startServer({ dataDir, settings: settings() });
  const postmaster = readPostmasterFile(dataDir)?.pid ?? 0;
  const children = serverProcesses(dataDir).filter((pid) => pid !== postmaster);
  for (const pid of children) signalProcess(pid, 'SIGSTOP');
  signalProcess(postmaster, 'SIGKILL');
  while (isServerProcess(postmaster, dataDir)) await new Promise((resolve) => setTimeout(resolve, 5));
  const started = await startServer({ dataDir, settings: settings() });
  assert.ok(!children.some((pid) => isServerProcess(pid, dataDir)));
  assert.notEqual(started.pid, postmaster);
});

test('a pid file that names a process of somebody else counts for nothing', async () => {
  await stopServer(dataDir);
  writeFileSync(path.join(dataDir, 'postmaster.pid'), `${process.pid}\n${dataDir}\n1\n${port}\n\n\n\nready   \n`);
  assert.equal((await serverState(dataDir)).kind, 'stopped');
  await stopServer(dataDir);
  process.kill(process.pid, 0); // and this process was not touched
  rmSync(path.join(dataDir, 'postmaster.pid'));
});

test('a server that cannot start says why, from its own log', async () => {
  const broken = { ...settings(), extra: { shared_buffers: 'nonsense' } };
  await assert.rejects(
    startServer({ dataDir, settings: broken, waitMs: 20_000 }),
    (err) => err instanceof MusterError && err.code === 'DATABASE_UNREACHABLE' && /FATAL/.test(err.message),
  );
  await assert.rejects(startServer({ dataDir: path.join(root, 'empty'), settings: settings() }), /no database/);
});

test('settings that a clone or a rewind would bring along never outrank ours', async () => {
  const auto = path.join(dataDir, 'postgresql.auto.conf');
  writeFileSync(
    auto,
    "port = '1'\nprimary_slot_name = 'other'\nwork_mem = '8MB'\ndefault_transaction_read_only = 'off'\n",
  );
  await cleanAutoSettings(dataDir, { closed: true });
  const text = readFileSync(auto, 'utf8');
  assert.match(text, /work_mem = '8MB'/);
  assert.match(text, /default_transaction_read_only = 'on'/);
  assert.doesNotMatch(text, /port|slot|'off'/);
  await startServer({ dataDir, settings: settings() });
  await withSql(url(), { role: 'client' }, async (client) => {
    await assert.rejects(client.query('CREATE TABLE refused ()'), /read-only/);
  });
});

test('a clone is a whole server: same rows, own settings, unlogged tables empty', async () => {
  const copy = path.join(root, 'sites', 'copy');
  await withSql(url(), { statementMs: 30_000 }, async (client) => {
    await client.query(
      'CREATE TABLE big AS SELECT i, md5(i::text) AS x FROM generate_series(1, 20000) i; CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS i',
    );
  });
  let progress = 0;
  const cloned = await cloneServer({
    url: url(),
    dataDir: copy,
    as: 'primary',
    onProgress: ({ bytes }) => (progress = bytes),
  });
  assert.ok(cloned.bytes > 20_000_000 && cloned.files > 500 && progress > 0);
  const copyPort = await freePort('127.0.0.1', port + 1);
  try {
    await startServer({ dataDir: copy, settings: { ...settings(), port: copyPort } });
    await withSql(url().replace(String(port), String(copyPort)), { statementMs: 10_000 }, async (client) => {
      const { rows } = await client.query(
        "SELECT count(*)::int AS n, md5(string_agg(x, '' ORDER BY i)) AS sum, (SELECT count(*)::int FROM fleeting) AS fleeting FROM big",
      );
      const { rows: source } = await withSql(url(), { statementMs: 10_000 }, (original) =>
        original.query("SELECT md5(string_agg(x, '' ORDER BY i)) AS sum FROM big"),
      );
      assert.deepEqual({ ...rows[0] }, { n: 20_000, sum: source[0].sum, fleeting: 0 });
    });
    const owner = serverOwner();
    if (owner !== null) assert.equal(statSync(path.join(copy, 'global', 'pg_control')).uid, owner.uid);
  } finally {
    await killServer(copy);
    rmSync(copy, { recursive: true, force: true });
    rmSync(configDir(copy), { recursive: true, force: true });
  }
});

test('a clone that is stopped, or whose place is taken, leaves nothing and says so', async () => {
  const copy = path.join(root, 'sites', 'copy');
  const aborted = new AbortController();
  const clone = cloneServer({
    url: url(),
    dataDir: copy,
    as: 'standby',
    signal: aborted.signal,
    maxKilobytesPerSecond: 1_000,
  });
  setTimeout(() => aborted.abort(), 300);
  await assert.rejects(clone, (err) => err instanceof MusterError && /stopped/.test(err.message));
  assert.equal(existsSync(copy), false);
  await assert.rejects(cloneServer({ url: url(), dataDir, as: 'standby' }), /not empty/);
  assert.equal(existsSync(path.join(dataDir, 'PG_VERSION')), true);
});

test('a query on a frozen server ends within its limit', async () => {
  const client = await connectSql(url(), { statementMs: 200 });
  for (const pid of serverProcesses(dataDir)) signalProcess(pid, 'SIGSTOP');
  try {
    await assert.rejects(client.query('SELECT 1'), /timeout/i);
    await assert.rejects(
      connectSql(url(), { connectMs: 200 }),
      (err) => err instanceof MusterError && err.code === 'DATABASE_UNREACHABLE',
    );
  } finally {
    for (const pid of serverProcesses(dataDir)) signalProcess(pid, 'SIGCONT');
    dropSql(client);
  }
});
