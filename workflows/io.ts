/** What goes into a run and what comes out: the contract between the workflows and those who start and watch them. */
import type { Measurement } from './engine/measure.ts';
import type { ClockName, Json, JsonObject, Plan } from './engine/plan.ts';
import type { RunRecord } from './engine/ports.ts';
import type { Outcome, Run, RunStatus, StepStatus } from './engine/run.ts';

export interface RunInput {
  /** Unique for ever, e.g. `failover-shop-20261120-081500-4f2a`. */
  runId: string;
  /** One plan, or those of a live drill: there and back, one after the other. */
  plans: Plan[];
  /** Moments before the run began (fault, detected, declared), Unix milliseconds. */
  clocks?: Partial<Record<ClockName, number>>;
  startedBy: string;
  labels: RunLabels;
  /** What somebody should know of the time before the run began, e.g. that a drill gave way to it. */
  findings?: string[];
}

/** What the ledger keeps beside a run. */
export interface RunLabels {
  /** SHA-256 (hex) of the estate the plan was compiled from. */
  estateHash: string;
  /** Name and version of the software that started the run. */
  software: string;
  /** Runs that belong together (failover, reprotect, failback of one game day) share it. */
  chainId: string | null;
  /** e.g. `site-loss`; null for the real thing. */
  scenario: string | null;
}

export interface StepView {
  id: string;
  status: StepStatus;
  attempt: number;
  startedAtMs: number | null;
  endedAtMs: number | null;
  failure: string | null;
  note: string | null;
  evidence: JsonObject | null;
  approvals: { by: string; why: string; atMs: number }[];
}

/** A run as people and programs see it while it runs (query `status`) and when it has ended (result). */
export interface RunView {
  runId: string;
  kind: string;
  service: string;
  from: string;
  to: string;
  epoch: number;
  planHash: string;
  status: RunStatus;
  mode: string;
  outcome: Outcome | null;
  reason: string | null;
  steps: StepView[];
  clocks: Partial<Record<ClockName, number>>;
  measurements: Measurement[];
  waitedForPeopleMs: number;
  /** What the run waits for and what to do about it; empty while it needs nobody. */
  asks: { stepId: string; question: string }[];
  /** Records the ledger had not taken when the run ended; they are written by a workflow of their own. */
  unrecorded: number;
}

/** What the ledger is told of a run, in this order: opened, records, finished. */
export interface LedgerBatch {
  runId: string;
  opened: { plan: Plan; startedAtMs: number; labels: RunLabels } | null;
  records: RunRecord[];
  /** The run as it ended, without its plan. */
  finished: { run: Omit<Run, 'plan'>; atMs: number } | null;
}

/** A run as it stands, and what the ledger may not know of it yet. */
export interface RunAccount {
  run: Run;
  opened: LedgerBatch['opened'];
  records: RunRecord[];
}

export interface Order {
  by: string;
  why: string;
  stepId?: string;
}
export interface Answer extends Order {
  answer: 'approve' | 'decline';
}

export function viewOf(run: Run, unrecorded = 0): RunView {
  const { plan } = run;
  return {
    runId: run.id,
    kind: plan.kind,
    service: plan.service,
    from: plan.from,
    to: plan.to,
    epoch: plan.epoch,
    planHash: plan.hash,
    status: run.status,
    mode: run.mode,
    outcome: run.outcome,
    reason: run.reason,
    steps: plan.steps.map((step) => stepView(run, step.id)),
    clocks: run.clocks,
    measurements: run.measurements,
    waitedForPeopleMs: run.waitedForPeopleMs,
    asks: asksOf(run),
    unrecorded,
  };
}

function stepView(run: Run, id: string): StepView {
  const state = run.steps[id];
  return {
    id,
    status: state?.status ?? 'pending',
    attempt: state?.attempt ?? 0,
    startedAtMs: state?.startedAtMs ?? null,
    endedAtMs: state?.endedAtMs ?? null,
    failure: state?.failure === null || state === undefined ? null : `${state.failure.code}: ${state.failure.message}`,
    note: state?.note ?? null,
    evidence: state?.evidence ?? null,
    approvals: state?.approvals ?? [],
  };
}

function asksOf(run: Run): { stepId: string; question: string }[] {
  return run.plan.steps
    .filter((step) => run.steps[step.id]?.status === 'asking')
    .map((step) => ({ stepId: step.id, question: run.steps[step.id]?.note ?? step.id }));
}

/** JSON of a typed value for evidence and records. */
export function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}
