import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { SiteServer } from './config.ts';
import { parseDatabaseUrl } from './conninfo.ts';
import { makeOwnedDir } from './owner.ts';
import { readPostmasterFile } from './process.ts';
import { serverState, stopServer } from './server.ts';
import { configDir, writeOwned, type ServerSettings } from './settings.ts';

/** A copy of a standby that a drill restores, looks at and removes. It has its own port and nobody to follow. */
export interface Scratch {
  dataDir: string;
  /** Only while it runs. */
  url: string | null;
  /** Token of the step that made it; `null` until it is complete. */
  madeBy: string | null;
}

export async function findScratch(server: SiteServer): Promise<Scratch> {
  const dataDir = scratchDirOf(server);
  const state = await serverState(dataDir);
  const port = state.kind === 'running' ? (readPostmasterFile(dataDir)?.port ?? null) : null;
  return {
    dataDir,
    url: port === null ? null : urlAt(server, port),
    madeBy: await readFile(tokenFile(dataDir), 'utf8').catch(() => null),
  };
}

export async function markScratch(dataDir: string, token: string): Promise<void> {
  await writeOwned(tokenFile(dataDir), token);
}

function tokenFile(dataDir: string): string {
  return path.join(configDir(dataDir), 'made-by');
}

function urlAt(server: SiteServer, port: number): string {
  const url = parseDatabaseUrl(server.url);
  url.hostname = server.settings.host;
  url.port = String(port);
  return url.href;
}

/** Settings of a copy: no upstream, no waiting for standbys, no archive (a drill's timeline would poison it). */
export async function scratchSettings(server: SiteServer): Promise<ServerSettings> {
  const { host } = server.settings;
  return {
    host,
    port: await freePort(host),
    upstream: null,
    sharedBuffersMb: 32,
    extra: { archive_mode: 'off', max_slot_wal_keep_size: '64MB' },
  };
}

async function freePort(host: string): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(0, host, resolve);
  });
  const address = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const underWay = new Map<string, Promise<unknown>>();

/** One after the other within this process: who makes a copy, and who removes one that was left. */
export function aloneAt<T>(dataDir: string, work: () => Promise<T>): Promise<T> {
  const turn = (underWay.get(dataDir) ?? Promise.resolve()).then(work, work);
  underWay.set(dataDir, turn);
  const leave = (): void => {
    if (underWay.get(dataDir) === turn) underWay.delete(dataDir);
  };
  turn.then(leave, leave);
  return turn;
}

/**
 * Removes the copy beside a standby that a drill left which never came back. `isNeeded` is asked where there is one, and
 * no copy is made meanwhile.
 * @returns its directory; null where nothing was removed
 */
export async function removeLeftScratch(
  server: Pick<SiteServer, 'dataDir'>,
  isNeeded: () => Promise<boolean>,
): Promise<string | null> {
  const dataDir = scratchDirOf(server);
  return aloneAt(dataDir, async () => {
    if (!existsSync(dataDir) && !existsSync(configDir(dataDir))) return null;
    if (await isNeeded()) return null;
    await removeScratch({ dataDir });
    return dataDir;
  });
}

function scratchDirOf({ dataDir }: Pick<SiteServer, 'dataDir'>): string {
  return `${dataDir}.scratch`;
}

/** Leaves nothing of it: no process, no directory. */
export async function removeScratch({ dataDir }: Pick<Scratch, 'dataDir'>): Promise<void> {
  await stopServer(dataDir, { fastMs: 1_000, immediateMs: 1_000 });
  await rm(dataDir, { recursive: true, force: true });
  await rm(configDir(dataDir), { recursive: true, force: true });
}

export async function prepareScratchDir(dataDir: string): Promise<void> {
  await makeOwnedDir(configDir(dataDir));
}
