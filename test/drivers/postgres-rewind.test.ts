/** With PostgreSQL's own programs, which have pg_rewind (the bundled ones do not), and with synchronous replication. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { findPostgres } from '../../activities/drivers/postgres/binaries.ts';
import { writeCanary } from '../../activities/drivers/postgres/canary.ts';
import { killServer } from '../../activities/drivers/postgres/server.ts';
import { withSql } from '../../activities/drivers/postgres/sql.ts';
import { doneWith, eventually, rowsOf, startRun, startWorld, type World } from './postgres-world.ts';
import { FakeAgent } from './fake-agent.ts';

/** Newest installation of the system with pg_rewind. */
async function systemPostgres(): Promise<string | null> {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root)
    ? readdirSync(root)
        .map(Number)
        .filter((major) => major >= 15)
    : [];
  for (const major of versions.sort((a, b) => b - a)) {
    const binDir = path.join(root, String(major), 'bin');
    if ((await findPostgres(binDir).catch(() => null))?.pgRewind) return binDir;
  }
  return null;
}

const binDir = await systemPostgres();
const skip = binDir === null && 'no PostgreSQL 15 or later with pg_rewind on this machine';
let world: World;
const agents = {} as Record<'control' | 'hangzhou' | 'beijing', FakeAgent>;
const sql = (site: string, text: string): Promise<object[]> => rowsOf(world.appUrl(site), text);
const syncState = async (site: string): Promise<string | undefined> =>
  (await rowsOf<{ sync_state: string }>(world.url(site), 'SELECT sync_state FROM pg_stat_replication'))[0]?.sync_state;

before(async () => {
  if (binDir === null) return;
  world = await startWorld({
    schema: 'CREATE TABLE orders (id bigint PRIMARY KEY)',
    tables: ['orders'],
    binDir,
    synchronous: true,
  });
  for (const site of ['control', 'hangzhou', 'beijing'] as const) agents[site] = await new FakeAgent(site).start();
  await world.addStandby();
  await world.access.hangzhou.open({ epoch: 1, remainingMs: 600_000 });
});
after(async () => {
  if (binDir === null) return;
  await world.stop();
  for (const agent of Object.values(agents)) await agent.stop();
});

test('a synchronous pair waits for its standby, and a promoted one for nobody until it has one', { skip }, async () => {
  await eventually('synchronous', async () => (await syncState('hangzhou')) === 'sync');
  await sql('hangzhou', 'INSERT INTO orders VALUES (1)');
  await withSql(world.url('hangzhou'), {}, (client) => writeCanary(client, 1, Date.now()));
  await killServer(world.serverOf('hangzhou').dataDir);
  const run = startRun(world, { ...agents, hangzhou: null });
  run.clocks.fault = Date.now();
  doneWith(await run.perform('fence'));
  doneWith(await run.perform('observe', { freeze: true }));
  doneWith(await run.perform('promote'));
  await sql('beijing', 'INSERT INTO orders VALUES (2)');
});

test(
  'a diverged writer is rewound instead of cloned, with its own settings, and commits wait for it again',
  { skip },
  async () => {
    await world.start('hangzhou', false);
    // What it wrote by itself on booting is enough to have parted; a row of its own is what must not get lost unnoticed.
    await withSql(world.url('hangzhou'), {}, (client) =>
      client.query(
        'SET session_replication_role = replica; ALTER TABLE orders DISABLE TRIGGER ALL; INSERT INTO orders VALUES (3)',
      ),
    );
    agents.hangzhou.onClose = async () => {
      const closed = await world.access.hangzhou.close();
      await world.access.hangzhou.stop();
      return { state: 'stopped', ...closed };
    };
    const run = startRun(world, agents, { kind: 'reprotect', from: 'beijing', to: 'hangzhou' });
    doneWith(await run.perform('check'));
    doneWith(await run.perform('fence', { returning: true }));
    const saved = doneWith(await run.perform('backup', { diverged: true }));
    assert.deepEqual(saved['keys'], [
      { ...(saved['keys'] as object[])[0], table: 'public.orders', key: '3', kind: 'only-old' },
    ]);
    const rejoined = doneWith(await run.perform('rejoin'));
    assert.equal(rejoined['how'], 'rewind');
    doneWith(await run.perform('replicate'));
    assert.equal(await syncState('beijing'), 'sync');
    await sql('beijing', 'INSERT INTO orders VALUES (4)');
    const ids = async (): Promise<string[]> =>
      (await rowsOf<{ id: string }>(world.url('hangzhou'), 'SELECT id FROM orders ORDER BY id')).map(({ id }) => id);
    // A commit waits until the standby has it on disk; it is shown there a moment later.
    await eventually('the row is shown', async () => (await ids()).includes('4'));
    assert.deepEqual(await ids(), ['1', '2', '4']);
  },
);
