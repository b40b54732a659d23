import type { PruneOrder, RecoveryPoint, Retention } from '../../workflows/engine/protection.ts';
import { expireWal } from '../backup/postgres/expire-wal.ts';
import { prune, type PruneResult } from '../backup/engine/prune.ts';
import type { Repository } from '../backup/repository/attach.ts';
import { parseSpan } from '../backup/repository/duration.ts';
import { decideRetention, type RetentionPolicy } from '../backup/repository/retention.ts';
import { listSnapshots, matches, type Snapshot } from '../backup/repository/snapshot.ts';
import type { ProtectionContext } from './context.ts';
import { pointOf, tagsOf } from './points.ts';
import { withVault, type OpenVault } from './vault.ts';

export interface PruneDone {
  /** Ids of the recovery points that are there no longer. */
  removed: string[];
  /** Of all protected resources together. */
  kept: number;
  freedBytes: number;
  packs: PruneResult['packs'];
  /** Packs of no use that the store keeps locked for now. */
  held: PruneResult['held'];
  /** Files of archived WAL that no kept base backup needs. */
  walRemoved: number;
  dryRun: boolean;
}

export type GoodOf = (of: { service: string; resource: string }, points: RecoveryPoint[]) => Promise<string | null>;

/**
 * Removes the recovery points that no policy keeps, and gives their space back. Each resource has a policy of its own;
 * snapshots of resources without one, and those that are none of ours, stay. A policy that would leave nothing of a
 * resource is refused before anything is removed, and the last known good point of each stays whatever its age: what is
 * younger has not been proven. The turn is exclusive, and the lock is looked at again in the store
 * before anything is removed: one who lost it removes nothing more.
 * @param goodOf tells the id of the last known good among points of one resource; default: none is known
 * @throws MusterError RETENTION_UNSAFE, REPOSITORY_LOCKED, REPOSITORY_DAMAGED, CONFIG_INVALID, and what `goodOf` throws
 */
export async function pruneVault(
  order: PruneOrder,
  context: ProtectionContext,
  goodOf: GoodOf = async () => null,
): Promise<PruneDone> {
  return withVault(order.vault, 'exclusive', context, async (open) => {
    const { going, kept } = await decide(open.repository, order, goodOf);
    if (!order.dryRun) await forget(open, going, context);
    const result = await prune({
      ...{ repository: open.repository, lock: open.lock, signal: open.signal, dryRun: order.dryRun },
      onProgress: (progress) => context.heartbeat({ phase: progress.stage, done: progress.done, of: progress.of }),
    });
    const walRemoved = await removeWal(open, order);
    const { bytes, packs, held } = result;
    return {
      removed: going.map(({ id }) => `${order.vault.name}/${id}`),
      freedBytes: bytes.unusedBefore - bytes.unusedAfter + bytes.orphans,
      ...{ kept, packs, held, walRemoved, dryRun: order.dryRun },
    };
  });
}

async function decide(
  repository: Repository,
  { vault, keep }: PruneOrder,
  goodOf: GoodOf,
): Promise<{ going: Snapshot[]; kept: number }> {
  const { snapshots, damaged } = await listSnapshots(repository);
  const [first] = damaged;
  if (first !== undefined) throw first;
  const going: Snapshot[] = [];
  let kept = 0;
  for (const { service, resource, keep: retention } of keep) {
    const tags = tagsOf({ service, resource });
    const own = snapshots.filter((snapshot) => matches(snapshot, { tags }));
    const policy = policyOf(retention);
    if (Object.keys(policy).length === 0) {
      kept += own.length;
      continue;
    }
    const points = own.map((snapshot) => pointOf(vault.name, snapshot)).filter((point) => point !== null);
    const good = await goodOf({ service, resource }, points);
    const remove = removable(own, policy, vault.name).filter(({ id }) => `${vault.name}/${id}` !== good);
    going.push(...remove);
    kept += own.length - remove.length;
  }
  return { going, kept };
}

/** A partial point takes no place of a whole one, and goes when it is older than every whole one that is kept. */
function removable(own: readonly Snapshot[], policy: RetentionPolicy, vault: string): Snapshot[] {
  const isPartial = (snapshot: Snapshot): boolean => pointOf(vault, snapshot)?.status === 'partial';
  const whole = own.filter((snapshot) => !isPartial(snapshot));
  const groups = decideRetention(whole, policy, { nowMs: Date.now(), groupBy: [] });
  const remove = groups.flatMap((group) => group.remove);
  const oldestKept = groups.flatMap(({ keep }) => keep.map(({ snapshot }) => Date.parse(snapshot.time)));
  const from = Math.min(...oldestKept);
  const partial = own.filter((snapshot) => isPartial(snapshot) && Date.parse(snapshot.time) < from);
  return [...remove, ...partial];
}

/** @throws MusterError CONFIG_INVALID */
export function policyOf(retention: Retention): RetentionPolicy {
  const { within, ...counts } = retention;
  const kept = Object.fromEntries(Object.entries(counts).filter(([, count]) => (count ?? 0) > 0));
  return { ...kept, ...(within !== undefined && { within: parseSpan(within) }) };
}

async function forget({ repository, lock, signal }: OpenVault, going: readonly Snapshot[], context: ProtectionContext) {
  await lock.confirm();
  for (const [done, { id }] of going.entries()) {
    signal.throwIfAborted();
    if (done % 50 === 49) await lock.confirm();
    await repository.store.remove('snapshot', id);
    context.heartbeat({ phase: 'forgetting', done: done + 1, of: going.length });
  }
}

/** Behind the prune: by then the base backups that go are gone, also where an attempt before had removed them. */
async function removeWal(
  { repository, lock, signal }: OpenVault,
  { keep, vault, dryRun }: PruneOrder,
): Promise<number> {
  const { snapshots } = await listSnapshots(repository);
  let removed = 0;
  for (const { service, resource } of keep) {
    const own = snapshots.filter((snapshot) => matches(snapshot, { tags: tagsOf({ service, resource }) }));
    const facts = own.map((snapshot) => pointOf(vault.name, snapshot)?.facts);
    const kept = facts.flatMap((one) => {
      const { systemId, startLsn } = one ?? {};
      return typeof systemId === 'string' && typeof startLsn === 'string' ? [{ systemId, startLsn }] : [];
    });
    // One that does not say what it needs may need anything.
    if (kept.length < own.length) continue;
    await lock.confirm();
    removed += (await expireWal(repository, { service, resource }, kept, { dryRun, signal })).removed;
  }
  return removed;
}
