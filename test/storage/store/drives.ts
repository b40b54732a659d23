import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Clock, type Env } from '../../../storage-node/ports.ts';
import { type Drive, openDrive } from '../../../storage-node/store/drive.ts';
import { openLmdbIndex } from '../../../storage-node/store/lmdb-index.ts';
import { realFileSystem } from '../../../storage-node/store/real-file-system.ts';
import { systemEnv } from '../../../storage-node/system-env.ts';
import { createSimDisk, type SimDisk } from '../support/sim-file-system.ts';
import { createSimIndex, type SimIndexDisk } from '../support/sim-index.ts';
import { kernels } from './requests.ts';

/** A disk that a drive can be opened on again and again. */
export interface DriveHome {
  open(settings?: { reserveBytes?: number }): Promise<Drive>;
  remove(): void;
  /** The clock of the drives opened here. */
  clock: Clock;
}

/** LMDB and files in a directory of its own. */
export function realHome(): DriveHome & { directory: string } {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'muster-drive-'));
  return {
    directory,
    clock: systemEnv.clock,
    open: (settings = {}) =>
      openDrive({
        ...{ name: 'real', driveId: 'drive-1', directory, env: systemEnv, files: realFileSystem, hasher: kernels },
        ...{ index: openLmdbIndex(directory), memory: kernels.arena, reserveBytes: settings.reserveBytes ?? 0 },
      }),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export interface SimHome extends DriveHome {
  disk: SimDisk;
  index: SimIndexDisk;
  crash(): void;
  /** Lets time pass on the drive's clock: timers that are due run. */
  pass(ms: number): Promise<void>;
}

/** The same on a simulated disk, with a clock that stands still until it is told to go on. */
export function simHome(random: () => number = Math.random): SimHome {
  const disk = createSimDisk(random);
  const index = createSimIndex(disk, random);
  const clock = createHandClock();
  return {
    disk,
    index,
    clock: clock.env.clock,
    open: (settings = {}) =>
      openDrive({
        ...{ name: 'sim', driveId: 'drive-1', directory: '/drive', env: clock.env, files: disk.files, hasher: kernels },
        ...{ index: index.open(), memory: kernels.arena, reserveBytes: settings.reserveBytes ?? 0 },
      }),
    crash() {
      disk.crash();
      index.crash();
    },
    pass: clock.pass,
    remove: () => {},
  };
}

function createHandClock(): { env: Env; pass: (ms: number) => Promise<void> } {
  let nowMs = 1_000_000;
  let timers: { atMs: number; run: () => void }[] = [];
  const settled = async (): Promise<void> => {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  };
  const env: Env = {
    clock: {
      wallMs: () => 1_800_000_000_000 + nowMs,
      monotonicMs: () => nowMs,
      setTimer(delayMs, run) {
        // What only gives way to others needs no time.
        if (delayMs === 0) {
          setImmediate(run);
          return { cancel: () => {} };
        }
        const timer = { atMs: nowMs + delayMs, run };
        timers.push(timer);
        return {
          cancel() {
            timers = timers.filter((one) => one !== timer);
          },
        };
      },
    },
    randomBytes: (count) => new Uint8Array(count),
  };
  return {
    env,
    async pass(ms) {
      const endMs = nowMs + ms;
      for (;;) {
        const next = timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined) break;
        nowMs = Math.max(nowMs, next.atMs);
        timers = timers.filter((one) => one !== next);
        next.run();
        await settled();
      }
      nowMs = endMs;
      await settled();
    },
  };
}
