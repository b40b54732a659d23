import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { giveToOwner, makeOwnedDir } from '../../drivers/postgres/owner.ts';
import { killServer, stopServer } from '../../drivers/postgres/server.ts';
import { configDir, writeOwned } from '../../drivers/postgres/settings.ts';
import { codeOf } from '../repository/durable-write.ts';
import { tablespaceDir } from './lay-down.ts';

/** What stands in the configuration directory of a server that was recovered here, from the first moment on. */
interface PlaceMark {
  socketDir: string;
}

function markFile(dataDir: string): string {
  return path.join(configDir(dataDir), 'recovered.json');
}

export function spoolDir(dataDir: string): string {
  return `${dataDir}.spool`;
}

/**
 * Makes an empty place for a recovered server; one that was recovered there before is removed first.
 * @throws MusterError CONFIG_INVALID when something else is there
 */
export async function preparePlace(dataDir: string): Promise<{ socketDir: string }> {
  if (!path.isAbsolute(dataDir)) throw new MusterError('CONFIG_INVALID', `${dataDir} is not an absolute path`);
  await removeRecovered(dataDir);
  await mkdir(path.dirname(dataDir), { recursive: true });
  await makeOwnedDir(dataDir);
  for (const dir of [dataDir, tablespaceDir(dataDir)]) {
    const inside = await readdir(dir).catch(() => []);
    if (inside.length > 0) throw new MusterError('CONFIG_INVALID', `${dir} is not empty`);
  }
  // Names of sockets may have some hundred characters at most, so they lie apart.
  const socketDir = await mkdtemp(path.join(tmpdir(), 'muster-socket-'));
  await chmod(socketDir, 0o700);
  await giveToOwner(socketDir);
  await makeOwnedDir(configDir(dataDir));
  const mark: PlaceMark = { socketDir };
  await writeOwned(markFile(dataDir), `${JSON.stringify(mark)}\n`);
  return { socketDir };
}

/**
 * Leaves nothing of a server that was recovered into this directory: no process, no file. Does nothing where there is
 * none, and never touches a directory in which something else lies. May be called by any process, again and again.
 */
export async function removeRecovered(dataDir: string): Promise<void> {
  const text = await readFile(markFile(dataDir), 'utf8').catch((err: unknown) => {
    if (codeOf(err) === 'ENOENT' || codeOf(err) === 'ENOTDIR') return null;
    throw err;
  });
  if (text === null) return;
  const { socketDir } = JSON.parse(text) as PlaceMark;
  // What was laid down in part does not say what state it is in: then whatever runs there is ended.
  await stopServer(dataDir, { fastMs: 2_000, immediateMs: 2_000 }).catch(() => killServer(dataDir));
  const isOurs = path.basename(socketDir).startsWith('muster-socket-');
  for (const dir of [dataDir, tablespaceDir(dataDir), spoolDir(dataDir), ...(isOurs ? [socketDir] : [])]) {
    await rm(dir, { recursive: true, force: true });
  }
  // Last: as long as anything is left, the mark must be there.
  await rm(configDir(dataDir), { recursive: true, force: true });
}

/** Files of the source that would decide how a copy of it starts, whom it lets in and whom it follows. */
const decisive = [
  ...['postgresql.conf', 'postgresql.auto.conf', 'pg_hba.conf', 'pg_ident.conf'],
  ...['standby.signal', 'recovery.signal', 'tablespace_map', 'postmaster.pid', 'postmaster.opts'],
];

/** Directory in which the source's own configuration is kept, for whoever wants to run the restored server for good. */
export function originalsDir(dataDir: string): string {
  return path.join(configDir(dataDir), 'originals');
}

/** Puts the source's configuration aside and ours in its place: the socket's owner, and passwords on the loopback. */
export async function replaceConfiguration(dataDir: string): Promise<void> {
  await makeOwnedDir(originalsDir(dataDir));
  for (const name of decisive) {
    await rename(path.join(dataDir, name), path.join(originalsDir(dataDir), name)).catch((err: unknown) => {
      if (codeOf(err) !== 'ENOENT') throw err;
    });
  }
  await writeOwned(path.join(dataDir, 'pg_hba.conf'), accessRules);
  await writeOwned(path.join(dataDir, 'pg_ident.conf'), '');
  await writeOwned(path.join(dataDir, 'recovery.signal'), '');
}

// `md5` takes whichever kind of password a role has.
const accessRules = `# Written by Muster: a restored copy. The directory of the socket is closed to all but its owner.
local all all trust
host all all 127.0.0.1/32 md5
host all all ::1/128 md5
`;
