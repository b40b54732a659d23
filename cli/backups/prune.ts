import type { PruneDone } from '../../activities/protection/prune.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, style } from '../output.ts';
import { countOf, formatBytes } from '../format.ts';
import { invalid, protectionOf, startedBy, vaultName, type BackupFlags } from './choose.ts';
import { startAndFollow } from './conduct.ts';

interface PruneFlags extends BackupFlags {
  dryRun?: boolean;
}

/** `muster backups prune`: what the rules of the estate keep no longer. */
export async function pruneBackups(context: Context, flags: PruneFlags, name?: string): Promise<ExitCode> {
  const vault = vaultName(context, name ?? flags.vault);
  const planned = protectionOf(context).prunes.find(({ order }) => order.vault.name === vault);
  if (planned === undefined) throw invalid(`nothing in vault ${vault} has a rule: add \`keep\` to its backups`);
  const { workflowType, workflowId, service } = planned;
  const order = { ...planned.order, dryRun: flags.dryRun === true, startedBy: startedBy(flags) };
  const summary = `prune of vault ${vault}, asked for by ${order.startedBy}`;
  return startAndFollow<PruneDone>(context, flags, { workflowType, workflowId, order, service, summary }, (done) => {
    if (flags.json !== true) show(vault, done);
    return exitCodes.met;
  });
}

function show(vault: string, { removed, kept, freedBytes, walRemoved, held, dryRun }: PruneDone): void {
  const [removes, frees] = dryRun ? ['would remove', 'would free'] : [style.green('removed'), 'freed'];
  say(`${removes} ${countOf(removed.length, 'recovery point')} of vault ${vault}, ${kept} stay`);
  for (const id of removed.slice(0, 20)) say(`  ${id.slice(0, id.lastIndexOf('/') + 9)}`);
  if (removed.length > 20) say(`  ... ${removed.length - 20} more`);
  const wal = walRemoved > 0 ? `, ${countOf(walRemoved, 'file')} of WAL` : '';
  say(`  ${frees} ${formatBytes(freedBytes)}${wal}`);
  if (held.count > 0) say(`  ${formatBytes(held.bytes)} are of no use, but locked by the store for now`);
}
