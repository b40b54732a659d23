/** A small database with a past, saved as a base backup, and the WAL that it wrote afterwards in an archive. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { archiveWal, type WalArchive } from '../../../../activities/backup/postgres/wal-archive.ts';
import { bytesContent } from '../../../../activities/backup/postgres/wal-content.ts';
import { oneRow } from '../../../../activities/drivers/postgres/sql.ts';
import { saveBackup } from '../../../../activities/protection/backup.ts';
import type { PlanResource } from '../../../../workflows/engine/plan.ts';
import type { RecoveryPoint } from '../../../../workflows/engine/protection.ts';
import { testHome, testServer, type TestHome, type TestServer } from '../../../backup/postgres/support/servers.ts';
import { contextOf, service, site, type World } from './world.ts';

export interface Database extends AsyncDisposable {
  server: TestServer;
  resource: PlanResource;
  /** Path of a relation's file below PGDATA. */
  fileOf(relation: string): Promise<string>;
  save(): Promise<RecoveryPoint>;
  /** Commits something with a fresh mark, and closes the segment of WAL that holds it. */
  goOn(): Promise<void>;
  /** Archives the closed segments of WAL that `choose` lets through, changed on the way. */
  archive(into: WalArchive, choose?: (segment: Buffer, index: number) => Buffer | null): Promise<WalArchive>;
}

const hourMs = 3_600_000;

export async function createDatabase(
  world: World,
  { name = 'orders', binDir = null }: { name?: string; binDir?: string | null } = {},
): Promise<Database> {
  const home: TestHome = await testHome('proof-source');
  const small = binDir === null ? { walSegmentMegabytes: 1 } : { binDir };
  const server = await testServer(home, { ...small, extra: { wal_keep_size: '1GB' } });
  await server.sql(async (client) => {
    await client.query(`
      CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
      CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers, note text);
      CREATE TABLE items (id int PRIMARY KEY, name text);
      CREATE SCHEMA muster;
      CREATE TABLE muster.canary (id int PRIMARY KEY, seq bigint NOT NULL, written_at_ms bigint NOT NULL);
      INSERT INTO customers SELECT i, 'customer ' || i FROM generate_series(1, 500) i;
      INSERT INTO orders SELECT i, 1 + i % 500, repeat(md5(i::text), 3) FROM generate_series(1, 4000) i;
      INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 300) i;
      INSERT INTO muster.canary VALUES (1, 1, ${Date.now() - 2 * hourMs})`);
    // Two thirds of a new cluster's files, which every restore would lay down.
    for (const template of ['template0', 'template1']) {
      await client.query(`ALTER DATABASE ${template} IS_TEMPLATE false`);
      await client.query(`DROP DATABASE ${template}`);
    }
    await client.query('VACUUM ANALYZE');
    await client.query('CHECKPOINT');
  });
  const resource: PlanResource = {
    ...{ name, driver: 'postgres', shared: { tables: '*' } },
    sites: { [site]: { url: server.url, dataDir: server.dataDir } },
  };
  let saves = 0;
  return {
    ...{ server, resource },
    fileOf: (relation) =>
      server.sql(async (client) => {
        const row = await oneRow<{ file: string }>(client, 'SELECT pg_relation_filepath($1::regclass) AS file', [
          relation,
        ]);
        return row!.file;
      }),
    save: () =>
      saveBackup(
        { service, resource, site, vault: world.vault, startedBy: 'test' },
        contextOf({ world, runId: `save-${name}-${++saves}` }),
      ),
    goOn: () =>
      server.sql(async (client) => {
        await client.query(`UPDATE muster.canary SET seq = seq + 1, written_at_ms = ${Date.now()}`);
        await client.query("INSERT INTO customers SELECT max(id) + 1, 'later' FROM customers");
        await client.query('SELECT pg_switch_wal()');
        await client.query('CHECKPOINT');
      }),
    archive: (into, choose = (segment) => segment) => archiveInto(server, into, choose),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

async function archiveInto(
  server: TestServer,
  archive: WalArchive,
  choose: (segment: Buffer, index: number) => Buffer | null,
): Promise<WalArchive> {
  const current = await server.sql((client) =>
    oneRow<{ name: string }>(client, 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS name'),
  );
  const folder = path.join(server.dataDir, 'pg_wal');
  const closed = (await readdir(folder))
    .filter((name) => /^[0-9A-F]{24}$/.test(name) && name < current!.name)
    .toSorted();
  for (const [index, name] of closed.entries()) {
    const segment = choose(await readFile(path.join(folder, name)), index - closed.length);
    if (segment !== null) await archiveWal(archive, name, bytesContent(segment));
  }
  return archive;
}
