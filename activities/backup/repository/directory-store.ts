import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { open, readdir, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { createDirectorySide } from './directory-side.ts';
import { codeOf, failedWrite, syncDirectory, unfinished, writeWhole, type Modes } from './durable-write.ts';
import { openGrowingFile } from './growing-file.ts';
import {
  configName,
  folderOf,
  isFileName,
  pathOf,
  type ByteRange,
  type FileKind,
  type GrowingStored,
  type RepositoryStore,
  type StoredFile,
} from './store.ts';

const folders = ['', 'index', 'keys', 'locks', 'snapshots'];

/**
 * A repository in a directory, laid out and with modes as restic does it: folders 0700, files 0400; where the group may
 * read the config, 0750 and 0440. Nothing is made before the first write.
 */
export async function openDirectoryStore(path: string): Promise<RepositoryStore> {
  const at = (kind: FileKind, name: string): string => join(path, pathOf(kind, name));
  const modes = await modesOf(at('config', configName));
  return {
    place: path,
    list: (kind) => list(path, kind),
    read: (kind, name, range) => read(at(kind, name), range),
    async write(kind, name, pieces) {
      await writeWhole(at(kind, name), pieces, modes);
    },
    grow: () => grow(path, modes),
    remove: (kind, name) => remove(at(kind, name)),
    sizeOf: (kind, name) => sizeOf(at(kind, name)),
    side: createDirectorySide(join(path, 'muster'), modes),
    removeLeftovers: (olderThanMs) => removeLeftovers(path, olderThanMs),
    objectLocks: () => Promise.resolve(null),
    close: () => Promise.resolve(),
  };
}

/** Aside under a name that nothing has: where it is left behind, it is found as what `writeWhole` leaves. */
function grow(root: string, modes: Modes): GrowingStored {
  const name = randomBytes(32).toString('hex');
  const aside = `${join(root, pathOf('data', name))}${unfinished}${name.slice(0, 10)}`;
  const file = openGrowingFile(aside, modes);
  return {
    append: (bytes) => file.append(bytes),
    finish: (final) => file.finish(join(root, pathOf('data', final))),
    discard: () => file.discard(),
  };
}

async function modesOf(config: string): Promise<Modes> {
  const found = await stat(config).catch(() => null);
  const group = found !== null && (found.mode & 0o040) !== 0;
  return group ? { directory: 0o750, file: 0o440 } : { directory: 0o700, file: 0o400 };
}

async function* list(root: string, kind: FileKind): AsyncGenerator<StoredFile> {
  if (kind === 'config') {
    const found = await statOf(join(root, configName));
    if (found !== null) yield { name: configName, sizeBytes: found.size, writtenMs: found.mtimeMs };
    return;
  }
  const folder = join(root, folderOf(kind));
  for (const part of kind === 'data' ? await namesIn(folder) : ['']) yield* await filesIn(join(folder, part));
}

async function filesIn(folder: string): Promise<StoredFile[]> {
  const names = (await namesIn(folder)).filter(isFileName);
  const found = await Promise.all(names.map((name) => statOf(join(folder, name))));
  // A file may be removed between the two calls: locks are, all the time.
  return found.flatMap((one, i) => (one ? [{ name: names[i]!, sizeBytes: one.size, writtenMs: one.mtimeMs }] : []));
}

/** Names in a folder; none when it is not there or is no folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (err) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(err))) return [];
    throw unreadable(folder, err);
  }
}

async function read(file: string, range: ByteRange | undefined): Promise<Uint8Array | null> {
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY);
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return null;
    throw unreadable(file, err);
  }
  try {
    return await readRange(handle, range ?? { offset: 0, length: (await handle.stat()).size });
  } catch (err) {
    throw unreadable(file, err);
  } finally {
    await handle.close();
  }
}

async function readRange(handle: FileHandle, { offset, length }: ByteRange): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let got = 0;
  while (got < length) {
    const { bytesRead } = await handle.read(bytes, got, length - got, offset + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return bytes.subarray(0, got);
}

async function sizeOf(file: string): Promise<number | null> {
  return (await statOf(file))?.size ?? null;
}

/** null for what is no file, or not there. */
async function statOf(file: string): Promise<Stats | null> {
  try {
    const found = await stat(file);
    return found.isFile() ? found : null;
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return null;
    throw unreadable(file, err);
  }
}

async function remove(file: string): Promise<void> {
  try {
    await rm(file, { force: true });
    await syncDirectory(dirname(file));
  } catch (err) {
    if (codeOf(err) !== 'ENOENT') throw failedWrite(file, err);
  }
}

async function removeLeftovers(root: string, olderThanMs: number): Promise<number> {
  const parts = (await namesIn(join(root, 'data'))).map((part) => join('data', part));
  let removed = 0;
  for (const folder of [...folders, ...parts].map((name) => join(root, name))) {
    for (const name of await namesIn(folder)) {
      if (!isLeftover(name)) continue;
      const found = await stat(join(folder, name)).catch(() => null);
      if (found === null || Date.now() - found.mtimeMs < olderThanMs) continue;
      await remove(join(folder, name));
      removed += 1;
    }
  }
  return removed;
}

/** The temporary name of a repository file; nothing else is ever removed. */
function isLeftover(name: string): boolean {
  const [final = '', rest] = name.split(unfinished);
  return rest !== undefined && /^[0-9a-f]+$/.test(rest) && (isFileName(final) || final === configName);
}

function unreadable(file: string, cause: unknown): MusterError {
  const code = codeOf(cause) || String(cause);
  const what = `${basename(dirname(file))}/${basename(file)}`;
  if (code === 'EIO')
    return new MusterError('REPOSITORY_DAMAGED', `${what} cannot be read from its disk (${file})`, { cause });
  if (['EACCES', 'EPERM'].includes(code)) {
    return new MusterError('CREDENTIALS_REFUSED', `${file} may not be read (${code})`, { cause });
  }
  return new MusterError('OBJECT_STORE_UNREACHABLE', `${file} cannot be read (${code})`, { cause });
}
