import type { RenewLocksOrder } from './engine/protection.ts';
import { conduct, longActivities } from './protection-run.ts';

interface Renewed {
  kind: 'renewed' | 'partial';
  files: number;
  renewed: number;
  missing: string[];
  untilMs: number;
}
type Activities = Record<'renew locks', (order: RenewLocksOrder) => Promise<Renewed>>;

/** Keeps what the recovery points of an immutable vault need locked against removal. */
export async function renewLocks(order: RenewLocksOrder): Promise<Renewed> {
  const { vault, startedBy } = order;
  return conduct(
    { kind: 'renew-locks', service: '', resource: '', vault: vault.name, startedBy },
    async (phase) => {
      phase('locking');
      return longActivities<Activities>(`vault ${vault.name}`)['renew locks'](order);
    },
    ({ kind, files, renewed, missing, untilMs }) => {
      const facts = { files, renewed, missing: missing.length, untilMs };
      if (kind === 'renewed') return { facts };
      const what = `vault ${vault.name} lacks ${missing.length} files that recovery points need: ${missing.slice(0, 3).join('; ')}`;
      return { outcome: 'partial', facts, findings: [{ severity: 'critical', what }] };
    },
  );
}
