/** Where things are kept that are made once per user. */
import { accessSync, constants, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './node24.mjs';

/** The user's cache for Muster; `MUSTER_CACHE` moves it. */
export function cacheFolder() {
  const { MUSTER_CACHE, XDG_CACHE_HOME } = process.env;
  if (MUSTER_CACHE) return path.resolve(MUSTER_CACHE);
  const home = os.homedir();
  const base =
    process.platform === 'darwin' ? path.join(home, 'Library', 'Caches') : XDG_CACHE_HOME || path.join(home, '.cache');
  // The other is for those without a home of their own, as in some containers.
  return writableFolder(path.join(base, 'muster')) ?? path.join(root, '.muster', 'cache');
}

/**
 * Where compiled code is kept between runs, or null where nothing can be kept: half the start and a fifth of the memory
 * of a command. Node itself heeds NODE_COMPILE_CACHE and NODE_DISABLE_COMPILE_CACHE=1.
 */
export function compileCacheFolder() {
  return writableFolder(path.join(cacheFolder(), 'compiled'));
}

/**
 * Makes a folder. @returns it, or null where it cannot be made or written to
 * @param {string} folder
 */
function writableFolder(folder) {
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK);
    return folder;
  } catch {
    return null;
  }
}

/**
 * Level by level: Node's own recursive mkdir never ends where a parent refuses with ENOENT, as below /proc.
 * @param {string} folder
 */
function makeFolder(folder) {
  const { code } = tryToMake(folder);
  if (code === 'ENOENT' && path.dirname(folder) !== folder) {
    makeFolder(path.dirname(folder));
    mkdirSync(folder);
  }
}

/** @param {string} folder @returns {{ code?: string | undefined }} */
function tryToMake(folder) {
  try {
    mkdirSync(folder);
    return {};
  } catch (err) {
    return /** @type {NodeJS.ErrnoException} */ (err);
  }
}
