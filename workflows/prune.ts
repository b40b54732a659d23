import type { PruneOrder } from './engine/protection.ts';
import { conduct, longActivities } from './protection-run.ts';

interface Pruned {
  removed: string[];
  kept: number;
  freedBytes: number;
  walRemoved: number;
  dryRun: boolean;
}
type Activities = Record<'prune vault', (order: PruneOrder) => Promise<Pruned>>;

/** Removes what no policy keeps from a vault, alone in it. One at a time for each vault: its workflow id is `prune/<vault>`. */
export async function prune(order: PruneOrder): Promise<Pruned> {
  const { vault, startedBy } = order;
  return conduct(
    { kind: 'prune', service: '', resource: '', vault: vault.name, startedBy },
    async (phase) => {
      phase('pruning');
      return longActivities<Activities>(`vault ${vault.name}`)['prune vault'](order);
    },
    ({ removed, kept, freedBytes, walRemoved, dryRun }) => ({
      facts: { removed: removed.length, kept, freedBytes, walRemoved, dryRun },
      removed: dryRun ? [] : removed,
    }),
  );
}
