import { listPoints } from '../../activities/protection/list-points.ts';
import { progressOf, type ProtectionProgress } from '../../worker/protection-start.ts';
import type { BackupOrder, RecoveryPoint, RestoreProof } from '../../workflows/engine/protection.ts';
import { MusterError, toMusterError } from '../../workflows/engine/errors.ts';
import { lastKnownGood } from '../../workflows/engine/recovery-choice.ts';
import type { Scheduled } from '../../runbooks/protection.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { note, say, sayJson, style } from '../output.ts';
import { formatAge, formatBytes, formatTable } from '../repo/format.ts';
import { backupsOf, nameOf, protectionOf } from './choose.ts';
import { progressText } from './conduct.ts';

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
  running: ProtectionProgress | null;
}

const usual = 20;

/** `muster backups list`: what there is, what was proven of it, and what runs. */
export async function listBackups(context: Context, flags: ListFlags, name?: string): Promise<ExitCode> {
  const backups = backupsOf(protectionOf(context), name, flags.vault);
  const listed: Listed[] = [];
  for (const backup of backups) listed.push(await listOne(context, backup, flags));
  if (flags.json === true) sayJson(listed);
  else for (const [i, one] of listed.entries()) show(backups[i]!, one, flags);
  return listed.every((one) => one.points.length === 0 || one.lastKnownGood !== null)
    ? exitCodes.met
    : exitCodes.partial;
}

async function listOne(context: Context, { order, every, workflowId }: Scheduled<BackupOrder>, flags: ListFlags) {
  const { service, resource, vault } = order;
  const of = { service, resource: resource.name };
  const [{ points, proofs }, running] = await Promise.all([
    known(context, order, flags),
    context
      .temporal()
      .then((client) => progressOf(client, workflowId))
      .catch(() => null),
  ]);
  const good = proofs === null ? null : lastKnownGood(points, proofs);
  return {
    ...{ ...of, vault: vault.name, every },
    points: points.map((point) => ({ ...point, proof: proofs === null ? 'unknown' : proofOf(point, proofs) })),
    lastKnownGood:
      good === null
        ? null
        : { pointId: good.point.id, takenAtMs: good.point.takenAtMs, provenAtMs: good.proof.endedAtMs },
    running,
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
    const proofs = await context.ledger().restoreProofs({ ...of, limit });
    if (fromVault !== true) {
      return { points: await context.ledger().recoveryPoints({ ...of, vault: order.vault.name, limit }), proofs };
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
  const shown = all === true ? points : points.slice(0, usual);
  const columns = [
    ...[{ title: 'Point' }, { title: 'State of (UTC)' }, { title: 'Size', align: 'right' as const }],
    ...[{ title: 'New', align: 'right' as const }, { title: 'Status' }, { title: 'Proof' }],
  ];
  const rows = shown.map(({ snapshotId, takenAtMs, sizeBytes, addedBytes, status, proof }) => [
    ...[snapshotId.slice(0, 8), new Date(takenAtMs).toISOString().slice(0, 19).replace('T', ' ')],
    ...[formatBytes(sizeBytes), formatBytes(addedBytes), status, proof],
  ]);
  say(indent(formatTable(columns, rows)));
  if (points.length > shown.length) say(`  ... ${points.length - shown.length} older; --all shows them`);
  say();
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
