import type { MirrorOrder } from '../../workflows/engine/protection.ts';
import { mirror, type MirrorCounts } from '../backup/engine/mirror.ts';
import { mirrorWal } from '../backup/postgres/mirror-wal.ts';
import { openStore } from '../backup/repository/open-store.ts';
import type { RepositoryStore } from '../backup/repository/store.ts';
import type { ProtectionContext } from './context.ts';
import { addressOfVault, withVault } from './vault.ts';

export interface MirrorDone extends MirrorCounts {
  /** Recovery points that the source has lost and the copy keeps, because there are too many of them. */
  heldBack: number;
  /** Files of archived WAL that were copied. */
  wal: number;
}

/** A prune of every day removes few; when so large a share is gone at once, somebody should look first. */
const usualShare = 0.5;
const alwaysFine = 10;

/**
 * Brings the copy of a vault at another place up to date: the same passwords open it there. What was pruned at the
 * source goes from the copy as well, unless most of it is gone: a copy must survive what befalls the source.
 * @throws MusterError as `withVault`, REPOSITORY_EXISTS, REPOSITORY_DAMAGED
 */
export async function mirrorVault(order: MirrorOrder, context: ProtectionContext): Promise<MirrorDone> {
  return withVault(order.from, 'shared', context, async ({ repository, signal }) => {
    const from = repository.store;
    const to = await openStore(addressOfVault(order.to));
    try {
      const gone = await goneSnapshots(from, to);
      const counts = await mirror({
        ...{ from, to, sealer: repository.sealer, remove: !gone.isTooMany, signal },
        onProgress: (progress) => context.heartbeat({ phase: 'copying', ...progress }),
      });
      const wal = await mirrorWal(from.side, to.side, { remove: !gone.isTooMany, signal });
      return { ...counts, wal: wal.copied, heldBack: gone.isTooMany ? gone.count : 0 };
    } finally {
      await to.close();
    }
  });
}

async function goneSnapshots(
  from: RepositoryStore,
  to: RepositoryStore,
): Promise<{ count: number; isTooMany: boolean }> {
  const there = new Set<string>();
  for await (const { name } of from.list('snapshot')) there.add(name);
  let [count, all] = [0, 0];
  for await (const { name } of to.list('snapshot')) {
    all += 1;
    if (!there.has(name)) count += 1;
  }
  return { count, isTooMany: count === all ? count > 0 : count > alwaysFine && count > all * usualShare };
}
