/** A standby that receives is nobody's writer: promoted by a stray hand it takes no write without a lease of its own. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { giveToOwner } from '../../activities/drivers/postgres/owner.ts';
import { stopServer } from '../../activities/drivers/postgres/server.ts';
import { sqlState, withSql } from '../../activities/drivers/postgres/sql.ts';
import { openGranter, type Granter } from '../../activities/guard/granter-store.ts';
import { startGuard, type Guard } from '../../activities/guard/guard.ts';
import type { HttpServer } from '../../activities/guard/http.ts';
import { startAgentServer } from '../../activities/guard/server.ts';
import { eventually, rowsOf, startWorld, type World } from '../drivers/postgres-world.ts';

const token = 'a-token-that-nobody-guesses';
const leaseMs = 2_000;
/** Longer than the test: what is refused is not refused because it has run out. */
const longMs = 600_000;

let world: World;
let granter: Granter;
let server: HttpServer;
let guard: Guard;
let id = 0;

before(async () => {
  world = await startWorld({ schema: 'CREATE TABLE orders (id bigint PRIMARY KEY)', tables: ['orders'] });
  granter = openGranter({
    stateFile: path.join(world.root, 'granter.json'),
    site: null,
    services: { shop: { leaseMs } },
  });
  granter.putEpoch({ service: 'shop', epoch: 1, holder: 'hangzhou' });
  server = await startAgentServer({ host: '127.0.0.1', port: 0, token, site: 'control', granter });
  await world.access.hangzhou.open({ epoch: 1, remainingMs: longMs });
  await world.addStandby();
});
after(async () => {
  await guard?.stop({ close: false });
  await server.close();
  await world.stop();
});

function watch(site: 'hangzhou' | 'beijing'): Guard {
  return startGuard({
    ...{ service: 'shop', resource: 'orders', site, leaseMs, database: world.access[site], token },
    granters: [{ name: 'control', url: server.url }],
    stateFile: path.join(world.root, `guard-${site}.json`),
  });
}

/** A client's write, by one who has read how to get around a read-only default: null when it was taken, else the SQLSTATE. */
async function write(site: string, insist = false): Promise<string | null> {
  const begin = insist ? 'BEGIN READ WRITE; ' : 'BEGIN; ';
  return rowsOf(world.appUrl(site), `${begin}INSERT INTO orders VALUES (${++id}); COMMIT`).then(
    () => null,
    (err: unknown) => sqlState(err) ?? String(err),
  );
}

const promoteByHand = (site: string): Promise<unknown> =>
  withSql(world.url(site), { statementMs: 20_000 }, (client) => client.query('SELECT pg_promote(true, 15)'));

test('while it receives, neither a client nor its own guard can have it written to', async () => {
  guard = watch('beijing');
  assert.equal(await write('hangzhou'), null);
  await eventually('the row arrives', async () => (await rowsOf(world.url('beijing'), 'TABLE orders')).length === 1);
  assert.equal(await write('beijing'), '25006');
  assert.equal(await write('beijing', true), '0A000', 'a server in recovery knows no other mode');
  await assert.rejects(guard.openNow(1, leaseMs), { code: 'LEASE_REFUSED' });
  assert.equal(guard.state().state, 'standby');
});

test('with no guard beside it, promoted by hand, it does not take the lease of the writer that it has received from', async () => {
  await guard.stop({ close: false });
  await promoteByHand('beijing');
  const rows = await rowsOf<{ standby: boolean }>(world.url('beijing'), 'SELECT pg_is_in_recovery() AS standby');
  assert.deepEqual(rows, [{ standby: false }]);
  assert.deepEqual(await rowsOf(world.url('beijing'), 'SELECT * FROM muster.lease'), []);
  assert.equal(await write('beijing'), '25006', 'a new session is read-only');
  assert.equal(await write('beijing', true), '25006', 'and one that is not has no lease');
  assert.equal(await write('hangzhou'), null, 'the writer goes on');
});

test('its guard keeps it closed for as long as another site holds the epoch', async () => {
  guard = watch('beijing');
  await eventually('closed', () => Promise.resolve(guard.state().state === 'closed'));
  await assert.rejects(guard.openNow(1, leaseMs), { code: 'EPOCH_STALE' });
  assert.notEqual(guard.state().state, 'open');
  assert.equal(await write('beijing', true), '25006');
  assert.equal(await write('hangzhou'), null);
});

test('a writer that is made a standby while its lease still runs, and is promoted by hand, has lost that lease', async () => {
  const { dataDir } = world.serverOf('hangzhou');
  const [held] = await rowsOf<{ valid: boolean }>(
    world.url('hangzhou'),
    'SELECT clock_timestamp() < deadline AS valid FROM muster.lease',
  );
  assert.equal(held?.valid, true);
  assert.equal((await stopServer(dataDir)).clean, true, 'a clean stop keeps what is unlogged');
  const signal = path.join(dataDir, 'standby.signal');
  writeFileSync(signal, '');
  await giveToOwner(signal);
  await world.start('hangzhou');
  await promoteByHand('hangzhou');
  assert.deepEqual(await rowsOf(world.url('hangzhou'), 'SELECT * FROM muster.lease'), []);
  assert.equal(await write('hangzhou', true), '25006');
});

test('a lease of its own opens it', async () => {
  granter.stopGranting({ service: 'shop', throughEpoch: 1, by: 'test' });
  granter.putEpoch({ service: 'shop', epoch: 2, holder: 'beijing' });
  await guard.openNow(2, 4 * leaseMs);
  await eventually('it takes writes', async () => (await write('beijing')) === null);
  assert.equal(await write('hangzhou', true), '25006');
});
