import { tmpdir } from 'node:os';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { BackupOrder, Protected } from '../../../workflows/engine/protection.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { done } from '../guarded/verb.ts';
import { vaultsOf } from './config.ts';

/**
 * Saves the directory at the site that is left, where a runbook asks for it: with a restore at the other site behind it,
 * that is how a planned run moves a directory. The snapshot carries the step's token, so none is made twice.
 */
export async function perform(input: VerbInput, context: VerbContext): Promise<PerformOutcome> {
  const { saveBackup } = await import('../../protection/backup.ts');
  const point = await saveBackup(orderOf(input), {
    ...{ signal: context.signal, runId: input.token, before: undefined, scratchDir: tmpdir(), stateDir: tmpdir() },
    heartbeat: () => context.heartbeat('saving'),
    log: (message, fields) => context.log(message, fields),
  });
  const { id, status, takenAtMs, files, sizeBytes, problemCount, problems } = point;
  const facts = { pointId: id, status, takenAtMs, files, sizeBytes, problemCount };
  return done(problemCount === 0 ? facts : { ...facts, problems: problems.slice(0, 3) });
}

export async function confirm(input: VerbInput): Promise<PerformOutcome> {
  const [{ openVault }, { pointOf, runOf, snapshotsOf }] = await Promise.all([
    import('../../protection/vault.ts'),
    import('../../protection/points.ts'),
  ]);
  const order = orderOf(input);
  const repository = await openVault(order.vault);
  try {
    const mine = (await snapshotsOf(repository, order)).findLast((snapshot) => runOf(snapshot) === input.token);
    const point = mine === undefined ? null : pointOf(order.vault.name, mine);
    if (point === null) return { status: 'not-yet', why: `${order.vault.name} has no point of this step` };
    const { id, status, takenAtMs, files, sizeBytes, problemCount } = point;
    return done({ pointId: id, status, takenAtMs, files, sizeBytes, problemCount });
  } finally {
    await repository.close();
  }
}

function orderOf({ plan, resource, runId }: VerbInput): BackupOrder {
  const { vault } = vaultsOf(resource);
  if (vault !== undefined) return { ...protectedAt(plan.from), vault, startedBy: `run ${runId}` };
  throw new MusterError('CONFIG_INVALID', `${resource.name}: the estate names no vault for it`);

  function protectedAt(site: string): Protected {
    // What the plan has put in is no setting of the directory.
    const { vault: _vault, survivingVault: _surviving, ...shared } = resource.shared;
    return { service: plan.service, resource: { ...resource, shared }, site };
  }
}
