/** A drill must not hold a service against a real failover. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { Plan, PlanStep } from '../../workflows/engine/plan.ts';
import type { LedgerBatch, RunView } from '../../workflows/io.ts';
import { startOverDrill, type PreemptOptions } from '../../worker/preempt-drill.ts';
import { viewRun } from '../../worker/run-follow.ts';
import { startRun, type StartedRun } from '../../worker/run-start.ts';
import { eventually } from '../support/eventually.ts';
import { done, fakeDriver, type Behaviour } from '../support/fake-driver.ts';
import { inOrder, planOf, step } from '../support/plan.ts';
import { startTemporal, startTestWorker, type TestTemporal } from '../support/temporal.ts';

let temporal: TestTemporal;
before(async () => {
  temporal = await startTemporal();
});
after(() => temporal[Symbol.asyncDispose]());

const labels = { estateHash: 'test', software: 'muster test', chainId: null, scenario: null };
const why = { by: 'ana', why: 'the site is lost' };

function startDrill(plans: Plan[]): Promise<StartedRun> {
  return startRun(temporal.client, { kind: 'drill', plans, startedBy: 'test', labels });
}

/** A drill of a copy: restored, looked at until a person has answered, and removed whatever happens. */
function isolated(service: string, look: Partial<PlanStep>): Plan {
  const remove = step('restore-orders-remove', { effect: 'change', always: true });
  const steps = inOrder([step('restore-orders', { effect: 'change' }), step('verify-orders', look), remove]);
  return planOf(steps, { service, kind: 'drill', mode: 'graceful', drill: true });
}

function failOver(service: string, options: Partial<PreemptOptions> = {}): Promise<StartedRun> {
  const plan = planOf([step('check-orders')], { service });
  return startOverDrill(temporal.client, service, { ...why, ...options }, (findings) =>
    startRun(temporal.client, { kind: 'failover', plans: [plan], startedBy: 'test', labels, findings }),
  );
}

const at = async (service: string, id: string): Promise<string | undefined> =>
  (await viewRun(temporal.client, service)).steps.find((one) => one.id === id)?.status;

function findingsOf(batches: readonly LedgerBatch[], runId: string): string[] {
  const records = batches.flatMap((batch) => (batch.runId === runId ? batch.records : []));
  return records.filter(({ what }) => what === 'finding').map(({ data }) => JSON.stringify(data['text']));
}

const held: Partial<PlanStep> = {
  verb: 'approve',
  gate: { question: 'well?', approvals: 1, approvers: [], preApprovedBy: null },
};

test('a failover that is ordered ends a drill, which cleans up first, and both runs say so', async () => {
  const { driver, calls } = fakeDriver();
  await using worker = await startTestWorker(temporal, driver);
  const drill = await startDrill([isolated('drilled', held)]);
  await eventually('it waits', async () => (await at('drilled', 'verify-orders')) === 'asking');
  const run = await failOver('drilled', { onlyIsolated: true });
  const view = await run.result();
  assert.equal(view.outcome, 'completed');
  assert.deepEqual(calls, ['perform restore-orders', 'perform restore-orders-remove', 'perform check-orders']);
  const ended: RunView = await drill.result();
  assert.deepEqual([ended.outcome, ended.reason], ['aborted', 'by ana: the site is lost']);
  const orders = worker.batches
    .flatMap((batch) => (batch.runId === drill.runId ? batch.records : []))
    .filter(({ what }) => what === 'operator');
  assert.deepEqual(
    orders.map(({ data }) => [data['op'], data['by'], data['why']]),
    [['abort', 'ana', 'the site is lost']],
  );
  const [finding] = findingsOf(worker.batches, run.runId);
  assert.match(finding ?? '', new RegExp(`^"drill ${drill.runId} gave way: it was ended and had cleaned up after `));
});

test('a drill that does not clean up in time is abandoned, and the failover goes on and says so', async () => {
  const hangs: Behaviour = (_, { signal }) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('ended'))));
  const { driver } = fakeDriver({ verify: hangs });
  await using worker = await startTestWorker(temporal, driver);
  const drill = await startDrill([isolated('hung', { attemptMs: 60_000, withinMs: 60_000 })]);
  await eventually('it hangs', async () => (await at('hung', 'verify-orders')) === 'performing');
  const run = await failOver('hung', { withinMs: 500 });
  assert.equal((await run.result()).outcome, 'completed');
  await assert.rejects(drill.result());
  assert.match(findingsOf(worker.batches, run.runId)[0] ?? '', /^"drill drill-hung-\S+ was abandoned after /);
});

test('a live drill is not ended by what the watch sees; ordered by a person, it comes to the end of its move and goes no further', async () => {
  let release = (): void => {};
  const promoting = new Promise<void>((resolve) => (release = resolve));
  const { driver, calls } = fakeDriver({ promote: async (...args) => (await promoting, done(...args)) });
  await using worker = await startTestWorker(temporal, driver);
  const move = { service: 'live', drill: true, mode: 'graceful' } as const;
  const promote = step('promote-orders', { effect: 'irreversible', clock: 'promoted', attemptMs: 60_000 });
  const there = planOf(inOrder([step('check-orders'), promote]), { ...move, kind: 'failover' });
  const back = planOf([step('check-entry')], { ...move, kind: 'failback', from: 'beijing', to: 'hangzhou', epoch: 3 });
  const drill = await startDrill([there, back]);
  await eventually('it promotes', async () => (await at('live', 'promote-orders')) === 'performing');
  await assert.rejects(
    failOver('live', { onlyIsolated: true }),
    (err) => err instanceof MusterError && err.code === 'RUN_ACTIVE' && err.message.includes(drill.runId),
  );
  const real = failOver('live');
  await eventually('it was told', async () => {
    const { events } = await temporal.client.workflow.getHandle(drill.workflowId, drill.executionId).fetchHistory();
    return (events ?? []).some((event) => Boolean(event.workflowExecutionSignaledEventAttributes));
  });
  release();
  const run = await real;
  await run.result();
  assert.ok(!calls.includes('perform check-entry'), calls.join());
  assert.match(findingsOf(worker.batches, run.runId)[0] ?? '', /gave way/);
});
