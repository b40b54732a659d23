import { genesisHash, linkRecords, sealHash, verifyChainExport, type LedgerRecord } from '../../worker/ledger/chain.ts';
import type { RunRow } from '../../worker/ledger/types.ts';
import type { ReportRunInput } from '../../console/report/input.ts';
import { advance, newRun } from '../../workflows/engine/advance.ts';
import type { Plan } from '../../workflows/engine/plan.ts';
import type { Command, Run, RunEvent, StepResult } from '../../workflows/engine/run.ts';

/** What the world answers to one order, and how long it takes. */
export type Answer = { afterMs: number } & (
  | ({ kind: 'done' } & Partial<StepResult>)
  | { kind: 'failed'; message: string; retryable?: boolean }
  | { kind: 'not-yet'; why: string }
);

export interface Play {
  runId: string;
  plan: Plan;
  startAtMs: number;
  clocks?: Run['clocks'];
  scenario?: string | null;
  chainId?: string | null;
  /** Answer to the n-th perform (from 1) of a step; steps without one are done after 20 ms. */
  world?: Record<string, (attempt: number, verb: string) => Answer>;
  /** Who answers a question, and how long it takes; a question without one stays open. */
  people?: Record<string, { afterMs: number; by: string; why: string; answer?: 'approve' | 'decline' }>;
  /** Orders of operators at moments after the start. */
  orders?: (Omit<Extract<RunEvent, { kind: 'operator' }>, 'atMs' | 'kind'> & { afterMs: number })[];
}

/** Plays a plan on the real engine and leaves what the ledger would hold of it. */
export function play(script: Play): ReportRunInput {
  const { runId, plan, startAtMs } = script;
  let run = newRun(runId, plan);
  const records: LedgerRecord[] = [];
  const queue: RunEvent[] = [{ kind: 'started', atMs: startAtMs, clocks: script.clocks ?? {} }];
  for (const { afterMs, ...order } of script.orders ?? [])
    queue.push({ kind: 'operator', atMs: startAtMs + afterMs, ...order });
  while (queue.length > 0 && run.status !== 'finished') {
    queue.sort((a, b) => a.atMs - b.atMs);
    const event = queue.shift() as RunEvent;
    const turn = advance(run, event);
    run = turn.run;
    for (const command of turn.commands) {
      if (command.kind === 'record') records.push(command);
      const answer = answerTo(script, command, event.atMs);
      if (answer !== null) queue.push(answer);
    }
  }
  return asLedgerRows(script, run, records);
}

function answerTo(script: Play, command: Command, atMs: number): RunEvent | null {
  if (command.kind === 'set-timer')
    return { kind: 'timer', timerId: command.timerId, atMs: atMs + Math.max(1, command.afterMs) };
  if (command.kind === 'ask') {
    const person = script.people?.[command.stepId];
    if (person === undefined) return null;
    const { afterMs, by, why, answer = 'approve' } = person;
    return { kind: 'answer', stepId: command.stepId, answer, by, why, atMs: atMs + afterMs };
  }
  if (command.kind !== 'perform' && command.kind !== 'confirm') return null;
  const { stepId, attempt } = command;
  const answer = script.world?.[stepId]?.(attempt, command.verb) ?? { kind: 'done', afterMs: 20 };
  const when = { stepId, atMs: atMs + answer.afterMs };
  if (answer.kind === 'failed')
    return {
      kind: 'step-failed',
      ...when,
      failure: { code: 'REJOIN_FAILED', message: answer.message, retryable: answer.retryable ?? true },
    };
  const { evidence = {}, measurements = [] } = answer.kind === 'done' ? answer : {};
  if (command.kind === 'confirm')
    return { kind: 'step-confirmed', ...when, verdict: 'done', result: { evidence, measurements } };
  if (answer.kind === 'not-yet') return { kind: 'step-not-yet', ...when, why: answer.why };
  return { kind: 'step-done', ...when, result: { evidence, measurements } };
}

const estateHash = '5f0c2b9d7a1e4c38b6d2f19a0c7e85d4431f6b2a9e8d7c6b5a4f3e2d1c0b9a87';

function asLedgerRows(
  { runId, plan, startAtMs, scenario = null, chainId = null }: Play,
  run: Run,
  records: LedgerRecord[],
): ReportRunInput {
  const events = linkRecords(runId, { seq: 0, hash: genesisHash(runId, plan, estateHash) }, records.map(withoutKind));
  const last = events[events.length - 1];
  const head = { seq: last?.seq ?? 0, hash: last?.hash ?? genesisHash(runId, plan, estateHash) };
  const { plan: _plan, ...state } = run;
  const ended = run.status === 'finished';
  const final = ended ? state : null;
  const seal = final === null ? null : sealHash(head.hash, final);
  const row: RunRow = {
    runId,
    chainId,
    scenario,
    service: plan.service,
    kind: plan.kind,
    planHash: plan.hash,
    estateHash,
    software: 'muster 0.1.0',
    openedAtMs: startAtMs,
    head,
    outcome: run.outcome,
    finishedAtMs: ended ? (last?.atMs ?? null) : null,
    plan,
    final,
    sealHash: seal,
  };
  const chain = verifyChainExport({ version: 1, runId, plan, estateHash, events, head, final, sealHash: seal });
  const none = { measurements: [], approvals: [], findings: [], conflictSets: [], writeGap: null, truth: null };
  return { run: row, events, chain, ...none };
}

function withoutKind({ seq, atMs, what, stepId, data }: LedgerRecord): LedgerRecord {
  return { seq, atMs, what, stepId, data };
}
