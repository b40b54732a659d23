import { setTimeout as sleep } from 'node:timers/promises';
import { signalProcess } from '../../activities/drivers/postgres/process.ts';
import { isSame, signalIfSame } from './identity.ts';
import { postmasterOf, signalDatabase } from './database.ts';
import type { ProcessRecord, Records } from './records.ts';

const pollMs = 10;
/** What servers keep is made anew for each world, so they need not end in order, only end. */
const serverGraceMs = 500;

/**
 * Ends every recorded process that is still the one recorded: our programs first, then the servers they talk to. Each
 * is asked to end, and killed when it has not done so in time. Paused ones are continued so that they can.
 * @returns the names of those that were found alive
 */
export async function endRecorded(records: Records, graceMs: number): Promise<string[]> {
  const programs = await endProcesses(
    records.processes.filter((p) => p.kind === 'program' && isSame(p)),
    graceMs,
  );
  const servers = records.processes.filter((p) => p.kind === 'server' && isSame(p));
  const [ended, databases] = await Promise.all([
    endProcesses(servers, serverGraceMs),
    Promise.all(records.servers.map(({ name, dataDir }) => endDatabase(name, dataDir, graceMs))),
  ]);
  return [...programs, ...ended, ...databases.flat()];
}

async function endProcesses(alive: ProcessRecord[], graceMs: number): Promise<string[]> {
  for (const record of alive) {
    signalIfSame(record, 'SIGTERM');
    signalIfSame(record, 'SIGCONT');
  }
  if (!(await settled(() => !alive.some(isSame), graceMs))) {
    for (const record of alive) signalIfSame(record, 'SIGKILL');
    await settled(() => !alive.some(isSame), graceMs);
  }
  return alive.map((record) => record.name);
}

/** SIGQUIT is PostgreSQL's immediate shutdown: nothing is waited for, shared memory is given back. */
async function endDatabase(name: string, dataDir: string, graceMs: number): Promise<string[]> {
  const gone = () => signalDatabase(dataDir, 'SIGCONT').length === 0;
  if (gone()) return [];
  const postmaster = postmasterOf(dataDir);
  if (postmaster !== null) signalProcess(postmaster, 'SIGQUIT');
  if (postmaster === null || !(await settled(gone, graceMs))) signalDatabase(dataDir, 'SIGKILL');
  await settled(gone, graceMs);
  return [name];
}

/** Waits until the condition holds. @returns whether it did in time */
export async function settled(holds: () => boolean | Promise<boolean>, withinMs: number): Promise<boolean> {
  const untilMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > untilMs) return false;
    await sleep(pollMs);
  }
  return true;
}
