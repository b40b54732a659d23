import type { Confidence, Measurement } from '../../workflows/engine/measure.ts';
import type { Plan } from '../../workflows/engine/plan.ts';
import type { Outcome, Run } from '../../workflows/engine/run.ts';
import type { ChainHead } from './chain.ts';

/** A run as the engine left it; its plan lies beside it. */
export type FinalState = Omit<Run, 'plan'>;

export interface RunOpened {
  runId: string;
  plan: Plan;
  /** SHA-256 (hex) of the estate the plan was compiled from. */
  estateHash: string;
  /** Name and version of the software that runs it, e.g. `muster 0.1.0`. */
  software: string;
  /** Unix milliseconds. */
  openedAtMs: number;
  /** Runs that belong together (failover, reprotect, failback of one game day) share it. */
  chainId?: string | null;
  /** e.g. `site-loss`; null for the real thing. */
  scenario?: string | null;
}

export interface RunSummary {
  runId: string;
  chainId: string | null;
  scenario: string | null;
  service: string;
  kind: Plan['kind'];
  planHash: string;
  estateHash: string;
  software: string;
  openedAtMs: number;
  head: ChainHead;
  /** `null` while the run has not been finished in the ledger. */
  outcome: Outcome | null;
  finishedAtMs: number | null;
}

export interface RunRow extends RunSummary {
  plan: Plan;
  final: FinalState | null;
  sealHash: string | null;
}

/** One figure at one moment. `site` is where it was taken, null for the control plane; `runId` null for watch. */
export interface Sample extends Measurement {
  service: string;
  runId: string | null;
  site: string | null;
  takenAtMs: number;
  confidence: Confidence;
}

export interface EpochRow {
  service: string;
  epoch: number;
  /** Site that may write in this epoch. */
  holder: string;
  runId: string | null;
  /** Unix milliseconds by the database's clock. */
  takenAtMs: number;
}

export type LeaseAnswer =
  | { kind: 'held'; epoch: number; remainingMs: number }
  | {
      kind: 'refused';
      why: 'other-owner' | 'stale-epoch' | 'expired' | 'not-held';
      owner: string | null;
      epoch: number;
    };

export interface ApprovalRow {
  runId: string;
  stepId: string;
  answer: 'approve' | 'decline';
  by: string;
  why: string;
  atMs: number;
}

export interface FindingRow {
  service: string;
  runId: string | null;
  stepId: string | null;
  severity: 'note' | 'warning' | 'critical';
  what: string;
  atMs: number;
}
