import { hostname, userInfo } from 'node:os';
import { z } from 'zod';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { parseTime } from './go-time.ts';
import type { Sealer } from './sealing.ts';
import { damaged, type RepositoryStore } from './store.ts';
import { decodeUnpacked, saveUnpacked } from './unpacked.ts';

/** A lock as its file has it: who works on the repository, and since when as they wrote it last. */
export interface LockFile {
  /** RFC 3339; written anew every five minutes. */
  readonly time: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

export interface NamedLock extends LockFile {
  /** The file name. */
  readonly name: string;
}

export interface LockAccess {
  readonly store: RepositoryStore;
  readonly sealer: Sealer;
}

const schema = z.object({
  time: z.string().refine((time) => parseTime(time) !== null),
  exclusive: z.boolean(),
  hostname: z.string().default(''),
  username: z.string().default(''),
  pid: z.number(),
  uid: z.number().optional(),
  gid: z.number().optional(),
});

/** Writes a lock of this process. @returns its file name */
export function writeLock(
  access: LockAccess,
  { exclusive, wallMs }: { exclusive: boolean; wallMs: number },
): Promise<string> {
  const lock: LockFile = {
    time: new Date(wallMs).toISOString(),
    exclusive,
    hostname: hostname(),
    username: localUser(),
    pid: process.pid,
    uid: process.getuid?.(),
    gid: process.getgid?.(),
  };
  return saveUnpacked(access, 'lock', lock);
}

/**
 * Every lock there is. One that is removed meanwhile is no lock; nor is an empty file, which some stores leave of an
 * upload that was cut off. @throws MusterError REPOSITORY_DAMAGED naming a lock file that cannot be read
 */
export async function readLocks(access: LockAccess): Promise<NamedLock[]> {
  const locks: NamedLock[] = [];
  for await (const { name, sizeBytes } of access.store.list('lock')) {
    const stored = sizeBytes === 0 ? null : await access.store.read('lock', name);
    if (stored === null || stored.length === 0) continue;
    const parsed = schema.safeParse(decodeUnpacked(access, 'lock', name, stored));
    if (!parsed.success) throw damaged(access.store, 'lock', name, 'lacks what a lock has to have');
    locks.push({ name, ...parsed.data });
  }
  return locks;
}

/** Who holds a lock, for a message. */
export function holderOf({ username, hostname, pid, exclusive }: LockFile): string {
  return `${username || 'somebody'}@${hostname || 'an unnamed host'} (process ${pid}, ${exclusive ? 'exclusive' : 'shared'})`;
}

function localUser(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without an entry in the user database.
    return '';
  }
}

export function lockedError(access: LockAccess, what: string): MusterError {
  return new MusterError('REPOSITORY_LOCKED', `the repository ${access.store.place} ${what}`);
}
