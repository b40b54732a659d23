/** A planned move whose old writer is killed in the fence, with rows that nobody else has: its rejoin saves exactly these. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { killServer } from '../../activities/drivers/postgres/server.ts';
import { conflictFilesOf, parseConflictSet } from '../../console/conflict-sets.ts';
import type { JsonObject } from '../../workflows/engine/plan.ts';
import { FakeAgent } from './fake-agent.ts';
import { doneWith, eventually, rowsOf, startRun, startWorld, textOf, type World } from './postgres-world.ts';

let world: World;
const agents = {} as Record<'control' | 'hangzhou' | 'beijing', FakeAgent>;
let run: ReturnType<typeof startRun>;
let rejoined: JsonObject;
const sql = (site: string, text: string): Promise<object[]> => rowsOf(world.appUrl(site), text);
const count = async (site: string): Promise<number> => (await rowsOf(world.url(site), 'SELECT 1 FROM orders')).length;

before(async () => {
  const schema = 'CREATE TABLE orders (id bigint PRIMARY KEY, x text)';
  world = await startWorld({ schema, tables: ['orders'] });
  for (const site of ['control', 'hangzhou', 'beijing'] as const) agents[site] = await new FakeAgent(site).start();
  // Its guard closes it, tells its last position, and dies with the server: nothing of the rest reaches anybody.
  agents.hangzhou.onClose = async () => {
    const closed = await world.access.hangzhou.close();
    await killServer(world.serverOf('hangzhou').dataDir);
    return { state: 'stopped', ...closed };
  };
  await world.addStandby();
  await world.access.hangzhou.open({ epoch: 1, remainingMs: 600_000 });
  await sql('hangzhou', "INSERT INTO orders SELECT i, 'both' FROM generate_series(1, 20) i");
  await eventually('replicated', async () => (await count('beijing')) === 20);
});
after(async () => {
  await world.stop();
  for (const agent of Object.values(agents)) await agent.stop();
});

test('what it committed while its standby was away is a loss that the planned move does not pass over', async () => {
  await killServer(world.serverOf('beijing').dataDir);
  await sql('hangzhou', "INSERT INTO orders VALUES (101, 'old alone'), (102, 'old alone'), (103, 'gone again')");
  await sql('hangzhou', "UPDATE orders SET x = 'changed' WHERE id = 5");
  await sql('hangzhou', 'DELETE FROM orders WHERE id IN (7, 103)');
  run = startRun(world, agents, { mode: 'graceful', epoch: 2 });
  doneWith(await run.perform('fence'));
  assert.equal(await world.access.hangzhou.role(), 'stopped');
  await world.start('beijing');
  await assert.rejects(run.perform('observe', { freeze: true }, { timeoutMs: 1_000 }), { code: 'LAG_UNKNOWN' });
});

test('people go on all the same, and its rejoin saves these rows, each as the old writer had it, and no other', async () => {
  doneWith(await run.perform('promote'));
  await sql('beijing', "INSERT INTO orders VALUES (201, 'new'), (102, 'new writer took the number')");
  rejoined = doneWith(await run.perform('rejoin', {}, { timeoutMs: 60_000 }));
  const [file] = conflictFilesOf([{ id: 'rejoin-orders', evidence: rejoined }], 'nowhere');
  assert.ok(file !== undefined);
  assert.deepEqual([file.site, file.resource, file.of], ['hangzhou', 'orders', 'rows']);
  const text = readFileSync(textOf(rejoined, 'file'), 'utf8');
  assert.equal(file.sha256, createHash('sha256').update(text).digest('hex'));
  const { rows } = parseConflictSet(file, text);
  assert.deepEqual(
    rows.map(({ table, key, row, whenMs }) => [table, key, row['x'], whenMs !== null]),
    [
      ['public.orders', '5', 'changed', true],
      ['public.orders', '7', 'both', false],
      ['public.orders', '101', 'old alone', true],
      ['public.orders', '102', 'old alone', true],
    ],
  );
  assert.equal(rejoined['rows'], 4);
  assert.deepEqual(rejoined['byKind'], { 'only-old': 1, differs: 2, 'missing-old': 1 });
});

test('then it follows, and has the rows of the new writer alone', async () => {
  doneWith(await run.perform('replicate', { standby: 'hangzhou' }));
  const all = 'SELECT id::int, x FROM orders ORDER BY id';
  const [here, there] = [await rowsOf(world.url('beijing'), all), await rowsOf(world.url('hangzhou'), all)];
  assert.deepEqual(there, here);
  assert.equal(here.length, 22);
  assert.deepEqual(here.slice(-2), [
    { id: 102, x: 'new writer took the number' },
    { id: 201, x: 'new' },
  ]);
});
