import type { ProtectionPlan } from '../runbooks/protection.ts';
import { replicationFigures } from '../activities/drivers/bucket/replication/status.ts';
import type { ReplicationStatus } from '../workflows/engine/replication.ts';
import type { Ledger } from './ledger/ledger.ts';

/** What waits for a ledger that is away; the oldest goes when it is more. At one a quarter minute, more than a day of four. */
const mostWaiting = 25_000;
/** Every figure is kept for a month, then the worst of each quarter of an hour. */
const keptWholeMs = 30 * 86_400_000;
const thinEveryMs = 86_400_000;

/**
 * Remembers how far each replication was behind, each time it is called. Nothing waits for the ledger: what it does not
 * take now it is told the next time.
 */
export function keepReplicationHistory(
  { replications }: Pick<ProtectionPlan, 'replications'>,
  stateDir: string,
  ledger: Pick<Ledger, 'addReplicationFigures' | 'thinReplicationFigures'>,
): (nowMs: number) => Promise<void> {
  const waiting: ReplicationStatus[] = [];
  let thinnedAtMs = 0;
  return async (nowMs) => {
    for (const { order } of replications) {
      const status = replicationFigures(stateDir, order.service, order.resource.name, nowMs);
      // One that has told nothing for a while is unknown at this moment, not at the moment when it last told.
      if (status !== undefined) waiting.push({ ...status, atMs: nowMs });
    }
    waiting.splice(0, waiting.length - mostWaiting);
    const batch = [...waiting];
    await ledger.addReplicationFigures(batch);
    waiting.splice(0, batch.length);
    if (nowMs - thinnedAtMs < thinEveryMs) return;
    await ledger.thinReplicationFigures(nowMs - keptWholeMs);
    thinnedAtMs = nowMs;
  };
}
