import type { MirrorOrder } from './engine/protection.ts';
import { conduct, longActivities } from './protection-run.ts';

interface Mirrored {
  files: number;
  bytes: number;
  removed: number;
  heldBack: number;
  wal: number;
}
type Activities = Record<'mirror vault', (order: MirrorOrder) => Promise<Mirrored>>;

/** Brings the copy of a vault at another place up to date. */
export async function mirrorVault(order: MirrorOrder): Promise<Mirrored> {
  const { from, to, startedBy } = order;
  return conduct(
    { kind: 'mirror', service: '', resource: '', vault: from.name, startedBy },
    async (phase) => {
      phase('copying');
      return longActivities<Activities>(`${from.name} to ${to.name}`)['mirror vault'](order);
    },
    ({ files, bytes, removed, heldBack, wal }) => {
      const facts = { to: to.name, files, bytes, removed, heldBack, wal };
      if (heldBack === 0) return { facts };
      const what =
        `${heldBack} recovery points are gone from vault ${from.name}; its copy ${to.name} keeps them until somebody ` +
        `has looked (muster backups prune, or restore them from the copy)`;
      return { outcome: 'partial', facts, findings: [{ severity: 'critical', what }] };
    },
  );
}
