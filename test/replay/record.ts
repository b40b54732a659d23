/**
 * `node scripts/run.mjs test/replay/record.ts NAME...`: plays runs on a real Temporal server and keeps their histories as
 * fixtures. Add new ones when workflows change; never record over an old one, or it guards nothing any more.
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { compile } from '../../runbooks/compile.ts';
import { parseEstate } from '../../runbooks/estate.ts';
import { orderRun, answerRun, viewRun } from '../../worker/run-follow.ts';
import { startRun } from '../../worker/run-start.ts';
import type { Mode, Plan, RunKind } from '../../workflows/engine/plan.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { eventually } from '../support/eventually.ts';
import { done, fakeDriver, type Behaviour } from '../support/fake-driver.ts';
import { startTemporal, startTestWorker } from '../support/temporal.ts';

const estate = parseEstate(
  `version: 1
control: { url: env:C, token: env:T }
sites: { a: { region: ra, agent: env:A }, b: { region: rb, agent: env:B } }
services:
  shop:
    primary: a
    standby: b
    objectives: { rpoSeconds: 5, rtoSeconds: 120 }
    policy: { leaseSeconds: 2 }
    resources:
      orders: { driver: postgres, tables: [orders], a: { url: env:UA, replicationUrl: env:RA, dataDir: /a }, b: { url: env:UB, replicationUrl: env:RB, dataDir: /b } }
      entry: { driver: proxy, after: [orders], admin: env:ADMIN, token: env:T, a: { upstream: env:SA }, b: { upstream: env:SB } }
`,
  'replay.yaml',
  testCatalogue,
);

/** A real plan whose steps are all performed by the one fake driver of the control plane. */
function planFor(kind: RunKind, mode: Mode): Plan {
  const plan = compile({ estate, service: 'shop', kind, mode, epoch: 2, catalogue: testCatalogue });
  const resources = plan.resources.map((r) => ({ ...r, driver: 'fake' }));
  return { ...plan, resources, steps: plan.steps.map((step) => ({ ...step, site: null })) };
}

const loses =
  (seconds: number): Behaviour =>
  async () => ({
    status: 'done',
    evidence: {},
    measurements: [
      { name: 'rpoSeconds', resource: 'orders', value: seconds, unit: 's', method: 'canary', confidence: 'measured' },
    ],
  });
const lostOnce = (): Behaviour => {
  let first = true;
  return async (...args) => {
    if (!first) return done(...args);
    first = false;
    throw new Error('the connection broke');
  };
};

interface Case {
  name: string;
  kind: RunKind;
  mode: Mode;
  driver: ReturnType<typeof fakeDriver>;
  meanwhile?: (service: string) => Promise<void>;
}

/** A fixture knows no machine: no place of the checkout, no host. */
function anonymous(history: string): string {
  const root = path.join(import.meta.dirname, '..', '..');
  return history.replaceAll(root, '/app').replaceAll(/\d+@[\w.-]+/g, '1@test');
}

const temporal = await startTemporal();
const { client } = temporal;
const cases: Case[] = [
  {
    name: 'failover-unprotected',
    kind: 'failover',
    mode: 'ungraceful',
    driver: fakeDriver({ check: loses(1), observe: loses(1) }),
  },
  {
    name: 'failover-unknown-promotion',
    kind: 'failover',
    mode: 'ungraceful',
    driver: fakeDriver({ check: loses(1), observe: loses(1), promote: lostOnce() }),
  },
  {
    name: 'failover-loss-accepted',
    kind: 'failover',
    mode: 'ungraceful',
    driver: fakeDriver({ check: loses(60), observe: loses(1) }),
    meanwhile: async (service) => {
      await eventually('it asks', async () => (await viewRun(client, service)).asks.length > 0);
      await answerRun(client, service, { answer: 'approve', by: 'ana', why: 'the business accepts it' });
    },
  },
  {
    name: 'failover-aborted',
    kind: 'failover',
    mode: 'graceful',
    driver: fakeDriver({
      quiesce: async (...args) => (await new Promise((resolve) => setTimeout(resolve, 1_500)), done(...args)),
    }),
    meanwhile: async (service) => {
      await eventually('it quiesces', async () =>
        (await viewRun(client, service)).steps.some((s) => s.id === 'quiesce-entry' && s.status === 'performing'),
      );
      await orderRun(client, service, 'abort', { by: 'ana', why: 'a false alarm' });
    },
  },
  { name: 'failback-protected', kind: 'failback', mode: 'graceful', driver: fakeDriver() },
  { name: 'reprotect-protected', kind: 'reprotect', mode: 'graceful', driver: fakeDriver() },
  { name: 'drill-isolated-completed', kind: 'drill', mode: 'graceful', driver: fakeDriver() },
];

for (const { name, kind, mode, driver, meanwhile } of cases) {
  const file = path.join(import.meta.dirname, 'histories', `${name}.json`);
  if (existsSync(file)) continue;
  await using _worker = await startTestWorker(temporal, driver.driver);
  const run = await startRun(client, {
    kind,
    plans: [planFor(kind, mode)],
    startedBy: 'record',
    labels: { estateHash: 'replay', software: 'muster', chainId: null, scenario: null },
  });
  await meanwhile?.('shop');
  const view = await run.result();
  const history = await client.workflow.getHandle(run.workflowId, run.executionId).fetchHistory();
  await writeFile(file, anonymous(historyToJSON(history)));
  process.stdout.write(`${name}: ${view.outcome}\n`);
}
await temporal[Symbol.asyncDispose]();
