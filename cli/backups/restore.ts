import type { RestoreDone, RestoreOrder } from '../../workflows/engine/protection.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, style } from '../output.ts';
import { formatBytes, formatElapsed } from '../format.ts';
import { invalid, nameOf, oneBackup, pointChoice, protectionOf, startedBy, type BackupFlags } from './choose.ts';
import { startAndFollow } from './conduct.ts';
import { pointsOf } from './points.ts';

interface RestoreFlags extends BackupFlags {
  into: string;
  point: string;
  site?: string;
  toLatest?: boolean;
  toTime?: string;
  toLsn?: string;
  toName?: string;
}

/** `muster backups restore`: never over something that is there. */
export async function restoreBackup(context: Context, flags: RestoreFlags, name?: string): Promise<ExitCode> {
  const target = targetOf(flags);
  const { order: backup, service } = oneBackup(protectionOf(context), name, flags.vault);
  const { resource, vault } = backup;
  const site = siteOf(backup, flags.site);
  const point = pointChoice(flags.point, flags.point === 'newest' ? [] : await pointsOf(context, backup));
  const order: RestoreOrder = {
    ...{ service, resource, site, vault, point, target, into: flags.into, startedBy: startedBy(flags) },
  };
  const start = {
    ...{ workflowType: 'restore', workflowId: `restore/${service}/${resource.name}`, order, service },
    summary: `restore of ${nameOf(backup)}, asked for by ${order.startedBy}`,
  };
  return startAndFollow<RestoreDone>(context, flags, start, (done) => {
    if (flags.json !== true) show(done);
    return exitCodes.met;
  });
}

/** @throws MusterError CONFIG_INVALID */
function siteOf({ resource, site }: Pick<RestoreOrder, 'resource' | 'site'>, wanted: string | undefined): string {
  if (wanted === undefined || Object.hasOwn(resource.sites, wanted)) return wanted ?? site;
  throw invalid(`${resource.name} has no site "${wanted}"; it has: ${Object.keys(resource.sites).join(', ')}`);
}

/** @throws MusterError CONFIG_INVALID */
function targetOf({ toLatest, toTime, toLsn, toName }: RestoreFlags): RestoreOrder['target'] {
  const given = [toLatest === true, toTime !== undefined, toLsn !== undefined, toName !== undefined];
  if (given.filter(Boolean).length > 1) throw invalid('give one of --to-latest, --to-time, --to-lsn and --to-name');
  if (toLatest === true) return { kind: 'latest' };
  if (toLsn !== undefined) return { kind: 'lsn', lsn: toLsn };
  if (toName !== undefined) return { kind: 'name', name: toName };
  if (toTime === undefined) return { kind: 'point' };
  const atMs = Date.parse(toTime);
  const hasZone = /(Z|[+-]\d\d:?\d\d)$/i.test(toTime);
  if (Number.isNaN(atMs) || !hasZone) {
    throw invalid(`--to-time must be a moment with its zone, e.g. 2026-03-01T14:05:00Z, not "${toTime}"`);
  }
  return { kind: 'time', atMs };
}

function show({ pointId, into, restoredToMs, restoredBytes, seconds, note }: RestoreDone): void {
  say(`${style.green('restored')} ${pointId.slice(0, pointId.lastIndexOf('/') + 9)} into ${into}`);
  const state = restoredToMs === null ? '' : `, state of ${new Date(restoredToMs).toISOString()}`;
  say(`  ${formatBytes(restoredBytes)} in ${formatElapsed(seconds)}${state}`);
  if (note !== '') say(`  ${note}`);
}
