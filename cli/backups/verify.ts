import type { VerifyOrder } from '../../workflows/engine/protection.ts';
import { vaultOf } from '../../runbooks/protection.ts';
import type { VerifyDone } from '../../activities/protection/verify.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, style } from '../output.ts';
import { countOf, formatAge, formatBytes } from '../format.ts';
import { invalid, startedBy, vaultName, type BackupFlags } from './choose.ts';
import { startAndFollow } from './conduct.ts';

interface VerifyFlags extends BackupFlags {
  percent: string;
}

/** `muster backups verify`: is the vault what it says it is. */
export async function verifyBackups(context: Context, flags: VerifyFlags, name?: string): Promise<ExitCode> {
  const percent = Number(flags.percent.replace(/%$/, ''));
  if (!(percent > 0 && percent <= 100))
    throw invalid(`--percent must be above 0 and at most 100, not "${flags.percent}"`);
  const vault = vaultOf(context.estate(), vaultName(context, name ?? flags.vault));
  const order: VerifyOrder = { vault, percent, startedBy: startedBy(flags) };
  const start = {
    ...{ workflowType: 'verifyVault', workflowId: `verify/${vault.name}`, order, service: '' },
    summary: `check of vault ${vault.name}, asked for by ${order.startedBy}`,
  };
  return startAndFollow<VerifyDone>(context, flags, start, (done) => show(vault.name, done, flags));
}

function show(vault: string, done: VerifyDone, { json }: BackupFlags): ExitCode {
  const exit = done.kind === 'intact' ? exitCodes.met : exitCodes.failed;
  if (json === true) return exit;
  const { packs, verified, snapshots } = done;
  say(`${done.kind === 'intact' ? style.green('intact') : style.red('DAMAGED')} vault ${vault}`);
  const read = `${formatBytes(packs.bytesRead)} of ${formatBytes(packs.bytes)} read`;
  say(`  ${countOf(snapshots, 'snapshot')}, ${countOf(packs.count, 'pack')}; ${read}`);
  const age = verified.oldestAgeSeconds;
  if (verified.never > 0) say(`  ${countOf(verified.never, 'pack')} not read since they were written`);
  else if (age !== null) say(`  every pack was read in the last ${formatAge(age)}`);
  for (const problem of done.problems.slice(0, 20)) say(`  ${style.red('✗')} ${problem}`);
  for (const hurt of done.hurt.slice(0, 20)) say(`  ${style.red('hurt')} ${hurt}`);
  const more = Math.max(0, done.problemCount - 20) + Math.max(0, done.hurtCount - 20);
  if (more > 0) say(`  ... ${more} more; --json names the first hundred of each`);
  return exit;
}
