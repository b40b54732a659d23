import {
  isServerProcess,
  readPostmasterFile,
  serverProcesses,
  signalProcess,
} from '../../activities/drivers/postgres/process.ts';

/** Pid of the PostgreSQL server that runs on a data directory now; `null` when none does, whatever its pid file says. */
export function postmasterOf(dataDir: string): number | null {
  const pid = readPostmasterFile(dataDir)?.pid;
  return pid !== undefined && isServerProcess(pid, dataDir) ? pid : null;
}

/**
 * Signals every process of the server on a data directory. The postmaster is stopped first, so that none is born while
 * the others are found.
 * @returns the pids signalled
 */
export function signalDatabase(dataDir: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): number[] {
  const postmaster = postmasterOf(dataDir);
  if (postmaster !== null && signal !== 'SIGCONT') signalProcess(postmaster, 'SIGSTOP');
  const pids = serverProcesses(dataDir);
  for (const pid of pids) signalProcess(pid, signal);
  return pids;
}
