import { readReplication, type Replication } from '../../worker/replication.ts';
import { toMusterError } from '../../workflows/engine/errors.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, sayJson, style } from '../output.ts';
import { formatBytes, formatTable } from '../format.ts';
import { replicatedResources, type ReplicatedResource } from './choose.ts';

interface Shown {
  service: string;
  resource: string;
  objectiveSeconds: number;
  /** `unknown`: Temporal does not answer. */
  runs: 'yes' | 'no' | 'unknown';
  phase: string;
  from: string | null;
  to: string | null;
  epoch: number | null;
  /** What would be lost now, seconds; null is unknown. */
  rpoSeconds: number | null;
  backlogObjects: number | null;
  backlogBytes: number | null;
  failedObjects: number | null;
  verifiedWatermark: string | null;
  objectsPerSecond: number | null;
  bytesPerSecond: number | null;
  etaSeconds: number | null;
  why: string | null;
}

/** `muster replicate status`: one line for each replicated bucket. */
export async function showReplications(context: Context, flags: { json?: boolean }, name?: string): Promise<ExitCode> {
  const found = replicatedResources(context, name);
  const shown = await Promise.all(found.map((one) => read(context, one)));
  if (flags.json === true) sayJson(shown);
  else draw(shown);
  return shown.every(isInside) ? exitCodes.met : exitCodes.partial;
}

function isInside({ runs, rpoSeconds, objectiveSeconds }: Shown): boolean {
  return runs === 'yes' && rpoSeconds !== null && rpoSeconds <= objectiveSeconds;
}

async function read(context: Context, { service, resource }: ReplicatedResource): Promise<Shown> {
  const about = {
    ...{ service: service.name, resource: resource.name, objectiveSeconds: service.objectives.rpoSeconds },
  };
  try {
    const found = await readReplication(await context.temporal(), service.name, resource.name);
    if (found === null) return { ...about, ...nothing, runs: 'no', phase: 'not running', why: 'nothing replicates it' };
    return { ...about, ...shownOf(found) };
  } catch (err) {
    return { ...about, ...nothing, runs: 'unknown', phase: 'unknown', why: toMusterError(err).message };
  }
}

const nothing = {
  ...{ from: null, to: null, epoch: null, rpoSeconds: null, backlogObjects: null, backlogBytes: null },
  ...{ failedObjects: null, verifiedWatermark: null, objectsPerSecond: null, bytesPerSecond: null, etaSeconds: null },
} as const;

function shownOf({ view, now, lastFailure }: Replication): Omit<Shown, 'service' | 'resource' | 'objectiveSeconds'> {
  const held = view !== null && view.phase !== 'replicating' ? view.phase : null;
  const why = view?.failure ?? now?.why ?? lastFailure;
  if (now === null || held !== null) {
    const { from, to, epoch } = now ?? view?.last ?? nothing;
    return { ...nothing, from, to, epoch, runs: 'yes', phase: held ?? 'starting', why };
  }
  const { from, to, epoch, phase, backlogObjects, backlogBytes, etaSeconds, drainRate } = now;
  const proved = now.verifiedWatermarkMs;
  return {
    ...{ runs: 'yes', phase, from, to, epoch, backlogObjects, backlogBytes, etaSeconds, why },
    ...{ rpoSeconds: now.oldestPendingAgeSeconds, failedObjects: now.failed },
    verifiedWatermark: proved === null ? null : new Date(proved).toISOString(),
    objectsPerSecond: drainRate?.objectsPerSecond ?? null,
    bytesPerSecond: drainRate?.bytesPerSecond ?? null,
  };
}

function draw(shown: readonly Shown[]): void {
  if (shown.length === 0) return say('no bucket of the estate has replication: async');
  const titles = ['bucket', 'way', 'phase', 'RPO now', 'backlog', 'proved up to', 'rate', 'ETA'];
  const rows = shown.map((one) => [
    ...[`${one.service}/${one.resource}`, one.from === null ? '?' : `${one.from} → ${one.to}`, one.phase],
    ...[seconds(one.rpoSeconds), backlog(one), one.verifiedWatermark?.slice(11, 23) ?? 'unknown'],
    ...[rate(one), one.etaSeconds === null ? 'unknown' : seconds(one.etaSeconds)],
  ]);
  say(
    formatTable(
      titles.map((title) => ({ title })),
      rows,
    ),
  );
  for (const one of shown) {
    const name = `${one.service}/${one.resource}`;
    if (one.why !== null) say(`  ${style.yellow(name)}: ${one.why}`);
    else if (!isInside(one)) say(`  ${style.yellow(name)}: ${doubtOf(one)}`);
    if ((one.failedObjects ?? 0) > 0) say(`  ${style.yellow(name)}: ${one.failedObjects} objects could not be copied`);
  }
}

/** Unknown is not over the objective, nor inside it. */
function doubtOf({ rpoSeconds, phase, objectiveSeconds }: Shown): string {
  if (rpoSeconds !== null) return `over the objective of ${objectiveSeconds} s`;
  return phase === 'paused' ? 'paused: what would be lost is not known' : 'what would be lost is not known';
}

function seconds(value: number | null): string {
  return value === null ? 'unknown' : `${value.toFixed(1)} s`;
}

function backlog({ backlogObjects, backlogBytes }: Shown): string {
  return backlogObjects === null ? 'unknown' : `${backlogObjects} (${formatBytes(backlogBytes ?? 0)})`;
}

function rate({ objectsPerSecond, bytesPerSecond }: Shown): string {
  if (objectsPerSecond === null) return 'unknown';
  return `${objectsPerSecond.toFixed(0)}/s, ${formatBytes(bytesPerSecond ?? 0)}/s`;
}
