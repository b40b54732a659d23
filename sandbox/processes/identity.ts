import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const linux = process.platform === 'linux';

/**
 * When a process started, in a form that no other process with the same pid can have: boot id and clock ticks on Linux,
 * what `ps` says elsewhere. `null` when there is no such process (a zombie counts as none).
 */
export function startTimeOf(pid: number): string | null {
  return linux ? linuxStartTime(pid) : psStartTime(pid);
}

export function isSame(processRecord: { pid: number; startTime: string }): boolean {
  return startTimeOf(processRecord.pid) === processRecord.startTime;
}

/** Signals the process only if it is still the one that was recorded. @returns whether it was */
export function signalIfSame(processRecord: { pid: number; startTime: string }, signal: NodeJS.Signals): boolean {
  if (!isSame(processRecord)) return false;
  try {
    process.kill(processRecord.pid, signal);
    return true;
  } catch {
    return false;
  }
}

let bootId: string | null = null;

/** `/proc/<pid>/stat` behind the command name in brackets, which may hold anything: state, parent, ..., start time. */
function linuxStat(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

function linuxStartTime(pid: number): string | null {
  const stat = linuxStat(pid);
  if (stat === null || stat[0] === 'Z' || stat[0] === 'X') return null;
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${bootId}:${stat[19]}`;
}

function ps(...args: string[]): string {
  try {
    return execFileSync('ps', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}

function psStartTime(pid: number): string | null {
  const [state = 'Z', ...startedAt] = ps('-o', 'state=,lstart=', '-p', String(pid)).trim().split(/\s+/);
  return state.startsWith('Z') || startedAt.length === 0 ? null : startedAt.join(' ');
}
