import { newerObjects, type NewerObjects } from '../activities/protection/newer-objects.ts';
import { danglingText } from '../activities/protection/references.ts';
import { walWindows } from '../activities/protection/wal-window.ts';
import type { Scheduled } from '../runbooks/protection.ts';
import { consistentPoint, type ConsistentPart, type ConsistentPoint } from '../workflows/engine/consistent-point.ts';
import type {
  BackupOrder,
  DanglingReferences,
  RecoveryPoint,
  RestoreDone,
  RestoreOrder,
} from '../workflows/engine/protection.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { untilNow } from '../workflows/engine/recovery-choice.ts';
import { backupsOf, protectionOf, startedBy } from './backups/choose.ts';
import { startAndFollow } from './backups/conduct.ts';
import { listBackups } from './backups/list.ts';
import { pointsOf } from './backups/points.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { say, sayJson, style } from './output.ts';

interface Flags {
  consistent?: boolean;
  restoreInto?: string;
  by?: string;
  json?: boolean;
}

/** `muster recovery-points` */
export async function showPoints(context: Context, flags: Flags, name?: string): Promise<ExitCode> {
  const service = context.service(name);
  if (flags.consistent !== true && flags.restoreInto === undefined) return listBackups(context, flags, service.name);
  const backups = newestVaultOfEach(backupsOf(protectionOf(context), service.name));
  const found = await commonPoint(context, backups, service.objectives.rpoSeconds);
  if (flags.json === true && flags.restoreInto === undefined) sayJson({ service: service.name, ...found });
  else if (flags.json !== true) show(service.name, service.objectives.rpoSeconds, found);
  if (flags.restoreInto !== undefined) return restoreAll(context, flags, backups, found.point);
  return found.point.skewSeconds <= service.objectives.rpoSeconds ? exitCodes.met : exitCodes.objectivesMissed;
}

interface Found {
  point: ConsistentPoint;
  /** By resource: what was written after the moment of the database. */
  dangling: Record<string, NewerObjects>;
}

/** A resource that is saved into several vaults counts once, by the first the estate names. */
function newestVaultOfEach(backups: Scheduled<BackupOrder>[]): BackupOrder[] {
  const first = new Map<string, BackupOrder>();
  for (const { order } of backups) if (!first.has(order.resource.name)) first.set(order.resource.name, order);
  return [...first.values()];
}

async function commonPoint(context: Context, orders: readonly BackupOrder[], enoughSeconds: number): Promise<Found> {
  const parts = await Promise.all(
    orders.map(async (order) => {
      const points = [...untilNow(await pointsOf(context, order), Date.now())];
      const windows = order.resource.driver === 'postgres' ? await walWindows(order.vault, points) : new Map();
      const replayToMs = new Map<string, number>();
      for (const [id, { toMs }] of windows) if (toMs !== null) replayToMs.set(id, toMs);
      return { resource: order.resource.name, points, replayToMs };
    }),
  );
  const point = consistentPoint(parts, enoughSeconds);
  if (point === null) {
    const lacking = parts.filter(({ points }) => points.every(({ status }) => status !== 'complete'));
    const names = lacking.map(({ resource }) => resource).join(', ');
    throw new MusterError('SNAPSHOT_UNKNOWN', `there is no complete recovery point of ${names}`);
  }
  return { point, dangling: await danglingOf(orders, point) };
}

async function danglingOf(
  orders: readonly BackupOrder[],
  { atMs, parts }: ConsistentPoint,
): Promise<Found['dangling']> {
  const found: Found['dangling'] = {};
  const databaseMs = parts.filter(({ point }) => point.kind === 'postgres').map(({ toMs }) => toMs);
  for (const { resource, point } of parts) {
    const order = orders.find((one) => one.resource.name === resource);
    if (point.kind === 'postgres' || order === undefined) continue;
    found[resource] = await newerObjects(order.vault, point, Math.min(atMs, ...databaseMs));
  }
  return found;
}

function show(service: string, rpoSeconds: number, { point, dangling }: Found): void {
  const { atMs, parts, skewSeconds } = point;
  say(`${style.bold(service)} as of ${style.bold(new Date(atMs).toISOString())}`);
  for (const part of parts) say(`  ${part.resource}: ${partText(part)}`);
  const skew = `skew ${skewSeconds.toFixed(1)} s`;
  say(
    `  ${skewSeconds <= rpoSeconds ? style.green(skew) : style.yellow(`${skew}, more than the RPO of ${rpoSeconds} s`)}`,
  );
  for (const [resource, { count, of, names }] of Object.entries(dangling)) {
    if (count === 0) say(`  nothing dangles in ${resource}: none of its ${of} objects is younger than the database`);
    else
      say(
        `  ${style.yellow(`${count} of ${of} objects of ${resource} are younger than the database`)}: ${names.slice(0, 5).join(', ')}${count > 5 ? ', ...' : ''}`,
      );
  }
}

function partText({ point, target, fromMs, toMs }: ConsistentPart): string {
  const id = `${point.vault}/${point.snapshotId.slice(0, 8)}`;
  if (target === 'time') return `${id} of ${new Date(point.takenAtMs).toISOString()}, WAL replayed to the moment`;
  const span = toMs > fromMs ? ` (read in ${((toMs - fromMs) / 1_000).toFixed(1)} s)` : '';
  return `${id}, state of ${new Date(fromMs).toISOString()}${span}`;
}

/** One after the other: each is as fast as the machine allows. */
async function restoreAll(
  context: Context,
  flags: Flags,
  orders: readonly BackupOrder[],
  { atMs, parts }: ConsistentPoint,
): Promise<ExitCode> {
  const done: RestoreDone[] = [];
  for (const { resource, point, target } of parts) {
    const order = restoreOrder(orders, point, target === 'time' ? { kind: 'time', atMs } : { kind: 'point' });
    const heldAgainst = referencesTo(orderOf(orders, point), orders, parts);
    const into = `${flags.restoreInto}/${resource}`;
    const start = {
      ...{ workflowType: 'restore', workflowId: `restore/${order.service}/${resource}`, service: order.service },
      ...{
        order: { ...order, into, heldAgainst, startedBy: startedBy(flags) },
        summary: `restore of ${resource} to a common point`,
      },
    };
    await startAndFollow<RestoreDone>(context, {}, start, (answer) => {
      done.push(answer);
      if (flags.json !== true) say(`${style.green('restored')} ${resource} into ${answer.into}\n  ${answer.note}`);
      if (flags.json !== true) for (const one of answer.dangling ?? []) say(`  ${danglingLine(one)}`);
      return exitCodes.met;
    });
  }
  if (flags.json === true) sayJson(done);
  return exitCodes.met;
}

/** Rows are held against that point of their bucket that is restored beside them. */
function referencesTo(
  { references = [] }: Pick<BackupOrder, 'references'>,
  orders: readonly BackupOrder[],
  parts: readonly ConsistentPart[],
): NonNullable<RestoreOrder['heldAgainst']> {
  return references.flatMap((reference) => {
    const part = parts.find(({ resource }) => resource === reference.bucket);
    const order = orders.find(({ resource }) => resource.name === reference.bucket);
    return part === undefined || order === undefined ? [] : [{ reference, point: part.point, vault: order.vault }];
  });
}

function danglingLine(dangling: DanglingReferences): string {
  const text = danglingText(dangling);
  return dangling.missing.count > 0 ? style.yellow(text) : text;
}

function orderOf(orders: readonly BackupOrder[], point: RecoveryPoint): BackupOrder {
  return orders.find(({ resource, vault }) => resource.name === point.resource && vault.name === point.vault)!;
}

function restoreOrder(
  orders: readonly BackupOrder[],
  point: RecoveryPoint,
  target: RestoreOrder['target'],
): Omit<RestoreOrder, 'into' | 'heldAgainst'> {
  const { references: _references, ...order } = orderOf(orders, point);
  return { ...order, point: { kind: 'id', id: point.id }, target };
}
