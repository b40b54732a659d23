import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../workflows/engine/errors.ts';
import { sha256Hex } from './canonical.ts';
import type { LedgerConnection, Sql } from './connection.ts';

export interface Migration {
  number: number;
  name: string;
  sql: string;
  sha256: string;
}

/** Any number that no one else uses for an advisory lock in this database. */
const lockKey = 7_265_001;
const lockWaitMs = 30_000;

/** Folder of the numbered SQL files that belong to this version. */
export const migrationsFolder = path.join(import.meta.dirname, 'migrations');

/** Reads `NNNN-name.sql` files in order. @throws MusterError INTERNAL when a number is missing or doubled */
export async function readMigrations(folder = migrationsFolder): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(names.map((name, index) => readMigration(folder, name, index + 1)));
}

async function readMigration(folder: string, name: string, number: number): Promise<Migration> {
  if (!name.startsWith(`${String(number).padStart(4, '0')}-`))
    throw new MusterError('INTERNAL', `migration ${name}: number ${number} expected`);
  const sql = await readFile(path.join(folder, name), 'utf8');
  return { number, name, sql, sha256: sha256Hex(sql) };
}

/**
 * Brings the ledger to this version: all missing files in one transaction, under a lock, so that several processes may
 * start at once. @returns the names that were applied now
 * @throws MusterError LEDGER_CONFLICT when an applied file was changed or the ledger is newer than this version
 */
export async function migrate(connection: LedgerConnection, migrations: readonly Migration[]): Promise<string[]> {
  return connection.transact(async (sql) => {
    await takeLock(sql);
    await sql.rows('CREATE SCHEMA IF NOT EXISTS ledger');
    await sql.rows(`CREATE TABLE IF NOT EXISTS ledger.migrations (
      number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT clock_timestamp())`);
    const applied = await sql.rows<Migration>('SELECT number, name, sha256 FROM ledger.migrations ORDER BY number');
    for (const row of applied) refuseChanged(row, migrations[row.number - 1]);
    const missing = migrations.slice(applied.length);
    for (const migration of missing) await apply(sql, migration);
    return missing.map((migration) => migration.name);
  });
}

async function takeLock(sql: Sql): Promise<void> {
  const untilMs = performance.now() + lockWaitMs;
  for (;;) {
    const [row] = await sql.rows<{ taken: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS taken', [lockKey]);
    if (row?.taken === true) return;
    if (performance.now() > untilMs)
      throw new MusterError('LEDGER_CONFLICT', 'another process has been changing the ledger for 30 s');
    await sleep(100);
  }
}

function refuseChanged(applied: Migration, file: Migration | undefined): void {
  if (file === undefined)
    throw new MusterError(
      'LEDGER_CONFLICT',
      `the ledger is newer than this version: it knows migration ${applied.name}`,
    );
  if (file.sha256 !== applied.sha256)
    throw new MusterError('LEDGER_CONFLICT', `migration ${applied.name} was changed after it was applied`);
}

async function apply(sql: Sql, { number, name, sql: text, sha256 }: Migration): Promise<void> {
  await sql.rows(text);
  await sql.rows('INSERT INTO ledger.migrations (number, name, sha256) VALUES ($1, $2, $3)', [number, name, sha256]);
}
