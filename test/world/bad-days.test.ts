/** Bad days in one world: a dead standby, a drill, a disaster that a person declares with too much to lose. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { Client } from '@temporalio/client';
import { driverCatalogue } from '../../activities/drivers/index.ts';
import { loadEstate, serviceOf, type Estate } from '../../runbooks/estate.ts';
import { startWorld, type World } from '../../sandbox/world.ts';
import { controlAddress } from '../../worker/addresses.ts';
import { planRun, type PlanRequest } from '../../worker/planner.ts';
import { answerRun, viewRun } from '../../worker/run-follow.ts';
import { activeRun, startRun, type StartedRun } from '../../worker/run-start.ts';
import { readServiceState } from '../../worker/service-state.ts';
import { connectClient } from '../../worker/temporal.ts';
import { clocksOf, readWatch } from '../../worker/watch-state.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { eventually } from '../support/eventually.ts';
import { worldHome } from '../support/world-home.ts';
import { untilReady } from '../support/world-ready.ts';

const labels = { estateHash: 'test', software: 'muster test', chainId: null, scenario: null };
let home: string;
let world: World;
let client: Client;
let estate: Estate;

before(async () => {
  home = await worldHome('muster-bad-');
  const editEstate = (yaml: string): string => yaml.replace('rpoSeconds: 5', 'rpoSeconds: 2');
  world = await startWorld({ dir: home, ask: true, editEstate, parts: { storage: false } });
  Object.assign(process.env, world.env.control);
  estate = loadEstate(world.estate, driverCatalogue);
  client = await connectClient({ address: world.env.control['TEMPORAL_ADDRESS'] ?? '', namespace: 'default' });
  await untilReady(world);
});
after(async () => {
  await client?.connection.close();
  await world?.stop();
  await rm(home, { recursive: true, force: true });
});

async function start(request: PlanRequest): Promise<StartedRun> {
  const service = serviceOf(estate, 'shop');
  const plans = planRun(estate, service, await readServiceState(estate, service), request);
  const clocks =
    request.mode === 'ungraceful' ? clocksOf(await readWatch(controlAddress(estate), 'shop'), Date.now()) : {};
  return startRun(client, { kind: request.kind, plans, startedBy: 'ana', labels, clocks });
}

async function servedAt(site: string): Promise<void> {
  const { acked } = await world.clients.stats();
  await eventually(`clients are served at ${site}`, async () => {
    const [stats, entry] = await Promise.all([world.clients.stats(), world.entry.state()]);
    return entry.route === site && entry.mode === 'open' && stats.acked > acked + 20;
  });
}

test('an isolated drill promotes a copy, touches nobody and leaves nothing', async () => {
  const before = await world.entry.state();
  const view = await (await start({ kind: 'drill' })).result();
  assert.equal(view.outcome, 'completed');
  assert.equal(view.steps.at(-1)?.status, 'done');
  const after = await world.entry.state();
  assert.deepEqual([after.route, after.epoch], [before.route, before.epoch]);
  await servedAt('hangzhou');
});

test('a failover to a dead standby is refused before anything is changed', async () => {
  await world.killSite('beijing');
  const view = await (await start({ kind: 'failover', mode: 'ungraceful' })).result();
  assert.equal(view.outcome, 'failed');
  assert.match(view.reason ?? '', /beijing/);
  const touched = view.steps.filter((step) => step.status !== 'pending' && !step.id.startsWith('check-'));
  assert.deepEqual(touched, []);
  assert.equal((await readServiceState(estate, serviceOf(estate, 'shop'))).holder, 'hangzhou');
  await world.bootSite('beijing');
  await servedAt('hangzhou');
});

test('a disaster waits for a person, who must accept by name what is over the RPO; a second order is refused', async () => {
  await eventually('beijing follows again and sees hangzhou', async () => {
    const { answers } = await readServiceState(estate, serviceOf(estate, 'shop'));
    return (
      answers['beijing']?.guards[0]?.state === 'standby' &&
      answers['beijing'].vantage.some((v) => v.site === 'hangzhou' && v.up)
    );
  });
  world.links.set('replication', { kind: 'black-hole' });
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  await world.killSite('hangzhou');
  await eventually(
    'the watch holds and does not declare',
    async () => (await readWatch(controlAddress(estate), 'shop'))?.verdict.kind === 'blocked',
  );
  assert.equal(await activeRun(client, 'shop'), null);

  const run = await start({ kind: 'failover', mode: 'ungraceful' });
  await eventually('the run asks', async () => (await viewRun(client, 'shop')).asks.length > 0);
  const [ask] = (await viewRun(client, 'shop')).asks;
  assert.match(ask?.question ?? '', /over the RPO of 2 s/);
  const refused = await start({ kind: 'failover', mode: 'ungraceful' }).catch((err: unknown) => err);
  assert.ok(refused instanceof MusterError && refused.code === 'RUN_ACTIVE' && refused.message.includes(run.runId));

  await answerRun(client, 'shop', { answer: 'approve', by: 'ana', why: 'the business accepts it' });
  await eventually('the frozen loss is put before a person too', async () => {
    const view = await viewRun(client, 'shop');
    if (view.asks.some((a) => a.stepId === 'observe-orders'))
      await answerRun(client, 'shop', { answer: 'approve', by: 'ana', why: 'still' });
    return view.steps.some((step) => step.id === 'observe-orders' && step.status === 'done');
  });
  const view = await run.result();
  assert.equal(view.outcome, 'unprotected');
  assert.ok(view.waitedForPeopleMs > 0);
  assert.deepEqual(
    view.steps.find((step) => step.id === 'check-orders')?.approvals.map((a) => a.by),
    ['ana'],
  );
  await servedAt('beijing');
});
