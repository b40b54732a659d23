import type { ReplicationFigure } from '../../worker/ledger/replication.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, sayJson } from '../output.ts';
import { countOf, formatBytes, formatTable } from '../format.ts';
import { replicatedResources } from './choose.ts';

const hourMs = 3_600_000;
const shownHours = 24;

interface Hour {
  /** Its beginning, RFC 3339. */
  from: string;
  readings: number;
  /** Readings at which nobody knew. */
  unknown: number;
  /** The most that would have been lost, seconds; null when it was never known. */
  worstRpoSeconds: number | null;
  mostBacklogObjects: number | null;
}

/** `muster replicate history`: how far each bucket was behind in the last day, hour by hour, as the ledger remembers it. */
export async function showHistory(context: Context, flags: { json?: boolean }, name?: string): Promise<ExitCode> {
  const nowMs = Date.now();
  const between = { fromMs: nowMs - shownHours * hourMs, toMs: nowMs };
  const shown = [];
  for (const { service, resource } of replicatedResources(context, name)) {
    const of = { service: service.name, resource: resource.name };
    shown.push({ ...of, hours: hoursOf(await (await context.ledger()).replicationFiguresOf(of, between)) });
  }
  if (flags.json === true) {
    sayJson(shown);
    return exitCodes.met;
  }
  for (const { service, resource, hours } of shown) {
    if (hours.length === 0) say(`${service}/${resource}: the ledger remembers nothing of the last ${shownHours} hours`);
    else draw(`${service}/${resource}`, hours);
  }
  return exitCodes.met;
}

function hoursOf(figures: readonly ReplicationFigure[]): Hour[] {
  const byHour = new Map<number, ReplicationFigure[]>();
  for (const figure of figures) {
    const hour = Math.floor(figure.atMs / hourMs);
    byHour.set(hour, [...(byHour.get(hour) ?? []), figure]);
  }
  return [...byHour].map(([hour, of]) => ({
    from: new Date(hour * hourMs).toISOString(),
    readings: of.length,
    unknown: of.filter(({ oldestPendingAgeSeconds }) => oldestPendingAgeSeconds === null).length,
    worstRpoSeconds: most(of.map(({ oldestPendingAgeSeconds }) => oldestPendingAgeSeconds)),
    mostBacklogObjects: most(of.map(({ backlogObjects }) => backlogObjects)),
  }));
}

function most(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}

function draw(name: string, hours: readonly Hour[]): void {
  const titles = [name, 'readings', 'unknown', 'worst RPO', 'most backlog'];
  const rows = hours.map(({ from, readings, unknown, worstRpoSeconds, mostBacklogObjects }) => [
    ...[`${from.slice(0, 13)}:00Z`, String(readings), String(unknown)],
    worstRpoSeconds === null ? 'unknown' : `${worstRpoSeconds.toFixed(1)} s`,
    mostBacklogObjects === null ? 'unknown' : String(mostBacklogObjects),
  ]);
  const columns = titles.map((title) => ({ title }));
  say(formatTable(columns, rows));
}

/** `muster replicate lost`: every object that a run found lost, the newest failover first of all; its report names a hundred. */
export async function showLost(context: Context, flags: { json?: boolean }, given?: string): Promise<ExitCode> {
  const runId = given ?? (await newestFailover(context));
  const { plan } = await (await context.ledger()).getRun(runId);
  const shown = [];
  for (const { name, driver } of plan.resources) {
    if (driver !== 'bucket') continue;
    const lost = await (await context.ledger()).lostObjectsOf(runId, name);
    shown.push(...lost.map((one) => ({ resource: name, ...one })));
  }
  if (flags.json === true) sayJson(shown);
  else {
    say(`${countOf(shown.length, 'object')} lost in ${runId}, as its freeze found`);
    for (const { resource, key, op, writtenAtMs, sizeBytes, certainty } of shown)
      say(
        `  ${resource}/${key}  ${op} of ${new Date(writtenAtMs).toISOString()}, ${formatBytes(sizeBytes)}, ${certainty}`,
      );
  }
  return exitCodes.met;
}

async function newestFailover(context: Context): Promise<string> {
  const runs = await (await context.ledger()).listRuns({ limit: 1_000 });
  const newest = runs.find(({ kind }) => kind === 'failover');
  if (newest === undefined)
    throw new MusterError('RUN_UNKNOWN', 'there was no failover yet that could have lost anything');
  return newest.runId;
}
