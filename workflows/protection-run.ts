/** What the kinds of protection have in common: one long piece of work, told to people, written down at its end. */
import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  defineQuery,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  startChild,
  TimeoutFailure,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import { toldFailure, type ProtectionBatch, type ProtectionRun, type ProtectionStatus } from './engine/protection.ts';

export const protectionStatus = defineQuery<ProtectionStatus>('status');

const phaseKey = defineSearchAttributeKey('DrPhase', 'KEYWORD');
const outcomeKey = defineSearchAttributeKey('DrOutcome', 'KEYWORD');

/** How long a run that has ended waits for the ledger before it leaves the record to a workflow of its own. */
const patienceMs = 10_000;
/** How long work waits for the agent of a site to take it up: then it has failed, and the next turn tries again. */
const agentPatience = '10 min';

/** What is about to be done. */
export type Job = Pick<ProtectionRun, 'kind' | 'service' | 'resource' | 'vault' | 'startedBy'>;

/** What came of it besides the run itself. */
export type Outcome = Pick<ProtectionRun, 'facts'> &
  Partial<Pick<ProtectionBatch, 'point' | 'proof' | 'removed' | 'findings'>> & {
    outcome?: 'done' | 'partial' | 'failed';
    failure?: string;
  };

/**
 * Long work by activities whose attempts may be killed: each is heard of every few seconds, and what it has done is
 * found by the next one. A failure that waiting does not mend ends it at once.
 * @param summary shown in the Temporal UI
 * @param site whose agent does it; null: the control plane
 */
export function longActivities<Activities>(summary: string, site: string | null = null): Activities {
  return proxyActivities<Record<string, (arg: never) => Promise<unknown>>>({
    scheduleToCloseTimeout: '3 days',
    heartbeatTimeout: '15 s',
    ...(site !== null && { taskQueue: `site-${site}`, scheduleToStartTimeout: agentPatience }),
    retry: { initialInterval: '5 s', backoffCoefficient: 2, maximumInterval: '5 min' },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary,
  }) as Activities;
}

/** Runs the work, shows it, and has the ledger told whatever comes of it. A failure ends the workflow as failed. */
export async function conduct<Answer>(
  job: Job,
  work: (phase: (name: string) => void) => Promise<Answer>,
  outcomeOf: (answer: Answer) => Outcome,
): Promise<Answer> {
  const startedAtMs = Date.now();
  const status: ProtectionStatus = { ...subjectOf(job), phase: 'starting', startedAtMs };
  setHandler(protectionStatus, () => status);
  const phase = (name: string): void => {
    status.phase = name;
    upsertSearchAttributes([{ key: phaseKey, value: name }]);
    setCurrentDetails(describe(job, name));
  };
  const ended = (outcome: ProtectionRun['outcome'], rest: Outcome): Promise<void> =>
    CancellationScope.nonCancellable(async () => {
      phase(outcome);
      upsertSearchAttributes([{ key: outcomeKey, value: outcome }]);
      const { facts, point = null, proof = null, removed = [], findings = [], failure = null } = rest;
      const run = { ...job, id: workflowInfo().runId, startedAtMs, endedAtMs: Date.now(), outcome, failure, facts };
      await record({ run, point, proof, removed, findings });
    });
  try {
    const answer = await work(phase);
    const outcome = outcomeOf(answer);
    await ended(outcome.outcome ?? 'done', outcome);
    return answer;
  } catch (err) {
    if (isCancellation(err)) {
      await ended('stopped', { facts: {} });
      throw err;
    }
    const failure = failureText(err);
    const what = `${job.kind} of ${nameOf(job)} failed: ${failure}`;
    await ended('failed', { facts: {}, failure, findings: [{ severity: 'critical', what }] });
    throw asTold(err instanceof ActivityFailure ? ofActivity(err) : asFailure(err));
  }
}

function subjectOf({ kind, service, resource, vault }: Job): Pick<Job, 'kind' | 'service' | 'resource' | 'vault'> {
  return { kind, service, resource, vault };
}

export function nameOf({ service, resource, vault }: Pick<Job, 'service' | 'resource' | 'vault'>): string {
  return service === '' ? `vault ${vault}` : `${service}/${resource} in ${vault}`;
}

function describe(job: Job, phase: string): string {
  return `### ${job.kind} of ${nameOf(job)}\n\n**${phase}**, started by ${job.startedBy}`;
}

/** `CODE: message` of what is at the bottom of it. */
export function failureText(err: unknown): string {
  const cause = err instanceof ActivityFailure ? err.cause : err;
  if (cause instanceof ApplicationFailure) return `${cause.type ?? 'INTERNAL'}: ${cause.message}`;
  if (isNotTakenUp(cause)) return `STEP_TIMEOUT: ${notTakenUp}`;
  return `INTERNAL: ${cause instanceof Error ? cause.message : String(cause)}`;
}

const notTakenUp = `no agent of the site took it up within ${agentPatience}`;

function isNotTakenUp(cause: unknown): boolean {
  return cause instanceof TimeoutFailure && cause.timeoutType === 'SCHEDULE_TO_START';
}

function asTold({ type, message, details }: ApplicationFailure): ApplicationFailure {
  const told = [toldFailure, ...(details ?? [])];
  return ApplicationFailure.create({ type: type ?? 'INTERNAL', message, nonRetryable: true, details: told });
}

function ofActivity(err: ActivityFailure): ApplicationFailure {
  const { cause } = err;
  if (cause instanceof ApplicationFailure) return cause;
  return ApplicationFailure.create({
    type: 'STEP_TIMEOUT',
    message: isNotTakenUp(cause) ? notTakenUp : (cause?.message ?? err.message),
    nonRetryable: true,
  });
}

/** A bug in here fails the run with its message; it never leaves a stuck workflow task. */
function asFailure(err: unknown): ApplicationFailure {
  if (err instanceof ApplicationFailure) return err;
  const message = err instanceof Error ? err.message : String(err);
  return ApplicationFailure.create({ type: 'INTERNAL', message, nonRetryable: true });
}

type LedgerActivities = Record<'record protection', (batch: ProtectionBatch) => Promise<void>>;

function ledgerActivities(scheduleToCloseTimeout: number | null): LedgerActivities {
  return proxyActivities<LedgerActivities>({
    startToCloseTimeout: 10_000,
    ...(scheduleToCloseTimeout !== null && { scheduleToCloseTimeout }),
    retry: { initialInterval: 500, backoffCoefficient: 2, maximumInterval: 60_000 },
    summary: 'writes it down',
  });
}

async function record(batch: ProtectionBatch): Promise<void> {
  try {
    await ledgerActivities(patienceMs)['record protection'](batch);
  } catch {
    await startChild('recordProtectionLater', {
      args: [batch],
      workflowId: `record/${batch.run.id}`,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `writes ${batch.run.kind} of ${nameOf(batch.run)} to the ledger`,
    });
  }
}

/** Writes a record for as long as it takes: the ledger may be away for days. */
export async function recordProtectionLater(batch: ProtectionBatch): Promise<void> {
  await ledgerActivities(null)['record protection'](batch);
}
