import { type FileHandle, type FileSystem } from '../../../storage-node/store/file-system.ts';

/** What a disk is asked to do, as faults see it. `sync-index` is the commit of the index that lies on the same disk. */
export type DiskOperation =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'list'
  | 'rename'
  | 'remove'
  | 'sync-directory'
  | 'make-directory'
  | 'sync-index';

/** A disk in memory that can lose what was not synced, tear what was being written, fail calls, fill up, and rot. */
export interface SimDisk {
  files: FileSystem;
  /** Asked before each operation; what it throws, the operation throws. */
  fault: (operation: DiskOperation, path: string) => void;
  /** Waited for in each operation; `undefined` when it takes no time. */
  delay: () => Promise<void> | undefined;
  /** Bytes the files may hold together. */
  capacityBytes: number;
  /** Pulls the plug: open files are of no use any more; what was not synced is kept, torn or lost by chance. */
  crash(): void;
  /** Grows with each crash. */
  readonly life: number;
  /** The power is gone for whoever lives in that life. @throws Error */
  alive(life: number): void;
  /** The bytes of a file as they are now, for letting them rot. */
  content(path: string): Buffer;
  paths(): string[];
}

const pageBytes = 512;

interface File {
  now: Buffer;
  size: number;
  /** Content as of the last sync, kept once something was written since. */
  synced: { content: Buffer; size: number } | undefined;
}

/** A change of a directory that is not synced. */
interface EntryChange {
  directory: string;
  undo: () => void;
}

export class PowerCut extends Error {
  override readonly name = 'PowerCut';
}

export function createSimDisk(random: () => number): SimDisk {
  const entries = new Map<string, File>();
  let changes: EntryChange[] = [];
  let life = 0;

  const usedBytes = (): number => [...entries.values()].reduce((sum, { size }) => sum + size, 0);
  const note = (path: string, undo: () => void): void => void changes.push({ directory: folderOf(path), undo });
  const set = (path: string, file: File | undefined): void => {
    if (file === undefined) entries.delete(path);
    else entries.set(path, file);
  };
  const step = async (operation: DiskOperation, path: string, ofLife = life): Promise<void> => {
    disk.alive(ofLife);
    disk.fault(operation, path);
    disk.alive(ofLife);
    await disk.delay();
    disk.alive(ofLife);
  };
  const handleOf = (path: string, file: File): FileHandle => {
    const own = life;
    const readNow: FileHandle['readNow'] = (target, position) => {
      const count = Math.max(0, Math.min(target.length, file.size - position));
      target.set(file.now.subarray(position, position + count));
      return count;
    };
    const write: FileHandle['write'] = async (chunks, position) => {
      const bytes = Buffer.concat(chunks);
      // What a cut leaves of a write is seen as soon as it was begun.
      if (usedBytes() + Math.max(0, position + bytes.length - file.size) > disk.capacityBytes) throw noSpace();
      file.synced ??= { content: Buffer.from(file.now.subarray(0, file.size)), size: file.size };
      disk.alive(own);
      put(file, bytes, position);
      await step('write', path, own);
    };
    return {
      async read(target, position) {
        await step('read', path, own);
        return readNow(target, position);
      },
      readNow(target, position) {
        disk.alive(own);
        disk.fault('read', path);
        return readNow(target, position);
      },
      write,
      writePages(pages, position) {
        if (position % 4096 !== 0 || pages.length % 4096 !== 0 || pages.byteOffset % 512 !== 0) {
          throw new Error(`${path}: ${pages.length} bytes at ${position} are no pages`);
        }
        return write([pages], position);
      },
      async sync() {
        const synced = { content: Buffer.from(file.now.subarray(0, file.size)), size: file.size };
        await step('sync', path, own);
        const same = synced.size === file.size && synced.content.equals(file.now.subarray(0, file.size));
        file.synced = same ? undefined : synced;
      },
      size: () => Promise.resolve(file.size),
      close: () => Promise.resolve(),
    };
  };
  const found = (path: string): File => {
    const file = entries.get(path);
    if (file === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
    return file;
  };
  const files: FileSystem = {
    async open(path, mode) {
      await step('open', path);
      if (mode !== 'create') return handleOf(path, found(path));
      if (entries.has(path)) throw Object.assign(new Error(`EEXIST: ${path}`), { code: 'EEXIST' });
      const file: File = { now: Buffer.alloc(0), size: 0, synced: undefined };
      entries.set(path, file);
      note(path, () => entries.delete(path));
      return handleOf(path, file);
    },
    async list(directory) {
      await step('list', directory);
      const prefix = `${directory}/`;
      return [...entries.keys()]
        .filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes('/'))
        .map((path) => path.slice(prefix.length));
    },
    makeDirectory: (directory) => step('make-directory', directory),
    async rename(from, to) {
      await step('rename', from);
      const file = found(from);
      const before = entries.get(to);
      entries.delete(from);
      entries.set(to, file);
      note(to, () => {
        set(to, before);
        set(from, file);
      });
    },
    async remove(path) {
      await step('remove', path);
      const file = found(path);
      entries.delete(path);
      note(path, () => set(path, file));
    },
    async syncDirectory(directory) {
      const before = new Set(changes);
      await step('sync-directory', directory);
      changes = changes.filter((change) => !before.has(change) || change.directory !== directory);
    },
    space: () => Promise.resolve({ totalBytes: disk.capacityBytes, freeBytes: disk.capacityBytes - usedBytes() }),
  };
  const disk: SimDisk = {
    files,
    fault: () => {},
    delay: () => undefined,
    capacityBytes: Number.MAX_SAFE_INTEGER,
    get life() {
      return life;
    },
    alive(ofLife) {
      if (ofLife !== life) throw new PowerCut('the power is gone');
    },
    crash() {
      life += 1;
      // Of what was not synced, some of the latest changes are lost.
      const kept = Math.floor(random() * (changes.length + 1));
      for (const change of changes.slice(kept).reverse()) change.undo();
      changes = [];
      for (const file of entries.values()) lose(file, random);
    },
    content: (path) => found(path).now.subarray(0, found(path).size),
    paths: () => [...entries.keys()],
  };
  return disk;
}

function noSpace(): Error {
  return Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function put(file: File, bytes: Buffer, position: number): void {
  const end = position + bytes.length;
  if (end > file.now.length) {
    const wider = Buffer.alloc(Math.max(end, file.now.length * 2));
    file.now.copy(wider, 0, 0, file.size);
    file.now = wider;
  }
  file.now.set(bytes, position);
  file.size = Math.max(file.size, end);
}

/** Each page written since the last sync is there, is as before, or is half-written; the size may have stayed behind. */
function lose(file: File, random: () => number): void {
  const { synced } = file;
  if (synced === undefined) return;
  const whole = random() < 0.3;
  for (let at = 0; at < file.size && !whole; at += pageBytes) {
    const fate = random();
    if (fate < 0.5) continue;
    const from = fate < 0.75 ? at : at + Math.floor(pageBytes / 2);
    const end = Math.min(at + pageBytes, file.size);
    if (from >= end) continue;
    file.now.fill(0, from, end);
    if (from < synced.size) synced.content.copy(file.now, from, from, Math.min(end, synced.size));
  }
  if (random() < 0.3) file.size = synced.size;
  file.synced = undefined;
}
