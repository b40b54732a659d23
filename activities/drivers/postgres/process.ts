import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import path from 'node:path';

/** What a running server writes about itself in `postmaster.pid`. */
export interface PostmasterFile {
  pid: number;
  /** Unix seconds, by the server's own clock. */
  startedAtSeconds: number;
  port: number | null;
  status: 'starting' | 'stopping' | 'ready' | 'standby' | 'unknown';
}

/** Reads `postmaster.pid`; `null` when there is none or it is not written to its end yet. */
export function readPostmasterFile(dataDir: string): PostmasterFile | null {
  let lines: string[];
  try {
    lines = readFileSync(path.join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return null;
  }
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return null;
  const status = (lines[7] ?? '').trim();
  return {
    pid,
    startedAtSeconds: Number(lines[2] ?? 0),
    port: Number(lines[3]) || null,
    status: isStatus(status) ? status : 'unknown',
  };
}

function isStatus(word: string): word is Exclude<PostmasterFile['status'], 'unknown'> {
  return word === 'starting' || word === 'stopping' || word === 'ready' || word === 'standby';
}

/** Whether the process is alive and belongs to the server of this data directory (a recycled pid does not). */
export function isServerProcess(pid: number, dataDir: string): boolean {
  if (process.platform === 'linux') return isLinuxServer(pid, realDir(dataDir));
  return commandOf(pid).includes(`-D ${dataDir}`);
}

function isLinuxServer(pid: number, realDataDir: string): boolean {
  try {
    if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'postgres') return false;
    // A server works in its data directory; a zombie has no working directory left, so it counts as gone.
    return readlinkSync(`/proc/${pid}/cwd`) === realDataDir;
  } catch (err) {
    return isDenied(err) && namesDataDir(pid, realDataDir);
  }
}

/** The working directory of another user's process is hidden; its command line is not, and names the data directory. */
function namesDataDir(pid: number, realDataDir: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words.some((word, index) => words[index - 1] === '-D' && realDir(word) === realDataDir);
  } catch {
    return false;
  }
}

function isDenied(err: unknown): boolean {
  return err instanceof Error && 'code' in err && (err.code === 'EACCES' || err.code === 'EPERM');
}

/** Every process of the server in this data directory: the postmaster, its children and orphans of a killed postmaster. */
export function serverProcesses(dataDir: string): number[] {
  if (process.platform !== 'linux') return childrenByPs(dataDir);
  const real = realDir(dataDir);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isLinuxServer(pid, real));
}

/** Whether any process of the server in this data directory is left; a look at all there are only where its postmaster is gone. */
export function hasServerProcess(dataDir: string): boolean {
  const file = readPostmasterFile(dataDir);
  return (file !== null && isServerProcess(file.pid, dataDir)) || serverProcesses(dataDir).length > 0;
}

function childrenByPs(dataDir: string): number[] {
  const file = readPostmasterFile(dataDir);
  if (file === null || !isServerProcess(file.pid, dataDir)) return [];
  const rows = execFileSync('ps', ['-axo', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  const pairs = rows.map((row) => row.trim().split(/\s+/).map(Number));
  return [file.pid, ...pairs.filter(([, parent]) => parent === file.pid).map(([pid]) => pid ?? 0)].filter(
    (pid) => pid > 1,
  );
}

function commandOf(pid: number): string {
  try {
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

function realDir(dir: string): string {
  try {
    return realpathSync(dir);
  } catch {
    return path.resolve(dir);
  }
}

/** Sends a signal; a process that is gone already is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (err) {
    if (!(err instanceof Error && 'code' in err && err.code === 'ESRCH')) throw err;
  }
}
