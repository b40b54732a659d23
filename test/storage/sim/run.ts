import { type DriveApi } from '../../../storage-node/store/drive-api.ts';
import { type FaultName } from './faults.ts';
import { type Scheduler } from './scheduler.ts';

export interface RunOptions {
  size?: number;
  operations?: number;
  faults?: number;
  /** Only these. */
  faultNames?: readonly FaultName[];
  /** Probability that a message is much later than others. */
  straggling?: number;
  /** Keeps every line of the trace. */
  keepLines?: boolean;
  /** Puts something wrong before every drive. */
  wrapDrive?: (drive: DriveApi, nodeIndex: number) => DriveApi;
}

export interface RunResult {
  seed: number;
  /** What went wrong, for people; undefined when nothing did. */
  violation: string | undefined;
  faults: readonly string[];
  operations: number;
  digest: number;
  lines: readonly string[];
}

/** A run that takes longer hangs, milliseconds of virtual time. */
const longestMs = 10 * 24 * 3_600_000;

/** Lets the world go on until something is done, and passes on how it ended. */
export async function untilIdle<T>(scheduler: Scheduler, work: Promise<T>): Promise<T> {
  let done = false;
  const end = (): void => {
    done = true;
  };
  work.then(end, end);
  await scheduler.runUntil(() => done, longestMs);
  return work;
}
