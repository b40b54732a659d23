import { ApplicationFailure } from '@temporalio/workflow';
import type { RecoveryPoint, RestoreDone, RestoreOrder, RestoreProof } from './engine/protection.ts';
import { choosePoint, leadingTo } from './engine/recovery-choice.ts';
import { siteThatReads } from './engine/site-files.ts';
import { conduct, longActivities, nameOf } from './protection-run.ts';

interface Activities {
  'list points': (of: Pick<RestoreOrder, 'service' | 'resource' | 'vault'>) => Promise<KnownPoints>;
  'restore point': (call: { order: RestoreOrder; point: RecoveryPoint }) => Promise<RestoreDone>;
}

/** Brings a recovery point back into an empty place. The vault itself says what there is: the ledger may be lost. */
export async function restore(order: RestoreOrder): Promise<RestoreDone> {
  const { service, resource, vault, startedBy } = order;
  const job = { kind: 'restore', service, resource: resource.name, vault: vault.name, startedBy } as const;
  const activities = longActivities<Activities>(nameOf(job));
  return conduct(
    job,
    async (phase) => {
      phase('choosing');
      const { points } = await activities['list points']({ service, resource, vault });
      const leading =
        order.point.kind === 'id' ? ({ kind: 'points', points } as const) : leadingTo(points, order.target);
      if (leading.kind === 'none') throw unreachable(nameOf(job), leading.why);
      const chosen = choosePoint(leading.points, order.point, [], Date.now());
      if (chosen.kind === 'none') throw noPoint(nameOf(job), chosen.why);
      phase('restoring');
      const there = longActivities<Activities>(`${nameOf(job)} into ${order.into}`, siteThatReads(order));
      return there['restore point']({ order, point: chosen.point });
    },
    ({ pointId, into, restoredBytes, seconds, restoredToMs }) => ({
      facts: { pointId, into, restoredBytes, seconds, restoredToMs },
    }),
  );
}

/** Recovery points of a resource in one vault, as the vault says, and their proofs, as far as the ledger says. */
export interface KnownPoints {
  points: RecoveryPoint[];
  proofs: RestoreProof[];
}

function unreachable(name: string, why: string): ApplicationFailure {
  const message = `${name}: ${why}`;
  return ApplicationFailure.create({ type: 'RECOVERY_TARGET_UNREACHABLE', message, nonRetryable: true });
}

export function noPoint(name: string, why: string): ApplicationFailure {
  const message = `${name}: ${why}`;
  return ApplicationFailure.create({ type: 'SNAPSHOT_UNKNOWN', message, nonRetryable: true });
}
