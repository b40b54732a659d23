/** A run that is ended from outside leaves nobody to write down its end: whoever comes next does. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sealLeftRuns } from '../../worker/left-runs.ts';
import { createLog } from '../../worker/log.ts';
import { openLedger, type Ledger } from '../../worker/ledger/ledger.ts';
import { recordBatch } from '../../worker/record.ts';
import { startRun, type StartedRun } from '../../worker/run-start.ts';
import { viewRun } from '../../worker/run-follow.ts';
import { eventually } from '../support/eventually.ts';
import { fakeDriver, type Behaviour } from '../support/fake-driver.ts';
import { startLedgerPostgres, type LedgerPostgres } from '../support/ledger-postgres.ts';
import { inOrder, planOf, step } from '../support/plan.ts';
import { startTemporal, startTestWorker, type TestTemporal, type TestWorker } from '../support/temporal.ts';

let temporal: TestTemporal;
let postgres: LedgerPostgres;
let ledger: Ledger;

before(async () => {
  [temporal, postgres] = await Promise.all([startTemporal(), startLedgerPostgres()]);
  ledger = openLedger(await postgres.newDatabase());
  await ledger.migrate();
});
after(async () => {
  await ledger.close();
  await postgres.stop();
  await temporal[Symbol.asyncDispose]();
});

const hangs: Behaviour = (_, { signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('ended'))));
const labels = { estateHash: 'test', software: 'muster test', chainId: null, scenario: null };

function startWorker(): Promise<TestWorker> {
  const { driver } = fakeDriver({ verify: hangs });
  return startTestWorker(temporal, driver, (batch) => recordBatch(ledger, batch));
}

async function hung(service: string): Promise<StartedRun> {
  const steps = inOrder([
    step('restore-orders', { effect: 'change' }),
    step('verify-orders', { attemptMs: 60_000, withinMs: 60_000 }),
    step('restore-orders-remove', { effect: 'change', always: true }),
  ]);
  const plan = planOf(steps, { service, kind: 'drill', mode: 'graceful', drill: true });
  const run = await startRun(temporal.client, { kind: 'drill', plans: [plan], startedBy: 'test', labels });
  await eventually(`${service} hangs`, async () => {
    const { steps: now } = await viewRun(temporal.client, service);
    return now.find(({ id }) => id === 'verify-orders')?.status === 'performing';
  });
  return run;
}

const seal = (): Promise<string[]> =>
  sealLeftRuns({ client: () => Promise.resolve(temporal.client), ledger, log: createLog('test', 'fatal') });

test('runs whose workflows were terminated are sealed with their last state; one that goes on is left alone', async () => {
  const runs = await (async () => {
    await using _worker = await startWorker();
    const [ended, going] = [await hung('ended'), await hung('going')];
    await eventually('the ledger has both', async () => (await ledger.listRuns({ unsealed: true })).length === 2);
    await temporal.client.workflow.getHandle(ended.workflowId).terminate('a test');
    return { ended, going };
  })();
  // Another worker than the one that carried them out.
  await using _next = await startWorker();
  await eventually('it is sealed', async () => (await seal()).includes(runs.ended.runId));
  const row = await ledger.getRun(runs.ended.runId);
  assert.deepEqual([row.outcome, row.final?.status], ['aborted', 'finished']);
  assert.match(row.final?.reason ?? '', /^abandoned: its workflow was ended from outside \(terminated\)/);
  const statuses = ['restore-orders', 'verify-orders', 'restore-orders-remove'].map(
    (id) => row.final?.steps[id]?.status,
  );
  assert.deepEqual(statuses, ['done', 'performing', 'pending']);
  const chain = await ledger.verifyChain(runs.ended.runId);
  assert.deepEqual([chain.ok, chain.ok && chain.sealed], [true, true]);
  assert.deepEqual(await seal(), []);
  const open = await ledger.listRuns({ unsealed: true });
  assert.deepEqual(
    open.map(({ runId }) => runId),
    [runs.going.runId],
  );
  const findings = await ledger.findingsOf(runs.ended.runId);
  assert.match(findings[0]?.what ?? '', /^abandoned: /);
});
