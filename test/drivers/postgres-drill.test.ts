/** An isolated drill: the standby is copied, opened, counted and removed, and production does not notice. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { writeCanary } from '../../activities/drivers/postgres/canary.ts';
import { findScratch, removeLeftScratch } from '../../activities/drivers/postgres/scratch.ts';
import { withSql } from '../../activities/drivers/postgres/sql.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { doneWith, eventually, rowsOf, startRun, startWorld, type World } from './postgres-world.ts';
import { FakeAgent } from './fake-agent.ts';

let world: World;
let control: FakeAgent;
let run: ReturnType<typeof startRun>;

before(async () => {
  world = await startWorld({ schema: 'CREATE TABLE orders (id bigint PRIMARY KEY)', tables: '*' });
  control = await new FakeAgent('control').start();
  await world.addStandby();
  await world.access.hangzhou.open({ epoch: 1, remainingMs: 600_000 });
  await withSql(world.url('hangzhou'), {}, (client) => writeCanary(client, 1, Date.now()));
  await rowsOf(world.appUrl('hangzhou'), 'INSERT INTO orders SELECT generate_series(1, 500)');
  await eventually(
    'replicated',
    async () => (await rowsOf(world.url('beijing'), 'SELECT 1 FROM orders')).length === 500,
  );
  run = startRun(world, { control, hangzhou: null, beijing: null }, { kind: 'drill' });
});
after(async () => {
  await world.stop();
  await control.stop();
});

test('before the restore there is nothing to confirm and nothing to verify', async () => {
  assert.equal((await run.confirm('restore')).status, 'not-yet');
  await assert.rejects(
    run.perform('verify', { scratch: true }),
    (err) => err instanceof MusterError && err.code === 'VERIFY_FAILED',
  );
});

test('the copy opens on its own, with every row, and says how old it is', async () => {
  doneWith(await run.perform('check'));
  const outcome = await run.perform('restore');
  const evidence = doneWith(outcome);
  assert.deepEqual(evidence['rows'], { 'public.orders': 500 });
  assert.ok(outcome.status === 'done');
  const age = outcome.measurements.find(({ name }) => name === 'restoredAgeSeconds');
  assert.ok(age?.value !== null && Number(age?.value) < 60);
  assert.deepEqual(doneWith(await run.confirm('restore'))['rows'], { 'public.orders': 500 });
});

test('restored again under the same token it is the same copy', async () => {
  const before = (await findScratch(world.serverOf('beijing'))).url;
  doneWith(await run.perform('restore'));
  assert.equal((await findScratch(world.serverOf('beijing'))).url, before);
});

test('the copy has a timeline of its own, follows nobody and archives nothing; production goes on', async () => {
  const { url } = await findScratch(world.serverOf('beijing'));
  const [row] = await rowsOf<object>(
    url ?? '',
    `SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline, current_setting('archive_mode') AS archive,
            current_setting('primary_conninfo') AS upstream, pg_is_in_recovery() AS standby`,
  );
  assert.deepEqual({ ...row }, { timeline: '00000002', archive: 'off', upstream: '', standby: false });
  await rowsOf(world.appUrl('hangzhou'), 'INSERT INTO orders VALUES (501)');
  await eventually(
    'still replicated',
    async () => (await rowsOf(world.url('beijing'), 'SELECT 1 FROM orders')).length === 501,
  );
});

test('the rows of the copy are held against those of the standby', async () => {
  doneWith(await run.perform('verify', { scratch: true }));
  const { url } = await findScratch(world.serverOf('beijing'));
  await withSql(url ?? '', {}, (client) =>
    client.query('ALTER TABLE orders DISABLE TRIGGER ALL; DELETE FROM orders WHERE id > 100'),
  );
  await assert.rejects(
    run.perform('verify', { scratch: true }),
    (err) => err instanceof MusterError && /100 rows in the restored copy/.test(err.message),
  );
});

test('removed, nothing of it is left; removing it again is done as well', async () => {
  assert.equal((await run.confirm('restore', { remove: true })).status, 'not-yet');
  const { dataDir } = await findScratch(world.serverOf('beijing'));
  doneWith(await run.perform('restore', { remove: true }, { stepId: 'restore-orders-remove' }));
  assert.deepEqual([existsSync(dataDir), existsSync(`${dataDir}.conf`)], [false, false]);
  doneWith(await run.perform('restore', { remove: true }, { stepId: 'restore-orders-remove' }));
  doneWith(await run.confirm('restore', { remove: true }));
});

test('a copy that a drill left is removed with its server by whoever finds that no drill runs, not while one is made', async () => {
  const server = world.serverOf('beijing');
  const making = run.perform('restore');
  await eventually('the copy is begun', async () => existsSync(`${server.dataDir}.scratch.conf`));
  let found: string | null | undefined;
  const whenNeeded = removeLeftScratch(server, async () => {
    found = (await findScratch(server)).madeBy;
    return true;
  });
  doneWith(await making);
  assert.equal(await whenNeeded, null);
  assert.equal(typeof found, 'string', 'it was asked while the copy was not complete');
  const { dataDir, url } = await findScratch(server);
  assert.notEqual(url, null, 'the copy that is needed does not run any more');
  assert.equal(await removeLeftScratch(server, async () => false), dataDir);
  assert.deepEqual([existsSync(dataDir), existsSync(`${dataDir}.conf`)], [false, false]);
  await assert.rejects(rowsOf(url ?? '', 'SELECT 1'));
  assert.equal(await removeLeftScratch(server, () => assert.fail('there is nothing to ask about')), null);
});
