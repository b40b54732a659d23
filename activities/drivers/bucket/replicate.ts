import type { ReplicationStatus } from '../../../workflows/engine/replication.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import type { DriverServices } from '../guarded/services.ts';
import { done, poll, waitMs, type DriverVerb } from '../guarded/verb.ts';
import { isReplicated } from './config.ts';
import { backlogFigures, roles, statusOf } from './replication/look.ts';

/**
 * Waits until the bucket is protected again: the site that stands by follows the writer's change log and is inside the
 * objective. The copying itself is the service's replication, which runs all the time.
 */
export const replicate: DriverVerb = { perform: protect, confirm: protect };

async function protect(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  if (!isReplicated(input.resource)) return done({ replication: 'none' });
  const { writer, standby } = roles(input);
  const look = (): ReplicationStatus | string => statusOf(input, services, { from: writer, to: standby });
  const inside = await poll({ limitMs: waitMs(input) / 2, everyMs: 100, context }, async () => {
    const status = look();
    return typeof status !== 'string' && whyNot(input, status) === null ? status : null;
  });
  if (inside !== null) return done({ ...inside }, backlogFigures(input, inside));
  const status = look();
  const why = typeof status === 'string' ? status : (whyNot(input, status) ?? 'it has just come inside the objective');
  return { status: 'not-yet', why };
}

function whyNot({ plan, resource }: VerbInput, status: ReplicationStatus): string | null {
  const { phase, epoch, oldestPendingAgeSeconds: seconds, why } = status;
  if (epoch !== plan.epoch) return `${resource.name} is replicated at epoch ${epoch}`;
  if (phase !== 'following' || seconds === null) return `${resource.name}: ${why ?? `its replication is ${phase}`}`;
  const { rpoSeconds } = plan.objectives;
  return seconds <= rpoSeconds
    ? null
    : `${resource.name} is ${seconds.toFixed(1)} s behind (objective ${rpoSeconds} s)`;
}
