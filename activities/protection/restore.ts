import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { MusterError } from '../../workflows/engine/errors.ts';
import type {
  DanglingReferences,
  RecoveryPoint,
  RestoreDone,
  RestoreOrder,
} from '../../workflows/engine/protection.ts';
import { restore, type RestoreResult } from '../backup/engine/restore.ts';
import { restoreBucket } from '../backup/engine/restore-bucket.ts';
import { recover } from '../backup/postgres/recover.ts';
import { originalsDir } from '../backup/postgres/recovered-place.ts';
import type { RecoveryTarget } from '../backup/postgres/recovery-target.ts';
import { openRepositoryWalArchive } from '../backup/postgres/repository-wal-archive.ts';
import { isEmptyArchive, type WalArchive } from '../backup/postgres/wal-archive.ts';
import { loadSnapshot, type Snapshot } from '../backup/repository/snapshot.ts';
import { storedBaseBackup } from '../backup/source/postgres.ts';
import { urlOf } from '../drivers/postgres/config.ts';
import { addressOf } from '../drivers/postgres/conninfo.ts';
import { canTraverse, serverOwner } from '../drivers/postgres/owner.ts';
import { stopServer } from '../drivers/postgres/server.ts';
import { openObjects } from '../objects/open.ts';
import { isLocation, parseLocation } from '../objects/location.ts';
import { binariesFor } from './binaries-for.ts';
import type { ProtectionContext } from './context.ts';
import { missingAttributes, mustBeEmpty, restoreDirectory } from './restore-directory.ts';
import { compareReferences } from './references.ts';
import { openVault, withVault, type OpenVault } from './vault.ts';

/** Limit of one piece of a query over all rows. */
const queryMs = 3_600_000;

interface Restoring {
  order: RestoreOrder;
  point: RecoveryPoint;
  snapshot: Snapshot;
  open: OpenVault;
  context: ProtectionContext;
}

/**
 * Brings a recovery point back into an empty place. An attempt that follows one that was killed starts again with what
 * that one left (a database) or goes on with it (files, objects).
 * @throws MusterError CONFIG_INVALID when something else is in the place; SNAPSHOT_UNKNOWN, REPOSITORY_DAMAGED,
 * RECOVERY_TARGET_UNREACHABLE, WAL_GAP, RESTORE_FAILED naming what is missing, TARGET_FULL
 */
export async function restorePoint(
  { order, point }: { order: RestoreOrder; point: RecoveryPoint },
  context: ProtectionContext,
): Promise<RestoreDone> {
  const startedAt = performance.now();
  return withVault(order.vault, 'shared', context, async (open) => {
    const snapshot = await loadSnapshot(open.repository, point.snapshotId);
    const work = { order, point, snapshot, open, context };
    const done = point.kind === 'postgres' ? await restoreDatabase(work) : await restoreFiles(work);
    const seconds = (performance.now() - startedAt) / 1_000;
    return { pointId: point.id, into: order.into, seconds, ...done };
  });
}

type Done = Pick<RestoreDone, 'restoredToMs' | 'restoredBytes' | 'note' | 'dangling'>;

async function restoreDatabase({ order, point, snapshot, open, context }: Restoring): Promise<Done> {
  const { resource, service, site, into } = order;
  if (isLocation(into)) throw invalid(`${into}: a database is restored into a directory`);
  const dataDir = path.resolve(into);
  await mustBeReachable(dataDir);
  const backup = await storedBaseBackup(open.repository, snapshot);
  const binDir = await binariesFor(order, backup.facts.postgresMajor);
  const { systemId } = backup.facts;
  const target = recoveryTarget(order.target);
  const owner = { service, resource: resource.name, systemId };
  const archive = target.kind === 'immediate' ? null : openRepositoryWalArchive(open.repository, owner);
  if (archive !== null) await mustHoldWal(archive);
  const server = await recover({
    ...{ backup, archive, target, dataDir, signal: open.signal, ...binDir },
    user: decodeURIComponent(new URL(urlOf(resource, site)).username),
    onProgress: (progress) => context.heartbeat(progress),
  });
  const dangling = await danglingIn(server.url, order, open.signal);
  server.keep();
  await stopServer(dataDir, { fastMs: 120_000 });
  const { bytes, walBytes } = server.timings;
  return {
    restoredToMs: target.kind === 'immediate' ? point.takenAtMs : server.reached.lastTransactionAtMs,
    restoredBytes: bytes + walBytes,
    ...(dangling.length > 0 && { dangling }),
    note:
      `the database is stopped, at ${server.reached.lsn} on timeline ${server.reached.timeline}: start it with ` +
      `\`pg_ctl -D ${dataDir} start\`; it listens on the loopback only until you put back what you want of the ` +
      `configuration it had, which is in ${originalsDir(dataDir)}`,
  };
}

/** While the server runs: afterwards nobody can ask it. */
async function danglingIn(
  url: string,
  { heldAgainst = [], resource, site }: RestoreOrder,
  signal: AbortSignal,
): Promise<DanglingReferences[]> {
  const found: DanglingReferences[] = [];
  if (heldAgainst.length === 0) return found;
  const { database } = addressOf(urlOf(resource, site));
  for (const { reference, point, vault } of heldAgainst) {
    const repository = await openVault(vault);
    try {
      found.push(
        await compareReferences(url, reference, { repository, point, database, statementMs: queryMs, signal }),
      );
    } finally {
      await repository.close();
    }
  }
  return found;
}

async function mustHoldWal(archive: WalArchive): Promise<void> {
  if (!(await isEmptyArchive(archive))) return;
  const why = 'so nothing can be replayed behind the base backup: restore the point itself, or give `wal: stream`';
  throw new MusterError('RECOVERY_TARGET_UNREACHABLE', `there is nothing in ${archive.place}, ${why}`);
}

function recoveryTarget(target: RestoreOrder['target']): RecoveryTarget {
  return target.kind === 'point' ? { kind: 'immediate', timeline: 'latest' } : { ...target, timeline: 'latest' };
}

async function restoreFiles({ order, point, snapshot, open, context }: Restoring): Promise<Done> {
  if (order.target.kind !== 'point') {
    throw invalid(`${order.service}/${order.resource.name} is of driver ${point.kind}: it has no WAL to replay`);
  }
  const { repository, signal } = open;
  const onProgress = (progress: object): void => context.heartbeat({ phase: 'restoring', ...progress });
  let result: RestoreResult;
  if (isLocation(order.into)) {
    if (point.kind !== 'bucket') throw invalid(`${order.into}: only a bucket is restored into a bucket`);
    const place = parseLocation(order.into, process.env);
    await using target = openObjects(place);
    const bucket = snapshot.paths[0]!.slice(1);
    const prefix = place.prefix;
    result = await restoreBucket({
      repository,
      snapshot,
      bucket,
      target,
      prefix,
      overwrite: 'never',
      signal,
      onProgress,
    });
  } else {
    const target = path.resolve(order.into);
    if (context.before === undefined) await mustBeEmpty(target);
    // What is restored is closed to others, as it was; the way there need not be.
    await mkdir(path.dirname(target), { recursive: true });
    // From now on a later attempt knows that what lies there is of this run.
    context.heartbeat({ phase: 'restoring' });
    const options = { repository, snapshot, target, signal, onProgress };
    result = await (point.kind === 'directory'
      ? restoreDirectory(options)
      : restore({ ...options, overwrite: 'if-changed' }));
  }
  const note = missingAttributes(result);
  return { restoredToMs: point.takenAtMs, restoredBytes: result.counts.bytes, note };
}

/** Servers do not run as root: their user must be able to get to what is theirs. */
async function mustBeReachable(dataDir: string): Promise<void> {
  const parent = path.dirname(dataDir);
  await mkdir(parent, { recursive: true });
  if (canTraverse(parent)) return;
  const user = serverOwner()?.name ?? 'the server';
  throw invalid(`the user ${user}, who runs PostgreSQL, cannot get into ${parent}: choose another place, or open it`);
}

function invalid(message: string): MusterError {
  return new MusterError('CONFIG_INVALID', message);
}
