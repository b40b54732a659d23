import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { removeRecovered } from '../../backup/postgres/recovered-place.ts';
import { codeOf } from '../../backup/repository/durable-write.ts';
import { usableDataHome } from '../../drivers/postgres/owner.ts';
import { killServer } from '../../drivers/postgres/server.ts';
import type { ProtectionContext } from '../context.ts';
import { endMarked } from './marked.ts';
import { isOwnerGone, ownPlace } from './owner.ts';

const placePrefix = 'restore-test-';

/** Where a copy is restored to, apart from everything. Disposing leaves nothing of it: no file, no process. */
export interface Place extends AsyncDisposable {
  dir: string;
  /** Of a restored server. */
  dataDir: string;
  /** For restored files; is there, and nobody else may look into it. */
  filesDir: string;
  /** False once another attempt of the same run has begun to remove it. */
  isHeld(): boolean;
}

/**
 * A place for an attempt of a run. What attempts before it left (they were killed, or their machine went down) is
 * removed first, servers and programs included. Each attempt has a directory of its own, so that one that was given up
 * and does not know it yet clears away its own and not that of the next.
 */
export async function openPlace({
  scratchDir,
  runId,
}: Pick<ProtectionContext, 'scratchDir' | 'runId'>): Promise<Place> {
  const home = usableDataHome(scratchDir);
  // No name of a run holds a dot, so none is the beginning of another.
  const prefix = `${placePrefix}${nameOf(runId)}.`;
  await mkdir(home, { recursive: true });
  for (const name of await readdir(home)) if (name.startsWith(prefix)) await removePlace(path.join(home, name));
  const dir = await mkdtemp(path.join(home, prefix));
  const filesDir = path.join(dir, 'files');
  await mkdir(filesDir, { mode: 0o700 });
  const owning = await ownPlace(heldFile(dir));
  // The user that runs a restored server must get through to what is its own.
  await chmod(dir, 0o711);
  return {
    ...{ dir, filesDir, dataDir: dataDirOf(dir), isHeld: () => existsSync(heldFile(dir)) },
    async [Symbol.asyncDispose]() {
      owning[Symbol.dispose]();
      await removePlace(dir);
    },
  };
}

/** A place that somebody left for good. */
export interface LeftPlace {
  dir: string;
  /** Why it could not be removed; null when it is gone. */
  why: string | null;
}

/**
 * Removes the places of runs that never come back, servers and programs that still run there included: those whose
 * process is gone. Places of processes that live are left alone, whatever they do.
 * @returns what was found
 */
export async function removeLeftPlaces({ scratchDir }: Pick<ProtectionContext, 'scratchDir'>): Promise<LeftPlace[]> {
  const home = usableDataHome(scratchDir);
  const names = await readdir(home).catch((err: unknown) => {
    if (codeOf(err) === 'ENOENT') return [];
    throw err;
  });
  const left: LeftPlace[] = [];
  for (const name of names.filter((one) => one.startsWith(placePrefix))) {
    const dir = path.join(home, name);
    try {
      if (!(await isOwnerGone(dir, heldFile(dir)))) continue;
      await removePlace(dir);
      left.push({ dir, why: null });
    } catch (err) {
      left.push({ dir, why: err instanceof Error ? err.message : String(err) });
    }
  }
  return left;
}

/** Says whose a place is as long as nobody removes it: whoever does takes it away before anything else. */
function heldFile(dir: string): string {
  return path.join(dir, 'held');
}

function dataDirOf(dir: string): string {
  return path.join(dir, 'data');
}

/** Ids of runs are chosen by others. */
function nameOf(runId: string): string {
  return /^[\w-]{1,80}$/.test(runId) ? runId : createHash('sha256').update(runId).digest('hex').slice(0, 32);
}

/** May be called by any process, again and again; does nothing where there is nothing. */
async function removePlace(dir: string): Promise<void> {
  await rm(heldFile(dir), { force: true });
  await endMarked(dir);
  await endHalfServer(dataDirOf(dir));
  await removeRecovered(dataDirOf(dir));
  try {
    await rm(dir, { recursive: true, force: true });
  } catch (err) {
    if (codeOf(err) !== 'EACCES' && codeOf(err) !== 'EPERM') throw err;
    await openUp(dir);
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * A data directory that was not laid down to its end has a version and may have no control file yet. Whoever stops a
 * server there asks that file how it went; without the version it is no database, and there is nothing to ask.
 */
async function endHalfServer(dataDir: string): Promise<void> {
  const version = path.join(dataDir, 'PG_VERSION');
  if (!existsSync(version) || existsSync(path.join(dataDir, 'global', 'pg_control'))) return;
  await killServer(dataDir);
  await rm(version, { force: true });
}

/** Restored directories may be closed to their owner, too; only root removes what is in them without asking. */
async function openUp(dir: string): Promise<void> {
  await chmod(dir, 0o700);
  for (const name of await readdir(dir)) {
    const inside = path.join(dir, name);
    if ((await lstat(inside)).isDirectory()) await openUp(inside);
  }
}
