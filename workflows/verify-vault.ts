import type { VerifyOrder } from './engine/protection.ts';
import { conduct, longActivities } from './protection-run.ts';

interface Verified {
  kind: 'intact' | 'damaged';
  snapshots: number;
  packs: { count: number; bytes: number; read: number; bytesRead: number };
  verified: { never: number; oldestAgeSeconds: number | null };
  oldestUnverifiedSeconds: number | null;
  problems: string[];
  problemCount: number;
  hurt: string[];
  hurtCount: number;
}
type Activities = Record<'verify vault', (order: VerifyOrder) => Promise<Verified>>;

/** Reads a share of a vault's packs, those first that were read longest ago, and compares all of it with itself. */
export async function verifyVault(order: VerifyOrder): Promise<Verified> {
  const { vault, startedBy } = order;
  return conduct(
    { kind: 'verify', service: '', resource: '', vault: vault.name, startedBy },
    async (phase) => {
      phase('reading');
      return longActivities<Activities>(`vault ${vault.name}, ${order.percent} %`)['verify vault'](order);
    },
    (answer) => {
      const { packs, verified, snapshots, problemCount, hurtCount } = answer;
      const facts = {
        ...{ packs: packs.count, packsRead: packs.read, bytesRead: packs.bytesRead, snapshots },
        ...{ neverRead: verified.never, oldestAgeSeconds: answer.oldestUnverifiedSeconds, problemCount, hurtCount },
      };
      if (answer.kind === 'intact') return { facts };
      const said = [...answer.problems.slice(0, 2), ...answer.hurt.slice(0, 3)].join('; ');
      const failure = `REPOSITORY_DAMAGED: ${said}`;
      const what = `vault ${vault.name} is damaged (${problemCount} files of it, ${hurtCount} of backups): ${said}`;
      return { outcome: 'failed', facts, failure, findings: [{ severity: 'critical', what }] };
    },
  );
}
