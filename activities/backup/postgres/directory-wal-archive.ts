import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { codeOf, failedWrite, syncDirectory, unfinished } from '../repository/durable-write.ts';
import { archiveWal, type ArchiveOutcome, type WalArchive } from './wal-archive.ts';
import { fileContent, readFilePieces, type WalContent } from './wal-content.ts';
import { isWalName } from './wal-name.ts';
import type { OpenSegment, WalStore } from './wal-store.ts';

const modes = { directory: 0o700, file: 0o600 };

/**
 * An archive in a directory: plain files, so that `restore_command = 'cp <directory>/%f "%p"'` works without Muster.
 * Also where a receiver may write at once: its partial segment is one of the files.
 */
export class DirectoryWalArchive implements WalArchive, WalStore {
  readonly #dir: string;
  readonly place: string;

  /** @param dir absolute; is made when it is not there */
  constructor(dir: string) {
    this.#dir = dir;
    this.place = dir;
  }

  get archive(): WalArchive {
    return this;
  }

  async *list(): AsyncGenerator<string> {
    const names = await readdir(this.#dir).catch((err: unknown) => {
      if (codeOf(err) === 'ENOENT') return [];
      throw unreadable(this.#dir, err);
    });
    yield* names.filter(isWalName);
  }

  async get(name: string): Promise<AsyncIterable<Buffer> | null> {
    const file = this.#file(name);
    try {
      await stat(file);
    } catch (err) {
      if (codeOf(err) === 'ENOENT') return null;
      throw unreadable(file, err);
    }
    return readFilePieces(file);
  }

  create(name: string, content: WalContent): Promise<'created' | 'exists'> {
    return this.#written(name, content, async (aside) => {
      const outcome = await linkNew(aside, this.#file(name));
      await rm(aside, { force: true });
      return outcome;
    });
  }

  async replace(name: string, content: WalContent): Promise<void> {
    await this.#written(name, content, (aside) => rename(aside, this.#file(name)));
  }

  async remove(name: string): Promise<void> {
    await rm(this.#file(name), { force: true });
    await syncDirectory(this.#dir);
  }

  async openSegment(name: string, segmentBytes: number): Promise<OpenSegment> {
    const partial = this.#file(`${name}.partial`);
    try {
      await mkdir(this.#dir, { recursive: true, mode: modes.directory });
      const handle = await openOrCreate(partial);
      // Its full size at once, as PostgreSQL has it: then a sync has no size to write down.
      await handle.truncate(segmentBytes);
      await syncDirectory(this.#dir);
      return new PartialFile(partial, handle, () => this.#finish(name, partial));
    } catch (err) {
      throw failedWrite(partial, err);
    }
  }

  async #finish(name: string, partial: string): Promise<ArchiveOutcome> {
    const content = await fileContent(partial);
    // By a link and not by a rename: that would overwrite what an archive command stored meanwhile.
    const outcome = await archiveWal(this, name, content, () => this.#link(partial, name));
    await this.remove(path.basename(partial));
    return outcome;
  }

  async #link(partial: string, name: string): Promise<'created' | 'exists'> {
    const outcome = await linkNew(partial, this.#file(name));
    await syncDirectory(this.#dir);
    return outcome;
  }

  async #written<T>(name: string, content: WalContent, place: (aside: string) => Promise<T>): Promise<T> {
    const aside = `${this.#file(name)}${unfinished}${randomBytes(5).toString('hex')}`;
    try {
      await mkdir(this.#dir, { recursive: true, mode: modes.directory });
      await writeSynced(aside, content);
      const outcome = await place(aside);
      await syncDirectory(this.#dir);
      return outcome;
    } catch (err) {
      await rm(aside, { force: true }).catch(() => undefined);
      throw err instanceof MusterError ? err : failedWrite(this.#file(name), err);
    }
  }

  #file(name: string): string {
    return path.join(this.#dir, name);
  }
}

class PartialFile implements OpenSegment {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #finish: () => Promise<ArchiveOutcome>;

  constructor(file: string, handle: FileHandle, finish: () => Promise<ArchiveOutcome>) {
    this.#file = file;
    this.#handle = handle;
    this.#finish = finish;
  }

  async write(offset: number, pieces: Buffer[]): Promise<void> {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    try {
      const { bytesWritten } = await this.#handle.writev(pieces, offset);
      if (bytesWritten < bytes)
        await this.#handle.write(Buffer.concat(pieces), bytesWritten, null, offset + bytesWritten);
    } catch (err) {
      throw failedWrite(this.#file, err);
    }
  }

  async sync(): Promise<void> {
    await this.#handle.datasync().catch((err: unknown) => {
      throw failedWrite(this.#file, err);
    });
  }

  async finish(): Promise<ArchiveOutcome> {
    await this.sync();
    await this.close();
    return this.#finish();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

async function openOrCreate(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r+');
  } catch (err) {
    if (codeOf(err) !== 'ENOENT') throw err;
    return open(file, 'wx+', modes.file);
  }
}

async function writeSynced(file: string, content: WalContent): Promise<void> {
  const handle = await open(file, 'wx', modes.file);
  try {
    for await (const piece of content.read()) await handle.writeFile(piece);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function linkNew(from: string, to: string): Promise<'created' | 'exists'> {
  try {
    await link(from, to);
    return 'created';
  } catch (err) {
    if (codeOf(err) !== 'EEXIST') throw err;
    return 'exists';
  }
}

function unreadable(what: string, cause: unknown): MusterError {
  return new MusterError('OBJECT_STORE_UNREACHABLE', `${what} cannot be read (${codeOf(cause)})`, { cause });
}
