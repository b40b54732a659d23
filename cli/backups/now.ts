import type { RecoveryPoint } from '../../workflows/engine/protection.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, style } from '../output.ts';
import { countOf, formatBytes, formatElapsed } from '../format.ts';
import { backupsOf, nameOf, protectionOf, startedBy, type BackupFlags } from './choose.ts';
import { startAndFollow } from './conduct.ts';

/** `muster backups now`: one recovery point of each resource that the name means. */
export async function backupNow(context: Context, flags: BackupFlags, name?: string): Promise<ExitCode> {
  const wanted = backupsOf(protectionOf(context), name, flags.vault);
  let worst: ExitCode = exitCodes.met;
  for (const { workflowType, workflowId, order, service } of wanted) {
    const summary = `backup of ${nameOf(order)}, asked for by ${startedBy(flags)}`;
    const start = { workflowType, workflowId, service, summary, order: { ...order, startedBy: startedBy(flags) } };
    const exit = await startAndFollow<RecoveryPoint>(context, flags, start, (point) => show(point, flags));
    if (exit !== exitCodes.met) worst = exit;
  }
  return worst;
}

function show(point: RecoveryPoint, { json }: BackupFlags): ExitCode {
  const partial = point.status === 'partial';
  if (json === true) return partial ? exitCodes.partial : exitCodes.met;
  const { service, resource, snapshotId, sizeBytes, addedBytes, files, startedAtMs, endedAtMs, vault } = point;
  const sign = partial ? style.yellow('partial') : style.green('saved');
  say(`${sign} ${service}/${resource} as ${style.bold(snapshotId.slice(0, 8))} in vault ${vault}`);
  const took = formatElapsed((endedAtMs - startedAtMs) / 1_000);
  say(
    `  ${countOf(files, 'file')}, ${formatBytes(sizeBytes)}; ${formatBytes(addedBytes)} new in the vault, in ${took}`,
  );
  if (!partial) {
    say(style.dim(`  intact, not proven yet: muster backups prove ${service}/${resource}`));
    return exitCodes.met;
  }
  for (const problem of point.problems.slice(0, 10)) say(`  ${style.yellow('missing or doubtful')}: ${problem}`);
  if (point.problemCount > 10) say(`  ... ${point.problemCount - 10} more; --json names the first hundred`);
  return exitCodes.partial;
}
