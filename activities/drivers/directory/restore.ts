import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { RecoveryPoint, Vault } from '../../../workflows/engine/protection.ts';
import { choosePoint } from '../../../workflows/engine/recovery-choice.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { afterChange, done } from '../guarded/verb.ts';
import { directoryAt, vaultsOf } from './config.ts';
import { markRestored, markRestoring, stateOf, stateText } from './place.ts';

/**
 * Brings the newest complete recovery point back at the site that is moved to, where a runbook asks for it: into a place
 * that is empty, or that an attempt of this step has begun to fill. Throws CONFIG_INVALID for anything else there,
 * SNAPSHOT_UNKNOWN where there is no point.
 */
export async function perform(input: VerbInput, context: VerbContext): Promise<PerformOutcome> {
  const { plan, resource, token } = input;
  const at = directoryAt(resource, plan.to).path;
  const state = await stateOf(at);
  const isMine = state.kind === 'restoring' && state.token === token;
  if (state.kind !== 'missing' && state.kind !== 'empty' && !isMine) {
    throw new MusterError(
      'CONFIG_INVALID',
      `${resource.name}: ${at} at ${plan.to} ${stateText(state)}; it stays as it is`,
    );
  }
  const { withVault } = await import('../../protection/vault.ts');
  const told = { signal: context.signal, log: context.log };
  return withVault(vaultOf(input), 'shared', told, async ({ repository, signal }) => {
    const [{ pointOf, snapshotsOf }, { missingAttributes, restoreDirectory }] = await Promise.all([
      import('../../protection/points.ts'),
      import('../../protection/restore-directory.ts'),
    ]);
    const snapshots = await snapshotsOf(repository, { service: plan.service, resource });
    const points = snapshots.map((one) => pointOf(vaultOf(input).name, one)).filter((point) => point !== null);
    const chosen = choosePoint(points, { kind: 'newest' }, [], Date.now());
    if (chosen.kind === 'none') throw new MusterError('SNAPSHOT_UNKNOWN', `${resource.name}: ${chosen.why}`);
    const snapshot = snapshots.find(({ id }) => id === chosen.point.snapshotId)!;
    return afterChange(async () => {
      await mkdir(path.dirname(at), { recursive: true });
      await mkdir(at, { recursive: true, mode: 0o700 });
      await markRestoring(at, token);
      const onProgress = ({ files }: { files: number }): void => context.heartbeat(`${files} files`);
      const result = await restoreDirectory({ repository, snapshot, target: at, signal, onProgress, beforeEnd });
      return done({ ...factsOf(chosen.point, at), files: result.counts.files, note: missingAttributes(result) });
    });

    /** Before the directory gets back its own times. */
    async function beforeEnd(): Promise<void> {
      await markRestored(at);
    }
  });
}

/** A place that was empty when the step began holds what the step has brought, once its mark is gone. */
export async function confirm({ plan, resource }: VerbInput): Promise<PerformOutcome> {
  const at = directoryAt(resource, plan.to).path;
  const state = await stateOf(at);
  if (state.kind === 'present') return done({ path: at, entries: state.entries });
  return { status: 'not-yet', why: `${at} ${stateText(state)}` };
}

function factsOf({ id, takenAtMs, site }: RecoveryPoint, at: string) {
  return { pointId: id, takenAtMs, takenAt: site, path: at };
}

/** When the source is lost, the vault may be lost with it. */
function vaultOf({ plan, resource }: VerbInput): Vault {
  const { vault, survivingVault } = vaultsOf(resource);
  const wanted = plan.mode === 'ungraceful' ? (survivingVault ?? vault) : vault;
  if (wanted !== undefined) return wanted;
  throw new MusterError('CONFIG_INVALID', `${resource.name}: the estate names no vault for it`);
}
