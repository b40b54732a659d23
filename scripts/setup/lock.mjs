/**
 * One set-up at a time per thing that is set up. A lock is a folder (made by one, refused to all others) that says who
 * holds it; a holder that has died, or been silent for a minute on another machine, loses it. What a dead holder had
 * started is ended first: an orphaned `npm ci` would work against the next one.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, rmdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const touchEveryMs = 5_000;
const silentForMs = 60_000;

/** @type {Set<string>} */
const held = new Set();

/** Gives back every lock of this process; for the way out after a signal. */
export function releaseAll() {
  for (const folder of held) rmSync(folder, { recursive: true, force: true });
  held.clear();
}

/**
 * Runs `work` while holding the lock `folder`.
 * @template T
 * @param {string} folder
 * @param {(holder: string) => void} onWait called once when another process holds it
 * @param {(onStart: (pid: number) => void) => Promise<T>} work tells `onStart` of every program it starts
 * @returns {Promise<T>}
 */
export async function withLock(folder, onWait, work) {
  mkdirSync(path.dirname(folder), { recursive: true });
  for (let waited = false; !take(folder); waited = true) {
    if (!waited) onWait(noted(folder)?.pid?.toString() ?? 'unknown');
    if (isStale(folder)) removeStale(folder);
    else await sleep(200);
  }
  held.add(folder);
  const touching = setInterval(() => touch(folder), touchEveryMs);
  try {
    return await work((pid) => note(folder, 'child.json', pid));
  } finally {
    clearInterval(touching);
    held.delete(folder);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} folder */
function take(folder) {
  try {
    mkdirSync(folder);
  } catch (err) {
    if (/** @type {NodeJS.ErrnoException} */ (err).code === 'EEXIST') return false;
    throw err;
  }
  note(folder, 'holder.json', process.pid);
  return true;
}

/** @param {string} folder @param {string} name @param {number} pid */
function note(folder, name, pid) {
  writeFileSync(path.join(folder, name), JSON.stringify({ pid, startedAt: startOf(pid), host: os.hostname() }));
}

/** @param {string} folder */
function touch(folder) {
  try {
    utimesSync(folder, new Date(), new Date());
  } catch {
    // The folder was cleaned away by hand; the work itself is not hurt.
  }
}

/** @param {string} folder @returns {{ pid: number, startedAt: string | null, host: string } | null} */
function noted(folder, name = 'holder.json') {
  try {
    return JSON.parse(readFileSync(path.join(folder, name), 'utf8'));
  } catch {
    return null; // not written yet, or released meanwhile
  }
}

/** @param {string} folder */
function isStale(folder) {
  const holder = noted(folder);
  if (holder !== null && holder.host === os.hostname()) return startOf(holder.pid) !== holder.startedAt;
  const touched = statSync(folder, { throwIfNoEntry: false });
  return touched !== undefined && Date.now() - touched.mtimeMs > silentForMs;
}

/**
 * Two waiters may both find the lock stale; without the second folder the slower one would remove the lock that the
 * faster one has just taken.
 * @param {string} folder
 */
function removeStale(folder) {
  const removing = `${folder}.removing`;
  try {
    mkdirSync(removing);
  } catch {
    const other = statSync(removing, { throwIfNoEntry: false });
    if (other !== undefined && Date.now() - other.mtimeMs > silentForMs)
      rmSync(removing, { recursive: true, force: true });
    return;
  }
  try {
    if (!isStale(folder)) return;
    endOrphan(folder);
    rmSync(folder, { recursive: true, force: true });
  } finally {
    rmdirSync(removing);
  }
}

/** @param {string} folder */
function endOrphan(folder) {
  const child = noted(folder, 'child.json');
  if (child === null || child.host !== os.hostname() || child.startedAt === null) return;
  if (startOf(child.pid) !== child.startedAt) return;
  try {
    process.kill(-child.pid, 'SIGKILL'); // its whole group, see run.mjs
  } catch {
    // It has ended meanwhile.
  }
}

/**
 * When a process started, as the system says it: pids come round again, a pid with its start does not.
 * @param {number} pid @returns {string | null} null when there is no such process
 */
export function startOf(pid) {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
    }
    const options = { encoding: /** @type {const} */ ('utf8'), env: { ...process.env, LC_ALL: 'C' } };
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], options).trim() || null;
  } catch {
    return null;
  }
}
