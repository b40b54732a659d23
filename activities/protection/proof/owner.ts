import { readFileSync, readlinkSync } from 'node:fs';
import { readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { z } from 'zod';
import { codeOf } from '../../backup/repository/durable-write.ts';

/** Who has a place: found out again by any process, on this machine or, where a disk is shared, on another one. */
const ownerSchema = z.object({
  /** Tells apart machines, their starts, and containers: process ids mean something within one alone. */
  machine: z.string(),
  pid: z.number(),
  /** Of the process, as its system counts: an id that is given again is another process. */
  startedAt: z.string(),
});

type Owner = z.infer<typeof ownerSchema>;

/** How often an owner shows that it lives. */
const touchEveryMs = 15_000;
/** Of owners whose process cannot be asked for: after so long without a sign they are gone. */
const silentMs = 3_600_000;
/** Of places that do not say whose they are. */
const strangerSilentMs = 24 * 3_600_000;

/** Says in a file that this process has the place, and goes on showing that it lives until it is disposed of. */
export async function ownPlace(file: string): Promise<Disposable> {
  const owner: Owner = { machine: machineOf(), pid: process.pid, startedAt: startOf(process.pid) ?? '' };
  await writeFile(file, JSON.stringify(owner));
  const timer = setInterval(() => {
    const now = new Date();
    // It is gone when another one removes the place.
    utimes(file, now, now).catch(() => undefined);
  }, touchEveryMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Whether the process that has a place is gone for certain, or has been silent for so long that it must be. */
export async function isOwnerGone(place: string, file: string): Promise<boolean> {
  const [owner, touchedMs] = [await ownerIn(file), (await mtimeOf(file)) ?? (await mtimeOf(place))];
  // Somebody else has just removed it.
  if (touchedMs === null) return false;
  const silentForMs = Date.now() - touchedMs;
  if (owner === null) return silentForMs > strangerSilentMs;
  // Without its start an id says nothing: somebody else may have it by now.
  if (owner.machine !== machineOf() || owner.startedAt === '') return silentForMs > silentMs;
  return startOf(owner.pid) !== owner.startedAt;
}

async function ownerIn(file: string): Promise<Owner | null> {
  try {
    return ownerSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return null;
  }
}

async function mtimeOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).mtimeMs;
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return null;
    throw err;
  }
}

function machineOf(): string {
  const [boot, space] = [textOf('/proc/sys/kernel/random/boot_id'), linkOf('/proc/self/ns/pid')];
  return `${hostname()} ${boot} ${space}`;
}

/** When a process was started; null when there is none, or only what is left of one that has ended. */
function startOf(pid: number): string | null {
  if (process.platform !== 'linux') return isThere(pid) ? 'at some time' : null;
  const stat = textOf(`/proc/${pid}/stat`);
  // The name of the program may hold anything, also brackets and spaces.
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return stat === '' || state === 'Z' || state === 'X' ? null : (rest[18] ?? null);
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (err) {
    return codeOf(err) === 'EPERM';
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
