import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Context } from '@temporalio/activity';
import type { Repository } from '../activities/backup/repository/attach.ts';
import { openRepositoryWalArchive } from '../activities/backup/postgres/repository-wal-archive.ts';
import type { WalArchive } from '../activities/backup/postgres/wal-archive.ts';
import { saveBackup } from '../activities/protection/backup.ts';
import type { ProtectionContext } from '../activities/protection/context.ts';
import { copyPiece } from '../activities/protection/copy/piece.ts';
import { listPoints } from '../activities/protection/list-points.ts';
import { mirrorVault } from '../activities/protection/mirror.ts';
import { pruneVault, type GoodOf } from '../activities/protection/prune.ts';
import { renewVaultLocks } from '../activities/protection/renew-locks.ts';
import { replicateObjects } from '../activities/protection/replicate/replicate-objects.ts';
import { restoreTest, type TestedPoints } from '../activities/protection/restore-test.ts';
import { archiveWal } from '../activities/protection/archive-wal.ts';
import { restorePoint } from '../activities/protection/restore.ts';
import { bringHome, noteStandIn } from '../activities/protection/stand-in.ts';
import { verifyVault } from '../activities/protection/verify.ts';
import { makeOwnedDir } from '../activities/drivers/postgres/owner.ts';
import type {
  Aim,
  ArchiveWalOrder,
  BackupOrder,
  MirrorOrder,
  ProtectionBatch,
  PruneOrder,
  RecoveryPoint,
  ReplicateOrder,
  RestoreProof,
  RestoreTestOrder,
} from '../workflows/engine/protection.ts';
import { lastKnownGood } from '../workflows/engine/recovery-choice.ts';
import { aimAtWriter, type AimDeps } from './aim.ts';
import { toApplicationFailure } from './failures.ts';
import type { Ledger } from './ledger/ledger.ts';
import { keepRemovingLeftPlaces, scratchOf } from './left-places.ts';
import type { Log } from './log.ts';

export interface ProtectionDeps {
  /** MUSTER_HOME: what must outlive the process, and room for what is restored to be looked at. */
  home: string;
  log: Log;
  ledger: Ledger;
  /** Without it orders are carried out where they say, whoever writes. */
  aim?: AimDeps;
}

type Activity = (arg: never) => Promise<unknown>;

/** How often Temporal hears that the work lives. Work is done in threads, so that this never stalls. */
const beatEveryMs = 3_000;

/** The long work of protection, by the names that the workflows know. */
export function protectionActivities(deps: ProtectionDeps): Record<string, Activity> {
  const { ledger } = deps;
  keepRemovingLeftPlaces(deps);
  const long = <Order, Answer>(work: (order: Order, context: ProtectionContext) => Promise<Answer>): Activity =>
    asActivity(deps, work) as Activity;
  return {
    'aim at writer': (of: Aimed) => aimed(deps, of),
    'save backup': long(async (order: BackupOrder, context) => {
      await noteStandIn(order);
      return saveBackup(order, context);
    }),
    'prune vault': long((order: PruneOrder, context) => pruneVault(order, context, goodOf(ledger))),
    'verify vault': long(verifyVault),
    'mirror vault': long(async (order: MirrorOrder, context) => {
      const files = await bringHome(order, context);
      if (files > 0)
        context.log(`vault ${order.from.name}: its copy gave back what it had taken in its place`, { files });
      return mirrorVault(order, context);
    }),
    'renew locks': long(renewVaultLocks),
    'replicate objects': long((order: ReplicateOrder, context) => replicateObjects(order, context)),
    'copy objects': long(copyPiece),
    'restore point': long(restorePoint),
    'prove restore': long(({ order, ...points }: TestedPoints & { order: RestoreTestOrder }, context) =>
      restoreTest(order, points, context, { archiveOf: (repository, of) => archiveOf(repository, of, points) }),
    ),
    'archive wal': long(async (order: ArchiveWalOrder, context) => {
      await noteStandIn(order);
      const done = await archiveWal(order, context, gapTeller(deps, order));
      // What came after a mirroring is noted again.
      await noteStandIn(order);
      return done;
    }),
    'list points': long(async (of: Parameters<typeof listPoints>[0]) => knownPoints(ledger, of)),
    'record protection': (batch: ProtectionBatch) => ledger.addProtection(batch),
  };
}

/** Without the ledger nobody knows what was proven: then nothing is removed, and the prune is tried again. */
function goodOf(ledger: Ledger): GoodOf {
  return async (of, points) =>
    lastKnownGood(points, await ledger.restoreProofs({ ...of, limit: 10_000 }))?.point.id ?? null;
}

/** What an archive has lost for good is a finding under its workflow: who restores across it must know before. */
function gapTeller({ ledger, log }: ProtectionDeps, order: ArchiveWalOrder): (why: string) => void {
  const runId = Context.current().info.workflowExecution?.workflowId ?? null;
  const whose = `${order.service}/${order.resource.name} into ${order.vault.name}`;
  return (why) => {
    const what = `the WAL of ${whose} has a gap: ${why}; take a base backup, nothing behind the gap is reached without one`;
    ledger
      .addFinding({ service: order.service, runId, stepId: null, severity: 'critical', what, atMs: Date.now() })
      .catch((err: unknown) => log.warn({ err: err instanceof Error ? err.message : String(err) }, what));
  };
}

type Aimed = Parameters<typeof aimAtWriter>[1];

async function aimed({ aim }: ProtectionDeps, of: Aimed): Promise<Aim> {
  if (aim === undefined) return { kind: 'aimed', site: of.site, vault: of.vault, insteadOf: null };
  try {
    return await aimAtWriter(aim, of);
  } catch (err) {
    throw toApplicationFailure(err, 'read');
  }
}

/** What a site's agent does of it: it alone sees the files of its machine. */
export function siteProtectionActivities(deps: Pick<ProtectionDeps, 'home' | 'log'>): Record<string, Activity> {
  return {
    'save backup': asActivity(deps, async (order: BackupOrder, context) => {
      await noteStandIn(order);
      return saveBackup(order, context);
    }),
    'restore point': asActivity(deps, restorePoint),
  };
}

/** WAL of the system that the point is of. */
function archiveOf(
  repository: Repository,
  of: { service: string; resource: string },
  { point }: TestedPoints,
): WalArchive | null {
  const { systemId } = point.facts;
  return typeof systemId === 'string' ? openRepositoryWalArchive(repository, { ...of, systemId }) : null;
}

/** The vault says what there is; proofs are the ledger's, and none are known while it is away. */
async function knownPoints(
  ledger: Ledger,
  of: Parameters<typeof listPoints>[0],
): Promise<{ points: RecoveryPoint[]; proofs: RestoreProof[] }> {
  const [points, proofs] = await Promise.all([
    listPoints(of),
    ledger.restoreProofs({ service: of.service, resource: of.resource.name }).catch(() => []),
  ]);
  return { points, proofs };
}

function asActivity<Order, Answer>(
  { home, log }: Pick<ProtectionDeps, 'home' | 'log'>,
  work: (order: Order, context: ProtectionContext) => Promise<Answer>,
): (order: Order) => Promise<Answer> {
  return async (order) => {
    const activity = Context.current();
    const { activityType, workflowExecution, attempt, heartbeatDetails } = activity.info;
    const runId = workflowExecution?.runId ?? activity.info.activityId;
    const own = log.child({ activity: activityType, runId, attempt });
    let progress: unknown = heartbeatDetails;
    const beat = setInterval(() => activity.heartbeat(progress), beatEveryMs);
    try {
      return await work(order, {
        signal: activity.cancellationSignal,
        ...{ runId, before: heartbeatDetails, ...(await placesFor(home)) },
        heartbeat: (now) => activity.heartbeat((progress = now)),
        log: (message, fields) => own.info({ ...fields }, message),
      });
    } catch (err) {
      own.warn({ err: err instanceof Error ? err.message : String(err) }, `${activityType} failed`);
      activity.cancellationSignal.throwIfAborted();
      throw toApplicationFailure(err, 'change');
    } finally {
      clearInterval(beat);
    }
  };
}

/** Restored servers run as a user of their own, who must be able to reach their files. */
async function placesFor(home: string): Promise<Pick<ProtectionContext, 'scratchDir' | 'stateDir'>> {
  const stateDir = path.join(path.resolve(home), 'protection');
  const scratchDir = scratchOf(home);
  await mkdir(stateDir, { recursive: true });
  await makeOwnedDir(scratchDir);
  return { scratchDir, stateDir };
}
