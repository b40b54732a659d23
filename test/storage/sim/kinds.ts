import { createDriveDisk } from './drive-disk.ts';
import { withDisks } from './faults.ts';
import { fullDeadlines, halfWay, majorityGoesOn } from './majority.ts';
import { createMemoryDisk } from './memory-disk.ts';
import { runObjects } from './objects-run.ts';
import { runRegisters } from './registers-run.ts';
import { type RunOptions, type RunResult } from './run.ts';

/**
 * The worlds that can be simulated, each from a seed alone: registers and objects on drives in memory, and objects on
 * real drives whose disks fail. In `majority` one node is cut off in the end, and the others may refuse nothing.
 */
export const kinds = {
  registers: (seed: number, options?: RunOptions): Promise<RunResult> => runRegisters(seed, createMemoryDisk, options),
  objects: (seed: number, options?: RunOptions): Promise<RunResult> => runObjects(seed, createMemoryDisk, options),
  drives: (seed: number, options?: RunOptions): Promise<RunResult> =>
    runObjects(seed, createDriveDisk, { faultNames: withDisks, ...options }),
  majority: (seed: number, options?: RunOptions): Promise<RunResult> =>
    runObjects(seed, createDriveDisk, {
      faultNames: halfWay,
      interlude: majorityGoesOn,
      deadlines: fullDeadlines,
      ...options,
    }),
} as const;
export type Kind = keyof typeof kinds;

/** What went wrong, and how to see it again. */
export function complaintOf(kind: Kind, { seed, violation, faults }: RunResult): string {
  const again = `node test/storage/sim/nightly.ts --kind ${kind} --from ${seed} --runs 1 --trace`;
  return `seed ${seed} of ${kind}: ${violation}\nfaults: ${faults.join('; ')}\nagain with: ${again}`;
}
