import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { chmodSync, closeSync, lchownSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { readlinkSync, writeSync, writeFileSync } from 'node:fs';
import { makeOddTree } from '../../backup/engine/world.ts';
import type { Place } from './muster.ts';

const isRoot = process.getuid?.() === 0;
const hasXattrs =
  spawnSync('getfattr', ['--version'], { stdio: 'ignore' }).status === 0 &&
  spawnSync('setfattr', ['--version'], { stdio: 'ignore' }).status === 0;

export const holesBytes = 32 * 2 ** 20;

/** One of each kind of thing that a directory can hold. */
export function fillSource(place: Place): void {
  makeOddTree({ at: place.at, source: place.source } as Parameters<typeof makeOddTree>[0]);
  execFileSync('mkfifo', [place.at('pipe')]);
  mkdirSync(place.at('sticky'));
  chmodSync(place.at('sticky'), 0o1777);
  const fd = openSync(place.at('sparse'), 'w');
  writeSync(fd, 'in the middle', holesBytes / 2);
  writeSync(fd, 'at the end', holesBytes - 10);
  closeSync(fd);
  writeFileSync(place.at('owned'), 'of somebody else');
  if (isRoot) {
    lchownSync(place.at('owned'), 12_345, 54_321);
    lchownSync(place.at('dangling'), 12_345, 54_321);
    execFileSync('mknod', [place.at('null'), 'c', '1', '3']);
  }
  if (hasXattrs) execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept\nwith a line', place.at('owned')]);
}

/** What is so of an entry, and has to be so of what is restored from it. */
interface Entry {
  mtimeNs: bigint;
  rest: unknown;
}

function entriesOf(root: string): Map<string, Entry> {
  const found = new Map<string, Entry>();
  const firstName = new Map<bigint, string>();
  const walk = (directory: Buffer, under: Buffer): void => {
    for (const name of readdirSync(directory, { encoding: 'buffer' }).toSorted(Buffer.compare)) {
      const [at, key] = [directory, under].map((one) => Buffer.concat([one, Buffer.from('/'), name])) as [
        Buffer,
        Buffer,
      ];
      const stats = lstatSync(at, { bigint: true });
      const shown = key.toString('latin1');
      if (!stats.isDirectory() && !firstName.has(stats.ino)) firstName.set(stats.ino, shown);
      const content = stats.isFile()
        ? hash('sha256', readFileSync(at))
        : stats.isSymbolicLink()
          ? readlinkSync(at)
          : null;
      const { mode, uid, gid, mtimeNs } = stats;
      const device = stats.isCharacterDevice() || stats.isBlockDevice() ? stats.rdev : null;
      const linkedWith = stats.isDirectory() ? null : firstName.get(stats.ino);
      found.set(shown, { mtimeNs, rest: { mode, uid, gid, content, device, linkedWith } });
      if (stats.isDirectory()) walk(at, key);
    }
  };
  walk(Buffer.from(root), Buffer.alloc(0));
  return found;
}

function xattrsOf(root: string): string {
  return hasXattrs
    ? execFileSync('getfattr', ['-R', '-h', '-d', '-m', '-', '-e', 'hex', '.'], { cwd: root }).toString()
    : '';
}

/** As exact as a double can say a time of our days in seconds: about a quarter of a microsecond. */
const exactNs = 500n;

/** Asserts that two trees hold the same: bytes, kinds, modes, owners, times, links, attributes. */
export function assertSameTree(actual: string, expected: string): void {
  const [a, b] = [entriesOf(actual), entriesOf(expected)];
  assert.deepEqual([...a.keys()], [...b.keys()]);
  for (const [name, { mtimeNs, rest }] of b) {
    const other = a.get(name) as Entry;
    assert.deepEqual(other.rest, rest, name);
    const offNs = other.mtimeNs - mtimeNs;
    assert.ok(offNs < exactNs && offNs > -exactNs, `${name}: ${offNs} ns off`);
  }
  assert.equal(xattrsOf(actual), xattrsOf(expected));
}
