/** The bucket driver and the guard's hand on a cluster, against two real clusters of four nodes each. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { settles } from '../support/settles.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { objectCall, readSite, setSite } from '../../activities/drivers/bucket/cluster.ts';
import { bucketSite } from '../../activities/drivers/bucket/config.ts';
import { createBucketDriver } from '../../activities/drivers/bucket/driver.ts';
import { guardedBucket } from '../../activities/drivers/bucket/guarded.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../activities/driver.ts';
import type { GuardedDatabase } from '../../activities/guard/database.ts';
import type { JsonObject, Mode, PlanResource, RunKind, Verb } from '../../workflows/engine/plan.ts';
import { account, signal, startCluster, type TestCluster } from '../storage/support/dev-cluster.ts';
import { FakeAgent } from './fake-agent.ts';

const leaseMs = 1_000;
const limit = { timeoutMs: 5_000 };
const names = ['hangzhou', 'beijing'] as const;
type SiteName = (typeof names)[number];

let clusters: Record<SiteName, TestCluster>;
let resource: PlanResource;
let guards: Record<SiteName, GuardedDatabase>;
let epoch = 1;

before(async () => {
  const [hangzhou, beijing] = [await startCluster(), await startCluster()];
  clusters = { hangzhou, beijing };
  process.env['TEST_RECEIPTS_USER'] = account.user;
  process.env['TEST_RECEIPTS_PASSWORD'] = account.password;
  const keys = { accessKey: 'env:TEST_RECEIPTS_USER', secretKey: 'env:TEST_RECEIPTS_PASSWORD' };
  const siteOf = (one: TestCluster): JsonObject => ({ endpoints: one.cluster.endpoints.join(','), ...keys });
  resource = {
    name: 'receipts',
    driver: 'bucket',
    shared: { bucket: 'receipts', replication: 'none' },
    sites: { hangzhou: siteOf(hangzhou), beijing: siteOf(beijing) },
  };
  guards = {
    hangzhou: guardedBucket(resource, 'hangzhou', leaseMs),
    beijing: guardedBucket(resource, 'beijing', leaseMs),
  };
  for (const name of names) {
    const made = await objectCall(bucketSite(resource, name), { method: 'PUT', key: '' }, limit);
    assert.equal(made.status, 200, made.text);
  }
});
after(async () => {
  for (const one of Object.values(clusters ?? {})) await one[Symbol.asyncDispose]();
});

/** What a client is answered: `taken`, or the reason why not. */
async function write(site: SiteName): Promise<string> {
  const key = `order-${randomBytes(6).toString('hex')}`;
  const [endpoint] = bucketSite(resource, site).endpoints;
  const one = { ...bucketSite(resource, site), endpoints: [endpoint!] };
  try {
    const answer = await objectCall(one, { method: 'PUT', key, body: Buffer.from('x') }, limit);
    return answer.status === 200 ? 'taken' : `status ${answer.status}`;
  } catch (err) {
    return err instanceof Error ? err.message : String(err);
  }
}

/** Orders it again until it is done, as a guard does: one call has no more than a fifth of the lease. */
const insist = <T>(order: () => Promise<T>): Promise<T> => settles(order, 30_000);

const open = (site: SiteName, under = epoch): Promise<void> =>
  insist(() => guards[site].open({ epoch: under, remainingMs: 60_000 }));

/** What the guard takes its site for, once it has had an answer. */
const roleOf = (site: SiteName) =>
  insist(async () => {
    const role = await guards[site].role();
    assert.notEqual(role, 'down');
    return role;
  });

/** The site is the writer under a fresh epoch and a lease, the other one is fenced. */
async function writerAt(site: SiteName): Promise<void> {
  const other = site === 'hangzhou' ? 'beijing' : 'hangzhou';
  epoch += 1;
  await setSite(bucketSite(resource, other), { epoch, fenced: true }, limit);
  await setSite(bucketSite(resource, site), { epoch, fenced: false }, limit);
  await insist(async () => {
    await guards[site].open({ epoch, remainingMs: 60_000 });
    assert.equal(await write(site), 'taken');
  });
}

describe('a guard beside a cluster', () => {
  test('a fresh cluster is closed by its guard, opened under a lease, and closed again', async () => {
    const guard = guards.hangzhou;
    assert.equal(await roleOf('hangzhou'), 'primary');
    await insist(() => guard.close());
    assert.match(await write('hangzhou'), /SiteFenced: the site holds no lease/);
    await open('hangzhou', 1);
    assert.equal(await write('hangzhou'), 'taken');
    await insist(() => guard.close());
    assert.match(await write('hangzhou'), /holds no lease of epoch 1/);
    assert.equal((await readSite(bucketSite(resource, 'hangzhou'), limit)).lease.remainingMs, 0);
  });

  test('a lease that nobody renews runs out by itself', async () => {
    await writerAt('hangzhou');
    await insist(() => guards.hangzhou.renew({ epoch, remainingMs: 300 }));
    await sleep(350);
    assert.match(await write('hangzhou'), /holds no lease/);
  });

  test('a fenced cluster is a standby, and no lease opens it', async () => {
    await writerAt('beijing');
    assert.equal(await roleOf('hangzhou'), 'standby');
    await assert.rejects(guards.hangzhou.open({ epoch, remainingMs: 60_000 }), /is fenced at epoch/);
    await assert.rejects(guards.hangzhou.renew({ epoch, remainingMs: 60_000 }), /took no lease/);
    assert.match(await write('hangzhou'), /fenced at epoch/);
  });

  test('nodes that are killed come back without a lease, whatever they held', async () => {
    await writerAt('hangzhou');
    await clusters.hangzhou.restart('SIGKILL');
    assert.match(await write('hangzhou'), /holds no lease/);
    await insist(() => guards.hangzhou.renew({ epoch, remainingMs: 60_000 }));
    assert.equal(await write('hangzhou'), 'taken');
  });

  test('a frozen node holds up neither the others nor the renewal, and a lease it hears of late is none', async () => {
    await writerAt('hangzhou');
    const [frozen] = clusters.hangzhou.cluster.pids;
    signal(frozen!, 'SIGSTOP');
    try {
      await insist(() => guards.hangzhou.renew({ epoch, remainingMs: 600 }));
      await sleep(700);
    } finally {
      signal(frozen!, 'SIGCONT');
    }
    await insist(() => guards.hangzhou.close());
    for (const [, drive] of Object.entries(await drivesHolding())) assert.equal(drive, 0);
    assert.match(await write('hangzhou'), /holds no lease/);
  });

  test('a guard whose nodes cannot all be asked says closed only when their leases have run out', async () => {
    await writerAt('hangzhou');
    const guard = guards.hangzhou;
    let startedAt = 0;
    await insist(() => {
      startedAt = performance.now();
      return guard.renew({ epoch, remainingMs: 3_000 });
    });
    const [frozen] = clusters.hangzhou.cluster.pids;
    signal(frozen!, 'SIGSTOP');
    try {
      await assert.rejects(guard.close(), /is not known to be closed/);
      await guard.stop(6_000);
      assert.ok(performance.now() - startedAt > 2_900, 'the frozen node may have held its lease still');
    } finally {
      signal(frozen!, 'SIGCONT');
    }
    assert.match(await write('hangzhou'), /holds no lease/);
  });

  test('a guard that is down says so', async () => {
    const nowhere = structuredClone(resource);
    nowhere.sites['hangzhou'] = { ...nowhere.sites['hangzhou'], endpoints: 'http://127.0.0.1:9' };
    assert.equal(await guardedBucket(nowhere, 'hangzhou', leaseMs).role(), 'down');
  });
});

/** Milliseconds left of the lease at each node of hangzhou. */
async function drivesHolding(): Promise<Record<string, number>> {
  const site = bucketSite(resource, 'hangzhou');
  const views = await Promise.all(
    site.endpoints.map(async (endpoint) => {
      const { lease } = await readSite({ ...site, endpoints: [endpoint] }, limit);
      return [endpoint.host, lease.remainingMs] as const;
    }),
  );
  return Object.fromEntries(views);
}

interface Agents {
  control: FakeAgent;
  hangzhou: FakeAgent;
  beijing: FakeAgent;
}

async function withAgents(run: (agents: Agents) => Promise<void>): Promise<void> {
  const agents = {
    control: await new FakeAgent('control').start(),
    hangzhou: await new FakeAgent('hangzhou').start(),
    beijing: await new FakeAgent('beijing').start(),
  };
  try {
    await run(agents);
  } finally {
    for (const agent of Object.values(agents)) await agent.stop();
  }
}

/** Performs the driver's verbs as a shell would. */
function startRun(
  agents: Agents,
  options: { kind?: RunKind; mode?: Mode; from?: SiteName; deadAgent?: SiteName } = {},
) {
  const from = options.from ?? 'hangzhou';
  const to = from === 'hangzhou' ? 'beijing' : 'hangzhou';
  epoch += 1;
  for (const agent of Object.values(agents)) agent.granter = { ...agent.granter, epoch: epoch - 1, holder: from };
  const agentUrl = (site: SiteName): string => (options.deadAgent === site ? 'http://127.0.0.1:9' : agents[site].url);
  const plan: VerbInput['plan'] = {
    ...{ version: 1, kind: options.kind ?? 'failover', service: 'shop', from, to, mode: options.mode ?? 'graceful' },
    ...{ epoch, drill: false, leaseMs, objectives: { rpoSeconds: 5, rtoSeconds: 30 }, level: null, hash: '' },
    sites: {
      hangzhou: { name: 'hangzhou', agentUrl: agentUrl('hangzhou'), region: null },
      beijing: { name: 'beijing', agentUrl: agentUrl('beijing'), region: null },
    },
    resources: [resource],
  };
  const driver = createBucketDriver({
    control: () => ({ site: 'control', url: agents.control.url, token: 'token' }),
    token: () => 'token',
    // Stands for the guard: it opens once a granter has named this site for the epoch.
    guardFor: () => ({
      openNow: async (wanted) => {
        const { holder, epoch: named } = agents.control.granter;
        assert.deepEqual([named, holder], [wanted, to]);
        await open(holder as SiteName, wanted);
      },
    }),
  });
  const call = async (op: 'perform' | 'confirm', verb: Verb, args: JsonObject): Promise<PerformOutcome> => {
    const handler = driver.verbs[verb]!;
    const input: VerbInput = {
      ...{ runId: `run-${epoch}`, stepId: `${verb}-receipts`, verb, resource, plan, clocks: {}, args, evidence: {} },
      ...{ token: `token-${epoch}-${verb}`, attempt: 1, timeoutMs: 5_000 },
    };
    const context: VerbContext = { signal: AbortSignal.timeout(20_000), heartbeat: () => {}, log: () => {} };
    return op === 'perform' ? handler.perform(input, context) : handler.confirm!(input, context);
  };
  return {
    epoch,
    perform: (verb: Verb, args: JsonObject = {}) => call('perform', verb, args),
    confirm: (verb: Verb, args: JsonObject = {}) => call('confirm', verb, args),
  };
}

function evidenceOf(outcome: PerformOutcome): JsonObject {
  assert.equal(outcome.status, 'done', 'why' in outcome ? outcome.why : '');
  return outcome.status === 'done' ? outcome.evidence : {};
}

describe('the bucket driver', () => {
  test('a planned move: fence, promote, verify, each read back; confirms agree before and after', async () => {
    await writerAt('hangzhou');
    await withAgents(async (agents) => {
      const run = startRun(agents);
      assert.equal((await run.perform('check')).status, 'done');
      assert.equal((await run.confirm('fence')).status, 'not-yet');
      assert.equal((await run.confirm('promote')).status, 'not-yet');
      assert.equal(evidenceOf(await run.perform('fence'))['by'], 'site-epoch');
      assert.equal(evidenceOf(await run.confirm('fence'))['siteEpoch'], run.epoch);
      assert.match(await write('hangzhou'), new RegExp(`fenced at epoch ${run.epoch}`));
      const { from } = evidenceOf(await run.perform('observe', { freeze: true }));
      assert.equal((from as JsonObject)['fenced'], true);
      assert.equal(evidenceOf(await run.perform('promote'))['siteEpoch'], run.epoch);
      assert.equal((await run.confirm('promote')).status, 'done');
      assert.equal(evidenceOf(await run.perform('verify'))['wroteAndRead'], true);
      assert.equal(await write('beijing'), 'taken');
      assert.equal((await run.perform('fence')).status, 'done', 'a fence may be repeated');
      assert.equal((await run.perform('promote')).status, 'done', 'a promotion may be repeated');
    });
  });

  test('the undo of a fence opens the old site again under the epoch of the run', async () => {
    await writerAt('hangzhou');
    await withAgents(async (agents) => {
      const run = startRun(agents);
      await run.perform('fence');
      const opening = run.perform('unfence');
      // The guard of the old site finds itself named, and opens.
      while (agents.control.granter.epoch !== run.epoch) await sleep(5);
      while ((await guards.hangzhou.role()) !== 'primary') await sleep(5);
      await open('hangzhou', run.epoch);
      assert.equal(evidenceOf(await opening)['siteEpoch'], run.epoch);
      assert.equal(await write('hangzhou'), 'taken');
      const late = await run.perform('fence');
      assert.equal(late.status, 'unknown', 'a late fence of the same run must not close what was opened since');
      assert.equal(await write('hangzhou'), 'taken');
    });
  });

  test('a dead site is fenced by its lease, once every granter has stopped', async () => {
    await writerAt('hangzhou');
    await withAgents(async (agents) => {
      const run = startRun(agents, { mode: 'ungraceful', deadAgent: 'hangzhou' });
      for (const pid of clusters.hangzhou.cluster.pids) signal(pid, 'SIGSTOP');
      try {
        agents.control.granter = { ...agents.control.granter, remainingMs: 400 };
        const startedAt = performance.now();
        const evidence = evidenceOf(await run.perform('fence'));
        assert.equal(evidence['by'], 'lease');
        assert.ok(performance.now() - startedAt >= 400, 'the lease was not waited for');
        assert.equal((await run.confirm('fence')).status, 'not-yet', 'the granter says that its grant still runs');
        agents.control.granter = { ...agents.control.granter, remainingMs: 0 };
        assert.equal(evidenceOf(await run.confirm('fence'))['by'], 'lease');
      } finally {
        for (const pid of clusters.hangzhou.cluster.pids) signal(pid, 'SIGCONT');
      }
      assert.equal((await run.perform('promote')).status, 'done');
    });
  });

  test('a granter that cannot be asked leaves the fence unknown, unless people take the risk', async () => {
    await writerAt('hangzhou');
    await withAgents(async (agents) => {
      const run = startRun(agents, { mode: 'ungraceful', deadAgent: 'beijing' });
      for (const pid of clusters.hangzhou.cluster.pids) signal(pid, 'SIGSTOP');
      try {
        const outcome = await run.perform('fence');
        assert.equal(outcome.status, 'unknown');
        assert.match('why' in outcome ? outcome.why : '', /may still grant: beijing/);
        assert.equal((await run.confirm('fence')).status, 'unknown');
        assert.equal(evidenceOf(await run.perform('fence', { acceptRisk: true }))['by'], 'accepted-risk');
      } finally {
        for (const pid of clusters.hangzhou.cluster.pids) signal(pid, 'SIGCONT');
      }
    });
  });

  test('a site that comes back is fenced under the present epoch, and its agent is told who holds the service', async () => {
    await writerAt('beijing');
    await withAgents(async (agents) => {
      const run = startRun(agents, { kind: 'reprotect', from: 'beijing' });
      const evidence = evidenceOf(await run.perform('fence', { returning: true }));
      assert.deepEqual([evidence['by'], evidence['told']], ['site-epoch', true]);
      assert.equal((await run.confirm('fence', { returning: true })).status, 'done');
      assert.match(await write('hangzhou'), /fenced at epoch/);
    });
  });

  test('a plan whose epoch was overtaken is refused before anything is changed', async () => {
    await writerAt('hangzhou');
    await withAgents(async (agents) => {
      const run = startRun(agents);
      await setSite(bucketSite(resource, 'beijing'), { epoch: epoch + 5, fenced: true }, limit);
      epoch += 5;
      await assert.rejects(run.perform('check'), { code: 'EPOCH_STALE' });
      assert.equal((await run.perform('promote')).status, 'unknown');
      assert.equal((await readSite(bucketSite(resource, 'beijing'), limit)).fenced, true);
    });
  });

  test('a target without the bucket, or without a cluster, is refused', async () => {
    await writerAt('hangzhou');
    const kept = resource;
    try {
      await withAgents(async (agents) => {
        resource = { ...kept, shared: { ...kept.shared, bucket: 'other-bucket' } };
        await assert.rejects(startRun(agents).perform('check'), {
          code: 'CONFIG_INVALID',
          message: /no bucket other-bucket/,
        });
        const beijing = { ...kept.sites['beijing'], endpoints: 'http://127.0.0.1:9' };
        resource = { ...kept, sites: { ...kept.sites, beijing } };
        await assert.rejects(startRun(agents).perform('check'), { code: 'TARGET_DEAD' });
      });
    } finally {
      resource = kept;
    }
  });
});
