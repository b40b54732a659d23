import type { RenewLocksOrder } from '../../workflows/engine/protection.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { renewLocks, type RenewLocksResult } from '../backup/engine/renew-locks.ts';
import type { ProtectionContext } from './context.ts';
import { withVault } from './vault.ts';

/**
 * Locks what the recovery points of an immutable vault need for as long again as its estate says.
 * @throws MusterError OBJECT_STORE_REFUSED where the store locks no single objects; as `withVault`
 */
export async function renewVaultLocks(order: RenewLocksOrder, context: ProtectionContext): Promise<RenewLocksResult> {
  const { name, lockSeconds } = order.vault;
  if (lockSeconds === null) throw new MusterError('CONFIG_INVALID', `vault ${name} has no \`lock\` in the estate`);
  return withVault(order.vault, 'shared', context, ({ repository, signal }) =>
    renewLocks({
      ...{ repository, signal, untilMs: Date.now() + lockSeconds * 1_000 },
      onProgress: (progress) => context.heartbeat({ phase: 'locking', done: progress.files, of: progress.ofFiles }),
    }),
  );
}
