import { MusterError } from '../../workflows/engine/errors.ts';
import type { JsonObject } from '../../workflows/engine/plan.ts';
import type { BackupOrder, RecoveryPoint } from '../../workflows/engine/protection.ts';
import type { BackupResult } from '../backup/engine/backup.ts';
import type { SnapshotLabels } from '../backup/engine/snapshot-labels.ts';
import { unlock } from '../backup/repository/lock.ts';
import type { Snapshot } from '../backup/repository/snapshot.ts';
import { openSource, type BackupSource, type SavingOptions } from './backup-source.ts';
import type { ProtectionContext } from './context.ts';
import { hostOf, pointOf, runOf, snapshotsOf, tagsOf, type AboutPoint } from './points.ts';
import { withVault, type OpenVault } from './vault.ts';

const namedProblems = 100;

/**
 * Saves a resource into a vault as one recovery point. An attempt that follows one that was killed takes up what that
 * one had stored; when it had saved its snapshot already, that is the answer, and nothing is saved twice.
 * @throws MusterError what kept it from being saved: then there is no recovery point
 */
export async function saveBackup(order: BackupOrder, context: ProtectionContext): Promise<RecoveryPoint> {
  return withVault(order.vault, 'shared', context, async (open) => {
    const before = await snapshotsOf(open.repository, order);
    const mine = before.findLast((snapshot) => runOf(snapshot) === context.runId);
    if (mine !== undefined) {
      // Nobody else comes to take away the lock of the attempt that was killed behind its last step.
      await unlock(open.repository, 'stale');
      return asPoint(order, mine);
    }
    await using source = await openSource(order, { signal: open.signal });
    const { snapshot } = await save({ order, open, source, parent: lastWhole(order, before), context });
    return asPoint(order, snapshot);
  });
}

function asPoint(order: BackupOrder, snapshot: Snapshot): RecoveryPoint {
  const point = pointOf(order.vault.name, snapshot);
  if (point !== null) return point;
  throw new MusterError('INTERNAL', `snapshot ${snapshot.id} does not say what it is`);
}

/** To compare with: what a partial one lacks would be read as unchanged. */
function lastWhole({ vault, resource }: BackupOrder, snapshots: readonly Snapshot[]): Snapshot | null {
  const isWhole = (snapshot: Snapshot): boolean => {
    const point = pointOf(vault.name, snapshot);
    return point?.status === 'complete' && point.kind === resource.driver;
  };
  return snapshots.findLast(isWhole) ?? null;
}

interface Saving {
  order: BackupOrder;
  open: OpenVault;
  source: BackupSource;
  parent: Snapshot | null;
  context: ProtectionContext;
}

async function save({ order, open, source, parent, context }: Saving): Promise<BackupResult> {
  const startedAtMs = Date.now();
  const of = { service: order.service, resource: order.resource.name };
  const options: SavingOptions = {
    ...{ repository: open.repository, signal: open.signal, parent },
    ...{ host: hostOf(of), tags: tagsOf(of), time: new Date(startedAtMs) },
    about: (saved) => aboutPoint({ order, source, startedAtMs, runId: context.runId }, saved),
    onProgress: (progress) => context.heartbeat({ phase: 'saving', ...progress, ...totalsOf(source) }),
    confirm: async () => {
      // Nobody may have taken the vault for a prune meanwhile: a snapshot of what was removed would be a lie.
      await open.lock.confirm();
      return [];
    },
  };
  return source.save(options);
}

function totalsOf({ totalBytes }: BackupSource): { totalBytes?: number } {
  const total = totalBytes();
  return total === null ? {} : { totalBytes: total };
}

interface Made {
  order: BackupOrder;
  source: BackupSource;
  startedAtMs: number;
  runId: string;
}

function aboutPoint(
  { order, source, startedAtMs, runId }: Made,
  { counts, added, problems }: Parameters<NonNullable<SnapshotLabels['about']>>[0],
): AboutPoint {
  const { takenAtMs, facts } = source.facts(counts);
  const real = problems.filter(({ kind }) => kind !== 'before-damaged');
  return {
    ...{ version: 1, runId, service: order.service, resource: order.resource.name },
    ...{ kind: order.resource.driver, site: order.site },
    status: real.length === 0 ? 'complete' : 'partial',
    ...{ startedAtMs, takenAtMs, endedAtMs: Date.now() },
    sizeBytes: counts.bytesDone,
    addedBytes: added.data.storedBytes + added.trees.storedBytes,
    files: counts.filesNew + counts.filesChanged + counts.filesUnmodified,
    facts: facts satisfies JsonObject,
    problems: real.slice(0, namedProblems).map(({ path, why }) => `${path}: ${why}`),
    problemCount: real.length,
  };
}
