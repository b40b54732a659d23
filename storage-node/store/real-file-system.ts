import fs from 'node:fs';
import { mkdir, open, readdir, rename, statfs, unlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { type FileHandle, type FileSystem } from './file-system.ts';

const flags = { create: 'wx+', write: 'r+', read: 'r' } as const;
const openFd = promisify(fs.open);
const sync = promisify(fs.fdatasync);
const close = promisify(fs.close);
const stat = promisify(fs.fstat);

/** The operating system's files. */
export const realFileSystem: FileSystem = {
  open: async (file, mode) => handleOf(await openFd(file, flags[mode]), file),
  list: (directory) => readdir(directory),
  async makeDirectory(directory) {
    const made = await mkdir(directory, { recursive: true });
    // Each new directory is an entry in one above it, and is lost with that entry.
    if (made === undefined) return;
    for (let one = directory; one.length >= made.length; one = path.dirname(one))
      await syncDirectory(path.dirname(one));
  },
  rename: (from, to) => rename(from, to),
  remove: (file) => unlink(file),
  syncDirectory,
  async space(directory) {
    const { blocks, bavail, bsize } = await statfs(directory);
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
  },
};

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function handleOf(fd: number, file: string): FileHandle {
  const direct = directWriter(fd, file);
  return {
    read: (target, position) => readFully(fd, target, position),
    readNow(target, position) {
      let done = 0;
      while (done < target.length) {
        const count = fs.readSync(fd, target, done, target.length - done, position + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    },
    write: (chunks, position) => writeFully(fd, chunks, position),
    writePages: direct.write,
    sync: () => sync(fd),
    size: async () => (await stat(fd)).size,
    async close() {
      await direct.close();
      await close(fd);
    },
  };
}

/**
 * Writes past the page cache, where system and file system know how: what is written here is read later or never, and
 * copying it into the cache cost a fifth of the time of a large upload. Elsewhere it is an ordinary write.
 */
function directWriter(fd: number, file: string): { write: FileHandle['writePages']; close: () => Promise<void> } {
  const flag: number | undefined = fs.constants.O_DIRECT;
  let opened: Promise<number | undefined> | undefined;
  let possible = flag !== undefined;
  const ordinary = (pages: Uint8Array, position: number): Promise<void> => writeFully(fd, [pages], position);
  return {
    async write(pages, position) {
      if (!possible) return ordinary(pages, position);
      opened ??= openFd(file, fs.constants.O_WRONLY | flag!).catch(() => undefined);
      const own = await opened;
      if (own === undefined) return ordinary(pages, position);
      try {
        await writeFully(own, [pages], position);
      } catch (error) {
        // Pages or sectors of another size, or a file system that only said it could.
        if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
        possible = false;
        await ordinary(pages, position);
      }
    },
    async close() {
      const own = await opened;
      if (own !== undefined) await close(own);
    },
  };
}

function readFully(fd: number, target: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const more = (done: number): void => {
      fs.read(fd, target, done, target.length - done, position + done, (error, count) => {
        if (error !== null) reject(error);
        else if (count === 0 || done + count === target.length) resolve(done + count);
        else more(done + count);
      });
    };
    more(0);
  });
}

function writeFully(fd: number, chunks: readonly Uint8Array[], position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const more = (left: readonly Uint8Array[], at: number): void => {
      fs.writev(fd, left, at, (error, count) => {
        if (error !== null) return reject(error);
        const rest = behind(left, count);
        if (rest.length === 0) resolve();
        else if (count === 0) reject(new Error('the disk took nothing of a write'));
        else more(rest, at + count);
      });
    };
    more(chunks, position);
  });
}

/** What of the chunks lies behind the first `count` bytes. */
function behind(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count;
  const rest: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (skip >= chunk.length) skip -= chunk.length;
    else {
      rest.push(chunk.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}
