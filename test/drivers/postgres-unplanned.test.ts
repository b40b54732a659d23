/** The writer's site dies under load, its standby takes over, and the old writer comes back with rows of its own. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { writeCanary } from '../../activities/drivers/postgres/canary.ts';
import { killServer } from '../../activities/drivers/postgres/server.ts';
import { sqlState, withSql } from '../../activities/drivers/postgres/sql.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { doneWith, eventually, rowsOf, startRun, startWorld, textOf, type World } from './postgres-world.ts';
import { FakeAgent } from './fake-agent.ts';

const schema = `CREATE TABLE orders (id bigint PRIMARY KEY, x text);
  CREATE TABLE lines (order_id bigint, nr int, note text, PRIMARY KEY (order_id, nr));
  CREATE TABLE log (at int, what text)`;

/** A line of the conflict set. */
interface Line {
  table: string;
  key: string;
  row: Record<string, unknown>;
  when: string | null;
  kind: string;
}

let world: World;
let control: FakeAgent;
let beijing: FakeAgent;
let hangzhou: FakeAgent;
let run: ReturnType<typeof startRun>;
let back: ReturnType<typeof startRun>;
/** Ids that the dying writer acknowledged under load. */
const acknowledged: number[] = [];
const sql = (site: string, text: string): Promise<object[]> => rowsOf(world.appUrl(site), text);

before(async () => {
  world = await startWorld({ schema, tables: ['orders', 'lines', 'log'] });
  [control, beijing, hangzhou] = (await Promise.all(
    ['control', 'beijing', 'hangzhou'].map((site) => new FakeAgent(site).start()),
  )) as [FakeAgent, FakeAgent, FakeAgent];
  await world.addStandby();
  await world.access.hangzhou.open({ epoch: 1, remainingMs: 600_000 });
  await sql('hangzhou', "INSERT INTO orders SELECT i, 'both' FROM generate_series(1, 100) i");
  await sql('hangzhou', "INSERT INTO lines SELECT i, n, 'both' FROM generate_series(1, 12) i, generate_series(1, 2) n");
  await sql('hangzhou', "INSERT INTO log VALUES (1, 'same'), (1, 'same'), (2, 'same')");
  await withSql(world.url('hangzhou'), {}, (client) => writeCanary(client, 1, Date.now()));
  await eventually(
    'replicated',
    async () => (await rowsOf(world.url('beijing'), 'SELECT 1 FROM muster.canary')).length === 1,
  );
  await detachStandby();
  await writeOnOldAlone();
  await killUnderLoad();
  run = startRun(world, { control, hangzhou: null, beijing });
  run.clocks.fault = Date.now();
});
after(async () => {
  await world.stop();
  await Promise.all([control, beijing, hangzhou].map((agent) => agent.stop()));
});

/** From here on the old writer commits what nobody else has. */
async function detachStandby(): Promise<void> {
  await withSql(world.url('beijing'), {}, async (client) => {
    await client.query("ALTER SYSTEM SET primary_conninfo = ''");
    await client.query('SELECT pg_reload_conf()');
  });
  await eventually(
    'detached',
    async () => (await rowsOf(world.url('beijing'), 'SELECT 1 FROM pg_stat_wal_receiver')).length === 0,
  );
}

async function writeOnOldAlone(): Promise<void> {
  await sql('hangzhou', "INSERT INTO orders VALUES (1001, 'old'), (1002, 'old'), (1003, 'taken by both')");
  await sql('hangzhou', "UPDATE orders SET x = 'old' WHERE id IN (5, 6)");
  await sql('hangzhou', 'DELETE FROM orders WHERE id IN (7, 8)');
  await sql('hangzhou', "UPDATE lines SET note = 'old' WHERE order_id = 10 AND nr = 2");
  await sql('hangzhou', "INSERT INTO lines VALUES (9, 3, 'old'), (9007199254740993, 1, 'old')");
  await sql('hangzhou', "INSERT INTO log VALUES (1, 'same'), (3, 'old')");
}

async function killUnderLoad(): Promise<void> {
  let id = 5_000;
  const client = async (): Promise<void> => {
    await withSql(world.appUrl('hangzhou'), { role: 'client' }, async (connection) => {
      for (;;) {
        const mine = id++;
        await connection.query("INSERT INTO orders VALUES ($1, 'load')", [mine]);
        acknowledged.push(mine);
      }
    });
  };
  const clients = Promise.allSettled([client(), client(), client()]);
  await eventually('load', () => Promise.resolve(acknowledged.length > 50));
  await killServer(world.serverOf('hangzhou').dataDir);
  await clients;
}

test('the check finds a living standby and estimates the loss from the newest mark', async () => {
  const outcome = await run.perform('check');
  const evidence = doneWith(outcome);
  assert.equal(evidence['source'], null);
  assert.ok(outcome.status === 'done');
  const [loss] = outcome.measurements;
  assert.ok(loss?.name === 'rpoSeconds' && loss.confidence === 'estimated' && (loss.value ?? -1) > 0);
});

test('before the fence its confirm says not yet', async () => {
  const outcome = await run.confirm('fence');
  assert.equal(outcome.status, 'not-yet');
});

test('the fence stands when the lease of every granter has run out, and again under the same token', async () => {
  beijing.granter.remainingMs = 300;
  const startedAt = performance.now();
  const evidence = doneWith(await run.perform('fence'));
  assert.equal(evidence['by'], 'lease');
  assert.ok(performance.now() - startedAt >= 300);
  assert.deepEqual(control.called('/v1/stop-granting'), [{ service: 'shop', throughEpoch: 1, by: run.runId }]);
  beijing.granter.remainingMs = 0;
  assert.equal(doneWith(await run.confirm('fence'))['by'], 'lease');
  assert.equal(doneWith(await run.perform('fence'))['by'], 'lease');
});

test('the frozen loss runs from the newest mark to the fault, and the second method agrees', async () => {
  const outcome = await run.perform('observe', { freeze: true });
  const evidence = doneWith(outcome);
  assert.ok(outcome.status === 'done');
  assert.equal(evidence['allReplayed'], true);
  assert.equal(evidence['complete'], false);
  const by = (method: string) => outcome.measurements.find((m) => m.method === method);
  const mark = Number(evidence['canaryAtMs']);
  assert.equal(by('canary')?.value, ((run.clocks.fault ?? 0) - mark) / 1000);
  assert.equal(by('canary')?.confidence, 'measured');
  assert.equal(by('commit-timestamp')?.confidence, 'estimated');
  assert.ok((by('commit-timestamp')?.value ?? -1) <= (by('canary')?.value ?? 0));
});

test('a promotion that no granter would back is refused before anything is changed', async () => {
  const alone = startRun(world, { control: new FakeAgent('control'), hangzhou: null, beijing: null });
  await assert.rejects(alone.perform('promote'), MusterError);
  control.granter = { ...control.granter, epoch: 9, holder: 'elsewhere' };
  await assert.rejects(run.perform('promote'), (err) => err instanceof MusterError && err.code === 'EPOCH_STALE');
  control.granter = { ...control.granter, epoch: 1, holder: 'hangzhou' };
  assert.equal((await run.confirm('promote')).status, 'not-yet');
  const [row] = await rowsOf<{ standby: boolean }>(world.url('beijing'), 'SELECT pg_is_in_recovery() AS standby');
  assert.equal(row?.standby, true);
});

test('what is not open yet is not verified', async () => {
  await assert.rejects(run.perform('verify'), (err) => err instanceof MusterError && err.code === 'VERIFY_FAILED');
});

test('promoted, the standby is open under the new epoch; doing it again changes nothing', async () => {
  const evidence = doneWith(await run.perform('promote'));
  assert.equal(evidence['timeline'], 2);
  assert.match(textOf(evidence, 'forkLsn'), /^0\//);
  assert.deepEqual(control.granter, { ...control.granter, epoch: 2, holder: 'beijing' });
  assert.equal(doneWith(await run.confirm('promote'))['epoch'], 2);
  assert.equal(doneWith(await run.perform('promote'))['timeline'], 2);
  const [slot] = await rowsOf<{ slot_name: string }>(
    world.url('beijing'),
    'SELECT slot_name FROM pg_replication_slots',
  );
  assert.equal(slot?.slot_name, 'muster_hangzhou');
});

test('the new writer is verified by a real write, and serves', async () => {
  const evidence = doneWith(await run.perform('verify'));
  assert.deepEqual(evidence['tables'], ['public.lines', 'public.log', 'public.orders']);
  await sql('beijing', "INSERT INTO orders VALUES (2001, 'new'), (1003, 'taken by both, differently')");
  await sql('beijing', "UPDATE orders SET x = 'new' WHERE id IN (6, 9)");
  await sql('beijing', 'DELETE FROM orders WHERE id = 11');
  await sql('beijing', "INSERT INTO log VALUES (4, 'new')");
});

test('the old writer boots by itself, believes it is primary, and takes no write', async () => {
  await world.start('hangzhou', false);
  const [row] = await rowsOf<{ standby: boolean }>(world.url('hangzhou'), 'SELECT pg_is_in_recovery() AS standby');
  assert.equal(row?.standby, false);
  await assert.rejects(
    sql('hangzhou', "INSERT INTO orders VALUES (3001, 'split')"),
    (err) => sqlState(err) === '25006',
  );
});

test('it may not rejoin before its own rows are saved', async () => {
  back = startRun(world, { control, hangzhou, beijing }, { kind: 'reprotect', from: 'beijing', to: 'hangzhou' });
  hangzhou.onClose = async () => {
    const closed = await world.access.hangzhou.close();
    await world.access.hangzhou.stop();
    return { state: 'stopped', ...closed };
  };
  doneWith(await back.perform('check'));
  await assert.rejects(
    back.perform('rejoin', {}),
    (err) => err instanceof MusterError && err.code === 'CONFLICT_EXPORT_FAILED',
  );
});

test('it is closed and stopped by its own guard, and its granter learns who holds the service', async () => {
  assert.equal((await back.confirm('fence', { returning: true })).status, 'not-yet');
  const evidence = doneWith(await back.perform('fence', { returning: true }));
  assert.deepEqual([evidence['guardState'], evidence['told']], ['stopped', true]);
  assert.deepEqual([hangzhou.granter.epoch, hangzhou.granter.holder], [2, 'beijing']);
  doneWith(await back.confirm('fence', { returning: true }));
  doneWith(await back.perform('fence', { returning: true }));
});

test('its conflict set is exact: rows inserted, changed and deleted there, and nothing that the new writer did', async () => {
  assert.equal((await back.confirm('backup', { diverged: true })).status, 'not-yet');
  const evidence = doneWith(await back.perform('backup', { diverged: true }));
  const text = readFileSync(textOf(evidence, 'file'), 'utf8');
  assert.equal(evidence['sha256'], createHash('sha256').update(text).digest('hex'));
  const conflicts = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  const loaded = conflicts.filter(({ table, key }) => table === 'public.orders' && Number(key) >= 5_000);
  const rest = conflicts
    .filter((conflict) => !loaded.includes(conflict))
    .map(({ table, key, kind, row }) => [table, key, kind, row['x'] ?? null]);
  assert.deepEqual(rest, [
    ['public.lines', '9,3', 'only-old', null],
    ['public.lines', '10,2', 'differs', null],
    ['public.lines', '9007199254740993,1', 'only-old', null],
    ['public.log', '{"at": 1, "what": "same"}', 'only-old', null],
    ['public.log', '{"at": 3, "what": "old"}', 'only-old', null],
    ['public.orders', '5', 'differs', 'old'],
    ['public.orders', '6', 'differs', 'old'],
    ['public.orders', '7', 'missing-old', 'both'],
    ['public.orders', '8', 'missing-old', 'both'],
    ['public.orders', '1001', 'only-old', 'old'],
    ['public.orders', '1002', 'only-old', 'old'],
    ['public.orders', '1003', 'differs', 'taken by both'],
  ]);
  assert.match(text, /"order_id": 9007199254740993/); // no digit is lost on the way
  // Every acknowledged write of the load is in it; one per client may have been committed without an answer.
  const keys = new Set(loaded.map(({ key }) => Number(key)));
  assert.deepEqual(
    acknowledged.filter((id) => !keys.has(id)),
    [],
  );
  assert.ok(keys.size - acknowledged.length <= 3);
  assert.ok(
    conflicts.every(({ when, kind }) => (kind === 'missing-old' ? when === null : /^\d{4}-.*Z$/.test(when ?? ''))),
  );
  assert.equal(evidence['rows'], conflicts.length);
});

test('the conflict set read back is the same, and so is one made again', async () => {
  const first = back.evidence['backup-orders'];
  assert.equal(doneWith(await back.confirm('backup', { diverged: true }))['sha256'], first?.['sha256']);
  assert.equal(doneWith(await back.perform('backup', { diverged: true }))['sha256'], first?.['sha256']);
});

test('it rejoins as a standby that streams, its old directory kept aside', async () => {
  assert.equal((await back.confirm('rejoin')).status, 'not-yet');
  const evidence = doneWith(await back.perform('rejoin'));
  assert.equal(evidence['how'], 'clone');
  assert.ok(existsSync(textOf(evidence, 'keptAside')));
  assert.equal(doneWith(await back.confirm('rejoin'))['state'], 'streaming');
  assert.equal(doneWith(await back.perform('rejoin'))['state'], 'streaming');
});

test('the service is protected again once a mark arrives at the returned site in time', async () => {
  const outcome = await back.perform('replicate');
  const evidence = doneWith(outcome);
  assert.equal(evidence['streaming'], true);
  assert.ok(Number(evidence['probeSeconds']) < 5);
  await eventually('same rows', async () => {
    const [a, b] = await Promise.all(
      ['beijing', 'hangzhou'].map((site) =>
        rowsOf(world.url(site), 'SELECT md5(string_agg(o::text, $1 ORDER BY id)) AS sum FROM orders o', [',']),
      ),
    );
    return JSON.stringify(a) === JSON.stringify(b);
  });
});

test('the check refuses a move to where the writer is already', async () => {
  const wrong = startRun(world, { control, hangzhou, beijing });
  await assert.rejects(wrong.perform('check'), (err) => err instanceof MusterError && err.code === 'ALREADY_PRIMARY');
});
