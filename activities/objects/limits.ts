import { type ObjectLimits } from './place.ts';

export const defaultLimits: Required<ObjectLimits> = {
  /** Enough to keep a store 10 ms away busy with small objects, and few enough for one process. */
  connections: 64,
  connectMs: 5_000,
  answerMs: 60_000,
  stallMs: 30_000,
  tries: 6,
  deadlineMs: 180_000,
};
