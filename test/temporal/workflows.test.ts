import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { PlanStep } from '../../workflows/engine/plan.ts';
import { answerRun, orderRun, viewRun } from '../../worker/run-follow.ts';
import { startRun, type StartedRun } from '../../worker/run-start.ts';
import { done, fakeDriver } from '../support/fake-driver.ts';
import { inOrder, planOf, step } from '../support/plan.ts';
import { startTemporal, startTestWorker, type TestTemporal } from '../support/temporal.ts';

let temporal: TestTemporal;
before(async () => {
  temporal = await startTemporal();
});
after(() => temporal[Symbol.asyncDispose]());

const labels = { estateHash: 'test', software: 'muster test', chainId: null, scenario: null };
let services = 0;

function start(steps: PlanStep[], more: Parameters<typeof planOf>[1] = {}): Promise<StartedRun> {
  const plan = planOf(steps, { service: `shop-${++services}`, ...more });
  return startRun(temporal.client, { kind: plan.kind, plans: [plan], startedBy: 'test', labels });
}

const change = { effect: 'change' } as const;

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1_200; tries++) {
    if (await holds().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`never: ${what}`);
}

test('a run goes through its steps, records them in order and ends with its outcome', async () => {
  const { driver, calls } = fakeDriver();
  await using worker = await startTestWorker(temporal, driver);
  const run = await start(
    inOrder([
      step('check-orders'),
      step('fence-orders', change),
      step('promote-orders', { effect: 'irreversible', clock: 'promoted' }),
    ]),
  );
  const view = await run.result();
  assert.equal(view.outcome, 'unprotected');
  assert.deepEqual(calls, ['perform check-orders', 'perform fence-orders', 'perform promote-orders']);
  const records = worker.batches.flatMap((batch) => batch.records);
  assert.deepEqual(
    records.map((r) => r.seq),
    records.map((_, i) => i + 1),
  );
  assert.equal(worker.batches.at(-1)?.finished?.run.outcome, 'unprotected');
});

test('activities carry the names of their steps, and the run can be found by its search attributes', async () => {
  const { driver } = fakeDriver();
  await using _worker = await startTestWorker(temporal, driver);
  const run = await start([step('check-orders')]);
  await run.result();
  const history = await temporal.client.workflow.getHandle(run.workflowId, run.executionId).fetchHistory();
  const names = (history.events ?? []).flatMap((e) => e.activityTaskScheduledEventAttributes?.activityType?.name ?? []);
  assert.ok(names.includes('check orders'));
  const service = run.workflowId.replace('service/', '');
  await eventually('the run is listed', async () => {
    const { count } = await temporal.client.workflow.count(
      `DrService = '${service}' AND DrKind = 'failover' AND DrPhase = 'completed'`,
    );
    return count === 1;
  });
});

test('a second run of a service is refused with the id of the first', async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { driver } = fakeDriver({ check: async (...args) => (await held, done(...args)) });
  await using _worker = await startTestWorker(temporal, driver);
  const first = await start([step('check-orders')], { service: 'busy' });
  await assert.rejects(start([step('check-orders')], { service: 'busy' }), (err: unknown) => {
    assert.ok(err instanceof MusterError);
    assert.equal(err.code, 'RUN_ACTIVE');
    assert.match(err.message, new RegExp(first.runId));
    return true;
  });
  release();
  await first.result();
});

test('a plain Error of a changing verb is unknown: it is read back, and the run goes on', async () => {
  let first = true;
  const { driver, calls } = fakeDriver({
    fence: async (...args) => {
      if (first) {
        first = false;
        throw new TypeError('a bug');
      }
      return done(...args);
    },
  });
  await using _worker = await startTestWorker(temporal, driver);
  const view = await (await start([step('fence-orders', change)])).result();
  assert.equal(view.outcome, 'completed');
  assert.deepEqual(calls, ['perform fence-orders', 'confirm fence-orders']);
});

test('a plain Error inside the workflow fails the run with its message and never wedges a workflow task', async () => {
  const { driver } = fakeDriver();
  await using _worker = await startTestWorker(temporal, driver);
  const broken = { ...step('check-orders'), after: null } as unknown as PlanStep;
  const run = await start([broken]);
  await assert.rejects(run.result(), /Workflow execution failed/);
  const { status, historyLength } = await temporal.client.workflow
    .getHandle(run.workflowId, run.executionId)
    .describe();
  assert.equal(status.name, 'FAILED');
  assert.ok(historyLength < 10, 'no workflow task was tried over and over');
});

test('a step of a site whose agent is gone fails in time and says so', async () => {
  const { driver } = fakeDriver();
  await using _worker = await startTestWorker(temporal, driver);
  const gone = step('check-orders', { site: 'nowhere', attemptMs: 1_000, withinMs: 1_000, onFailure: 'abort' });
  const view = await (await start([gone])).result();
  assert.equal(view.outcome, 'failed');
  assert.match(view.reason ?? '', /no worker of nowhere/);
});

test('orders are refused at once with the reason, and leave no event in the history', async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { driver } = fakeDriver({ check: async (...args) => (await held, done(...args)) });
  await using _worker = await startTestWorker(temporal, driver);
  const run = await start([step('check-orders')]);
  const service = run.workflowId.replace('service/', '');
  await eventually('the run answers', async () => (await viewRun(temporal.client, service)).steps.length === 1);
  const refused = (why: RegExp) => (err: unknown) => {
    assert.ok(err instanceof MusterError);
    assert.equal(err.code, 'NOT_WAITING');
    assert.match(err.message, why);
    return true;
  };
  await assert.rejects(
    orderRun(temporal.client, service, 'resume', { by: 'ana', why: 'go' }),
    refused(/the run is running/),
  );
  await assert.rejects(orderRun(temporal.client, service, 'pause', { by: '', why: 'go' }), refused(/who you are/));
  await assert.rejects(
    answerRun(temporal.client, service, { answer: 'approve', by: 'ana', why: 'yes' }),
    refused(/asks nothing/),
  );
  const paused = await orderRun(temporal.client, service, 'pause', { by: 'ana', why: 'look first' });
  assert.equal(paused.status, 'paused');
  const resumed = await orderRun(temporal.client, service, 'resume', { by: 'ana', why: 'well' });
  assert.equal(resumed.status, 'running');
  release();
  await run.result();
  const { events } = await temporal.client.workflow.getHandle(run.workflowId, run.executionId).fetchHistory();
  const accepted = (events ?? []).filter((e) => Boolean(e.workflowExecutionUpdateAcceptedEventAttributes));
  assert.equal(accepted.length, 2);
});

test('a run asks a person, takes the answer of the named approver only, and goes on', async () => {
  const { driver } = fakeDriver();
  await using _worker = await startTestWorker(temporal, driver);
  const gate = { question: 'commit?', approvals: 1, approvers: ['ana'], preApprovedBy: null };
  const run = await start([step('approve-commit', { verb: 'approve', resource: '', gate })]);
  const service = run.workflowId.replace('service/', '');
  await eventually('the run asks', async () => (await viewRun(temporal.client, service)).asks.length === 1);
  await assert.rejects(
    answerRun(temporal.client, service, { answer: 'approve', by: 'bo', why: 'me too' }),
    /bo may not answer/,
  );
  await answerRun(temporal.client, service, { answer: 'approve', by: 'ana', why: 'all well' });
  assert.equal((await run.result()).outcome, 'completed');
});

test('an abort undoes what was done', async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { driver, calls } = fakeDriver({ check: async (...args) => (await held, done(...args)) });
  await using _worker = await startTestWorker(temporal, driver);
  const undo = { verb: 'unfence', args: {} } as const;
  const run = await start(inOrder([step('quiesce-entry', { ...change, undo }), step('check-orders')]));
  const service = run.workflowId.replace('service/', '');
  await eventually(
    'the second step is out',
    async () => calls.includes('perform check-orders') || (await Promise.resolve(false)),
  );
  await orderRun(temporal.client, service, 'abort', { by: 'ana', why: 'false alarm' });
  release();
  const view = await run.result();
  assert.equal(view.outcome, 'aborted');
  assert.equal(view.steps[0]?.status, 'undone');
});

test('cancelling the workflow in Temporal aborts the run the same way', async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { driver, calls } = fakeDriver({ check: async (...args) => (await held, done(...args)) });
  await using _worker = await startTestWorker(temporal, driver);
  const undo = { verb: 'unfence', args: {} } as const;
  const run = await start(inOrder([step('quiesce-entry', { ...change, undo }), step('check-orders')]));
  await eventually(
    'the second step is out',
    async () => calls.includes('perform check-orders') || (await Promise.resolve(false)),
  );
  await temporal.client.workflow.getHandle(run.workflowId, run.executionId).cancel();
  release();
  assert.equal((await run.result()).outcome, 'aborted');
});

test('recovery does not wait for a dead ledger, and nothing is lost when it comes back', async () => {
  let ledgerUp = false;
  const { driver } = fakeDriver();
  await using worker = await startTestWorker(temporal, driver, async () => {
    if (!ledgerUp) throw new MusterError('LEDGER_UNREACHABLE', 'down for the test');
  });
  const view = await (await start([step('check-orders')])).result();
  assert.equal(view.outcome, 'completed');
  assert.ok(view.unrecorded > 0);
  ledgerUp = true;
  await temporal.client.workflow.getHandle(`record/${view.runId}`).result();
  const records = worker.batches.flatMap((batch) => batch.records);
  assert.deepEqual(new Set(records.map((r) => r.seq)).size, view.unrecorded);
  assert.ok(worker.batches.some((batch) => batch.finished !== null));
});

test('a worker that dies in the middle of a step is not the end: another reads back and goes on', async () => {
  let hang = true;
  const { driver, calls } = fakeDriver({
    promote: async (input, context) => {
      if (!hang) return done(input, context);
      return new Promise((_, reject) =>
        context.signal.addEventListener('abort', () => reject(new Error('worker gone'))),
      );
    },
  });
  const steps = inOrder([
    step('fence-orders', change),
    step('promote-orders', { effect: 'irreversible', clock: 'promoted', attemptMs: 3_000 }),
  ]);
  const first = await startTestWorker(temporal, driver);
  const run = await start(steps);
  await eventually(
    'the promotion is out',
    async () => calls.includes('perform promote-orders') || (await Promise.resolve(false)),
  );
  await first[Symbol.asyncDispose]();
  hang = false;
  await using _second = await startTestWorker(temporal, driver);
  const view = await run.result();
  assert.equal(view.outcome, 'unprotected');
  assert.deepEqual(calls.slice(1), ['perform promote-orders', 'confirm promote-orders']);
});
