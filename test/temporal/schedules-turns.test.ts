import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { Registry } from 'prom-client';
import { openGranter } from '../../activities/guard/granter-store.ts';
import { startAgentServer } from '../../activities/guard/server.ts';
import { parseEstate, type Estate } from '../../runbooks/estate.ts';
import { compileProtection } from '../../runbooks/protection.ts';
import type { FindingRow } from '../../worker/ledger/types.ts';
import { createLog } from '../../worker/log.ts';
import { answerRun, viewRun } from '../../worker/run-follow.ts';
import { controlQueue, startRun } from '../../worker/run-start.ts';
import { scheduleWatch, type ScheduleWatchOptions } from '../../worker/schedule-watch.ts';
import { compareSchedules } from '../../worker/schedules/apply.ts';
import { hasDrift } from '../../worker/schedules/diff.ts';
import { lastRunOf, type LastRun } from '../../worker/schedules/last-run.ts';
import { createScheduleMetrics } from '../../worker/schedules/metrics.ts';
import { readSchedule } from '../../worker/schedules/read.ts';
import type { PlanStep, RunKind } from '../../workflows/engine/plan.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { estateText } from '../support/estates.ts';
import { eventually } from '../support/eventually.ts';
import { inOrder, planOf, step } from '../support/plan.ts';
import { apply, backing, backupId, listed, removeAll, startWorld } from '../support/schedules.ts';
import { startTemporal, type TestTemporal } from '../support/temporal.ts';

let temporal: TestTemporal;
let client: Client;
before(async () => {
  temporal = await startTemporal();
  client = temporal.client;
});
beforeEach(() => removeAll(client));
after(() => temporal[Symbol.asyncDispose]());

const point = {
  id: 'vault/1',
  status: 'complete',
  problems: [],
  problemCount: 0,
  sizeBytes: 1,
  addedBytes: 1,
  files: 1,
};

async function ended(id: string, turns: number): Promise<LastRun> {
  let last: LastRun = { kind: 'none' };
  await eventually(`turn ${turns} of ${id} has ended`, async () => {
    const schedule = await readSchedule(client, id);
    last = await lastRunOf(client, schedule);
    return schedule.turns.taken >= turns && (last.kind === 'ended' || last.kind === 'failed');
  });
  return last;
}

test('a turn starts its workflow under its fixed id; while one runs it is left out, with a finding', async () => {
  const estate = backing();
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  let orders = 0;
  await using world = await startWorld(temporal, estate, async () => {
    if (orders++ === 0) return point;
    await held;
    return point;
  });
  await apply(client, estate);
  const handle = client.schedule.getHandle(backupId);
  await handle.trigger('SKIP');
  const first = await ended(backupId, 1);
  assert.equal(first.kind === 'ended' ? first.end : first.kind, 'done: complete');
  const [{ order } = { order: null }] = compileProtection(estate).backups;
  const byHand = await client.workflow.start('backup', {
    taskQueue: controlQueue,
    workflowId: backupId,
    args: [order],
  });
  await handle.trigger('SKIP');
  const second = await ended(backupId, 2);
  assert.equal(second.kind === 'ended' ? second.end : second.kind, 'skipped: already running');
  assert.deepEqual(
    world.findings.map(({ service, runId, severity }) => [service, runId, severity]),
    [['shop', `schedule/${backupId}`, 'warning']],
  );
  assert.match(
    world.findings[0]?.what ?? '',
    /left out, already running: backup\/shop\/orders\/vault is still running/,
  );
  release();
  await byHand.result();
});

test('a turn that failed is a finding of the work, one that Temporal left out one of the watch, each once, and figures', async () => {
  const estate = backing();
  let fail = (): void => {};
  const held = new Promise<void>((resolve) => (fail = resolve));
  await using world = await startWorld(temporal, estate, async () => {
    await held;
    throw ApplicationFailure.nonRetryable('the vault is full', 'TARGET_FULL');
  });
  await apply(client, estate);
  await listed(client, 3);
  const handle = client.schedule.getHandle(backupId);
  await handle.trigger('SKIP');
  await eventually('it runs', async () => (await readSchedule(client, backupId)).turns.running.length === 1);
  await handle.trigger('SKIP');
  await eventually('one is left out', async () => (await readSchedule(client, backupId)).turns.skipped === 1);
  fail();
  assert.equal((await ended(backupId, 1)).kind, 'failed');
  const { findings } = world;
  const registry = new Registry();
  const options = (): ScheduleWatchOptions => ({
    estate,
    ledger: {
      addFinding: async (finding) => void findings.push(finding),
      findingsOf: async (runId) => findings.filter((finding) => finding.runId === runId),
    },
    client: async () => client,
    metrics: createScheduleMetrics(registry),
    log: createLog('test', 'error'),
  });
  const look = scheduleWatch(options());
  await look(Date.now());
  await look(Date.now());
  registry.clear();
  // A worker that was started again remembers nothing itself.
  await scheduleWatch(options())(Date.now());
  assert.deepEqual(
    findings.map(({ severity, what }) => `${severity} ${what.replaceAll(/\d{4}-\S+Z/g, 'TIME')}`),
    [
      'critical backup of shop/orders in vault failed: TARGET_FULL: the vault is full',
      `warning ${backupId}: 1 turn was left out since TIME, because the one before was still running`,
    ],
  );
  const text = await registry.metrics();
  assert.match(text, /dr_schedule_last_turn_failed\{schedule="backup\/shop\/orders\/vault"\} 1/);
  assert.match(text, /dr_schedule_skipped_turns\{schedule="backup\/shop\/orders\/vault"\} 1/);
  assert.match(text, /dr_schedules_missing 0/);
  assert.doesNotMatch(text, /dr_schedule_last_turn_failed\{schedule="verify\/vault"\}/);
});

test('a schedule that the estate asks for and nobody has applied is a finding after ten minutes, once', async () => {
  const estate = backing({ restoreTest: undefined });
  await apply(client, estate);
  await listed(client, 2);
  await client.schedule.getHandle(backupId).delete();
  const findings: FindingRow[] = [];
  const registry = new Registry();
  const look = scheduleWatch({
    estate,
    ledger: { addFinding: async (finding) => void findings.push(finding), findingsOf: async () => [] },
    client: async () => client,
    metrics: createScheduleMetrics(registry),
    log: createLog('test', 'error'),
  });
  const nowMs = Date.now();
  for (const minutes of [0, 9]) await look(nowMs + minutes * 60_000);
  assert.deepEqual(findings, []);
  assert.match(await registry.metrics(), /dr_schedules_missing 1/);
  for (const minutes of [10, 11]) await look(nowMs + minutes * 60_000);
  assert.deepEqual(
    findings.map(({ what }) => what),
    [`${backupId}: the estate asks for it (6h) and Temporal does not have it: npx muster apply`],
  );
});

/** Service `shop` at home, as a control plane says it that listens at an address. */
function drilled(controlUrl: string): Estate {
  process.env['MUSTER_TEST_TOKEN'] = token;
  const text = estateText({ drills: [{ every: 'monthly', kind: 'isolated' }] })
    .replace('env:MUSTER_CONTROL_URL', controlUrl)
    .replace('env:MUSTER_AGENT_TOKEN', 'env:MUSTER_TEST_TOKEN');
  return parseEstate(text, 'muster.yaml', testCatalogue);
}
const token = 'a token of sixteen characters';
const drillId = 'drill/shop/isolated';

async function drillEnd(turns: number): Promise<string> {
  await client.schedule.getHandle(drillId).trigger('SKIP');
  const last = await ended(drillId, turns);
  return last.kind === 'ended' ? last.end : JSON.stringify(last);
}

test('a drill is held as the run of its service, and left out while another run is under way', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'muster-schedules-'));
  const granter = openGranter({
    stateFile: path.join(dir, 'granter.json'),
    site: null,
    services: { shop: { leaseMs: 1_000 } },
  });
  const server = await startAgentServer({ host: '127.0.0.1', port: 0, token, site: 'control', granter });
  const estate = drilled(server.url);
  await using world = await startWorld(temporal, estate, async () => point);
  await apply(client, estate);
  assert.equal(await drillEnd(1), 'done: completed');
  const { type, memo } = await client.workflow.getHandle('service/shop').describe();
  assert.deepEqual([type, memo?.['startedBy']], ['drill', 'schedule']);
  assert.equal(world.findings.length, 0);
  const waits = step('approve-it', {
    verb: 'approve',
    resource: '',
    gate: { question: 'go?', approvals: 1, approvers: [], preApprovedBy: null },
  });
  const run = await startRun(client, { kind: 'failover', plans: [planOf([waits])], startedBy: 'test', labels });
  assert.equal(await drillEnd(2), 'skipped: already running');
  assert.match(world.findings[0]?.what ?? '', /drill\/shop\/isolated was left out, already running: service\/shop/);
  await eventually('it asks', async () => (await viewRun(client, 'shop')).asks.length === 1);
  await answerRun(client, 'shop', { answer: 'approve', by: 'ana', why: 'test' });
  await run.result();
  await server.close();
  await rm(dir, { recursive: true });
});

test('a drill is left out, with a finding, when not everybody answers', async () => {
  const estate = drilled('http://127.0.0.1:9');
  await using world = await startWorld(temporal, estate, async () => point);
  await apply(client, estate);
  assert.equal(await drillEnd(1), 'skipped: no time for a drill');
  assert.match(world.findings[0]?.what ?? '', /was left out, no time for a drill: control does not answer/);
});

const labels = { estateHash: 'test', software: 'muster test', chainId: null, scenario: null };

async function move(kind: RunKind, to: 'hangzhou' | 'beijing', steps: PlanStep[]): Promise<string> {
  const from = to === 'beijing' ? 'hangzhou' : 'beijing';
  const plan = planOf(inOrder(steps), { kind, from, to, mode: kind === 'failover' ? 'ungraceful' : 'graceful' });
  const run = await startRun(client, { kind, plans: [plan], startedBy: 'test', labels });
  await run.result();
  return run.runId;
}

test('a failover pauses the drills of the site it leaves and takes the backup under way over; the failback takes all home', async () => {
  const estate = backing({}, { drills: [{ every: 'monthly', kind: 'isolated' }] });
  const writer = { site: 'hangzhou' };
  const read: string[] = [];
  await using _world = await startWorld(
    temporal,
    estate,
    async ({ site }) => {
      read.push(site);
      // The site that is lost does not answer for as long as anybody asks.
      if (read.length === 1) await untilCancelled();
      return point;
    },
    writer,
  );
  await apply(client, estate);
  await listed(client, 4);
  await client.schedule.getHandle(backupId).trigger('SKIP');
  await eventually('it reads', async () => read.length === 1);
  writer.site = 'beijing';
  const promote = step('promote-orders', { effect: 'irreversible', clock: 'promoted' });
  const runId = await move('failover', 'beijing', [step('check-orders'), promote]);
  await eventually('the drill is paused', async () => (await readSchedule(client, drillId)).paused);
  await eventually('the other site is backed up', async () => read.at(-1) === 'beijing');
  assert.deepEqual(read, ['hangzhou', 'beijing']);
  assert.equal((await readSchedule(client, backupId)).paused, false);
  assert.match(
    (await readSchedule(client, drillId)).note,
    new RegExp(`^paused by failover ${runId} of shop: hangzhou`),
  );
  // Vault and restore test are beijing's: what is there is still good.
  assert.equal((await readSchedule(client, 'verify/vault')).paused, false);
  assert.ok(!hasDrift(await compareSchedules(client, estate)));
  writer.site = 'hangzhou';
  const homeId = await move('failback', 'hangzhou', [step('check-orders'), promote]);
  await eventually('the drill goes on', async () => !(await readSchedule(client, drillId)).paused);
  await client.schedule.getHandle(backupId).trigger('SKIP');
  await eventually('home is backed up', async () => read.at(-1) === 'hangzhou');
  assert.equal((await readSchedule(client, drillId)).note, `taken up: shop is at hangzhou again (${homeId})`);
});

/** As an activity that hears of its cancellation with a heartbeat. */
async function untilCancelled(): Promise<void> {
  const activity = Context.current();
  const beat = setInterval(() => activity.heartbeat(), 500);
  try {
    await activity.cancelled;
  } finally {
    clearInterval(beat);
  }
}

test('a failover that did not happen takes up what it had paused', async () => {
  const estate = backing({}, { drills: [{ every: 'monthly', kind: 'isolated' }] });
  await using _world = await startWorld(temporal, estate, async () => point);
  await apply(client, estate);
  await listed(client, 4);
  const gone = step('fence-orders', { site: 'nowhere', attemptMs: 500, withinMs: 500, onFailure: 'abort' });
  const runId = await move('failover', 'beijing', [gone, step('promote-orders', { clock: 'promoted' })]);
  const taken = `taken up: ${runId} did not happen`;
  await eventually('it is taken up', async () => (await readSchedule(client, drillId)).note === taken);
  assert.equal((await readSchedule(client, drillId)).paused, false);
});
