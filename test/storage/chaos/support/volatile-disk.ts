import { spawnSync } from 'node:child_process';
import { constants, copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const mebibyte = 1024 * 1024;

/** A mounted disk, as it is now or as a power cut left it. */
export interface Mounted extends Disposable {
  dir: string;
}

/**
 * A disk with a cache that a power cut loses. Three file systems lie in each other's files: the disk itself is a file of
 * the platter, so what is written to it but not flushed lies in the page cache of the platter's file system; the
 * platter is a file of the vault, where it can be cloned at one instant, without that page cache.
 */
export interface VolatileDisk extends Mounted {
  /**
   * Cuts the power: keeps what a disk would have if it lost its cache now. Nothing of this process runs meanwhile, so
   * what it knew to be acknowledged before is what was acknowledged before the cut.
   */
  cut(name: string): void;
  /** Mounts what a cut left, letting the file systems recover as after any power cut. Once for each. */
  mountCut(name: string): Mounted;
}

/** Why such disks cannot be made here; undefined when they can. */
export function whyNoVolatileDisk(): string | undefined {
  if (process.platform !== 'linux') return 'crash images need the loop devices of Linux';
  if (process.getuid?.() !== 0) return 'crash images need root, to mount file systems';
  for (const tool of ['mkfs.xfs', 'mount', 'umount']) {
    if (spawnSync('which', [tool]).status !== 0) return `crash images need ${tool}`;
  }
  const home = mkdtempSync(path.join(os.tmpdir(), 'muster-trial-'));
  try {
    const trial = format(path.join(home, 'trial.img'), 512);
    mount(trial, path.join(home, 'trial'))[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return `crash images need loop mounts of XFS: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

export function createVolatileDisk(sizeMiB: number): VolatileDisk {
  const home = mkdtempSync(path.join(os.tmpdir(), 'muster-disk-'));
  using stack = new DisposableStack();
  stack.defer(() => rmSync(home, { recursive: true, force: true }));
  const at = (...names: string[]): string => path.join(home, ...names);
  // Files with holes: the vault never holds more than was written, and clones share it.
  stack.use(mount(format(at('vault.img'), 8 * sizeMiB), at('vault')));
  stack.use(mount(format(at('vault', 'platter.img'), 2 * sizeMiB), at('platter')));
  stack.use(mount(format(at('platter', 'disk.img'), sizeMiB), at('disk')));
  run('sync', ['--file-system', at('platter')]);
  const owned = stack.move();
  return {
    dir: at('disk'),
    cut(name) {
      copyFileSync(at('vault', 'platter.img'), at('vault', `${name}.img`), constants.COPYFILE_FICLONE_FORCE);
    },
    mountCut(name) {
      using layers = new DisposableStack();
      layers.defer(() => rmSync(at('vault', `${name}.img`)));
      layers.use(mount(at('vault', `${name}.img`), at(`${name}-platter`)));
      layers.use(mount(at(`${name}-platter`, 'disk.img'), at(`${name}-disk`)));
      const both = layers.move();
      return { dir: at(`${name}-disk`), [Symbol.dispose]: () => both.dispose() };
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function format(image: string, sizeMiB: number): string {
  writeFileSync(image, '');
  truncateSync(image, sizeMiB * mebibyte);
  run('mkfs.xfs', ['-q', '-m', 'reflink=1', image]);
  return image;
}

/** The loop device goes by itself when its file system is unmounted. A clone has the same UUID as what it is of. */
function mount(image: string, dir: string): Mounted {
  mkdirSync(dir, { recursive: true });
  run('mount', ['-t', 'xfs', '-o', 'loop,nouuid', image, dir]);
  return { dir, [Symbol.dispose]: () => unmount(dir) };
}

/** A process that was just killed may hold its files for another moment. */
function unmount(dir: string): void {
  for (let tries = 0; tries < 50; tries++) {
    if (spawnSync('umount', [dir]).status === 0) return;
    spawnSync('sleep', ['0.1']);
  }
  run('umount', ['--lazy', dir]);
  throw new Error(`${dir} was in use for five seconds after all was over`);
}

function run(command: string, args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim()}`);
}
