import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openConnection } from '../../worker/ledger/connection.ts';
import { openLedger } from '../../worker/ledger/ledger.ts';
import { migrate, readMigrations, type Migration } from '../../worker/ledger/migrate.ts';
import { startLedgerPostgres, withClient, type LedgerPostgres } from '../support/ledger-postgres.ts';

let server: LedgerPostgres;
let files: Migration[];
before(async () => {
  server = await startLedgerPostgres();
  files = await readMigrations();
});
after(() => server.stop());

async function migrateWith(url: string, migrations: Migration[]): Promise<string[]> {
  const connection = openConnection(url);
  try {
    return await migrate(connection, migrations);
  } finally {
    await connection.close();
  }
}

test('migrations are applied once, in order, also when several processes start at once', async () => {
  const url = await server.newDatabase();
  const ledgers = Array.from({ length: 4 }, () => openLedger(url));
  const applied = await Promise.all(ledgers.map((ledger) => ledger.migrate()));
  assert.deepEqual(
    applied.flat(),
    files.map((file) => file.name),
  );
  assert.deepEqual(await ledgers[0]?.migrate(), []);
  await Promise.all(ledgers.map((ledger) => ledger.close()));
});

test('a ledger of an earlier version gets only what it lacks', async () => {
  const url = await server.newDatabase();
  assert.equal((await migrateWith(url, files.slice(0, 2))).length, 2);
  assert.deepEqual(
    await migrateWith(url, files),
    files.slice(2).map((file) => file.name),
  );
});

test('an applied file that was changed afterwards is refused by name', async () => {
  const url = await server.newDatabase();
  await migrateWith(url, files);
  const changed = files.with(1, { ...files[1]!, sha256: '0'.repeat(64) });
  await assert.rejects(migrateWith(url, changed), {
    code: 'LEDGER_CONFLICT',
    message: /0002-measurements\.sql was changed/,
  });
});

test('a ledger newer than the software is refused', async () => {
  const url = await server.newDatabase();
  await migrateWith(url, files);
  await assert.rejects(migrateWith(url, files.slice(0, -1)), {
    code: 'LEDGER_CONFLICT',
    message: /newer than this version/,
  });
});

test('a migration that fails leaves nothing of itself or of those before it', async () => {
  const url = await server.newDatabase();
  const broken = [
    ...files.slice(0, 1),
    { number: 2, name: '0002-broken.sql', sql: 'CREATE TABLE ledger.half (); SELECT 1/0', sha256: 'x' },
  ];
  await assert.rejects(migrateWith(url, broken), { code: 'INTERNAL', message: /division by zero/ });
  const left = await withClient(url, (client) => client.query(`SELECT 1 FROM pg_namespace WHERE nspname = 'ledger'`));
  assert.equal(left.rowCount, 0);
});
