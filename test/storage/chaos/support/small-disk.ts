import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** A file system of a size of its own, in memory. */
export interface SmallDisk extends Disposable {
  dir: string;
  resize(sizeMiB: number): void;
  /** Takes every last byte, as a program that shares the disk may. @returns how to give it all back */
  fillUp(): () => void;
}

/** Why such disks cannot be made here; undefined when they can. */
export function whyNoSmallDisk(): string | undefined {
  if (process.platform !== 'linux') return 'full disks need the tmpfs of Linux';
  if (process.getuid?.() !== 0) return 'full disks need root, to mount file systems';
  try {
    createSmallDisk(1)[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return `full disks need a tmpfs: ${error instanceof Error ? error.message : String(error)}`;
  }
}

export function createSmallDisk(sizeMiB: number): SmallDisk {
  const home = mkdtempSync(path.join(os.tmpdir(), 'muster-small-'));
  const dir = path.join(home, 'disk');
  mkdirSync(dir);
  try {
    run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', dir]);
  } catch (error) {
    rmSync(home, { recursive: true });
    throw error;
  }
  return {
    dir,
    resize: (to) => run('mount', ['-o', `remount,size=${to}m`, dir]),
    fillUp() {
      const ballast = path.join(dir, 'ballast');
      const file = openSync(ballast, 'w');
      // Large pieces first, then what is left between them.
      for (const bytes of [1024 * 1024, 4_096, 1]) writeUntilFull(file, Buffer.alloc(bytes));
      closeSync(file);
      return () => rmSync(ballast);
    },
    [Symbol.dispose]() {
      run('umount', [dir]);
      rmSync(home, { recursive: true });
    },
  };
}

export function createSmallDisks(sizes: readonly number[]): { disks: SmallDisk[] } & Disposable {
  using stack = new DisposableStack();
  const disks = sizes.map((size) => stack.use(createSmallDisk(size)));
  const owned = stack.move();
  return { disks, [Symbol.dispose]: () => owned.dispose() };
}

function writeUntilFull(file: number, bytes: Buffer): void {
  try {
    while (writeSync(file, bytes) === bytes.length);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

function run(command: string, args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim()}`);
}
