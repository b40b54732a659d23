import type { RestoreEstimate } from '../../activities/backup/postgres/restore-model.ts';
import { listPoints } from '../../activities/protection/list-points.ts';
import { forecastRestore } from '../../activities/protection/proof/restore-forecast.ts';
import { progressOf, type ProtectionProgress } from '../../worker/protection-start.ts';
import { readWalArchive, type WalArchive } from '../../worker/wal-archives.ts';
import type { ArchiveWalOrder, BackupOrder, RecoveryPoint, RestoreProof } from '../../workflows/engine/protection.ts';
import { MusterError, toMusterError } from '../../workflows/engine/errors.ts';
import { isFromFuture, lastKnownGood, untilNow } from '../../workflows/engine/recovery-choice.ts';
import type { Ordered, Scheduled } from '../../runbooks/protection.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { note, say, sayJson, style } from '../output.ts';
import { formatAge, formatBytes, formatElapsed, formatTable } from '../format.ts';
import { backupsOf, nameOf, protectionOf } from './choose.ts';
import { progressText } from './conduct.ts';
import { walLines } from './wal-text.ts';

interface ListFlags {
  vault?: string;
  fromVault?: boolean;
  all?: boolean;
  json?: boolean;
}

interface Listed {
  service: string;
  resource: string;
  vault: string;
  every: string;
  /** Newest first. */
  points: (RecoveryPoint & { proof: 'proven' | 'failed' | 'not tested' | 'unknown' })[];
  /** The newest that can be relied on, by proof; null when none can, or nobody knows. */
  lastKnownGood: { pointId: string; takenAtMs: number; provenAtMs: number } | null;
  /** A restore of the newest point to the end of its archived WAL, told from the proofs. */
  restoreForecast: RestoreEstimate;
  /** Null where the estate asks for none; `unknown` while Temporal does not answer. */
  walArchive: WalArchive | 'unknown' | null;
  running: ProtectionProgress | null;
}

const usual = 20;

/** `muster backups list`: what there is, what was proven of it, and what runs. */
export async function listBackups(context: Context, flags: ListFlags, name?: string): Promise<ExitCode> {
  const plan = protectionOf(context);
  const backups = backupsOf(plan, name, flags.vault);
  const listed: Listed[] = [];
  for (const backup of backups) {
    const { service, resource, vault } = backup.order;
    const wal = plan.walArchives.find(
      ({ order }) =>
        order.service === service && order.resource.name === resource.name && order.vault.name === vault.name,
    );
    listed.push(await listOne(context, backup, { flags, wal }));
  }
  if (flags.json === true) sayJson(listed);
  else for (const [i, one] of listed.entries()) show(backups[i]!, one, flags);
  return listed.every((one) => one.points.length === 0 || one.lastKnownGood !== null)
    ? exitCodes.met
    : exitCodes.partial;
}

async function listOne(
  context: Context,
  { order, every, workflowId }: Scheduled<BackupOrder>,
  { flags, wal }: { flags: ListFlags; wal: Ordered<ArchiveWalOrder> | undefined },
) {
  const { service, resource, vault } = order;
  const of = { service, resource: resource.name };
  const nowMs = Date.now();
  const [{ points, proofs }, running, walArchive] = await Promise.all([
    known(context, order, flags),
    context
      .temporal()
      .then((client) => progressOf(client, workflowId))
      .catch(() => null),
    wal === undefined
      ? null
      : context
          .temporal()
          .then((client) => readWalArchive(client, wal, nowMs))
          .catch(() => 'unknown' as const),
  ]);
  const walToLsn = walArchive === null || walArchive === 'unknown' ? null : (walArchive.now?.safeLsn ?? null);
  const good = proofs === null ? null : lastKnownGood(untilNow(points, nowMs), proofs);
  return {
    ...{ ...of, vault: vault.name, every },
    points: points.map((point) => ({ ...point, proof: proofs === null ? 'unknown' : proofOf(point, proofs) })),
    lastKnownGood:
      good === null
        ? null
        : { pointId: good.point.id, takenAtMs: good.point.takenAtMs, provenAtMs: good.proof.endedAtMs },
    restoreForecast: forecastRestore(untilNow(points, nowMs), proofs ?? [], { vault: vault.name, walToLsn, nowMs }),
    ...{ walArchive, running },
  } satisfies Listed;
}

async function known(
  context: Context,
  order: BackupOrder,
  { fromVault, all }: ListFlags,
): Promise<{ points: RecoveryPoint[]; proofs: RestoreProof[] | null }> {
  const of = { service: order.service, resource: order.resource.name };
  const limit = all === true ? 100_000 : 1_000;
  try {
    const proofs = await (await context.ledger()).restoreProofs({ ...of, limit });
    if (fromVault !== true) {
      return {
        points: await (await context.ledger()).recoveryPoints({ ...of, vault: order.vault.name, limit }),
        proofs,
      };
    }
    return { points: (await listPoints(order)).toReversed(), proofs };
  } catch (err) {
    if (!(err instanceof MusterError) || err.code !== 'LEDGER_UNREACHABLE') throw err;
    note(
      `${style.yellow('ledger')}: ${toMusterError(err).message}; asking vault ${order.vault.name} itself, proofs unknown`,
    );
    return { points: (await listPoints(order)).toReversed(), proofs: null };
  }
}

/** By its last proof. */
function proofOf({ id }: RecoveryPoint, proofs: readonly RestoreProof[]): 'proven' | 'failed' | 'not tested' {
  return proofs.find(({ pointId }) => pointId === id)?.verdict ?? 'not tested';
}

function show({ order }: Scheduled<BackupOrder>, listed: Listed, { all }: ListFlags): void {
  const { points, lastKnownGood: good, running, every } = listed;
  say(`${style.bold(nameOf(order))}, every ${every.replace(/^every /, '')}`);
  if (running !== null) say(`  ${style.blue('▶')} ${progressText(running, Date.now() - running.startedAtMs)}`);
  if (listed.walArchive === 'unknown') say(`  WAL ${style.yellow('unknown')}: Temporal does not answer`);
  else if (listed.walArchive !== null) for (const line of walLines(listed.walArchive)) say(`  ${line}`);
  if (points.length === 0) {
    say(`  no recovery points yet: muster backups now ${order.service}/${order.resource.name}\n`);
    return;
  }
  if (good === null)
    say(`  ${style.yellow('nothing proven')}: muster backups prove ${order.service}/${order.resource.name}`);
  else {
    const age = formatAge((Date.now() - good.takenAtMs) / 1_000);
    say(
      `  last known good ${good.pointId.slice(-64, -56)}: state of ${age} ago, proven ${new Date(good.provenAtMs).toISOString()}`,
    );
  }
  const { restoreForecast: forecast } = listed;
  if (forecast.confidence !== 'unknown')
    say(`  a restore would take ${formatElapsed(forecast.seconds)} (${forecast.confidence}: ${forecast.why})`);
  const shown = all === true ? points : points.slice(0, usual);
  const columns = [
    ...[{ title: 'Point' }, { title: 'State of (UTC)' }, { title: 'Size', align: 'right' as const }],
    ...[{ title: 'New', align: 'right' as const }, { title: 'Status' }, { title: 'Proof' }],
  ];
  const nowMs = Date.now();
  const rows = shown.map((point) => [
    ...[point.snapshotId.slice(0, 8), new Date(point.takenAtMs).toISOString().slice(0, 19).replace('T', ' ')],
    ...[formatBytes(point.sizeBytes), formatBytes(point.addedBytes)],
    isFromFuture(point, nowMs) ? style.red('a wrong clock’s') : point.status,
    point.proof,
  ]);
  say(indent(formatTable(columns, rows)));
  if (points.length > shown.length) say(`  ... ${points.length - shown.length} older; --all shows them`);
  say();
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
