import { MusterError } from '../../workflows/engine/errors.ts';
import type { RecoveryPoint, RestoreProof, RestoreTestOrder } from '../../workflows/engine/protection.ts';
import { freeLoopbackPort } from '../backup/postgres/free-port.ts';
import { openRepositoryWalArchive } from '../backup/postgres/repository-wal-archive.ts';
import type { ProtectionContext } from './context.ts';
import { keepBeating } from './proof/beating.ts';
import { proveBucket } from './proof/bucket.ts';
import { proveDirectory } from './proof/directory.ts';
import { meaningOf } from './proof/failure.ts';
import { failed } from './proof/finding.ts';
import { openPlace } from './proof/place.ts';
import { provePostgres } from './proof/postgres.ts';
import { ransomwareFindings } from './proof/ransomware.ts';
import { compareRecorded } from './proof/recorded.ts';
import { scannerFinding } from './proof/scanner.ts';
import { smokeFindings } from './proof/smoke.ts';
import { listStored, openStored } from './proof/stored.ts';
import { beginTrial, type ArchiveOf, type Proving, type Restored, type Trial } from './proof/trial.ts';
import { verdictOf } from './proof/verdict.ts';
import { withVault, type OpenVault } from './vault.ts';

/** What is to be restored. The workflow chooses, see `workflows/engine/recovery-choice.ts`. */
export interface TestedPoints {
  point: RecoveryPoint;
  /** What it is compared with for the alarm against ransomware; null compares with nothing. */
  before: RecoveryPoint | null;
}

export interface RestoreTestTools {
  /** Default: the archive in the vault itself. */
  archiveOf: ArchiveOf;
}

const standardTools: RestoreTestTools = { archiveOf: openRepositoryWalArchive };

/**
 * Restores a recovery point into an isolated place, starts it, looks at it, times it, and leaves nothing behind, whatever
 * happens. What is wrong with the backup is the proof's verdict.
 * @throws MusterError only for what says nothing about the backup: OBJECT_STORE_UNREACHABLE, CREDENTIALS_REFUSED,
 * SECRET_MISSING, CONFIG_INVALID, REPOSITORY_LOCKED, TARGET_FULL, RUN_ACTIVE; the reason of the signal when it was aborted
 */
export async function restoreTest(
  order: RestoreTestOrder,
  { point, before }: TestedPoints,
  given: ProtectionContext,
  tools: RestoreTestTools = standardTools,
): Promise<RestoreProof> {
  checkOrder(order, point);
  const startedAtMs = Date.now();
  using beating = keepBeating(given);
  const { context } = beating;
  await using place = await openPlace(context);
  const trial = beginTrial({ order, point, before, place, context, startedAtMs });
  if (point.status === 'partial') {
    const what = `${point.id} is partial: ${point.problems[0] ?? 'what is missing in it was not recorded'}`;
    return proofOf(trial, `PROOF_FAILED: ${what}`);
  }
  try {
    await withVault(order.vault, 'shared', context, (open) => proveWith(trial, open, tools));
  } catch (err) {
    context.signal.throwIfAborted();
    const meaning = meaningOf(err);
    if (meaning.kind === 'none') throw err;
    checkPlace(trial);
    trial.findings.push(failed({ check: 'restore', subject: point.id, detail: meaning.message }));
    return proofOf(trial, `${meaning.code}: ${meaning.message}`);
  }
  context.signal.throwIfAborted();
  checkPlace(trial);
  return proofOf(trial, null);
}

/** What an attempt finds whose place another one has removed is that one's doing. */
function checkPlace({ place, context }: Trial): void {
  if (place.isHeld()) return;
  throw new MusterError('RUN_ACTIVE', `another attempt of restore test ${context.runId} has taken its place`);
}

function checkOrder(order: RestoreTestOrder, point: RecoveryPoint): void {
  const { service, resource, vault } = order;
  if (point.service === service && point.resource === resource.name && point.vault === vault.name) return;
  const whose = `${point.service}/${point.resource} in ${point.vault}`;
  throw new MusterError(
    'CONFIG_INVALID',
    `recovery point ${point.id} is of ${whose}, not of ${service}/${resource.name} in ${vault.name}`,
  );
}

/** A lock that was lost ends it as the signal does: what was found then may be another's doing. */
async function proveWith(trial: Trial, { repository, signal }: OpenVault, tools: RestoreTestTools): Promise<void> {
  try {
    trial.context.heartbeat({ phase: 'opening' });
    const stored = await openStored(repository, trial.point.snapshotId);
    // One object throughout: what is found out on the way stands in it when the way ends early.
    await prove(Object.assign(trial, { stored, signal, archiveOf: tools.archiveOf }));
    signal.throwIfAborted();
  } catch (err) {
    signal.throwIfAborted();
    throw err;
  }
}

async function prove(proving: Proving): Promise<void> {
  const { stored, point, before, order, context, signal, findings } = proving;
  const listed = await listStored(stored, (files) => context.heartbeat({ phase: 'listing', files }));
  findings.push(compareRecorded(point, stored.snapshot, listed));
  if (listed.faults.count > 0) {
    const what = `${listed.faults.count} of its files and directories cannot be restored: ${listed.faults.toString()}`;
    throw new MusterError('REPOSITORY_DAMAGED', `${point.id}: ${what}`);
  }
  const alarm = await ransomwareFindings(stored, {
    ...{ point, before, checks: order.checks, files: listed.files, seed: context.runId, signal },
    onProgress: (files) => context.heartbeat({ phase: 'comparing', files }),
  });
  findings.push(...alarm);
  const restored = await proveKind(proving);
  if (restored !== null) await lookInside(proving, restored);
}

function proveKind(proving: Proving): Promise<Restored> {
  switch (proving.point.kind) {
    case 'postgres':
      return provePostgres(proving);
    case 'bucket':
      return proveBucket(proving);
    case 'directory':
      return proveDirectory(proving);
    default:
      throw new MusterError(
        'CONFIG_INVALID',
        `${proving.point.id}: a ${proving.point.kind} cannot be restored to test it`,
      );
  }
}

/** With programs of the user's. */
async function lookInside(proving: Proving, restored: NonNullable<Restored>): Promise<void> {
  const { order, place, context, signal, findings } = proving;
  const where = { ...restored, port: await freeLoopbackPort() };
  const onProgress = (asked: number): void => context.heartbeat({ phase: 'asking', asked });
  findings.push(...(await smokeFindings({ checks: order.checks, place, where, signal, onProgress })));
  const { scanner } = order.checks;
  if (scanner === undefined || scanner.length === 0) return;
  context.heartbeat({ phase: 'scanning' });
  findings.push(await scannerFinding(scanner, { place, where, signal }));
}

function proofOf(trial: Trial, failure: string | null): RestoreProof {
  const { order, point, context, startedAtMs, findings, figures, restoredToMs, restoreSeconds } = trial;
  return {
    ...{ id: context.runId, pointId: point.id, service: order.service, resource: order.resource.name },
    ...verdictOf(findings, failure),
    ...{ startedAtMs, endedAtMs: Date.now(), restoredToMs, restoreSeconds, figures: { ...figures } },
    ...{ findings: [...findings], startedBy: order.startedBy },
  };
}
