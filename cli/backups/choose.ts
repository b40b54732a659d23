import { compileProtection, type ProtectionPlan, type Scheduled } from '../../runbooks/protection.ts';
import type { BackupOrder, PointChoice, RecoveryPoint } from '../../workflows/engine/protection.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { Context } from '../context.ts';

/** What most subcommands take. */
export interface BackupFlags {
  vault?: string;
  by?: string;
  detach?: boolean;
  json?: boolean;
}

export function protectionOf(context: Context): ProtectionPlan {
  return compileProtection(context.estate());
}

/**
 * The backups that a name means: `shop`, `shop/orders`, or all of the estate.
 * @throws MusterError CONFIG_INVALID naming what there is
 */
export function backupsOf(plan: ProtectionPlan, name: string | undefined, vault?: string): Scheduled<BackupOrder>[] {
  const [service, resource] = name === undefined ? [] : name.split('/');
  const found = plan.backups.filter(
    ({ order }) =>
      (service === undefined || order.service === service) &&
      (resource === undefined || order.resource.name === resource) &&
      (vault === undefined || order.vault.name === vault),
  );
  if (found.length > 0) return found;
  const known = plan.backups.map(({ order }) => nameOf(order)).join(', ');
  if (known === '') throw invalid('the estate has no backups: add `backups` to a service of muster.yaml');
  throw invalid(`nothing of that name is backed up${vault === undefined ? '' : ` into ${vault}`}; there is: ${known}`);
}

/** Just one. @throws MusterError CONFIG_INVALID naming the choice there is */
export function oneBackup(plan: ProtectionPlan, name: string | undefined, vault?: string): Scheduled<BackupOrder> {
  const [first, ...more] = backupsOf(plan, name, vault);
  if (first !== undefined && more.length === 0) return first;
  const choice = [first!, ...more].map(({ order }) => nameOf(order)).join(', ');
  throw invalid(`which one? name it, and the vault with --vault: ${choice}`);
}

export function nameOf({ service, resource, vault }: BackupOrder): string {
  return `${service}/${resource.name} (vault ${vault.name})`;
}

/** The one vault that is meant. @throws MusterError CONFIG_INVALID naming the vaults there are */
export function vaultName(context: Context, name: string | undefined): string {
  const known = Object.keys(context.estate().vaults);
  if (name === undefined && known.length === 1) return known[0]!;
  if (name !== undefined && known.includes(name)) return name;
  if (known.length === 0) throw invalid('the estate has no vaults: add `vaults` to muster.yaml');
  throw invalid(`${name === undefined ? 'name the vault' : `no vault is named "${name}"`}: ${known.join(', ')}`);
}

/** `newest`, `random`, an id or its beginning. @throws MusterError SNAPSHOT_UNKNOWN */
export function pointChoice(text: string, points: readonly RecoveryPoint[]): PointChoice {
  if (text === 'newest') return { kind: 'newest' };
  if (text === 'random') return { kind: 'random', seed: '' };
  const matching = points.filter(({ id, snapshotId }) => id.startsWith(text) || snapshotId.startsWith(text));
  const [only, ...more] = matching;
  if (only === undefined) throw new MusterError('SNAPSHOT_UNKNOWN', `no recovery point begins with "${text}"`);
  if (more.length > 0)
    throw new MusterError('SNAPSHOT_UNKNOWN', `${matching.length} recovery points begin with "${text}"`);
  return { kind: 'id', id: only.id };
}

export function startedBy({ by }: { by?: string }): string {
  return by ?? process.env['USER'] ?? 'cli';
}

export function invalid(message: string): MusterError {
  return new MusterError('CONFIG_INVALID', message);
}
