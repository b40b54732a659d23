import type { When } from '../../runbooks/intervals.ts';
import type { Json, JsonObject } from '../../workflows/engine/plan.ts';

/** Everything that Temporal keeps of one of our schedules and that the estate decides. Plain data, compared field by field. */
export interface ScheduleContent {
  workflowType: string;
  /** Temporal adds the time of the turn to it. */
  workflowId: string;
  taskQueue: string;
  /** One line for the Temporal UI. */
  summary: string;
  args: JsonObject[];
  /** `other` is a time that no estate can say: somebody has written it in Temporal. */
  when: When | { kind: 'other'; spec: Json };
  timezone: 'UTC' | (string & {});
  jitterSeconds: number;
  catchUpSeconds: number;
  overlap: string;
  pauseOnFailure: boolean;
  /** Turns left; null has no such limit. */
  remainingTurns: number | null;
}

/** What a schedule is about, for those who choose among schedules. */
export interface ScheduleSubject {
  /** `''` for what is about a whole vault. */
  service: string;
  /** Site without which it cannot be done; null when that is none. */
  site: string | null;
  /** As the estate says it: `6h`, `daily`. */
  every: string;
  /** The longest time between two turns, seconds. */
  gapSeconds: number;
}

/** A schedule as the estate wants it. */
export interface DesiredSchedule {
  id: string;
  subject: ScheduleSubject;
  content: ScheduleContent;
  /** SHA-256 (hex) of subject and content: what was applied, so that a change by hand is told from one of the estate. */
  hash: string;
}

/** A schedule of ours as Temporal has it. */
export interface ActualSchedule {
  id: string;
  /** Name of the estate file that it was applied from. */
  estate: string;
  subject: ScheduleSubject;
  content: ScheduleContent;
  /** Hash of what it is now. */
  hash: string;
  /** Hash of what was applied. */
  appliedHash: string;
  paused: boolean;
  /** Why it is paused, or what was said when it was taken up. */
  note: string;
  turns: ScheduleTurns;
}

/** What a schedule has done and will do. Unix milliseconds. */
export interface ScheduleTurns {
  createdAtMs: number;
  /** When its description was changed last; pausing is no change. */
  updatedAtMs: number;
  nextAtMs: number | null;
  taken: number;
  /** Turns that came too late to be made up for, since the schedule was made. */
  missed: number;
  /** Turns left out because the one before was still running, since the schedule was made. */
  skipped: number;
  last: { workflowId: string; runId: string; dueAtMs: number; takenAtMs: number } | null;
  /** Ids of the workflows that run now. */
  running: string[];
}
