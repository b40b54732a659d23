import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { descendantsOf, startTimeOf } from './identity.ts';

/** Between the birth of a server process and what it writes as its start, seconds. */
const startTimeSlackSeconds = 5;

/**
 * The server process that runs on a data directory now, or `null`. A pid file outlives a killed server and its pid may
 * be another's by then: the process must also work inside the directory (PostgreSQL's does), or, where the system cannot
 * say so, have started when the file says.
 */
export function postmasterOf(dataDir: string): { pid: number; startTime: string } | null {
  const recorded = readPidFile(dataDir);
  const startTime = recorded === null ? null : startTimeOf(recorded.pid);
  if (recorded === null || startTime === null) return null;
  const ours =
    process.platform === 'linux'
      ? worksIn(recorded.pid, dataDir)
      : Math.abs(Date.parse(startTime) / 1000 - recorded.startedAtSeconds) < startTimeSlackSeconds;
  return ours ? { pid: recorded.pid, startTime } : null;
}

/** Signals the server and every process of it at once; the server is stopped first so that none is born meanwhile. */
export function signalServer(dataDir: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): number[] {
  const postmaster = postmasterOf(dataDir);
  if (postmaster === null) return [];
  if (signal !== 'SIGCONT') process.kill(postmaster.pid, 'SIGSTOP');
  const pids = [postmaster.pid, ...descendantsOf(postmaster.pid)];
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended by itself.
    }
  }
  return pids;
}

/** Pid and start time (Unix seconds) as the pid file has them, on its first and third line. */
function readPidFile(dataDir: string): { pid: number; startedAtSeconds: number } | null {
  try {
    const [pid = '', , startedAt = ''] = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
    return Number(pid) > 1 ? { pid: Number(pid), startedAtSeconds: Number(startedAt) } : null;
  } catch {
    return null;
  }
}

function worksIn(pid: number, dataDir: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dataDir);
  } catch {
    return false;
  }
}
