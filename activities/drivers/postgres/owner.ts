import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { statSync, type Stats } from 'node:fs';
import { chown, mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';

/** The operating system's user that runs the database server. */
export interface ServerOwner {
  name: string;
  uid: number;
  gid: number;
}

let cached: ServerOwner | null | undefined;

/**
 * User to run servers as, or `null` for the user of this process. PostgreSQL refuses to run as root, so root hands its
 * servers to `postgres` when the system has that user, else to `nobody`.
 */
export function serverOwner(): ServerOwner | null {
  if (cached === undefined) cached = process.getuid?.() === 0 ? (lookUp('postgres') ?? lookUp('nobody')) : null;
  return cached;
}

function lookUp(name: string): ServerOwner | null {
  try {
    const id = (flag: string): number =>
      Number(execFileSync('id', [flag, name], { stdio: ['ignore', 'pipe', 'ignore'] }));
    return { name, uid: id('-u'), gid: id('-g') };
  } catch {
    return null;
  }
}

/** Options for `spawn` that make the child run as the server's owner. */
export function asOwner(owner: ServerOwner | null = serverOwner()): { uid?: number; gid?: number } {
  return owner === null ? {} : { uid: owner.uid, gid: owner.gid };
}

/** Gives one file or directory to the server's owner. */
export async function giveToOwner(target: string, owner: ServerOwner | null = serverOwner()): Promise<void> {
  if (owner !== null) await chown(target, owner.uid, owner.gid);
}

/** Gives a directory and all below it to the server's owner. */
export async function giveTreeToOwner(dir: string, owner: ServerOwner | null = serverOwner()): Promise<void> {
  if (owner === null) return;
  await chown(dir, owner.uid, owner.gid);
  for (const entry of await readdir(dir, { recursive: true })) await chown(path.join(dir, entry), owner.uid, owner.gid);
}

/** Creates a directory (and what is missing above it) that the server's owner may use. */
export async function makeOwnedDir(dir: string): Promise<void> {
  await mkdir(path.dirname(dir), { recursive: true });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await giveToOwner(dir);
}

/** Whether `owner` can reach what lies in `dir`: every directory on the way lets it pass. Missing ones count as passable. */
export function canTraverse(dir: string, owner: ServerOwner | null = serverOwner()): boolean {
  if (owner === null) return true;
  for (let at = path.resolve(dir); ; at = path.dirname(at)) {
    const stats = statSync(at, { throwIfNoEntry: false });
    if (stats !== undefined && !passes(stats, owner)) return false;
    if (at === path.dirname(at)) return true;
  }
}

function passes(stats: Stats, owner: ServerOwner): boolean {
  if (stats.uid === owner.uid) return (stats.mode & 0o100) !== 0;
  if (stats.gid === owner.gid) return (stats.mode & 0o010) !== 0;
  return (stats.mode & 0o001) !== 0;
}

/**
 * Directory in which data directories of servers may be made: `dir` itself when the server's owner can get there, else
 * one of its own under `/var/lib/muster` (a project below `/root` is closed to every other user).
 */
export function usableDataHome(dir: string): string {
  if (canTraverse(dir)) return dir;
  const hash = createHash('sha256').update(path.resolve(dir)).digest('hex').slice(0, 12);
  return path.join('/var/lib/muster', hash);
}
