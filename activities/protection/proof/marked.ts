import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { signalProcess } from '../../drivers/postgres/process.ts';

/**
 * Programs that a restore test starts carry its place in their environment, and so does what they start in turn: they
 * are found by that, also by an attempt that comes after one that was killed. Where no environment can be read (other
 * systems than Linux) they are found by the file in which the place keeps their process id.
 */
export const markName = 'MUSTER_RESTORE_TEST';

const pidFile = (place: string): string => path.join(place, 'program.pid');
const polledMs = 20;

/** Remembers a program of a place. It leads a process group of its own. */
export async function noteProgram(place: string, pid: number): Promise<void> {
  await writeFile(pidFile(place), `${pid}\n`);
}

/** Ends every program of a place with all it has started: asked first, then killed. Resolves when none is left. */
export async function endMarked(place: string, patienceMs = 2_000): Promise<void> {
  if (await signalAll(place, 'SIGTERM', patienceMs)) return;
  // One that is killed may just have started another: nobody starts anything for ever.
  for (let round = 0; round < 50; round++) if (await signalAll(place, 'SIGKILL', 200)) return;
  const left = (await marked(place)).join(', ');
  throw new MusterError('INTERNAL', `programs of the restore test in ${place} cannot be ended: ${left}`);
}

async function signalAll(place: string, signal: NodeJS.Signals, patienceMs: number): Promise<boolean> {
  for (const pid of await marked(place)) {
    signalGroup(pid, signal);
    signalProcess(pid, signal);
  }
  const endsAt = performance.now() + patienceMs;
  while ((await marked(place)).length > 0) {
    if (performance.now() > endsAt) return false;
    await sleep(polledMs);
  }
  return true;
}

/** Where the process leads a group, all of it: there may be members whose environment cannot be read. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It leads none, or is gone.
  }
}

async function marked(place: string): Promise<number[]> {
  if (process.platform !== 'linux') return notedProgram(place);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && isMarked(name, place))
    .map(Number);
}

/** One that has ended and was not waited for has no environment any more. */
function isMarked(pid: string, place: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`${markName}=${place}`);
  } catch {
    return false;
  }
}

/** A process that leads a group and is no older than the file is the one that was noted there. */
async function notedProgram(place: string): Promise<number[]> {
  const pid = Number(await readFile(pidFile(place), 'utf8').catch(() => ''));
  if (!Number.isInteger(pid) || pid <= 1) return [];
  try {
    const [group = '', command = ''] = execFileSync('ps', ['-o', 'pgid=,stat=', '-p', String(pid)], {
      encoding: 'utf8',
    })
      .trim()
      .split(/\s+/);
    return Number(group) === pid && !command.startsWith('Z') ? [pid] : [];
  } catch {
    return [];
  }
}
