import type { Protected, RecoveryPoint, Vault } from '../../workflows/engine/protection.ts';
import { pointOf, snapshotsOf } from './points.ts';
import { openVault } from './vault.ts';

/** Recovery points of a resource, oldest first, as its vault says: no ledger is needed. @throws MusterError as `openVault` */
export async function listPoints({
  service,
  resource,
  vault,
}: Pick<Protected, 'service' | 'resource'> & { vault: Vault }): Promise<RecoveryPoint[]> {
  const repository = await openVault(vault);
  try {
    const snapshots = await snapshotsOf(repository, { service, resource });
    return snapshots.map((snapshot) => pointOf(vault.name, snapshot)).filter((point) => point !== null);
  } finally {
    await repository.close();
  }
}
