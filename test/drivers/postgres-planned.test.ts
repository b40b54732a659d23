/** A planned move there and back: nothing is lost, nothing is cloned. And what a standby that hangs looks like. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newestCanary, writeCanary } from '../../activities/drivers/postgres/canary.ts';
import { slotOf } from '../../activities/drivers/postgres/config.ts';
import { judgeLag, observeLag } from '../../activities/drivers/postgres/lag.ts';
import { signalProcess } from '../../activities/drivers/postgres/process.ts';
import { killServer } from '../../activities/drivers/postgres/server.ts';
import { connectSql, dropSql, withSql } from '../../activities/drivers/postgres/sql.ts';
import { conflictFilesOf } from '../../console/conflict-sets.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { doneWith, eventually, rowsOf, startRun, startWorld, textOf, type World } from './postgres-world.ts';
import { FakeAgent } from './fake-agent.ts';

let world: World;
const agents = {} as Record<'control' | 'hangzhou' | 'beijing', FakeAgent>;
const sql = (site: string, text: string): Promise<object[]> => rowsOf(world.appUrl(site), text);
const mark = (site: string): Promise<unknown> =>
  withSql(world.url(site), {}, (client) => writeCanary(client, 1, Date.now()));

before(async () => {
  world = await startWorld({ schema: 'CREATE TABLE orders (id bigint PRIMARY KEY)', tables: ['orders'] });
  for (const site of ['control', 'hangzhou', 'beijing'] as const) agents[site] = await new FakeAgent(site).start();
  for (const site of ['hangzhou', 'beijing'] as const) {
    agents[site].onClose = async () => {
      const closed = await world.access[site].close();
      await world.access[site].stop();
      return { state: 'stopped', ...closed };
    };
  }
  await world.addStandby();
  await world.access.hangzhou.open({ epoch: 1, remainingMs: 600_000 });
  await mark('hangzhou');
  await sql('hangzhou', 'INSERT INTO orders SELECT generate_series(1, 1000)');
});
after(async () => {
  await world.stop();
  for (const agent of Object.values(agents)) await agent.stop();
});

test('the lag before a planned move is inside the objective by every method', async () => {
  const run = startRun(world, agents, { mode: 'graceful' });
  doneWith(await run.perform('check'));
  const outcome = await run.perform('observe', { prepare: true }, { stepId: 'observe-orders-lag' });
  const evidence = doneWith(outcome);
  assert.equal(evidence['inside'], true, JSON.stringify(evidence));
  assert.ok(outcome.status === 'done');
  assert.deepEqual(outcome.measurements.map(({ name, method }) => `${name} ${method}`).sort(), [
    'lagBytes lsn',
    'lagSeconds canary',
    'lagSeconds lsn',
    'lagSeconds reply-age',
  ]);
});

test('behind a frozen receiver the lag is never small: it is unknown or outside, and the loss is put before a person', async () => {
  const [receiver] = await rowsOf<{ pid: number }>(world.url('beijing'), 'SELECT pid FROM pg_stat_wal_receiver');
  const pid = receiver?.pid ?? 0;
  const clients = [await connectSql(world.url('hangzhou')), await connectSql(world.url('beijing'))] as const;
  signalProcess(pid, 'SIGSTOP');
  try {
    await sql('hangzhou', 'INSERT INTO orders SELECT generate_series(1001, 2000)');
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    await mark('hangzhou');
    // What the server itself would have us believe: streaming, and no lag worth speaking of.
    const [row] = await rowsOf<{ state: string; small: boolean }>(
      world.url('hangzhou'),
      "SELECT state, coalesce(replay_lag, '0') < '1 s' AS small FROM pg_stat_replication",
    );
    assert.deepEqual({ ...row }, { state: 'streaming', small: true });
    const lag = await observeLag({
      primary: clients[0],
      standby: clients[1],
      applicationName: slotOf(world.resource, 'beijing'),
      nowMs: () => Date.now(),
    });
    assert.ok((lag.bytes ?? 0) > 10_000 && (lag.replySeconds ?? 0) > 1, JSON.stringify(lag));
    assert.notEqual(judgeLag(lag, 1).kind, 'inside');
    const run = startRun(world, agents, { mode: 'graceful', rpoSeconds: 1 });
    const outcome = await run.perform('observe', { prepare: true }, { timeoutMs: 3_000 });
    assert.ok(outcome.status === 'done');
    assert.equal(outcome.evidence['inside'], false);
    assert.ok(outcome.measurements.some(({ name, value }) => name === 'rpoSeconds' && (value === null || value > 1)));
  } finally {
    signalProcess(pid, 'SIGCONT');
    for (const client of clients) dropSql(client);
  }
  await eventually(
    'caught up',
    async () => (await rowsOf(world.url('beijing'), 'SELECT 1 FROM orders WHERE id = 2000')).length === 1,
  );
});

test('lag to a server that cannot be asked is unknown', async () => {
  await withSql(world.url('hangzhou'), {}, async (primary) => {
    const lag = await observeLag({
      primary,
      standby: null,
      applicationName: slotOf(world.resource, 'beijing'),
      nowMs: () => Date.now(),
    });
    assert.deepEqual([lag.bytes, lag.canarySeconds, lag.replySeconds], [null, null, null]);
    assert.equal(judgeLag(lag, 5).kind, 'unknown');
  });
});

test('a fence that is taken back gives the old writer the service under the newer epoch', async () => {
  const run = startRun(world, agents, { mode: 'graceful' });
  doneWith(await run.perform('fence'));
  assert.equal((await run.confirm('unfence')).status, 'not-yet');
  await assert.rejects(sql('hangzhou', 'INSERT INTO orders VALUES (2001)'));
  // What the guard there does when it hears that it is named.
  agents.hangzhou.onEpoch = async (epoch, holder) => {
    if (holder !== 'hangzhou') return;
    await world.access.hangzhou.start();
    await world.access.hangzhou.open({ epoch, remainingMs: 600_000 });
    agents.hangzhou.guard = { ...agents.hangzhou.guard, state: 'open', epoch, leaseRemainingMs: 1_000 };
  };
  doneWith(await run.perform('unfence'));
  doneWith(await run.confirm('unfence'));
  await sql('hangzhou', 'INSERT INTO orders VALUES (2001)');
  agents.hangzhou.onEpoch = null;
});

test('a planned fence without the answer of the guard is unknown, never done', async () => {
  const { onClose } = agents.hangzhou;
  agents.hangzhou.onClose = null;
  const run = startRun(world, agents, { mode: 'graceful', epoch: 3, leaseMs: 200 });
  assert.equal((await run.perform('fence', {}, { timeoutMs: 500 })).status, 'unknown');
  agents.hangzhou.onClose = onClose;
});

test('a planned move loses nothing, and the old writer rejoins as it is', async () => {
  await eventually(
    'streaming',
    async () => (await rowsOf(world.url('hangzhou'), 'SELECT 1 FROM pg_stat_replication')).length === 1,
  );
  const run = startRun(world, agents, { mode: 'graceful', epoch: 3 });
  doneWith(await run.perform('check'));
  doneWith(await run.perform('observe', { prepare: true }, { stepId: 'observe-orders-lag' }));
  await sql('hangzhou', 'INSERT INTO orders VALUES (2002)');
  const fence = doneWith(await run.perform('fence'));
  assert.equal(fence['by'], 'guard');
  assert.match(textOf(fence, 'finalLsn'), /^0\//);
  const frozen = await run.perform('observe', { freeze: true });
  assert.equal(doneWith(frozen)['complete'], true);
  assert.ok(frozen.status === 'done');
  assert.deepEqual(
    frozen.measurements.map(({ name, value, confidence }) => [name, value, confidence]),
    [['rpoSeconds', 0, 'measured']],
  );
  doneWith(await run.perform('promote'));
  doneWith(await run.perform('verify'));
  await sql('beijing', 'INSERT INTO orders VALUES (2003)');
  const rejoin = doneWith(await run.perform('rejoin', { site: 'hangzhou', upstream: 'beijing' }));
  assert.equal(rejoin['how'], 'as-it-was');
  doneWith(await run.perform('replicate', { standby: 'hangzhou' }));
  const rows = await rowsOf<{ n: number }>(world.url('beijing'), 'SELECT count(*)::int AS n FROM orders');
  assert.equal(rows[0]?.n, 2003);
  assert.deepEqual(await rowsOf(world.url('hangzhou'), 'SELECT slot_name FROM pg_replication_slots'), []);
});

test('and home again, the same way', async () => {
  await mark('beijing');
  const run = startRun(world, agents, {
    kind: 'failback',
    mode: 'graceful',
    from: 'beijing',
    to: 'hangzhou',
    epoch: 4,
  });
  doneWith(await run.perform('check'));
  assert.equal(
    doneWith(await run.perform('observe', { prepare: true }, { stepId: 'observe-orders-lag' }))['inside'],
    true,
  );
  doneWith(await run.perform('fence'));
  assert.equal(doneWith(await run.perform('observe', { freeze: true }))['complete'], true);
  assert.equal(doneWith(await run.perform('promote'))['timeline'], 3);
  assert.equal(doneWith(await run.perform('rejoin', { site: 'beijing', upstream: 'hangzhou' }))['how'], 'as-it-was');
  doneWith(await run.perform('replicate', { standby: 'beijing' }));
  await sql('hangzhou', 'INSERT INTO orders VALUES (2004)');
  await eventually(
    'replicated',
    async () => (await rowsOf(world.url('beijing'), 'SELECT 1 FROM orders')).length === 2004,
  );
  const seen = await withSql(world.url('beijing'), {}, newestCanary);
  assert.ok(seen !== null);
});

test('an old writer that was ended hard in a planned move rejoins, and what it alone has is saved first', async () => {
  const run = startRun(world, agents, { mode: 'graceful', epoch: 5 });
  const { onClose } = agents.hangzhou;
  agents.hangzhou.onClose = async () => {
    const closed = await world.access.hangzhou.close();
    await killServer(world.serverOf('hangzhou').dataDir);
    return { state: 'stopped', ...closed };
  };
  doneWith(await run.perform('check'));
  doneWith(await run.perform('observe', { prepare: true }, { stepId: 'observe-orders-lag' }));
  doneWith(await run.perform('fence'));
  assert.equal(doneWith(await run.perform('observe', { freeze: true }))['complete'], true);
  doneWith(await run.perform('promote'));
  const steps = [{ id: 'rejoin-orders', evidence: doneWith(await run.perform('rejoin')) }];
  assert.deepEqual(
    conflictFilesOf(steps, 'nowhere').map(({ site, resource, of }) => [site, resource, of]),
    [['hangzhou', 'orders', 'rows']],
  );
  assert.equal(steps[0]?.evidence['rows'], 0, 'the standby had everything');
  doneWith(await run.perform('replicate', { standby: 'hangzhou' }));
  agents.hangzhou.onClose = onClose;

  const home = startRun(world, agents, {
    ...{ kind: 'failback', mode: 'graceful', from: 'beijing', to: 'hangzhou', epoch: 6 },
  });
  for (const verb of ['fence', 'promote', 'rejoin'] as const) doneWith(await home.perform(verb));
  const rows = await rowsOf<{ n: number }>(world.url('hangzhou'), 'SELECT count(*)::int AS n FROM orders');
  assert.equal(rows[0]?.n, 2004);
});

test('a copy of another server is no target', async () => {
  const other = await startWorld({ schema: '', tables: '*', anotherSystem: true });
  try {
    await other.addStandby();
    const mixed = {
      ...world,
      resource: {
        ...world.resource,
        sites: { hangzhou: world.resource.sites['hangzhou'] ?? {}, beijing: other.resource.sites['beijing'] ?? {} },
      },
    };
    const strange = startRun(mixed, agents);
    await assert.rejects(
      strange.perform('check'),
      (err) => err instanceof MusterError && err.code === 'TARGET_NOT_STANDBY',
    );
  } finally {
    await other.stop();
  }
});

test('a move to a dead standby is refused before anything is changed', async () => {
  await world.access.beijing.stop();
  const run = startRun(world, agents, { epoch: 7 });
  await assert.rejects(run.perform('check'), (err) => err instanceof MusterError && err.code === 'TARGET_DEAD');
});

test('an ungraceful fence of a living writer stands by its guard; with a granter that is silent only then', async () => {
  const run = startRun(world, { ...agents, beijing: null }, { epoch: 5, leaseMs: 300 });
  agents.control.granter = {
    ...agents.control.granter,
    epoch: 4,
    holder: 'hangzhou',
    stoppedThrough: 3,
    remainingMs: 300,
  };
  const { onClose } = agents.hangzhou;
  agents.hangzhou.onClose = null;
  const outcome = await run.perform('fence', {}, { timeoutMs: 1_500 });
  assert.ok(outcome.status === 'unknown' && /beijing/.test(outcome.why), JSON.stringify(outcome));
  assert.equal((await run.confirm('fence')).status, 'unknown');
  assert.equal(doneWith(await run.perform('fence', { acceptRisk: true }, { timeoutMs: 2_500 }))['by'], 'accepted-risk');
  agents.hangzhou.onClose = onClose;
  // A guard that answers gets the time to stop a real server.
  const patient = startRun(world, { ...agents, beijing: null }, { epoch: 5, leaseMs: 5_000 });
  assert.equal(doneWith(await patient.perform('fence'))['by'], 'guard');
  assert.equal(await world.access.hangzhou.role(), 'stopped');
});
