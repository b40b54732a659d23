import { randomBytes } from 'node:crypto';
import { fchmod, fsync } from 'node:fs';
import { link, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { makeDirectories } from '../../make-directories.ts';

export interface Modes {
  readonly directory: number;
  readonly file: number;
}

/** The part of a name that says: not finished. restic's temporary files have it, too, and both pass them over. */
export const unfinished = '-tmp-';

/**
 * Writes a file so that at any moment it is whole or not there: aside, synced, renamed, its directory synced.
 * With `onlyNew` a file that is there already stays as it is.
 * @throws MusterError TARGET_FULL, CREDENTIALS_REFUSED, OBJECT_STORE_UNREACHABLE
 */
export async function writeWhole(
  file: string,
  pieces: readonly Uint8Array[],
  modes: Modes,
  onlyNew = false,
): Promise<'written' | 'exists'> {
  const aside = `${file}${unfinished}${randomBytes(5).toString('hex')}`;
  try {
    await writeAside(aside, pieces, modes);
    const outcome = onlyNew ? await linkNew(aside, file) : await rename(aside, file).then(() => 'written' as const);
    await syncDirectory(dirname(file));
    return outcome;
  } catch (err) {
    await rm(aside, { force: true }).catch(() => {});
    throw failedWrite(file, err);
  }
}

async function writeAside(aside: string, pieces: readonly Uint8Array[], modes: Modes): Promise<void> {
  const handle = await create(aside, modes);
  try {
    // Pieces are written one behind the other: `writev` may write less than all of them, `writeFile` never does.
    for (const piece of pieces) await handle.writeFile(piece);
    await handle.chmod(modes.file).catch(ignoreRefusal);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const [changeMode, sync] = [promisify(fchmod), promisify(fsync)];

/** Gives a file that was written the mode it is to keep, and puts it on the disk. */
export async function publishOpen(fd: number, modes: Modes): Promise<void> {
  await changeMode(fd, modes.file).catch(ignoreRefusal);
  await sync(fd);
}

async function create(aside: string, modes: Modes): Promise<FileHandle> {
  try {
    return await open(aside, 'wx', 0o600);
  } catch (err) {
    if (codeOf(err) !== 'ENOENT') throw err;
    await makeDirectory(dirname(aside), modes);
    return open(aside, 'wx', 0o600);
  }
}

/** Makes a directory and those above it, and makes their names durable. */
export async function makeDirectory(path: string, modes: Modes): Promise<void> {
  const first = makeDirectories(path, modes.directory);
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}

/** A hard link fails where the name is taken, a rename does not. */
async function linkNew(aside: string, file: string): Promise<'written' | 'exists'> {
  try {
    await link(aside, file);
    return 'written';
  } catch (err) {
    if (codeOf(err) !== 'EEXIST') throw err;
    return 'exists';
  } finally {
    await rm(aside, { force: true });
  }
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } catch (err) {
    // Some file systems over the network know no sync of directories; restic goes on there, too.
    if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes(codeOf(err))) throw err;
  } finally {
    await handle.close();
  }
}

/** exFAT and some mounts know no modes. */
function ignoreRefusal(err: unknown): void {
  if (!['EPERM', 'EACCES', 'ENOTSUP', 'ENOSYS'].includes(codeOf(err))) throw err;
}

export function codeOf(err: unknown): string {
  return err instanceof Error && 'code' in err ? String(err.code) : '';
}

/** What a failed call on a file means for an operator. */
export function failedWrite(file: string, cause: unknown): MusterError {
  const code = codeOf(cause);
  if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)) {
    return new MusterError('TARGET_FULL', `no room to write ${file} (${code})`, { cause });
  }
  if (['EACCES', 'EPERM', 'EROFS'].includes(code)) {
    const why = code === 'EROFS' ? 'its file system is mounted read-only, EROFS' : `this user may not, ${code}`;
    return new MusterError('CREDENTIALS_REFUSED', `${file} may not be written (${why})`, { cause });
  }
  const why = code === 'EIO' ? 'its disk fails, EIO' : code || String(cause);
  return new MusterError('OBJECT_STORE_UNREACHABLE', `${file} cannot be written (${why})`, { cause });
}
