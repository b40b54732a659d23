import { readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { codeOf, failedWrite, syncDirectory, unfinished, writeWhole, type Modes } from './durable-write.ts';
import { checkSideName, type SideStore } from './store.ts';

/** Muster's own objects as files below one folder. */
export function createDirectorySide(root: string, modes: Modes): SideStore {
  // Unlike restic's files these are replaced, so their owner may write them.
  const own: Modes = { directory: modes.directory, file: modes.file | 0o200 };
  return {
    put: (name, bytes, options) => writeWhole(join(root, checkSideName(name)), [bytes], own, options?.onlyNew),
    get: (name) => get(join(root, checkSideName(name))),
    list: (prefix) => list(root, prefix),
    remove: (name) => remove(join(root, checkSideName(name))),
  };
}

async function get(file: string): Promise<Uint8Array | null> {
  try {
    return await readFile(file);
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return null;
    throw new MusterError('OBJECT_STORE_UNREACHABLE', `${file} cannot be read (${codeOf(err)})`, { cause: err });
  }
}

async function* list(root: string, prefix: string): AsyncGenerator<string> {
  // Only the folder that the prefix lies in is walked.
  const below = prefix.includes('/') ? dirname(`${prefix}.`) : '';
  for (const name of await namesBelow(join(root, below))) {
    const full = below === '' ? name : `${below}/${name}`;
    if (full.startsWith(prefix) && !full.includes(unfinished)) yield full;
  }
}

async function namesBelow(folder: string): Promise<string[]> {
  try {
    const found = await readdir(folder, { recursive: true, withFileTypes: true });
    return found
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return [];
    throw new MusterError('OBJECT_STORE_UNREACHABLE', `${folder} cannot be listed (${codeOf(err)})`, { cause: err });
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
