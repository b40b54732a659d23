import { ensureVault } from '../../activities/protection/vault.ts';
import { vaultOf } from '../../runbooks/protection.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, sayJson, style } from '../output.ts';
import { vaultName } from './choose.ts';

/**
 * `muster backups init`: from this machine, with the references as this process resolves them. Never done by itself: a
 * disk that is not mounted would get an empty vault instead of an error.
 */
export async function initVaults(context: Context, flags: { json?: boolean }, name?: string): Promise<ExitCode> {
  const estate = context.estate();
  const names = name === undefined ? Object.keys(estate.vaults) : [vaultName(context, name)];
  if (names.length === 0) vaultName(context, undefined);
  const made: Record<string, boolean> = {};
  for (const one of names) {
    made[one] = await ensureVault(vaultOf(estate, one));
    if (flags.json !== true) say(`vault ${one}: ${made[one] ? style.green('made') : 'is there'}`);
  }
  if (flags.json === true) sayJson(made);
  return exitCodes.met;
}
