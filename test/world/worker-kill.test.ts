/** The worker is killed in the middle of a step, for real, and started again: the run must end right, and lose nothing. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { Client } from '@temporalio/client';
import { driverCatalogue } from '../../activities/drivers/index.ts';
import { loadEstate, serviceOf, type Estate } from '../../runbooks/estate.ts';
import { startWorker } from '../../sandbox/world/programs.ts';
import { startWorld, type World } from '../../sandbox/world.ts';
import { planRun } from '../../worker/planner.ts';
import { viewRun } from '../../worker/run-follow.ts';
import { startRun } from '../../worker/run-start.ts';
import { readServiceState } from '../../worker/service-state.ts';
import { connectClient } from '../../worker/temporal.ts';
import type { RunKind } from '../../workflows/engine/plan.ts';
import { leftOut } from '../support/long.ts';
import { eventually } from '../support/eventually.ts';
import { reckonPresent } from '../support/present.ts';
import { worldHome } from '../support/world-home.ts';
import { untilLossIsKnown, untilReady } from '../support/world-ready.ts';

const labels = { estateHash: 'test', software: 'muster test', chainId: null, scenario: null };
let home: string;
let world: World;
let client: Client;
let estate: Estate;

before(async () => {
  home = await worldHome('muster-kill-');
  world = await startWorld({ dir: home, parts: { storage: false } });
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

/** Moves the service and kills the worker while the step is out. */
async function moveAndKill(kind: RunKind, stepId: string): Promise<void> {
  const service = serviceOf(estate, 'shop');
  const state = await readServiceState(estate, service);
  await untilLossIsKnown(world, state.holder === 'beijing' ? 'beijing' : 'hangzhou');
  const plans = planRun(estate, service, state, { kind, mode: 'graceful' });
  const run = await startRun(client, { kind, plans, startedBy: 'test', labels });
  await eventually(`${stepId} is out`, async () => {
    const step = (await viewRun(client, 'shop', run.executionId)).steps.find((s) => s.id === stepId);
    return step !== undefined && step.status !== 'pending';
  });
  world.processes.signal('worker', 'SIGKILL');
  await eventually('the worker is gone', () => !world.processes.list().some((p) => p.name === 'worker'));
  await startWorker({ processes: world.processes, env: world.env });
  const view = await run.result();
  assert.equal(view.outcome, 'protected', view.reason ?? '');
  const now = await readServiceState(estate, service);
  assert.equal(now.holder, plans[0]?.to);
  await eventually('clients are served at the new site', async () => {
    const { route, stats } = await world.entry.state();
    return route === plans[0]?.to && (stats[route]?.writesOkSinceRoute ?? 0) > 20;
  });
}

test('killed at fence-orders of a failover: the restarted worker ends the run right', () =>
  moveAndKill('failover', 'fence-orders'));

test(
  'killed at promote-orders of a failback: the restarted worker ends the run right (long)',
  { skip: leftOut },
  async () => {
    const { holder } = await readServiceState(estate, serviceOf(estate, 'shop'));
    // By itself this test finds the service at home.
    if (holder === 'hangzhou') await moveAndKill('failover', 'fence-orders');
    await moveAndKill('failback', 'promote-orders');
  },
);

test('killed at route-entry of a failover: the restarted worker ends the run right (long)', { skip: leftOut }, () =>
  moveAndKill('failover', 'route-entry'),
);

// In a long run it is about the long ones as well.
test(`after killed workers every acknowledged order is there${leftOut === false ? ' (long)' : ''}`, async () => {
  await world.clients.stop();
  const { holder } = await readServiceState(estate, serviceOf(estate, 'shop'));
  assert.deepEqual(
    await reckonPresent(world.clients.truthFile, world.adminUrl(holder === 'beijing' ? 'beijing' : 'hangzhou')),
    [],
  );
});
