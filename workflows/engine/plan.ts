/**
 * The plan: a runbook compiled against the estate, frozen and hashed. It is the whole input of a run; nothing is looked
 * up later that could have changed. Plain JSON, so that it travels in a workflow input, a file or a ledger row alike.
 */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** What a run is for. The workflow type of the same name runs it. */
export const runKinds = ['failover', 'failback', 'reprotect', 'drill'] as const;
export type RunKind = (typeof runKinds)[number];

/** `graceful` asks the source to take part; `ungraceful` never waits for it. A run may change from the first to the second. */
export type Mode = 'graceful' | 'ungraceful';

/** The closed set of verbs. A driver implements some of them for its kind of resource. */
export const verbs = [
  'check',
  'observe',
  'quiesce',
  'fence',
  'unfence',
  'promote',
  'rejoin',
  'replicate',
  'backup',
  'restore',
  'verify',
  'scale',
  'route',
  'run',
  'approve',
  'wait',
  'notify',
] as const;
export type Verb = (typeof verbs)[number];

/** What performing a verb does to the world. `irreversible` marks a point of no return. */
export type Effect = 'read' | 'change' | 'irreversible';

/** What must be alive for a verb to succeed. Lint proves that nothing on the unplanned path needs `source`. */
export type Need = 'source' | 'target' | 'cloud-api' | 'nothing';

/** The moments of a run, in the order they should happen (design §7). */
export const clockNames = [
  'fault', // t0: first failed probe, or the injected fault
  'detected', // t1
  'declared', // t2
  'started', // t3
  'fenced', // t4: every resource of the service is fenced and the RPO is frozen
  'promoted', // t5
  'routed', // t6
  'verified', // t7: by real clients
  'committed', // t8
  'protected', // t9
  'failed-back', // t10
] as const;
export type ClockName = (typeof clockNames)[number];

/** What the engine does when a step has failed for good (its retries and its deadline are used up). */
export type OnFailure = 'pause' | 'retry' | 'skip' | 'ungraceful' | 'abort';

/** A question to a person. `judge` gates are asked only when the judged figure misses its objective. */
export interface Gate {
  question: string;
  /** How many distinct people must say yes. */
  approvals: number;
  /** Roles or names that may answer; empty means anyone. */
  approvers: string[];
  /** Pre-approval from the policy or the command line: the gate opens by itself and says by whom. */
  preApprovedBy: string | null;
}

export interface Undo {
  verb: Verb;
  args: JsonObject;
}

export interface PlanStep {
  /** Unique in the plan, e.g. `fence-orders`; also the Temporal activity id. */
  id: string;
  verb: Verb;
  /** Name of the resource in the estate; `''` for steps of the run itself (approve, wait, notify). */
  resource: string;
  /** Site whose agent performs the step; `null` = the control plane. */
  site: string | null;
  /** Ids of the steps that must have ended (done or skipped) before this one starts. */
  after: string[];
  /** In which modes the step runs; in the other it counts as skipped. */
  modes: Mode[];
  effect: Effect;
  needs: Need[];
  /** Budget of the step: perform, confirms and retries together, milliseconds. */
  withinMs: number;
  /** Budget of one perform or confirm call, milliseconds. */
  attemptMs: number;
  estimateMs: number;
  onFailure: OnFailure;
  /** A failed step that is not critical leaves a finding and the run goes on. */
  critical: boolean;
  /** Whether perform may be repeated under the same token once a read-back has said `not-yet` (the verb is idempotent). */
  repeatable: boolean;
  undo: Undo | null;
  /** Clock stamped when this step is done (when several steps carry the same clock, the last one to end stamps it). */
  clock: ClockName | null;
  /** Objective this step's measurements are judged against; a miss opens a gate before anything further starts. */
  judge: 'rpo' | null;
  gate: Gate | null;
  /** Runs at the end whatever happened before it, also after a failure or an abort (the clean-up of a drill). */
  always: boolean;
  args: JsonObject;
}

export interface Objectives {
  rpoSeconds: number;
  rtoSeconds: number;
}

export interface PlanResource {
  name: string;
  driver: string;
  /** Driver configuration of each site, as in the estate: secrets are references (`env:NAME`), never values. */
  sites: Record<string, JsonObject>;
  /** Driver configuration that is the same for all sites (e.g. `tables`). */
  shared: JsonObject;
}

export interface PlanSite {
  name: string;
  /** Base URL (or reference) of the site's agent; `null` when the site has none. */
  agentUrl: string | null;
  region: string | null;
}

export interface Plan {
  version: 1;
  kind: RunKind;
  service: string;
  /** Role at the start: `from` holds the writer (or held it), `to` is to hold it. For reprotect: from = writer, to = the one that rejoins. */
  from: string;
  to: string;
  mode: Mode;
  /** Epoch this run gives to the new writer; higher than any seen. Reprotect keeps the present one. */
  epoch: number;
  drill: boolean;
  /** Longest time any granter's lease may still run after its last grant, milliseconds. */
  leaseMs: number;
  objectives: Objectives;
  /** GB/T 20988 level claimed, e.g. `5`; null when none is. */
  level: string | null;
  sites: Record<string, PlanSite>;
  resources: PlanResource[];
  steps: PlanStep[];
  /** SHA-256 (hex) of the canonical JSON of the plan without this field. */
  hash: string;
}
