/** What Muster puts into a database, and what an application can and cannot do about it. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { newestCanary, newestProbe, PROBE_WRITER_ID, writeCanary } from '../../activities/drivers/postgres/canary.ts';
import { prepareDatabase } from '../../activities/drivers/postgres/prepare.ts';
import { killServer } from '../../activities/drivers/postgres/server.ts';
import { connectSql, dropSql, sqlState, withSql, type SqlClient } from '../../activities/drivers/postgres/sql.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { startWorld, type World } from './postgres-world.ts';

const schema = `CREATE TABLE orders (id bigint PRIMARY KEY, x text);
  CREATE TABLE parted (id int) PARTITION BY RANGE (id);
  CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (100);
  CREATE TABLE plain (id bigint PRIMARY KEY);
  ALTER TABLE orders OWNER TO shop; ALTER TABLE parted OWNER TO shop; GRANT CREATE ON SCHEMA public TO shop`;

let world: World;
let admin: SqlClient;
let shop: SqlClient;
before(async () => {
  world = await startWorld({ schema, tables: ['orders', 'parted'] });
  admin = await connectSql(world.url('hangzhou'), { statementMs: 10_000 });
  await admin.query('ALTER SYSTEM SET default_transaction_read_only = off');
  await admin.query('SELECT pg_reload_conf()');
  shop = await connectSql(world.appUrl('hangzhou'), { role: 'client', statementMs: 10_000 });
});
after(async () => {
  dropSql(admin);
  dropSql(shop);
  await world.stop();
});

/** A lease from `startMs` to `endMs`, both relative to now. */
async function lease(startMs: number, endMs: number): Promise<void> {
  await admin.query(
    `SELECT setval('muster.lease_granted_ms', $1 + n), setval('muster.lease_deadline_ms', $2 + n)
       FROM (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS n) now`,
    [startMs, endMs],
  );
}
const endLease = () => admin.query("SELECT setval('muster.lease_deadline_ms', 0)");
const refused = (err: unknown): boolean => sqlState(err) === '25006';

beforeEach(async () => {
  await shop.query('ROLLBACK');
  await lease(0, 60_000);
});

test('the server is read-only for clients from its first start on, until it is opened', async () => {
  const { rows } = await shop.query("SELECT current_setting('default_transaction_read_only') AS shown");
  assert.equal(rows[0].shown, 'off'); // opened above
});

const writes: [what: string, statement: string][] = [
  ['an insert', "INSERT INTO orders VALUES (1, 'a')"],
  ['an update, even of nothing', "UPDATE orders SET x = 'b' WHERE false"],
  ['a delete', 'DELETE FROM orders WHERE id = -1'],
  ['a truncate', 'TRUNCATE orders'],
  ['a write through a partitioned table', 'INSERT INTO parted VALUES (1)'],
  ['a write straight to a partition', 'INSERT INTO parted_low VALUES (2)'],
];
const leases: [what: string, startMs: number, endMs: number, passes: boolean][] = [
  ['a running lease', 0, 60_000, true],
  ['no lease', 0, -Date.now(), false],
  ['a lease that has run out', -10_000, -1, false],
  ['a lease from the future, as after a clock that was set back', 5_000, 60_000, false],
  ['a clock that was set back by less than a second', 500, 60_000, true],
];
for (const [what, startMs, endMs, passes] of leases) {
  for (const [write, statement] of writes) {
    test(`under ${what} ${write} is ${passes ? 'taken' : 'refused'}`, async () => {
      await lease(startMs, endMs);
      await shop.query('BEGIN');
      const work = shop.query(statement);
      if (passes) await work;
      else await assert.rejects(work, (err) => refused(err) && /does not hold the writer's lease/.test(String(err)));
      await shop.query('ROLLBACK');
    });
  }
}

test('a transaction that wrote under the lease cannot commit after it', async () => {
  await shop.query('BEGIN');
  await shop.query("INSERT INTO orders VALUES (20, 'a'), (21, 'b')");
  await endLease();
  await assert.rejects(shop.query('COMMIT'), refused);
  await lease(0, 60_000);
  const { rows } = await shop.query('SELECT count(*)::int AS n FROM orders WHERE id IN (20, 21)');
  assert.equal(rows[0].n, 0);
});

test('a savepoint rolled back does not take the check at commit with it', async () => {
  await shop.query('BEGIN; SAVEPOINT a');
  await shop.query("INSERT INTO orders VALUES (30, 'a')");
  await shop.query("ROLLBACK TO a; INSERT INTO orders VALUES (31, 'b')");
  await endLease();
  await assert.rejects(shop.query('COMMIT'), refused);
});

test('a long repeatable-read transaction is judged by the lease of now, not of its start', async () => {
  await lease(0, 300);
  await shop.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
  await new Promise((resolve) => setTimeout(resolve, 350));
  await assert.rejects(shop.query("INSERT INTO orders VALUES (40, 'a')"), refused);
  await shop.query('ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
  await lease(0, 60_000);
  await shop.query("INSERT INTO orders VALUES (40, 'a')");
  await shop.query('COMMIT');
});

test('a table that is not named is written without a lease', async () => {
  await endLease();
  await shop.query('INSERT INTO plain VALUES (1)');
});

const tampering: [what: string, statement: string][] = [
  ['disable the check of its own table', 'ALTER TABLE orders DISABLE TRIGGER muster_lease'],
  ['disable all triggers of its own table', 'ALTER TABLE orders DISABLE TRIGGER USER'],
  ['drop the check', 'DROP TRIGGER muster_lease ON orders'],
  ['drop the check at commit', 'DROP TRIGGER muster_lease_at_commit ON muster.writer_session'],
  ['read the lease', 'SELECT * FROM muster.lease'],
  ['lengthen the lease', "SELECT setval('muster.lease_deadline_ms', 9999999999999)"],
  ['switch triggers off for its session', 'SET session_replication_role = replica'],
  ['write canary marks', 'UPDATE muster.canary SET seq = 0'],
];
for (const [what, statement] of tampering) {
  test(`the application's role, though it owns the table, cannot ${what}`, async () => {
    await assert.rejects(shop.query(statement), (err) => sqlState(err) === '42501');
  });
}

test('a migration may write to a guarded table and alter it in one transaction', async () => {
  await shop.query("BEGIN; INSERT INTO orders VALUES (45, 'a'); ALTER TABLE orders ADD COLUMN z int");
  await shop.query('UPDATE orders SET z = 1; ALTER TABLE orders ALTER COLUMN z SET NOT NULL; COMMIT');
  await shop.query('ALTER TABLE orders DROP COLUMN z');
});

test('writing sessions leave one small row each, however many transactions they run', async () => {
  for (let turn = 0; turn < 500; turn++) await shop.query('UPDATE orders SET x = x WHERE id = 45');
  const { rows } = await admin.query(
    "SELECT count(*)::int AS n, pg_relation_size('muster.writer_session')::int AS bytes FROM muster.writer_session",
  );
  assert.ok(rows[0].n <= 3 && rows[0].bytes <= 16_384, JSON.stringify(rows[0]));
});

test('the application may still change its own table otherwise', async () => {
  await shop.query('ALTER TABLE orders ADD COLUMN y int; ALTER TABLE orders DROP COLUMN y');
});

test('preparing again changes nothing and keeps the lease', async () => {
  const again = await prepareDatabase(world.url('hangzhou'), { tables: ['orders', 'parted'] });
  assert.deepEqual(again.guarded, ['public.orders', 'public.parted', 'public.parted_low']);
  await shop.query("INSERT INTO orders VALUES (50, 'a')");
});

test('two agents that prepare at the same moment both succeed', async () => {
  await Promise.all([1, 2, 3].map(() => prepareDatabase(world.url('hangzhou'), { tables: ['orders'] })));
});

test('a table that is not there is refused by name, and nothing is half done', async () => {
  await assert.rejects(
    prepareDatabase(world.url('hangzhou'), { tables: ['orders', 'ordres'] }),
    (err) => err instanceof MusterError && err.code === 'CONFIG_INVALID' && err.message.includes('ordres'),
  );
});

test('a role that is no superuser is refused', async () => {
  await assert.rejects(prepareDatabase(world.appUrl('hangzhou'), { tables: ['orders'] }), /superuser/);
});

test("with '*' every table is guarded, also one that is made later", async () => {
  await prepareDatabase(world.url('hangzhou'), { tables: '*' });
  await shop.query('CREATE TABLE later AS SELECT 1 AS i');
  await endLease();
  await assert.rejects(shop.query('INSERT INTO later VALUES (2)'), refused);
  await assert.rejects(shop.query('INSERT INTO plain VALUES (2)'), refused);
  await lease(0, 60_000);
  await shop.query('INSERT INTO later VALUES (2); DROP TABLE later');
});

test('marks are counted per writer, and a probe is never taken for one of the control plane', async () => {
  assert.equal(await newestCanary(admin), null);
  assert.deepEqual(await writeCanary(admin, 1, 1_000), { seq: 1, writtenAtMs: 1_000 });
  assert.deepEqual(await writeCanary(admin, 1, 2_000), { seq: 2, writtenAtMs: 2_000 });
  await writeCanary(admin, 2, 1_500);
  await writeCanary(admin, PROBE_WRITER_ID, 9_000);
  assert.deepEqual(await newestCanary(admin), { seq: 2, writtenAtMs: 2_000 });
  assert.deepEqual(await newestProbe(admin), { seq: 1, writtenAtMs: 9_000 });
});

test('a crash empties the lease: a server that boots by itself is closed', async () => {
  await killServer(world.serverOf('hangzhou').dataDir);
  await world.start('hangzhou', false); // as an init system would: nobody closes it
  await withSql(world.url('hangzhou'), {}, async (client) => {
    assert.equal((await client.query('SELECT * FROM muster.lease')).rowCount, 0);
  });
  await withSql(world.appUrl('hangzhou'), { role: 'client' }, async (client) => {
    await assert.rejects(client.query("INSERT INTO orders VALUES (60, 'a')"), refused);
  });
});
