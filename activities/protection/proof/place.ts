import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { removeRecovered } from '../../backup/postgres/recovered-place.ts';
import { codeOf } from '../../backup/repository/durable-write.ts';
import { usableDataHome } from '../../drivers/postgres/owner.ts';
import { killServer } from '../../drivers/postgres/server.ts';
import type { ProtectionContext } from '../context.ts';
import { endMarked } from './marked.ts';

/** Where a copy is restored to, apart from everything. Disposing leaves nothing of it: no file, no process. */
export interface Place extends AsyncDisposable {
  dir: string;
  /** Of a restored server. */
  dataDir: string;
  /** For restored files; is there, and nobody else may look into it. */
  filesDir: string;
}

/**
 * The place of a run, empty: what an attempt before it left there (it was killed, or its machine went down) is removed
 * first, servers and programs included.
 */
export async function openPlace({
  scratchDir,
  runId,
}: Pick<ProtectionContext, 'scratchDir' | 'runId'>): Promise<Place> {
  const dir = path.join(usableDataHome(scratchDir), `restore-test-${nameOf(runId)}`);
  await removePlace(dir);
  const filesDir = path.join(dir, 'files');
  await mkdir(filesDir, { recursive: true });
  // The user that runs a restored server must get through to what is its own.
  await chmod(dir, 0o711);
  await chmod(filesDir, 0o700);
  return {
    ...{ dir, filesDir, dataDir: dataDirOf(dir) },
    [Symbol.asyncDispose]: () => removePlace(dir),
  };
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
