import { spawn } from 'node:child_process';
import { existsSync, openSync, closeSync } from 'node:fs';
import { chown, open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { findPostgres } from './binaries.ts';
import { readControlFile, type ControlFile } from './control-file.ts';
import { asOwner, serverOwner } from './owner.ts';
import { isServerProcess, readPostmasterFile, serverProcesses, signalProcess } from './process.ts';
import { cleanAutoSettings, logFile, renderSettings, type ServerSettings } from './settings.ts';

export interface StartOptions {
  dataDir: string;
  settings: ServerSettings;
  binDir?: string;
  /** New sessions are read-only until somebody opens the database. */
  closed?: boolean;
  /** How long to wait until it accepts connections, milliseconds; default 60 s (crash recovery may take its time). */
  waitMs?: number;
  signal?: AbortSignal;
}

export interface StartedServer {
  pid: number;
  /** Unix seconds as the server wrote them: with the pid, its identity. */
  startedAtSeconds: number;
  /** It was running already and was left as it was. */
  adopted: boolean;
}

export type ServerState =
  | { kind: 'running'; pid: number; ready: boolean; startedAtSeconds: number }
  /** No process. `clean` = shut down in order, all it had is on disk and was sent to connected standbys. */
  | { kind: 'stopped'; clean: boolean; control: ControlFile }
  /** There is no database in this directory. */
  | { kind: 'absent' };

const POLL_MS = 5;

/** What the operating system and the files say of a server; needs no connection, so it cannot hang. */
export async function serverState(dataDir: string): Promise<ServerState> {
  const file = readPostmasterFile(dataDir);
  if (file !== null && isServerProcess(file.pid, dataDir)) {
    const ready = file.status === 'ready' || file.status === 'standby';
    return { kind: 'running', pid: file.pid, ready, startedAtSeconds: file.startedAtSeconds };
  }
  if (!existsSync(path.join(dataDir, 'PG_VERSION'))) return { kind: 'absent' };
  const control = await readControlFile(dataDir);
  const clean = control.state === 'shut-down' || control.state === 'shut-down-in-recovery';
  return { kind: 'stopped', clean, control };
}

/** Whether the data directory is set to start as a standby. */
export function isStandbyDir(dataDir: string): boolean {
  return existsSync(path.join(dataDir, 'standby.signal'));
}

/**
 * Starts the server, or adopts it when it runs already, and resolves when it accepts connections. It outlives this
 * process. Throws DATABASE_UNREACHABLE with the reason from its log when it does not come up in time.
 */
export async function startServer(options: StartOptions): Promise<StartedServer> {
  const { dataDir } = options;
  const before = await serverState(dataDir);
  if (before.kind === 'absent') throw new MusterError('DATABASE_UNREACHABLE', `there is no database in ${dataDir}`);
  if (before.kind === 'running') {
    const { startedAtSeconds } = await untilReady(options, before.pid, () => false);
    return { pid: before.pid, startedAtSeconds, adopted: true };
  }
  await endOrphans(dataDir);
  const configFile = await renderSettings(dataDir, options.settings);
  await cleanAutoSettings(dataDir, { closed: options.closed ?? false });
  const { pid, hasExited } = await spawnServer(options, configFile);
  const { startedAtSeconds } = await untilReady(options, pid, hasExited);
  return { pid, startedAtSeconds, adopted: false };
}

async function spawnServer(
  options: StartOptions,
  configFile: string,
): Promise<{ pid: number; hasExited: () => boolean }> {
  const { postgres } = await findPostgres(options.binDir);
  const log = openSync(logFile(options.dataDir), 'a', 0o600);
  try {
    const owner = serverOwner();
    if (owner !== null) await chown(logFile(options.dataDir), owner.uid, owner.gid);
    const child = spawn(postgres, ['-D', options.dataDir, '-c', `config_file=${configFile}`], {
      cwd: options.dataDir,
      detached: true,
      stdio: ['ignore', log, log],
      ...asOwner(owner),
    });
    let exited = false;
    child.once('exit', () => (exited = true));
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (err) =>
        reject(new MusterError('DATABASE_UNREACHABLE', `cannot run ${postgres}: ${err.message}`)),
      );
    });
    child.unref();
    return { pid: child.pid ?? 0, hasExited: () => exited };
  } finally {
    closeSync(log);
  }
}

async function untilReady(
  options: StartOptions,
  pid: number,
  hasExited: () => boolean,
): Promise<{ startedAtSeconds: number }> {
  const endsAt = performance.now() + (options.waitMs ?? 60_000);
  for (;;) {
    const file = readPostmasterFile(options.dataDir);
    if (file?.pid === pid && (file.status === 'ready' || file.status === 'standby')) return file;
    if (hasExited() || (file === null && !isServerProcess(pid, options.dataDir) && performance.now() > endsAt - 1_000))
      break;
    if (performance.now() > endsAt || options.signal?.aborted) break;
    await sleep(POLL_MS);
  }
  const why = await lastComplaint(options.dataDir);
  throw new MusterError('DATABASE_UNREACHABLE', `the server in ${options.dataDir} does not accept connections: ${why}`);
}

/** Last FATAL, PANIC or ERROR line of the server's log. */
export async function lastComplaint(dataDir: string): Promise<string> {
  try {
    await using file = await open(logFile(dataDir));
    const { size } = await file.stat();
    const start = Math.max(0, size - 16_384);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const lines = buffer.subarray(0, bytesRead).toString('utf8').split('\n');
    return lines.findLast((line) => /\b(FATAL|PANIC|ERROR):/.test(line)) ?? `see ${logFile(dataDir)}`;
  } catch {
    return 'it has written no log';
  }
}

export interface StopOptions {
  /** Time for a clean end (SIGINT: sessions ended, everything flushed and sent), milliseconds. */
  fastMs?: number;
  /** Time for an immediate end (SIGQUIT), milliseconds. Then SIGKILL. */
  immediateMs?: number;
}

/** Ends the server, cleanly when it can. Resolves when no process of it is left, with whether it was clean. */
export async function stopServer(dataDir: string, options: StopOptions = {}): Promise<{ clean: boolean }> {
  const steps: [NodeJS.Signals, number][] = [
    ['SIGINT', options.fastMs ?? 5_000],
    ['SIGQUIT', options.immediateMs ?? 2_000],
  ];
  let isGone = false;
  for (const [signal, limitMs] of steps) {
    const state = await serverState(dataDir);
    if (state.kind !== 'running') break;
    if (limitMs <= 0) continue;
    signalProcess(state.pid, signal);
    isGone = await untilEnded(dataDir, state.pid, limitMs);
  }
  if (!isGone) await endOrphans(dataDir, 0);
  const state = await serverState(dataDir);
  return { clean: state.kind === 'stopped' && state.clean };
}

/** Kills the server as a power cut does: every process at once, nothing flushed. */
export async function killServer(dataDir: string): Promise<void> {
  await endOrphans(dataDir, 0);
}

/** The postmaster ends last: until then it alone is looked at, since a look at every process costs what the server needs to end. */
async function untilEnded(dataDir: string, postmaster: number, limitMs: number): Promise<boolean> {
  const endsAt = performance.now() + limitMs;
  while (isServerProcess(postmaster, dataDir) && performance.now() < endsAt) await sleep(POLL_MS);
  return untilGone(dataDir, Math.max(0, endsAt - performance.now()));
}

async function untilGone(dataDir: string, limitMs: number): Promise<boolean> {
  const endsAt = performance.now() + limitMs;
  while (serverProcesses(dataDir).length > 0) {
    if (performance.now() > endsAt) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** Children end by themselves when their postmaster is gone, but not while they are paused: those are killed. */
async function endOrphans(dataDir: string, patienceMs = 2_000): Promise<void> {
  if (patienceMs > 0 && (await untilGone(dataDir, patienceMs))) return;
  for (let round = 0; round < 100; round++) {
    for (const pid of serverProcesses(dataDir)) signalProcess(pid, 'SIGKILL');
    if (await untilGone(dataDir, 100)) return;
  }
  throw new MusterError('DATABASE_UNREACHABLE', `processes of the server in ${dataDir} cannot be ended`);
}
