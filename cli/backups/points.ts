import { listPoints } from '../../activities/protection/list-points.ts';
import type { BackupOrder, RecoveryPoint } from '../../workflows/engine/protection.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { Context } from '../context.ts';

/** Recovery points as the ledger knows them; when it is away, as their vault says. Newest first. */
export async function pointsOf(context: Context, order: BackupOrder): Promise<RecoveryPoint[]> {
  try {
    const { service, resource, vault } = order;
    const ledger = await context.ledger();
    return await ledger.recoveryPoints({ service, resource: resource.name, vault: vault.name, limit: 10_000 });
  } catch (err) {
    if (!(err instanceof MusterError) || err.code !== 'LEDGER_UNREACHABLE') throw err;
    return (await listPoints(order)).toReversed();
  }
}
