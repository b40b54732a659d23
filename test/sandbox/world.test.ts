import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { request } from 'undici';
import { randomUUID } from 'node:crypto';
import { serverProcesses } from '../../activities/drivers/postgres/process.ts';
import { isSame } from '../../sandbox/processes/identity.ts';
import { readRecords } from '../../sandbox/processes/records.ts';
import { compareTruth, lookupOrders, readTruth } from '../../sandbox/truth.ts';
import { startWorld, type World } from '../../sandbox/world.ts';

const root = mkdtempSync(join(tmpdir(), 'muster-world-'));
chmodSync(root, 0o711);
const dir = join(root, '.muster');
const said: string[] = [];
let world: World;

before(async () => {
  const parts = { temporal: false, worker: false, agents: false, storage: false };
  world = await startWorld({
    dir,
    parts,
    anyPorts: true,
    clients: 4,
    everyMs: 50,
    onProgress: (line) => said.push(line),
  });
});
after(async () => {
  await world?.stop();
  rmSync(root, { recursive: true, force: true });
});

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; !(await condition()); i++) {
    assert.ok(i < 1500, `it never came to be that ${what}`);
    await sleep(10);
  }
}

/** Asks one site's database on a connection of its own: none outlives the site's death. */
async function ask<T>(site: 'hangzhou' | 'beijing', work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: world.adminUrl(site), connectionTimeoutMillis: 3000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const acked = async () => (await world.clients.stats()).acked;

async function ordersFlow(): Promise<void> {
  const before = await acked();
  await until('orders flow', async () => (await acked()) >= before + 20);
}

test('an order placed through the entry is written at hangzhou and arrives at beijing', async () => {
  const id = randomUUID();
  const answer = await request(`${world.endpoints['entry']}/orders`, {
    method: 'POST',
    body: JSON.stringify({ id, customer: 'me', amountCents: 100 }),
  });
  await answer.body.dump();
  assert.deepEqual([answer.statusCode, answer.headers['x-muster-site']], [201, 'hangzhou']);
  await ask('beijing', async (client) => {
    await until('it is at beijing', async () => (await lookupOrders(client)([id])).has(id));
    const { rows } = await client.query('SELECT pg_is_in_recovery() AS standby');
    assert.equal(rows[0].standby, true);
  });
});

test('clients are served, and the commands find the world in a file that only its owner reads', async () => {
  await ordersFlow();
  const file = join(dir, 'sandbox.json');
  const { env, estate, supervisor } = JSON.parse(readFileSync(file, 'utf8'));
  assert.deepEqual([env, estate, supervisor.pid], [world.env.control, world.estate, process.pid]);
  assert.equal(statSync(file).mode & 0o077, 0);
  assert.ok(
    said.some((line) => line.endsWith('clients')),
    said.join('\n'),
  );
});

test('a second world under the same home is refused', async () => {
  await assert.rejects(startWorld({ dir }), { code: 'SANDBOX_RUNNING' });
  await ordersFlow();
});

test('a frozen site answers nobody and goes on where it was', async () => {
  await world.freezeSite('hangzhou');
  await until('the entry sees it', async () => (await world.entry.state()).upstreams[0]?.answers === false);
  await world.thawSite('hangzhou');
  await ordersFlow();
});

test('a killed site has no process left and says no last word; booted, its database opens as the primary it was', async () => {
  const session = new pg.Client({ connectionString: world.env.control['MUSTER_HANGZHOU_ORDERS_URL'] });
  let ended: string | null = null;
  session.on('error', (err) => (ended = err.message));
  await session.connect();
  await world.killSite('hangzhou');
  await until('its database is gone', async () => serverProcesses(world.dataDir('hangzhou')).length === 0);
  await until('its shop is gone', async () => world.processes.pidOf('shop-hangzhou') === null);
  await until('the entry sees it', async () => (await world.entry.state()).upstreams[0]?.answers === false);
  assert.equal(ended, null, 'a session over the link notices nothing');
  await world.bootSite('hangzhou');
  await until('the session is reset', async () => ended !== null);
  await ask('hangzhou', async (client) => {
    assert.equal((await client.query('SELECT pg_is_in_recovery() AS standby')).rows[0].standby, false);
  });
  await ordersFlow();
});

test('what the clients were told holds in the end, and nothing is left running', async () => {
  const stats = await world.clients.stop();
  const truth = await ask('hangzhou', (client) =>
    compareTruth(readTruth(world.clients.truthFile), lookupOrders(client)),
  );
  assert.deepEqual([truth.acked, truth.missing, truth.refusedCommitted], [stats.acked, [], []]);
  const { processes } = readRecords(join(dir, 'processes.json'));
  assert.ok(processes.length >= 4);
  await world.stop();
  assert.ok(!processes.some(isSame));
  assert.deepEqual([...serverProcesses(world.dataDir('hangzhou')), ...serverProcesses(world.dataDir('beijing'))], []);
  assert.ok(!existsSync(join(dir, 'sandbox.json')));
});
