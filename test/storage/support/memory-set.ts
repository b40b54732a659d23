import { type DriveApi } from '../../../storage-node/store/drive-api.ts';
import { type DriveHandle, type ErasureSet } from '../../../storage-node/store/set.ts';
import { type Clock, type Env } from '../../../storage-node/ports.ts';
import { createMemoryDrive, type MemoryDrive } from './memory-drive.ts';

/** A small seeded generator of numbers in [0, 1) (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export const realClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

export function testEnv(random: () => number, clock: Clock = realClock): Env {
  return {
    clock,
    randomBytes: (count) => Buffer.from(Array.from({ length: count }, () => Math.floor(random() * 256))),
  };
}

/** The set as the node at `nodeIndex` sees it; `wrap` stands between it and each drive, like a network. */
export function setOf(
  drives: readonly DriveApi[],
  nodeIndex: number,
  wrap: (drive: DriveApi, position: number) => DriveApi = (drive) => drive,
): ErasureSet {
  return {
    index: 0,
    drives: drives.map((drive, position): DriveHandle => ({
      api: wrap(drive, position),
      name: `node${position}`,
      nodeIndex: position,
      position,
      local: position === nodeIndex,
      health: { suspect: false, readLatencyMs: 1, hedgeAfterMs: () => 20 },
    })),
  };
}

export function memoryDrives(count: number): MemoryDrive[] {
  return Array.from({ length: count }, (_, i) => createMemoryDrive(`drive${i}`));
}
