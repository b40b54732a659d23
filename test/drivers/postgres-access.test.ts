/** The database as its guard handles it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { hasReached } from '../../activities/drivers/postgres/lsn.ts';
import { killServer, serverState } from '../../activities/drivers/postgres/server.ts';
import { connectSql, dropSql, sqlState, withSql, type SqlClient } from '../../activities/drivers/postgres/sql.ts';
import { guardedDatabase } from '../../activities/drivers/postgres/access.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { eventually, rowsOf, signalSite, startWorld, type World } from './postgres-world.ts';

let world: World;
let shop: SqlClient | null = null;
const access = () => world.access.hangzhou;
const insert = (id: number): Promise<unknown> =>
  rowsOf(world.appUrl('hangzhou'), 'INSERT INTO orders VALUES ($1)', [id]);
const refused = (err: unknown): boolean => sqlState(err) === '25006';

before(async () => {
  world = await startWorld({ schema: 'CREATE TABLE orders (id bigint PRIMARY KEY)', tables: ['orders'] });
});
after(() => world.stop());
beforeEach(async () => {
  if ((await access().role()) === 'stopped') await access().start();
});
afterEach(() => {
  signalSite(world, 'hangzhou', 'SIGCONT');
  if (shop !== null) dropSql(shop);
  shop = null;
});

test('opened, a client can write; closed, it cannot, and the last position is told', async () => {
  await access().open({ epoch: 3, remainingMs: 60_000 });
  await insert(1);
  const { finalLsn } = await access().close();
  await assert.rejects(insert(2), refused);
  const [row] = await rowsOf<{ lsn: string }>(world.url('hangzhou'), 'SELECT pg_current_wal_lsn() AS lsn');
  assert.ok(hasReached(row?.lsn, finalLsn));
});

test('closing ends every session of others and leaves none that could write', async () => {
  await access().open({ epoch: 3, remainingMs: 60_000 });
  shop = await connectSql(world.appUrl('hangzhou'), { role: 'client', statementMs: 5_000 });
  await shop.query('BEGIN; INSERT INTO orders VALUES (10)');
  await access().close();
  await assert.rejects(shop.query('COMMIT'));
  // Even one that makes itself writable again meets the lease.
  await withSql(world.appUrl('hangzhou'), { role: 'client' }, async (client) => {
    await client.query('SET default_transaction_read_only = off');
    await assert.rejects(client.query('INSERT INTO orders VALUES (11)'), refused);
  });
  assert.deepEqual(await rowsOf(world.url('hangzhou'), 'SELECT id FROM orders WHERE id IN (10, 11)'), []);
});

test('clients that reconnect all the time do not hold a closing up', async () => {
  await access().open({ epoch: 3, remainingMs: 60_000 });
  let goOn = true;
  const client = async (): Promise<void> => {
    while (goOn) await insert(12).catch(() => undefined);
  };
  const clients = Promise.all([client(), client(), client(), client()]);
  try {
    await access().close();
    await assert.rejects(insert(13), refused);
  } finally {
    goOn = false;
    await clients;
  }
});

test('a guard that has only just begun closes without ending its own sessions', async () => {
  await access().open({ epoch: 3, remainingMs: 60_000 });
  const killed = async (): Promise<string | undefined> =>
    (
      await rowsOf<{ count: string }>(
        world.url('hangzhou'),
        'SELECT sum(sessions_killed) AS count FROM pg_stat_database',
      )
    )[0]?.count;
  await access().close();
  access().end();
  const none = async (): Promise<boolean> =>
    (await rowsOf(world.url('hangzhou'), "SELECT 1 FROM pg_stat_activity WHERE application_name = 'muster-guard'"))
      .length === 0;
  await eventually('no session of a guard', none);
  const before = await killed();
  await access().close();
  assert.equal(await killed(), before);
});

test('closing ends the sessions of a guard that was here before', async () => {
  const earlier = guardedDatabase(world.serverOf('hangzhou'), 2_000);
  await earlier.open({ epoch: 3, remainingMs: 60_000 });
  const sessions = async (): Promise<number> =>
    (await rowsOf(world.url('hangzhou'), "SELECT 1 FROM pg_stat_activity WHERE application_name = 'muster-guard'"))
      .length;
  await access().role();
  const before = await sessions();
  await access().close();
  assert.ok((await sessions()) < before);
  earlier.end();
});

test('renewing moves the end, but opens nothing that is closed, restarted or of another epoch', async () => {
  await access().open({ epoch: 3, remainingMs: 2_000 });
  await access().renew({ epoch: 3, remainingMs: 60_000 });
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  await insert(20);
  await assert.rejects(access().renew({ epoch: 4, remainingMs: 60_000 }), MusterError);
  await access().close();
  await assert.rejects(access().renew({ epoch: 3, remainingMs: 60_000 }), MusterError);
  await assert.rejects(insert(21), refused);
});

test('the end that is written is the earlier of the two that are given', async () => {
  await access()
    .open({ epoch: 3, remainingMs: 60_000, endsAtUnixMs: Date.now() - 5 })
    .catch(() => undefined);
  await assert.rejects(insert(30), refused);
  // The opening itself must be over before the lease is.
  await access().open({ epoch: 3, remainingMs: 2_000, endsAtUnixMs: Date.now() + 60_000 });
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  await assert.rejects(insert(31), refused);
});

test('a queued write of a paused server is refused when the lease has run out before it goes on', async () => {
  await access().open({ epoch: 3, remainingMs: 60_000 });
  shop = await connectSql(world.appUrl('hangzhou'), { role: 'client', statementMs: 20_000 });
  await shop.query('SELECT 1');
  // Short only from here on: what has to be done before takes its time.
  await access().renew({ epoch: 3, remainingMs: 500 });
  signalSite(world, 'hangzhou', 'SIGSTOP');
  const queued = shop.query('INSERT INTO orders VALUES (40)').then(
    () => 'taken',
    (err: unknown) => sqlState(err) ?? String(err),
  );
  await new Promise((resolve) => setTimeout(resolve, 700));
  signalSite(world, 'hangzhou', 'SIGCONT');
  assert.equal(await queued, '25006');
});

test('a transaction that was open when the server was paused cannot commit when the lease has run out', async () => {
  await access().open({ epoch: 3, remainingMs: 60_000 });
  shop = await connectSql(world.appUrl('hangzhou'), { role: 'client', statementMs: 20_000 });
  await shop.query('BEGIN; INSERT INTO orders VALUES (41)');
  await access().renew({ epoch: 3, remainingMs: 500 });
  signalSite(world, 'hangzhou', 'SIGSTOP');
  const queued = shop.query('COMMIT').then(
    () => 'taken',
    (err: unknown) => sqlState(err) ?? String(err),
  );
  await new Promise((resolve) => setTimeout(resolve, 700));
  signalSite(world, 'hangzhou', 'SIGCONT');
  assert.equal(await queued, '25006');
});

test('a renewal that was sent before a pause cannot lengthen the lease after it', async () => {
  await access().open({ epoch: 3, remainingMs: 60_000 });
  await access().renew({ epoch: 3, remainingMs: 500 });
  signalSite(world, 'hangzhou', 'SIGSTOP');
  const renewal = access()
    .renew({ epoch: 3, remainingMs: 500, endsAtUnixMs: Date.now() + 500 })
    .catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 700));
  signalSite(world, 'hangzhou', 'SIGCONT');
  await renewal;
  await assert.rejects(insert(42), refused);
});

test('no call hangs on a frozen server, and its role is down', async () => {
  signalSite(world, 'hangzhou', 'SIGSTOP');
  assert.equal(await access().role(), 'down');
  await assert.rejects(access().open({ epoch: 3, remainingMs: 60_000 }), MusterError);
  await assert.rejects(access().renew({ epoch: 3, remainingMs: 60_000 }), MusterError);
  await assert.rejects(access().close(), MusterError);
  signalSite(world, 'hangzhou', 'SIGCONT');
  await eventually('it answers again', async () => (await access().role()) === 'primary');
});

test('a server that was stopped is stopped, starts closed, and opens again', async () => {
  await access().open({ epoch: 3, remainingMs: 60_000 });
  await access().close();
  await access().stop();
  assert.equal(await access().role(), 'stopped');
  const state = await serverState(world.serverOf('hangzhou').dataDir);
  assert.ok(state.kind === 'stopped' && state.clean);
  assert.ok((await access().close()).finalLsn); // the same answer, from the files
  await access().start();
  assert.equal(await access().role(), 'primary');
  await assert.rejects(insert(50), refused);
  await access().open({ epoch: 4, remainingMs: 60_000 });
  await insert(50);
});

test('a server that hangs is stopped at once when there is no time left', async () => {
  signalSite(world, 'hangzhou', 'SIGSTOP');
  await access().stop(0);
  assert.equal(await access().role(), 'stopped');
});

test('a server that crashed and booted by itself refuses writes, and the guard sees a primary', async () => {
  await access().open({ epoch: 3, remainingMs: 60_000 });
  await killServer(world.serverOf('hangzhou').dataDir);
  await world.start('hangzhou', false);
  await assert.rejects(insert(60), refused);
  assert.equal(await access().role(), 'primary');
  await assert.rejects(access().renew({ epoch: 3, remainingMs: 60_000 }), MusterError);
});

test('an opening that a closing overtakes does not end open', async () => {
  for (let round = 0; round < 5; round++) {
    const opening = access()
      .open({ epoch: 3, remainingMs: 60_000 })
      .catch(() => undefined);
    await access().close();
    await opening;
    await access().close();
    await assert.rejects(insert(70 + round), refused);
  }
});
