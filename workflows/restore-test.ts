import { workflowInfo } from '@temporalio/workflow';
import type { PointChoice, RecoveryPoint, RestoreProof, RestoreTestOrder } from './engine/protection.ts';
import { choosePoint } from './engine/recovery-choice.ts';
import { aimed, aimFacts } from './follow-writer.ts';
import { conduct, longActivities, nameOf } from './protection-run.ts';
import { noPoint, type KnownPoints } from './restore.ts';

interface Activities {
  'list points': (of: Pick<RestoreTestOrder, 'service' | 'resource' | 'vault'>) => Promise<KnownPoints>;
  'prove restore': (call: {
    order: RestoreTestOrder;
    point: RecoveryPoint;
    before: RecoveryPoint | null;
  }) => Promise<RestoreProof>;
}

/**
 * Restores a recovery point into an isolated place, looks whether it is what it should be, and clears up. What it found
 * is kept as a proof, for or against. Only what was proven counts.
 */
export async function restoreTest(order: RestoreTestOrder): Promise<RestoreProof> {
  const { service, resource, startedBy } = order;
  const job = { kind: 'restore-test', service, resource: resource.name, vault: order.vault.name, startedBy } as const;
  let now = order;
  const activities = longActivities<Activities>(nameOf(job));
  return conduct(
    job,
    async (phase) => {
      now = await aimed(order);
      phase('choosing');
      const { points, proofs } = await activities['list points']({ service, resource, vault: now.vault });
      const chosen = choosePoint(points, seeded(order.point), proofs, Date.now());
      if (chosen.kind === 'none') throw noPoint(nameOf(job), chosen.why);
      phase('proving');
      return activities['prove restore']({ order: now, point: chosen.point, before: chosen.before });
    },
    (proof) => {
      const { pointId, verdict, restoreSeconds, restoredToMs } = proof;
      const facts = {
        pointId,
        verdict,
        restoreSeconds,
        restoredToMs,
        findings: proof.findings.length,
        ...aimFacts(order, now),
      };
      if (verdict === 'proven') return { facts, proof };
      const against = proof.findings.filter((one) => one.verdict !== 'passed');
      const said = [proof.failure, ...against.map(({ check, subject, detail }) => `${check} ${subject}: ${detail}`)]
        .filter((text) => text !== null)
        .slice(0, 4)
        .join('; ');
      const failure = proof.failure ?? `PROOF_FAILED: ${said}`;
      const what = `restore test of ${nameOf(job)} failed, point ${pointId}: ${said}`;
      return { outcome: 'failed', facts, proof, failure, findings: [{ severity: 'critical', what }] };
    },
  );
}

/** A schedule gives the same order each time: without a seed of its own each run chooses anew. */
function seeded(choice: PointChoice): PointChoice {
  return choice.kind === 'random' && choice.seed === '' ? { kind: 'random', seed: workflowInfo().runId } : choice;
}
