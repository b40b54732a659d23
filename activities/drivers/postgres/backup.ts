import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { sharedConfig, siteServer, urlOf, type SiteServer } from './config.ts';
import { exportConflicts, type ConflictSet } from './conflicts.ts';
import { readFork } from './fork.ts';
import { forkAfter, readHistory } from './history.ts';
import { readControlFile } from './control-file.ts';
import { rejoining, relationOf } from './returning.ts';
import { isStandbyDir, serverState, startServer } from './server.ts';
import type { DriverServices } from '../guarded/services.ts';
import { connectSql, dropSql } from './sql.ts';
import { done, measure, type DriverVerb } from '../guarded/verb.ts';

const MAX_KEYS = 200;

/**
 * `{diverged: true}`: saves what only a former writer has, before a rejoin erases it. The server is started on its own,
 * closed, when it does not run; one that has nothing of its own is not touched. Changes no data, so every failure is
 * thrown: CONFLICT_EXPORT_FAILED, DATABASE_UNREACHABLE.
 */
export const backup: DriverVerb = { perform, confirm: readBack };

async function perform(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  if (input.args['diverged'] !== true) {
    throw new MusterError('CONFIG_INVALID', `backup of ${input.resource.name}: only { diverged: true } is known here`);
  }
  return { status: 'done', ...(await saveDiverged(input, context, services)) };
}

/** What a step that saved conflicts says of it. */
export type Saved = Omit<Extract<PerformOutcome, { status: 'done' }>, 'status'>;

/**
 * Writes what only the former writer has into the evidence of this process; nothing where it has nothing of its own.
 * @throws MusterError CONFLICT_EXPORT_FAILED
 */
export async function saveDiverged(input: VerbInput, context: VerbContext, services: DriverServices): Promise<Saved> {
  const { site, upstream } = rejoining(input);
  const server = siteServer(input.resource, site, upstream);
  const file = fileOf(input, services);
  try {
    const relation = await relationOf(input, server);
    if (relation.kind === 'stranger') throw new MusterError('CONFLICT_EXPORT_FAILED', `${site}: ${relation.why}`);
    const set = relation.kind === 'behind' ? null : await exportFrom(input, context, server, file);
    return outcome(
      input,
      set,
      relation.kind === 'behind' ? 'it has nothing that the writer does not have' : relation.why,
    );
  } catch (err) {
    const { message } = toMusterError(err);
    throw new MusterError('CONFLICT_EXPORT_FAILED', `${input.resource.name} at ${site}: ${message}`);
  }
}

/** One flat directory: agents hand these files out by name. */
function fileOf(input: VerbInput, services: DriverServices): string {
  const name = `conflicts-${input.resource.name}-${input.runId}`.replace(/[^\w.-]+/g, '_');
  return path.join(services.home(), 'evidence', `${name}.jsonl`);
}

async function exportFrom(
  input: VerbInput,
  context: VerbContext,
  server: SiteServer,
  file: string,
): Promise<ConflictSet> {
  await startAlone(server, context);
  const limits = { statementMs: input.timeoutMs, signal: context.signal };
  const old = await connectSql(server.url, limits);
  try {
    const writer = await connectSql(urlOf(input.resource, rejoining(input).upstream), limits);
    try {
      const { timeline } = await readControlFile(server.dataDir);
      const history = await readHistory(writer);
      const next = forkAfter(history, timeline)?.timeline ?? 0;
      const fork = await readFork(writer, next);
      if (fork === null)
        throw new MusterError(
          'CONFLICT_EXPORT_FAILED',
          `timeline ${next} was not begun by Muster, so rows cannot be told apart`,
        );
      const { tables } = sharedConfig(input.resource);
      const onProgress = (rows: number): void => context.heartbeat(`${rows} rows`);
      return await exportConflicts({
        resource: input.resource.name,
        old,
        writer,
        tables,
        fork,
        file,
        maxKeys: MAX_KEYS,
        onProgress,
      });
    } finally {
      dropSql(writer);
    }
  } finally {
    dropSql(old);
  }
}

async function startAlone({ dataDir, binDir, settings }: SiteServer, context: VerbContext): Promise<void> {
  const state = await serverState(dataDir);
  if (state.kind === 'running') return;
  if (isStandbyDir(dataDir)) throw new MusterError('CONFLICT_EXPORT_FAILED', `${dataDir} is set up as a standby`);
  await startServer({
    dataDir,
    settings,
    closed: true,
    signal: context.signal,
    ...(binDir === undefined ? {} : { binDir }),
  });
}

function outcome(input: VerbInput, set: ConflictSet | null, why: string): Saved {
  const empty = { file: null, sha256: null, rows: 0, keys: [] };
  const evidence: JsonObject = { ...(set === null ? empty : { ...set, fileName: path.basename(set.file) }), why };
  return {
    evidence,
    measurements: [measure(input, 'conflictRows', 'rows', { value: set?.rows ?? 0, method: 'count' })],
  };
}

/** The file is there; its figures are the ones that were counted when it was written, so only an intact one counts. */
async function readBack(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const file = fileOf(input, services);
  if (!existsSync(file)) return { status: 'not-yet', why: `${file} is not there` };
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  context.heartbeat();
  const sha256 = createHash('sha256')
    .update(lines.map((line) => `${line}\n`).join(''))
    .digest('hex');
  const keys = lines.slice(0, MAX_KEYS).map((line) => {
    const { table, key, when, kind } = JSON.parse(line) as Record<string, string | null>;
    return { table: table ?? '', key: key ?? '', when: when ?? null, kind: kind ?? '' };
  });
  const evidence = { file, fileName: path.basename(file), sha256, rows: lines.length, keys, why: 'read back' };
  return done(evidence, [measure(input, 'conflictRows', 'rows', { value: lines.length, method: 'count' })]);
}
