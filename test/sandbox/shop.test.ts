import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { Links } from '../../sandbox/links.ts';
import { signalDatabase } from '../../sandbox/processes/database.ts';
import { createOrders, createShopRole } from '../../sandbox/shop/schema.ts';
import { startShop, type Shop } from '../../sandbox/shop/start.ts';
import { startDatabase } from './database.ts';

let database: Awaited<ReturnType<typeof startDatabase>>;
let links: Links;
let shop: Shop;

before(async () => {
  database = await startDatabase();
  await database.admin.query(createOrders);
  for (const statement of createShopRole(`'shop'`)) await database.admin.query(statement);
  links = new Links([{ name: 'shop-database', ends: ['shop', 'database'] }]);
  const { host, port } = database;
  const at = await links.relay({ from: 'shop', to: 'database', listen: { host, port: 0 }, target: { host, port } });
  shop = await startShop({
    site: 'hangzhou',
    listen: { host, port: 0 },
    databaseUrl: `postgres://shop:shop@${at.host}:${at.port}/postgres`,
    connectMs: 2_000,
    queryMs: 2_000,
  });
  await until(async () => (await get('/healthz')).status === 200);
});
after(async () => {
  await shop?.close();
  await links?.close();
  await database?.stop();
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; !(await condition()); i++) {
    assert.ok(i < 3_000, 'it never came to be');
    await sleep(10);
  }
}

async function get(path: string) {
  const { statusCode, body } = await request(shop.url + path);
  return { status: statusCode, body: (await body.json()) as Record<string, unknown> };
}

async function post(order: unknown) {
  const { statusCode, headers, body } = await request(`${shop.url}/orders`, {
    method: 'POST',
    body: JSON.stringify(order),
  });
  await body.dump();
  return { status: statusCode, site: headers['x-muster-site'], outcome: headers['x-muster-outcome'] };
}

const order = (id: string = randomUUID()) => ({ id, customer: 'client-01', amountCents: 1250 });
const count = async () => Number((await database.admin.query('SELECT count(*) AS n FROM orders')).rows[0].n);

test('an order is placed once: 201 after the commit, 200 when it is known, and it can be read', async () => {
  const placed = order();
  assert.deepEqual(await post(placed), { status: 201, site: 'hangzhou', outcome: undefined });
  assert.deepEqual(await post({ ...placed, amountCents: 9 }), { status: 200, site: 'hangzhou', outcome: undefined });
  const { status, body } = await get(`/orders/${placed.id}`);
  const { placedAt, ...read } = body;
  assert.deepEqual({ status, read }, { status: 200, read: { ...placed, site: 'hangzhou' } });
  assert.ok(!Number.isNaN(Date.parse(String(placedAt))));
  assert.equal((await get(`/orders/${randomUUID()}`)).status, 404);
  assert.equal((await get('/orders/7')).status, 404);
});

test('what is no order is refused and changes nothing', async () => {
  const before = await count();
  for (const wrong of [
    {},
    { ...order(), id: 'x' },
    { ...order(), amountCents: 1.5 },
    { ...order(), more: 1 },
    'text',
    null,
  ]) {
    assert.equal((await post(wrong)).status, 400, JSON.stringify(wrong));
  }
  assert.equal(await count(), before);
});

test('a database that is closed for writing: 503, surely not placed, and healthz says why', async () => {
  const id = randomUUID();
  await database.admin.query(`ALTER ROLE shop SET default_transaction_read_only = on`);
  await database.admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'`);
  await until(async () => (await post(order(id))).status === 503);
  assert.deepEqual(await post(order(id)), { status: 503, site: 'hangzhou', outcome: 'refused' });
  await until(async () => /read-only/.test(String((await get('/healthz')).body['why'])));
  assert.equal((await get('/healthz')).status, 503);
  assert.equal((await get(`/orders/${id}`)).status, 404);
  await database.admin.query(`ALTER ROLE shop RESET default_transaction_read_only`);
  await database.admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'`);
  await until(async () => (await post(order())).status === 201);
});

test('a trigger that refuses writes is met by healthz too', async () => {
  await database.admin.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no lease here' USING ERRCODE = '25006'; END $$`);
  await database.admin.query(
    `CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION refuse()`,
  );
  await until(async () => (await get('/healthz')).body['why'] === 'no lease here');
  assert.deepEqual(await post(order()), { status: 503, site: 'hangzhou', outcome: 'refused' });
  await database.admin.query('DROP TRIGGER refuse ON orders');
  await until(async () => (await get('/healthz')).status === 200);
});

test('a database that falls silent: the outcome is unknown, healthz answers all the same, and some did commit', async () => {
  await post(order());
  const id = randomUUID();
  links.set('shop-database', { kind: 'black-hole' }, { from: 'database', to: 'shop' });
  assert.deepEqual(await post(order(id)), { status: 500, site: 'hangzhou', outcome: 'unknown' });
  const askedAtMs = performance.now();
  await until(async () => (await get('/healthz')).body['why'] === 'the database does not answer');
  assert.equal((await get('/healthz')).status, 503);
  assert.ok(performance.now() - askedAtMs < 15_000);
  const { rowCount } = await database.admin.query('SELECT 1 FROM orders WHERE id = $1', [id]);
  assert.equal(rowCount, 1, 'its answer was lost, not the order');
  links.clear('shop-database');
  await until(async () => (await get('/healthz')).status === 200);
});

test('a paused database leaves orders under way unknown, one that cannot be reached refuses them', async () => {
  await post(order());
  signalDatabase(database.dataDir, 'SIGSTOP');
  assert.deepEqual(await post(order()), { status: 500, site: 'hangzhou', outcome: 'unknown' });
  signalDatabase(database.dataDir, 'SIGCONT');
  await until(async () => (await post(order())).status === 201);
  links.set('shop-database', { kind: 'cut' });
  await until(async () => (await post(order())).outcome === 'refused');
  links.clear('shop-database');
  await until(async () => (await post(order())).status === 201);
});

test('a commit that the standby has not confirmed is not acknowledged', async () => {
  await database.admin.query(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`);
  await database.admin.query('SELECT pg_reload_conf()');
  const unconfirmed: string[] = [];
  // The setting takes a moment to reach every process of the server.
  await until(async () => {
    const placed = order();
    const body = JSON.stringify(placed);
    const answer = request(`${shop.url}/orders`, { method: 'POST', body });
    await sleep(50);
    await database.admin.query(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`);
    const { statusCode, headers, body: said } = await answer;
    const { error } = (await said.json()) as { error?: string };
    if (error !== 'the standby has not confirmed it') return false;
    assert.deepEqual([statusCode, headers['x-muster-outcome']], [500, 'unknown']);
    unconfirmed.push(placed.id);
    return true;
  });
  assert.equal((await get(`/orders/${unconfirmed[0]}`)).status, 200, 'it is there, on this server alone');
});
