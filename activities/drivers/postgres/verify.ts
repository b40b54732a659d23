import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { newestProbe, PROBE_WRITER_ID, writeCanary } from './canary.ts';
import { sharedConfig, siteServer, urlOf } from './config.ts';
import { findScratch } from './scratch.ts';
import { withSql, type SqlClient } from './sql.ts';
import { countRows, readTables } from './tables.ts';
import { done, measure, type DriverVerb } from '../guarded/verb.ts';

/** Tables that change while a copy is made have a little more or less in it; beyond this share something is wrong. */
const TOLERATED_SHARE = 0.01;
const TOLERATED_ROWS = 100;

/**
 * The new writer serves: a session without any privilege of Muster's passes the lease check, writes a mark and reads it
 * back, and every guarded table can be read. `{scratch: true}`: the restored copy has the rows that the standby has.
 * Throws VERIFY_FAILED.
 */
export const verify: DriverVerb = {
  perform: (input, context) => (input.args['scratch'] === true ? verifyCopy(input) : verifyWriter(input, context)),
};

async function verifyWriter(input: VerbInput, context: VerbContext): Promise<PerformOutcome> {
  const url = urlOf(input.resource, input.plan.to);
  const startedAt = performance.now();
  try {
    return await withSql(url, { role: 'client', statementMs: 5_000, signal: context.signal }, async (client) => {
      await client.query('BEGIN; SELECT muster.check_lease()');
      const written = await writeCanary(client, PROBE_WRITER_ID, Date.now());
      await client.query('COMMIT');
      const read = await newestProbe(client);
      if (read === null || read.seq < written.seq)
        throw new MusterError('VERIFY_FAILED', 'a mark that was written is not read back');
      const tables = await readAll(input, client);
      const seconds = (performance.now() - startedAt) / 1000;
      return done({ probe: written.seq, tables, seconds });
    });
  } catch (err) {
    throw new MusterError('VERIFY_FAILED', `${input.resource.name} at ${input.plan.to}: ${toMusterError(err).message}`);
  }
}

async function readAll(input: VerbInput, client: SqlClient): Promise<string[]> {
  const { tables } = sharedConfig(input.resource);
  const found = await readTables(client, tables);
  if (tables !== '*' && found.length < tables.length) {
    throw new MusterError('VERIFY_FAILED', `only ${found.length} of ${tables.length} guarded tables are there`);
  }
  for (const { name } of found) await client.query(`SELECT 1 FROM ${name} LIMIT 1`);
  return found.map(({ name }) => name);
}

/** The copy was made between two counts of the standby, so its own should lie between them. */
async function verifyCopy(input: VerbInput): Promise<PerformOutcome> {
  const server = siteServer(input.resource, input.plan.to);
  const { url } = await findScratch(server);
  if (url === null) throw new MusterError('VERIFY_FAILED', 'the restored copy does not run');
  const count = (at: string): Promise<Record<string, number>> =>
    withSql(at, { statementMs: input.timeoutMs }, async (client) =>
      countRows(client, await readTables(client, server.tables)),
    );
  const [copy, now] = [await count(url), await count(server.url)];
  const before = rowsBefore(input) ?? now;
  for (const [table, rows] of Object.entries(now)) {
    const [low, high] = [Math.min(rows, before[table] ?? rows), Math.max(rows, before[table] ?? rows)];
    const tolerated = Math.max(TOLERATED_ROWS, high * TOLERATED_SHARE);
    const found = copy[table];
    if (found === undefined) throw new MusterError('VERIFY_FAILED', `the restored copy has no table ${table}`);
    if (found < low - tolerated || found > high + tolerated) {
      throw new MusterError(
        'VERIFY_FAILED',
        `${table} has ${found} rows in the restored copy, ${low} to ${high} at the standby`,
      );
    }
  }
  const rows = Object.values(copy).reduce((sum, n) => sum + n, 0);
  return done({ rows: copy, standbyBefore: before, standbyNow: now }, [
    measure(input, 'restoredRows', 'rows', { value: rows, method: 'count' }),
  ]);
}

function rowsBefore(input: VerbInput): Record<string, number> | null {
  const found = Object.values(input.evidence).find((evidence: JsonObject) => evidence['rowsBefore'] !== undefined)?.[
    'rowsBefore'
  ];
  return found !== null && typeof found === 'object' && !Array.isArray(found)
    ? (found as Record<string, number>)
    : null;
}
