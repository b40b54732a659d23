import { existsSync } from 'node:fs';
import { toMusterError } from '../../../workflows/engine/errors.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { newestCanary } from './canary.ts';
import { cloneServer } from './clone.ts';
import { siteServer, type SiteServer } from './config.ts';
import { aloneAt, findScratch, markScratch, prepareScratchDir, removeScratch, scratchSettings } from './scratch.ts';
import { startServer } from './server.ts';
import type { DriverServices } from '../guarded/services.ts';
import { oneRow, withSql } from './sql.ts';
import { countRows, readTables } from './tables.ts';
import { afterChange, done, measure, poll, waitMs, type DriverVerb } from '../guarded/verb.ts';

/**
 * An isolated drill: copies the standby beside itself, starts the copy on a port of its own and promotes it there. Nobody
 * follows it and it follows nobody. `{remove: true}` leaves nothing of it. Throws DATABASE_UNREACHABLE.
 */
export const restore: DriverVerb = {
  perform: (input, context, services) =>
    afterChange(() => (input.args['remove'] === true ? remove(input) : makeCopy(input, context, services))),
  confirm: (input) => (input.args['remove'] === true ? confirmRemoved(input) : confirmCopy(input)),
};

function standbyOf(input: VerbInput): SiteServer {
  return siteServer(input.resource, input.plan.to);
}

async function makeCopy(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const server = standbyOf(input);
  return aloneAt((await findScratch(server)).dataDir, () => makeCopyAlone(input, { server, context, services }));
}

interface Making {
  server: SiteServer;
  context: VerbContext;
  services: DriverServices;
}

async function makeCopyAlone(input: VerbInput, { server, context, services }: Making): Promise<PerformOutcome> {
  const before = await findScratch(server);
  if (before.madeBy === input.token && before.url !== null) return confirmCopy(input);
  await removeScratch(before);
  const startedAt = performance.now();
  const rowsBefore = await rowsOf(server, server.url, input.timeoutMs);
  await prepareScratchDir(before.dataDir);
  const copied = await cloneServer({ url: server.url, dataDir: before.dataDir, as: 'standby', signal: context.signal });
  const binaries = server.binDir === undefined ? {} : { binDir: server.binDir };
  await startServer({
    dataDir: before.dataDir,
    settings: await scratchSettings(server),
    closed: true,
    signal: context.signal,
    ...binaries,
  });
  const promoteSeconds = await promoteCopy(input, context, server);
  if (promoteSeconds === null) return { status: 'not-yet', why: 'the copy is still in recovery' };
  await markScratch(before.dataDir, input.token);
  const outcome = await confirmCopy(input);
  if (outcome.status !== 'done') return outcome;
  const seconds = (performance.now() - startedAt) / 1000;
  const ageSeconds = await ageOf(server, services.nowMs());
  const evidence = {
    ...outcome.evidence,
    rowsBefore,
    bytes: copied.bytes,
    cloneSeconds: copied.seconds,
    promoteSeconds,
    seconds,
  };
  return done(evidence, [
    measure(input, 'restoreSeconds', 's', { value: seconds, method: 'clock' }),
    measure(input, 'restoredAgeSeconds', 's', { value: ageSeconds, method: 'canary', confidence: 'estimated' }),
  ]);
}

async function promoteCopy(input: VerbInput, context: VerbContext, server: SiteServer): Promise<number | null> {
  const { url } = await findScratch(server);
  if (url === null) return null;
  const startedAt = performance.now();
  return withSql(url, { statementMs: 5_000 }, async (client) => {
    await client.query('SELECT pg_promote(false)');
    const isPrimary = await poll({ limitMs: waitMs(input), everyMs: 20, context }, async () => {
      const row = await oneRow<{ standby: boolean }>(client, 'SELECT pg_is_in_recovery() AS standby');
      return row?.standby === false ? true : null;
    });
    return isPrimary === null ? null : (performance.now() - startedAt) / 1000;
  });
}

async function rowsOf(server: SiteServer, url: string, statementMs: number): Promise<Record<string, number>> {
  return withSql(url, { statementMs }, async (client) => countRows(client, await readTables(client, server.tables)));
}

/** How old the newest mark in the copy is; `null` when there is none. */
async function ageOf(server: SiteServer, nowMs: number): Promise<number | null> {
  const { url } = await findScratch(server);
  if (url === null) return null;
  const mark = await withSql(url, {}, newestCanary).catch(() => null);
  return mark === null ? null : Math.max(0, (nowMs - mark.writtenAtMs) / 1000);
}

async function confirmCopy(input: VerbInput): Promise<PerformOutcome> {
  const server = standbyOf(input);
  const scratch = await findScratch(server);
  const { url } = scratch;
  if (url === null || scratch.madeBy !== input.token)
    return { status: 'not-yet', why: 'there is no complete copy of this run' };
  try {
    const rows = await rowsOf(server, url, input.timeoutMs);
    return done({ dataDir: scratch.dataDir, port: Number(new URL(url).port), rows });
  } catch (err) {
    return { status: 'unknown', why: toMusterError(err).message };
  }
}

async function remove(input: VerbInput): Promise<PerformOutcome> {
  await removeScratch(await findScratch(standbyOf(input)));
  return confirmRemoved(input);
}

async function confirmRemoved(input: VerbInput): Promise<PerformOutcome> {
  const scratch = await findScratch(standbyOf(input));
  if (scratch.url !== null || existsSync(scratch.dataDir))
    return { status: 'not-yet', why: `${scratch.dataDir} is still there` };
  return done({ removed: scratch.dataDir });
}
