import { MusterError } from '../workflows/engine/errors.ts';
import type {
  ArchiveWalOrder,
  BackupOrder,
  MirrorOrder,
  PruneOrder,
  ReplicateOrder,
  RestoreTestOrder,
  VerifyOrder,
} from '../workflows/engine/protection.ts';
import type { Estate } from './estate.ts';
import { compileProtection, protectionWorkflows, type Ordered } from './protection.ts';

/**
 * What the estate asks for, found by name, for whoever asks for it out of turn. Each throws MusterError CONFIG_INVALID
 * naming what there is, also when the vault has to be named because there are several.
 */

/** Of a resource, and of a vault where it has several. */
export interface ProtectedName {
  service: string;
  resource: string;
  vault?: string;
}

export function backupOrderOf(estate: Estate, name: ProtectedName): Ordered<BackupOrder> {
  return theOne(compileProtection(estate).backups, isOf(name), 'backup', nameText(name));
}

/** As the estate's restore tests are, newest point first; of a backup that has none, with no checks of the user's. */
export function restoreTestOrderOf(estate: Estate, name: ProtectedName): Ordered<RestoreTestOrder> {
  const { order, workflowId, service } = backupOrderOf(estate, name);
  const found = compileProtection(estate).restoreTests.find(
    (test) => test.order.vault.name === order.vault.name && isOf(name)(test.order),
  );
  if (found !== undefined) return found;
  return {
    workflowType: protectionWorkflows.restoreTest,
    workflowId: workflowId.replace(/^backup/, 'restore-test'),
    order: { ...order, point: { kind: 'newest' }, target: { kind: 'point' }, checks: {} },
    site: order.vault.site,
    service,
  };
}

export function archiveWalOrderOf(estate: Estate, name: ProtectedName): Ordered<ArchiveWalOrder> {
  return theOne(compileProtection(estate).walArchives, isOf(name), 'archive of the WAL', nameText(name));
}

export function replicateOrderOf(estate: Estate, name: { service: string; resource: string }): Ordered<ReplicateOrder> {
  return theOne(compileProtection(estate).replications, isOf(name), 'replication', nameText(name));
}

export function pruneOrderOf(estate: Estate, vault: string): Ordered<PruneOrder> {
  return theOne(compileProtection(estate).prunes, (order) => order.vault.name === vault, 'prune', vault);
}

export function verifyOrderOf(estate: Estate, vault: string): Ordered<VerifyOrder> {
  return theOne(compileProtection(estate).verifies, (order) => order.vault.name === vault, 'verify', vault);
}

export function mirrorOrderOf(estate: Estate, vault: string): Ordered<MirrorOrder> {
  return theOne(compileProtection(estate).mirrors, (order) => order.from.name === vault, 'copy', vault);
}

function theOne<Order>(
  all: readonly Ordered<Order>[],
  fits: (order: Order) => boolean,
  what: string,
  of: string,
): Ordered<Order> {
  const [found, ...more] = all.filter(({ order }) => fits(order));
  const known = all.map(({ workflowId }) => workflowId).join(', ') || 'none';
  if (found === undefined)
    throw new MusterError('CONFIG_INVALID', `the estate has no ${what} of ${of}; it has: ${known}`);
  if (more.length === 0) return found;
  const several = [found, ...more].map(({ workflowId }) => workflowId).join(', ');
  throw new MusterError('CONFIG_INVALID', `${of} has more than one ${what}, name the vault: ${several}`);
}

function isOf(name: ProtectedName) {
  return (order: { service: string; resource: { name: string }; vault?: { name: string } }): boolean =>
    order.service === name.service &&
    order.resource.name === name.resource &&
    (name.vault === undefined || order.vault === undefined || order.vault.name === name.vault);
}

function nameText({ service, resource, vault }: ProtectedName): string {
  return [service, resource, ...(vault === undefined ? [] : [vault])].join('/');
}
