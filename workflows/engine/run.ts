import type { ErrorCode } from './errors.ts';
import type { Measurement } from './measure.ts';
import type { ClockName, JsonObject, Mode, Plan, Verb } from './plan.ts';

/** A failure as a value: exceptions do not cross the engine's border. */
export interface Failure {
  code: ErrorCode;
  message: string;
  retryable: boolean;
}

export type StepStatus =
  | 'pending' // waits for the steps it comes after
  | 'performing' // a perform is out
  | 'confirming' // the outcome is being read back
  | 'asking' // waits for a person
  | 'retrying' // waits for its timer, then performs again
  | 'done'
  | 'failed' // for good; the run pauses, goes on or ends, as the plan says
  | 'skipped' // by a person, by mode, or because it was not critical
  | 'undoing'
  | 'undone'
  | 'undo-failed';

export interface StepState {
  status: StepStatus;
  /** Performs ordered so far. */
  attempt: number;
  startedAtMs: number | null;
  endedAtMs: number | null;
  /** Read-backs ordered since the last perform; spaces them out. */
  confirms: number;
  /** A read-back is out. Answers that come twice, or while none is out, must not start another. */
  confirmOut: boolean;
  /**
   * What is known of the last perform while it is being read back: `ordered` = it was accepted and is on its way,
   * `unknown` = nobody knows whether it reached the world. Only the second may be performed again, and only after a
   * read-back has said that it did not.
   */
  pending: 'ordered' | 'unknown' | null;
  failure: Failure | null;
  evidence: JsonObject | null;
  note: string | null;
  approvals: { by: string; why: string; atMs: number }[];
}

/**
 * `protected` and `unprotected` are the two good ends of a run that moved the writer: a failover that has not yet
 * reversed its replication is `unprotected` (design §1.5).
 */
export type Outcome = 'protected' | 'unprotected' | 'completed' | 'aborted' | 'failed';

export type RunStatus =
  | 'running'
  | 'paused' // by a person, or by a failed critical step: needs a person
  | 'undoing'
  | 'finished';

export interface Run {
  id: string;
  plan: Plan;
  status: RunStatus;
  mode: Mode;
  steps: Record<string, StepState>;
  clocks: Partial<Record<ClockName, number>>;
  measurements: Measurement[];
  outcome: Outcome | null;
  /** Why the run is paused or ended as it did; `null` while nothing is wrong. */
  reason: string | null;
  /** Once true nothing is undone any more: the run only goes forward. */
  pastNoReturn: boolean;
  /** Milliseconds spent waiting for people, shown apart from the technical RTO. */
  waitedForPeopleMs: number;
  waitingSinceMs: number | null;
  /** Number of the last record; records are gap-free and the ledger chains their hashes. */
  seq: number;
}

export interface StepResult {
  evidence: JsonObject;
  measurements: Measurement[];
}

export type OperatorCommand = 'pause' | 'resume' | 'skip' | 'retry' | 'go-ungraceful' | 'abort';

/** What happened, as the shell tells the engine. `atMs` comes from the one clock of the run. */
export type RunEvent = { atMs: number } & (
  | {
      kind: 'started';
      clocks?: Partial<Record<ClockName, number>>;
      /** Findings from before it began. */ findings?: string[];
    }
  | { kind: 'step-done'; stepId: string; result: StepResult }
  | { kind: 'step-not-yet'; stepId: string; why: string }
  | { kind: 'step-failed'; stepId: string; failure: Failure }
  | { kind: 'step-unknown'; stepId: string; why: string }
  | { kind: 'step-confirmed'; stepId: string; verdict: 'done'; result: StepResult }
  | { kind: 'step-confirmed'; stepId: string; verdict: 'not-yet' | 'unknown'; why: string }
  | { kind: 'timer'; timerId: string }
  | { kind: 'answer'; stepId: string; answer: 'approve' | 'decline'; by: string; why: string }
  | { kind: 'operator'; op: OperatorCommand; stepId?: string; by: string; why: string }
);

/** What the engine orders. The shell carries it out and answers with events; it never decides. */
export type Command =
  | {
      kind: 'perform' | 'confirm';
      stepId: string;
      verb: Verb;
      resource: string;
      site: string | null;
      args: JsonObject;
      /** Idempotency token, the same for every attempt of one step in one run and epoch; <= 64 ASCII characters. */
      token: string;
      attempt: number;
      timeoutMs: number;
    }
  | { kind: 'set-timer'; timerId: string; afterMs: number }
  | { kind: 'ask'; stepId: string; question: string; approvers: string[]; approvals: number }
  | { kind: 'record'; seq: number; atMs: number; what: string; stepId: string | null; data: JsonObject }
  | { kind: 'notify'; text: string }
  | { kind: 'finish'; outcome: Outcome; reason: string | null };
