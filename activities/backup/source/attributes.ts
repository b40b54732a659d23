import { readlinkSync, type BigIntStats } from 'node:fs';
import { goModeOf, nodeTypeOf } from '../repository/file-mode.ts';
import { fileText, type FileText } from '../repository/go-text.ts';
import { formatSeconds } from '../repository/go-time.ts';
import type { ExtendedAttribute, TreeNode } from '../repository/tree.ts';
import type { Owners } from './owners.ts';
import { forFs, type RawPath } from './raw-path.ts';

/**
 * What a directory entry says of a file besides its content: `content` is null, and `subtree` is missing, until they
 * are known. The access time is that of the last change, as restic does without `--with-atime`: else every backup
 * would change what the next one compares with.
 * @throws what `readlink` throws
 */
export function nodeOf(
  entry: { name: FileText; path: RawPath; stats: BigIntStats },
  owners: Owners,
  xattrs: readonly ExtendedAttribute[] | undefined,
): TreeNode {
  const { name, path, stats } = entry;
  const [type, uid, gid] = [nodeTypeOf(Number(stats.mode)), Number(stats.uid), Number(stats.gid)];
  const mtime = timeOf(stats.mtimeNs);
  return {
    ...{ name, type, mode: goModeOf(Number(stats.mode)), mtime, atime: mtime, ctime: timeOf(stats.ctimeNs) },
    ...{ uid, gid, user: owners.user(uid), group: owners.group(gid) },
    ...{ inode: exact(stats.ino), deviceId: exact(stats.dev), content: null },
    ...(type === 'file' && { sizeBytes: exact(stats.size) }),
    ...(type !== 'dir' && { links: exact(stats.nlink) }),
    ...(type === 'symlink' && { linkTarget: fileText(readlinkSync(forFs(path), 'buffer')) }),
    ...((type === 'dev' || type === 'chardev') && { device: exact(stats.rdev) }),
    ...(xattrs !== undefined && xattrs.length > 0 && { extendedAttributes: xattrs }),
  };
}

/** Whether a file of an earlier snapshot can be taken for the same without reading it: as restic decides. */
export function looksUnchanged(before: TreeNode, now: TreeNode): boolean {
  return (
    before.type === 'file' &&
    now.type === 'file' &&
    before.content !== null &&
    Number(before.sizeBytes ?? 0) === Number(now.sizeBytes ?? 0) &&
    before.mtime === now.mtime &&
    before.ctime === now.ctime &&
    Number(before.inode ?? 0) === Number(now.inode ?? 0)
  );
}

/** Whether the attributes of two entries are written the same, whatever they hold. */
export function sameAttributes(before: TreeNode, now: TreeNode): boolean {
  return (
    before.type === now.type &&
    before.mode === now.mode &&
    before.mtime === now.mtime &&
    before.atime === now.atime &&
    before.ctime === now.ctime &&
    before.uid === now.uid &&
    before.gid === now.gid &&
    (before.user ?? '') === (now.user ?? '') &&
    (before.group ?? '') === (now.group ?? '') &&
    sameNumber(before.inode, now.inode) &&
    sameNumber(before.deviceId, now.deviceId) &&
    sameNumber(before.sizeBytes, now.sizeBytes) &&
    sameNumber(before.links, now.links) &&
    sameNumber(before.device, now.device) &&
    before.error === undefined &&
    before.genericAttributes === undefined &&
    sameText(before.linkTarget, now.linkTarget) &&
    sameXattrs(before.extendedAttributes ?? [], now.extendedAttributes ?? [])
  );
}

const sameNumber = (a: number | bigint | undefined, b: number | bigint | undefined): boolean => (a ?? 0) === (b ?? 0);

function sameText(a: FileText | undefined, b: FileText | undefined): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return a === b;
}

function sameXattrs(a: readonly ExtendedAttribute[], b: readonly ExtendedAttribute[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, value }, i) => name === b[i]!.name && Buffer.compare(value, b[i]!.value) === 0)
  );
}

const exact = (value: bigint): number | bigint => (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value);

function timeOf(ns: bigint): string {
  const nanos = Number(((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n);
  return formatSeconds(Number((ns - BigInt(nanos)) / 1_000_000_000n), nanos);
}
