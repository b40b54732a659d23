import type { BackupOrder, RecoveryPoint } from './engine/protection.ts';
import { aimed, aimFacts } from './follow-writer.ts';
import { siteThatReads } from './engine/site-files.ts';
import { conduct, longActivities, nameOf } from './protection-run.ts';

type Activities = Record<'save backup', (order: BackupOrder) => Promise<RecoveryPoint>>;

/**
 * Saves a resource into a vault as a new recovery point. A partial one is kept and named as such: it counts for nothing
 * until somebody has looked at what is missing.
 */
export async function backup(order: BackupOrder): Promise<RecoveryPoint> {
  const { service, resource, vault, startedBy } = order;
  const job = { kind: 'backup', service, resource: resource.name, vault: vault.name, startedBy } as const;
  let now = order;
  return conduct(
    job,
    async (phase) => {
      now = await aimed(order);
      phase('saving');
      const summary = `${nameOf(job)}, read at ${now.site}`;
      return longActivities<Activities>(summary, siteThatReads(now))['save backup'](now);
    },
    (point) => {
      const { id, sizeBytes, addedBytes, files, problems, problemCount } = point;
      const facts = { pointId: id, sizeBytes, addedBytes, files, problemCount, ...aimFacts(order, now) };
      if (point.status === 'complete') return { facts, point };
      const what = `backup of ${nameOf(job)} is partial, ${problemCount} of ${files} files: ${problems.slice(0, 3).join('; ')}`;
      return { outcome: 'partial', facts, point, findings: [{ severity: 'warning', what }] };
    },
  );
}
