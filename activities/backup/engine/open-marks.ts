import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Repository } from '../repository/attach.ts';
import type { JudgedLock } from '../repository/lock.ts';

/**
 * A mark beside the repository for as long as there may be packs that no index names: whoever finds one that nobody
 * stands behind any more takes such packs over. A stale lock says the same of a process that was killed, but not of one
 * that could not write its index, on a full disk or without credentials, and went away in order.
 */
export interface OpenMark {
  /** Everything that was stored is indexed. */
  remove(): Promise<void>;
  /** Nobody stands behind it any more; it stays for the next one to find. */
  leave(): void;
}

interface Marked {
  name: string;
  hostname: string;
  pid: number;
}

const folder = 'open/';
/** Those that this process stands behind. */
const own = new Set<string>();

export async function setMark({ store }: Repository): Promise<OpenMark> {
  const name = `${folder}${randomBytes(16).toString('hex')}.json`;
  own.add(name);
  try {
    await store.side.put(name, Buffer.from(JSON.stringify({ hostname: hostname(), pid: process.pid })));
  } catch (err) {
    own.delete(name);
    throw err;
  }
  return {
    async remove() {
      own.delete(name);
      await store.side.remove(name);
    },
    leave: () => void own.delete(name),
  };
}

/** Marks that nobody stands behind: no lock of that process is there, or it is this process and it has let go. */
export async function abandonedMarks({ store }: Repository, locks: readonly JudgedLock[]): Promise<string[]> {
  const abandoned: string[] = [];
  for await (const name of store.side.list(folder)) {
    const mark = await readMark(store, name);
    if (mark !== null && !isHeld(mark, locks)) abandoned.push(name);
  }
  return abandoned;
}

function isHeld(mark: Marked, locks: readonly JudgedLock[]): boolean {
  if (mark.hostname === hostname() && mark.pid === process.pid) return own.has(mark.name);
  return locks.some(
    ({ lock, verdict }) => verdict.kind !== 'stale' && lock.hostname === mark.hostname && lock.pid === mark.pid,
  );
}

/** null for one that is gone since it was listed. What says nothing of its writer belongs to nobody. */
async function readMark({ side }: Repository['store'], name: string): Promise<Marked | null> {
  const bytes = await side.get(name);
  if (bytes === null) return null;
  try {
    const { hostname = '', pid = 0 } = JSON.parse(Buffer.from(bytes).toString()) as Partial<Marked>;
    return { name, hostname, pid };
  } catch {
    return { name, hostname: '', pid: 0 };
  }
}
