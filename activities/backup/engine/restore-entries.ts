import { execFile } from 'node:child_process';
import {
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { makeDirectories } from '../../make-directories.ts';
import { codeOf, failedWrite } from '../repository/durable-write.ts';
import { permissionsOf } from '../repository/file-mode.ts';
import { parseTime } from '../repository/go-time.ts';
import type { TreeNode } from '../repository/tree.ts';
import { forFs, type RawPath } from '../source/raw-path.ts';
import { isRoot, type Finish } from './restore-files.ts';

const run = promisify(execFile);

export function finishOf(node: TreeNode): Finish {
  return {
    permissions: permissionsOf(node.mode),
    uid: node.uid,
    gid: node.gid,
    atimeSeconds: secondsOf(node.atime),
    mtimeSeconds: secondsOf(node.mtime),
  };
}

/**
 * The directory that all goes into. What somebody else has there is never taken away: a link to a directory is followed.
 * @throws MusterError CONFIG_INVALID when it is none, TARGET_FULL, CREDENTIALS_REFUSED, OBJECT_STORE_UNREACHABLE
 */
export function makeTarget(target: string): void {
  try {
    makeDirectories(target, 0o700);
  } catch (err) {
    if (!['EEXIST', 'ENOTDIR'].includes(codeOf(err))) throw failedWrite(target, err);
    const what =
      statSync(target, { throwIfNoEntry: false }) === undefined ? 'leads to no directory' : 'is no directory';
    throw new MusterError('CONFIG_INVALID', `the target ${target} ${what}; nothing was changed`, { cause: err });
  }
}

/** A directory that is there stays; anything else of that name goes. */
export function makeDirectory(path: RawPath): void {
  clearFor(path, true);
  mkdirSync(forFs(path), { recursive: true, mode: 0o700 });
}

export function makeSymlink(path: RawPath, target: RawPath): void {
  clearFor(path, false);
  symlinkSync(forFs(target), forFs(path));
}

export function makeHardLink(path: RawPath, first: RawPath): void {
  clearFor(path, false);
  linkSync(forFs(first), forFs(path));
}

/** Pipes and devices, which Node has no call for. */
export async function makeSpecial(path: RawPath, node: TreeNode): Promise<void> {
  clearFor(path, false);
  const name = typeof path === 'string' ? path : Buffer.from(path).toString('latin1');
  if (node.type === 'fifo') await run('mkfifo', ['--', name]);
  else {
    const device = BigInt(node.device ?? 0);
    await run('mknod', ['--', name, node.type === 'dev' ? 'b' : 'c', String(majorOf(device)), String(minorOf(device))]);
  }
}

/** Owner, mode and times by name; of a symbolic link, not of what it leads to. */
export function finishPath(path: RawPath, node: TreeNode): void {
  const { permissions, uid, gid, atimeSeconds, mtimeSeconds } = finishOf(node);
  const name = forFs(path);
  if (isRoot) lchownSync(name, uid, gid);
  if (node.type !== 'symlink') chmodSync(name, permissions);
  lutimesSync(name, atimeSeconds, mtimeSeconds);
}

function clearFor(path: RawPath, directory: boolean): void {
  const stats = lstatSync(forFs(path), { throwIfNoEntry: false });
  if (stats === undefined || (directory && stats.isDirectory())) return;
  rmSync(forFs(path));
}

/** Nanoseconds to the nearest that a double can say. */
function secondsOf(time: string): number {
  return Number(parseTime(time) ?? 0n) / 1e9;
}

/** Bits of Linux's `dev_t` (glibc `gnu_dev_major`). */
const majorOf = (device: bigint): bigint => ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
const minorOf = (device: bigint): bigint => (device & 0xffn) | ((device >> 12n) & ~0xffn);
