import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import type { DriverServices } from '../guarded/services.ts';
import { cloneServer } from './clone.ts';
import { siteServer, urlOf, type SiteServer } from './config.ts';
import { type Relation } from './history.ts';
import { saveDiverged, type Saved } from './backup.ts';
import { rejoining, relationOf } from './returning.ts';
import { rewind } from './rewind.ts';
import { lastComplaint, startServer, stopServer } from './server.ts';
import { writeOwned } from './settings.ts';
import { dropIdleSlots, ensureSlot, isStreaming, receivedTimeline, writtenTimeline } from './slots.ts';
import { withSql } from './sql.ts';
import { afterChange, done, evidenceText, measure, poll, waitMs, type DriverVerb } from '../guarded/verb.ts';

/** A server that follows shows up within this long, or it does not at all. */
const FOLLOW_MS = 8_000;

/**
 * Makes the server at `args.site` a standby of `args.upstream`: as it is when it has nothing of its own, else rewound
 * where pg_rewind exists, else cloned anew beside the old directory, which is kept aside as `<dataDir>.diverged-<epoch>`.
 * Success is a row in the upstream's `pg_stat_replication`, not a server that started.
 * Throws CONFLICT_EXPORT_FAILED when it has rows of its own that no earlier step has saved, REJOIN_FAILED.
 */
export const rejoin: DriverVerb = { perform, confirm: readStreaming };

async function perform(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const startedAt = performance.now();
  const { site, upstream } = rejoining(input);
  const already = await readStreaming(input);
  if (already.status === 'done') return already;
  const server = siteServer(input.resource, site, upstream);
  const relation = await relationOf(input, server);
  const saved = await savedByPlannedMove(input, context, services, relation);
  if (saved === null) refuseLoss(input, relation);
  return afterChange(async () => {
    await stopServer(server.dataDir);
    await withSql(urlOf(input.resource, upstream), {}, (client) => ensureSlot(client, slotName(server)));
    const how = await attach(input, context, server, relation);
    const outcome = await readStreaming(input);
    if (outcome.status !== 'done') return outcome;
    await withSql(server.url, {}, dropIdleSlots).catch((err: unknown) => context.log(toMusterError(err).message));
    const seconds = (performance.now() - startedAt) / 1000;
    return done({ ...saved?.evidence, ...outcome.evidence, ...how, seconds }, [
      ...(saved?.measurements ?? []),
      measure(input, 'rejoinSeconds', 's', { value: seconds, method: 'clock' }),
    ]);
  });
}

function slotName(server: SiteServer): string {
  return server.settings.upstream?.slot ?? '';
}

/**
 * A planned move has no step of its own for it, because its old writer ends cleanly. Where its guard had to end it hard
 * in that very moment (it was not run for longer than its lease), what it alone has is saved here. Null: nothing was.
 */
async function savedByPlannedMove(
  input: VerbInput,
  context: VerbContext,
  services: DriverServices,
  relation: Relation,
): Promise<Saved | null> {
  const isPlannedMove = input.plan.mode === 'graceful' && input.plan.kind !== 'reprotect';
  if (relation.kind !== 'diverged' || !isPlannedMove || evidenceText(input, 'sha256') !== null) return null;
  return saveDiverged(input, context, services);
}

/** What only this server has is erased by what follows; somebody must have saved it. */
function refuseLoss(input: VerbInput, relation: Relation): void {
  const place = `${input.resource.name} at ${rejoining(input).site}`;
  if (relation.kind === 'stranger') {
    throw new MusterError(
      'REJOIN_FAILED',
      `${place} is not a copy of the writer's database (${relation.why}); remove or rename its directory to have it cloned`,
    );
  }
  if (relation.kind === 'diverged' && evidenceText(input, 'sha256') === null) {
    throw new MusterError(
      'CONFLICT_EXPORT_FAILED',
      `${place} may have rows of its own (${relation.why}), and no step of this run has saved them`,
    );
  }
}

async function attach(
  input: VerbInput,
  context: VerbContext,
  server: SiteServer,
  relation: Relation,
): Promise<JsonObject> {
  if (existsSync(server.dataDir)) {
    const quick = relation.kind === 'behind' ? 'as-it-was' : (await tryRewind(context, server)) ? 'rewind' : null;
    if (quick !== null && (await follow(input, context, server))) return { how: quick };
    context.log(`${server.dataDir} is cloned anew`, { how: quick, log: await lastComplaint(server.dataDir) });
    await stopServer(server.dataDir);
  }
  const copied = await cloneAndSwap(input, context, server);
  if (await follow(input, context, server)) return { how: 'clone', ...copied };
  throw new MusterError(
    'REJOIN_FAILED',
    `the clone in ${server.dataDir} does not stream: ${await lastComplaint(server.dataDir)}`,
  );
}

async function tryRewind(context: VerbContext, server: SiteServer): Promise<boolean> {
  try {
    return await rewind(server, context.signal);
  } catch (err) {
    context.log(toMusterError(err).message);
    return false;
  }
}

/** Starts it as a standby; true once the upstream lists it. */
async function follow(input: VerbInput, context: VerbContext, server: SiteServer): Promise<boolean> {
  const { dataDir, binDir, settings } = server;
  await writeOwned(path.join(dataDir, 'standby.signal'), '');
  try {
    const limitMs = Math.min(FOLLOW_MS, waitMs(input));
    await startServer({
      dataDir,
      settings,
      closed: true,
      signal: context.signal,
      ...(binDir === undefined ? {} : { binDir }),
    });
    const seen = await poll({ limitMs, everyMs: 25, context }, async () =>
      (await readStreaming(input)).status === 'done' ? true : null,
    );
    return seen === true;
  } catch (err) {
    context.log(toMusterError(err).message);
    return false;
  }
}

/** Clones beside the old directory and swaps the two by renaming, so that a broken clone costs nothing. */
async function cloneAndSwap(input: VerbInput, context: VerbContext, server: SiteServer): Promise<JsonObject> {
  const { dataDir, settings } = server;
  const fresh = `${dataDir}.clone`;
  const aside = `${dataDir}.diverged-${input.plan.epoch}`;
  await rm(fresh, { recursive: true, force: true });
  const url = settings.upstream?.url ?? '';
  const onProgress = ({ bytes }: { bytes: number }): void => context.heartbeat(`${Math.round(bytes / 1e6)} MB`);
  const { bytes, seconds, files } = await cloneServer({
    url,
    dataDir: fresh,
    as: 'standby',
    signal: context.signal,
    onProgress,
  });
  const keptAside = existsSync(dataDir);
  if (keptAside) {
    await removeOlder(dataDir);
    await rename(dataDir, aside);
  }
  await rename(fresh, dataDir);
  return { keptAside: keptAside ? aside : null, cloneBytes: bytes, cloneFiles: files, cloneSeconds: seconds };
}

/** Only the newest directory is kept aside. */
async function removeOlder(dataDir: string): Promise<void> {
  const { dir, base } = path.parse(dataDir);
  for (const name of await readdir(dir)) {
    if (name.startsWith(`${base}.diverged-`)) await rm(path.join(dir, name), { recursive: true, force: true });
  }
}

/**
 * What both say: the upstream lists it as streaming, and it receives the upstream's timeline. A server with a history of
 * its own connects again and again and is listed each time for a moment, with the timeline it should have left.
 */
async function readStreaming(input: VerbInput): Promise<PerformOutcome> {
  const { site, upstream } = rejoining(input);
  const server = siteServer(input.resource, site, upstream);
  const name = slotName(server);
  try {
    const sent = await withSql(urlOf(input.resource, upstream), {}, async (client) =>
      (await isStreaming(client, name)) ? writtenTimeline(client) : null,
    );
    if (sent === null) return { status: 'not-yet', why: `${upstream} does not list ${name} as streaming` };
    const received = await withSql(server.url, {}, receivedTimeline);
    if (received === sent) return done({ site, upstream, state: 'streaming', timeline: sent });
    return { status: 'not-yet', why: `${site} receives timeline ${received}, ${upstream} writes ${sent}` };
  } catch (err) {
    return { status: 'unknown', why: toMusterError(err).message };
  }
}
