/** The verbs of the PostgreSQL driver, once around: what they ask of a server differs from version to version. */
import assert from 'node:assert/strict';
import { findPostgres } from '../../../../activities/drivers/postgres/binaries.ts';
import { writeCanary } from '../../../../activities/drivers/postgres/canary.ts';
import { killServer } from '../../../../activities/drivers/postgres/server.ts';
import { sqlState, withSql } from '../../../../activities/drivers/postgres/sql.ts';
import { FakeAgent } from '../../../drivers/fake-agent.ts';
import { doneWith, rowsOf, startRun, startWorld } from '../../../drivers/postgres-world.ts';
import { eventually } from '../../../support/eventually.ts';

/**
 * Two sites; the writer dies, its standby takes over, the old one boots with a row of its own, is closed and rejoins: by
 * pg_rewind where there is one of this version, else by a clone.
 */
export async function failOverAndBack(binaries: { binDir?: string }): Promise<void> {
  const world = await startWorld({ schema: 'CREATE TABLE orders (id bigint PRIMARY KEY)', tables: '*', ...binaries });
  const agents = Object.fromEntries(
    ['control', 'hangzhou', 'beijing'].map((site) => [site, new FakeAgent(site)]),
  ) as Record<'control' | 'hangzhou' | 'beijing', FakeAgent>;
  const sql = (site: string, text: string): Promise<object[]> => rowsOf(world.appUrl(site), text);
  try {
    for (const agent of Object.values(agents)) await agent.start();
    await world.addStandby();
    await world.access.hangzhou.open({ epoch: 1, remainingMs: 600_000 });
    await sql('hangzhou', 'INSERT INTO orders VALUES (1)');
    await withSql(world.url('hangzhou'), {}, (client) => writeCanary(client, 1, Date.now()));
    await eventually('replicated', async () => {
      const marks = await rowsOf(world.url('beijing'), 'SELECT 1 FROM muster.canary');
      return marks.length === 1;
    });
    await killServer(world.serverOf('hangzhou').dataDir);

    const over = startRun(world, { ...agents, hangzhou: null });
    over.clocks.fault = Date.now();
    doneWith(await over.perform('check'));
    doneWith(await over.perform('fence'));
    doneWith(await over.perform('observe', { freeze: true }));
    assert.equal(doneWith(await over.perform('promote'))['timeline'], 2);
    doneWith(await over.perform('verify'));
    await sql('beijing', 'INSERT INTO orders VALUES (2)');

    await world.start('hangzhou', false);
    await assert.rejects(sql('hangzhou', 'INSERT INTO orders VALUES (9)'), (err) => sqlState(err) === '25006');
    await withSql(world.url('hangzhou'), {}, (client) =>
      client.query('ALTER TABLE orders DISABLE TRIGGER ALL; INSERT INTO orders VALUES (3)'),
    );
    agents.hangzhou.onClose = async () => {
      const closed = await world.access.hangzhou.close();
      await world.access.hangzhou.stop();
      return { state: 'stopped', ...closed };
    };
    const back = startRun(world, agents, { kind: 'reprotect', from: 'beijing', to: 'hangzhou' });
    doneWith(await back.perform('check'));
    doneWith(await back.perform('fence', { returning: true }));
    assert.equal(doneWith(await back.perform('backup', { diverged: true }))['rows'], 1);
    const { pgRewind } = await findPostgres(binaries.binDir);
    assert.equal(doneWith(await back.perform('rejoin'))['how'], pgRewind === null ? 'clone' : 'rewind');
    doneWith(await back.perform('replicate'));
    await eventually('same rows', async () => {
      const rows = await rowsOf<{ id: string }>(world.url('hangzhou'), 'SELECT id FROM orders ORDER BY id');
      return rows.map(({ id }) => id).join() === '1,2';
    });
  } finally {
    await world.stop();
    for (const agent of Object.values(agents)) await agent.stop();
  }
}
