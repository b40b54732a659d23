import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { readEntry } from '../../activities/drivers/proxy/admin-client.ts';
import { proxyDriver } from '../../activities/drivers/proxy/driver.ts';
import type { PerformOutcome, VerbInput } from '../../activities/driver.ts';
import { startEntry, type Entry } from '../../sandbox/entry/start.ts';
import { Links } from '../../sandbox/links.ts';
import type { Mode, RunKind, Verb } from '../../workflows/engine/plan.ts';

const host = '127.0.0.1';
const root = mkdtempSync(join(tmpdir(), 'muster-proxy-'));
const links = new Links([{ name: 'worker-entry', ends: ['worker', 'entry'] }]);
const token = 'entry-secret';
let entry: Entry;
let shops: Awaited<ReturnType<typeof shop>>[];
let epoch = 0;

async function shop(site: string) {
  const behaviour = { writable: true, answersAfter: Promise.resolve() };
  const server = createServer((req, res) => {
    req.resume();
    if (req.url === '/healthz') return void res.writeHead(behaviour.writable ? 200 : 503).end();
    void behaviour.answersAfter.then(() => res.writeHead(201, { 'x-muster-site': site }).end());
  });
  const listen = async (port: number) => {
    server.listen(port, host);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { site, url: `http://${host}:${port}`, behaviour, close, reopen: () => listen(port) };
}

before(async () => {
  shops = await Promise.all(['hangzhou', 'beijing'].map(shop));
  entry = await startEntry({
    listen: { host, port: 0 },
    adminListen: { host, port: 0 },
    token,
    upstreams: shops.map(({ site, url }) => ({ site, url })),
    firstRoute: 'hangzhou',
    stateFile: join(root, 'entry.json'),
    // A closed shop refuses at once; a machine that stands still makes no shop ill.
    limits: { healthEveryMs: 20, healthMs: 5_000 },
  });
  const target = { host, port: Number(new URL(entry.adminUrl).port) };
  const at = await links.relay({ from: 'worker', to: 'entry', listen: { host, port: 0 }, target });
  process.env['TEST_ENTRY_ADMIN'] = `http://${at.host}:${at.port}`;
  process.env['TEST_ENTRY_TOKEN'] = token;
});
after(async () => {
  await links.close();
  await entry.close();
  for (const { close } of shops) await close();
  rmSync(root, { recursive: true, force: true });
});

interface Run {
  from?: string;
  to?: string;
  mode?: Mode;
  kind?: RunKind;
  epoch?: number;
  timeoutMs?: number;
  token?: string;
}

function inputOf(verb: Verb, run: Run): VerbInput {
  const { from = 'hangzhou', to = 'beijing', mode = 'ungraceful', kind = 'failover', timeoutMs = 2000 } = run;
  const resource = {
    name: 'entry',
    driver: 'proxy',
    shared: { admin: 'env:TEST_ENTRY_ADMIN', token: 'env:TEST_ENTRY_TOKEN' },
    sites: { hangzhou: { upstream: 'u' }, beijing: { upstream: 'u' } },
  };
  const plan: VerbInput['plan'] = {
    ...{ version: 1, kind, service: 'shop', from, to, mode, epoch: run.epoch ?? epoch, drill: false, leaseMs: 2000 },
    ...{ objectives: { rpoSeconds: 5, rtoSeconds: 30 }, level: null, sites: {}, resources: [resource], hash: '' },
  };
  const step = { runId: 'r1', stepId: `${verb}-entry`, verb, token: run.token ?? `r1:${verb}:${epoch}`, attempt: 1 };
  return { ...step, resource, plan, clocks: {}, args: {}, evidence: {}, timeoutMs };
}

const context = () => ({ signal: new AbortController().signal, heartbeat: () => {}, log: () => {} });

async function call(how: 'perform' | 'confirm', verb: Verb, run: Run = {}): Promise<PerformOutcome> {
  const handler = proxyDriver.verbs[verb];
  assert.ok(handler?.[how], `${verb} has no ${how}`);
  return handler[how](inputOf(verb, run), context());
}
const perform = (verb: Verb, run?: Run) => call('perform', verb, run);
const confirm = (verb: Verb, run?: Run) => call('confirm', verb, run);

async function write(client: string): Promise<string> {
  const { headers, body } = await request(`${entry.url}/orders`, {
    method: 'POST',
    headers: { 'x-client-id': client },
    body: '{}',
  });
  await body.dump();
  return String(headers['x-muster-site'] ?? headers['x-muster-outcome']);
}

function evidence(outcome: PerformOutcome) {
  assert.equal(outcome.status, 'done', JSON.stringify(outcome));
  return outcome.status === 'done' ? outcome.evidence : {};
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; !(await condition()); i++) {
    assert.ok(i < 10_000, 'it never came to be');
    await sleep(5);
  }
}

const healthy = (site: string) =>
  until(async () => (evidence(await perform('observe'))['healthy'] as string[]).includes(site));

test('every changing verb can be read back, and only those', () => {
  for (const [verb, handler] of Object.entries(proxyDriver.verbs)) {
    assert.equal(handler.confirm !== undefined, handler.effect !== 'read', verb);
  }
});

test('a failover of the entry: check, hold, route, and verify by the clients that wrote before', async () => {
  epoch = 1;
  await Promise.all([healthy('hangzhou'), healthy('beijing')]);
  assert.deepEqual(await Promise.all([write('a'), write('b'), write('c')]), ['hangzhou', 'hangzhou', 'hangzhou']);
  assert.equal(evidence(await perform('check'))['route'], 'hangzhou');
  for (const verb of ['quiesce', 'route'] as const) assert.equal((await confirm(verb)).status, 'not-yet', verb);
  assert.equal(evidence(await perform('quiesce'))['mode'], 'hold');
  assert.equal((await confirm('quiesce')).status, 'done');
  const held = [write('a'), write('b')];
  await until(async () => evidence(await perform('observe'))['held'] === 2);
  assert.deepEqual(evidence(await perform('route'))['route'], 'beijing');
  assert.equal((await confirm('route')).status, 'done');
  assert.deepEqual(await Promise.all(held), ['beijing', 'beijing']);
  await assert.rejects(perform('verify', { timeoutMs: 300 }), {
    code: 'VERIFY_FAILED',
    message: 'entry: 2 of 3 clients have written at beijing',
  });
  const verified = perform('verify', { timeoutMs: 10_000 });
  await write('c');
  const { writers, writersWanted, by } = evidence(await verified);
  assert.deepEqual({ writers, writersWanted, by }, { writers: 3, writersWanted: 3, by: 'clients' });
});

test('a route performed twice under one token does not start the count of clients anew', async () => {
  const before = evidence(await perform('verify'))['writes'];
  assert.equal((await perform('route')).status, 'done');
  assert.equal(evidence(await perform('verify'))['writes'], before);
});

test('a graceful hold waits for what is under way at the old site', async () => {
  epoch = 2;
  const [, beijing] = shops;
  assert.ok(beijing);
  let release = (): void => {};
  beijing.behaviour.answersAfter = new Promise((resolve) => (release = resolve));
  const underWay = write('a');
  await until(async () => (evidence(await perform('observe'))['inFlight'] as Record<string, number>)['beijing'] === 1);
  const run: Run = { from: 'beijing', to: 'hangzhou', mode: 'graceful', kind: 'failback' };
  const quiesced = perform('quiesce', run);
  await until(async () => evidence(await perform('observe'))['mode'] === 'hold');
  release();
  const { drained, inFlight } = evidence(await quiesced);
  assert.deepEqual({ drained, inFlight }, { drained: true, inFlight: { hangzhou: 0, beijing: 0 } });
  assert.equal(await underWay, 'beijing');
  assert.equal(evidence(await perform('unfence', run))['mode'], 'open');
  assert.equal(await write('a'), 'beijing', 'taking the hold back changes no way');
});

test('fence closes the entry for everybody; unfence opens it again', async () => {
  epoch = 3;
  assert.equal((await confirm('fence')).status, 'not-yet');
  assert.equal(evidence(await perform('fence'))['mode'], 'closed');
  assert.equal((await confirm('fence')).status, 'done');
  assert.equal(await write('a'), 'refused');
  assert.equal(evidence(await perform('unfence'))['mode'], 'open');
  assert.equal((await confirm('fence')).status, 'not-yet');
});

test('a run of an older epoch is refused by every verb that changes, checks or verifies', async () => {
  epoch = 4;
  await perform('unfence');
  for (const verb of ['check', 'quiesce', 'unfence', 'fence', 'route', 'verify'] as const) {
    await assert.rejects(perform(verb, { epoch: 3 }), { code: 'EPOCH_STALE' }, verb);
  }
  for (const verb of ['quiesce', 'unfence', 'fence', 'route'] as const) {
    await assert.rejects(confirm(verb, { epoch: 3 }), { code: 'EPOCH_STALE' }, verb);
  }
});

test('check: a target whose application is dead is refused, one that is only not writable yet is not', async () => {
  epoch = 5;
  const [hangzhou] = shops;
  assert.ok(hangzhou);
  const run: Run = { from: 'beijing', to: 'hangzhou' };
  hangzhou.behaviour.writable = false;
  await until(async () => {
    const { upstreams } = await readEntry(inputOf('check', run), context());
    return upstreams.some(({ site, answers, healthy: writable }) => site === 'hangzhou' && answers && !writable);
  });
  evidence(await perform('check', run));
  await hangzhou.close();
  await until(async () =>
    perform('check', run).then(
      () => false,
      (err: { code: string }) => err.code === 'TARGET_DEAD',
    ),
  );
  await assert.rejects(perform('check', run), {
    message: 'entry: the application at hangzhou does not answer the entry',
  });
  await assert.rejects(perform('check', { to: 'shanghai' }), { code: 'CONFIG_INVALID' });
  await hangzhou.reopen();
  hangzhou.behaviour.writable = true;
  await healthy('hangzhou');
});

test('an order whose answer is lost is unknown, and the read-back tells that it is in force', async () => {
  epoch = 6;
  await perform('observe');
  links.set('worker-entry', { kind: 'black-hole' }, { from: 'entry', to: 'worker' });
  assert.equal((await perform('route', { timeoutMs: 300 })).status, 'unknown');
  assert.equal((await confirm('route', { timeoutMs: 300 })).status, 'unknown');
  links.resetConnections('worker-entry');
  links.clear('worker-entry');
  await until(async () => (await confirm('route')).status === 'done');
});

test('an entry that refuses connections has certainly got no order', async () => {
  process.env['TEST_ENTRY_ADMIN_GONE'] = 'http://127.0.0.1:1';
  const input = inputOf('route', {});
  const gone = { ...input.resource, shared: { ...input.resource.shared, admin: 'env:TEST_ENTRY_ADMIN_GONE' } };
  const order = proxyDriver.verbs.route?.perform({ ...input, resource: gone }, context());
  await assert.rejects(order ?? Promise.resolve(), { code: 'PROXY_UNREACHABLE' });
  const confirmed = await proxyDriver.verbs.route?.confirm?.({ ...input, resource: gone }, context());
  assert.equal(confirmed?.status, 'unknown');
});

test('a wrong token and a missing secret are named, never shown', async () => {
  const input = inputOf('check', {});
  process.env['TEST_ENTRY_TOKEN_WRONG'] = 'guess';
  for (const { name, code } of [
    { name: 'TEST_ENTRY_TOKEN_WRONG', code: 'CONFIG_INVALID' },
    { name: 'TEST_ENTRY_TOKEN_NOWHERE', code: 'SECRET_MISSING' },
  ]) {
    const resource = { ...input.resource, shared: { ...input.resource.shared, token: `env:${name}` } };
    const checked = proxyDriver.verbs.check?.perform({ ...input, resource }, context()) ?? Promise.resolve();
    await assert.rejects(
      checked,
      (err: { code: string; message: string }) => err.code === code && !err.message.includes('guess'),
    );
  }
});

test('verify without any client rests on the application accepting writes, and says so', async () => {
  const quiet = await startEntry({
    listen: { host, port: 0 },
    adminListen: { host, port: 0 },
    token,
    upstreams: shops.map(({ site, url }) => ({ site, url })),
    firstRoute: 'beijing',
    stateFile: join(root, 'quiet.json'),
    limits: { healthEveryMs: 20 },
  });
  process.env['TEST_ENTRY_ADMIN_QUIET'] = quiet.adminUrl;
  const input = inputOf('verify', { timeoutMs: 5000 });
  const resource = { ...input.resource, shared: { ...input.resource.shared, admin: 'env:TEST_ENTRY_ADMIN_QUIET' } };
  const outcome = await proxyDriver.verbs.verify?.perform({ ...input, resource }, context());
  assert.ok(outcome);
  assert.deepEqual(evidence(outcome)['by'], 'health check');
  await quiet.close();
});

for (const { name, resource, paths } of [
  {
    name: 'a whole one',
    resource: {
      driver: 'proxy',
      after: ['orders'],
      admin: 'http://x',
      token: 'env:T',
      hangzhou: { upstream: 'u' },
      beijing: { upstream: 'u' },
    },
    paths: [],
  },
  {
    name: 'a token in plain text and an unknown key',
    resource: {
      driver: 'proxy',
      admin: 'a',
      token: 'secret',
      hangzhou: { upstream: 'u' },
      beijing: { upstream: 'u' },
      tokn: 1,
    },
    paths: ['token', 'tokn'],
  },
  { name: 'an empty one', resource: { driver: 'proxy' }, paths: ['admin', 'token', 'hangzhou', 'beijing'] },
  {
    name: 'a site with more than its upstream',
    resource: { admin: 'a', token: 'file:/t', hangzhou: { upstream: 'u', weight: 3 }, beijing: { upstream: '' } },
    paths: ['hangzhou', 'beijing'],
  },
  { name: 'no mapping at all', resource: ['proxy'], paths: [''] },
]) {
  test(`validate: ${name}`, () => {
    const problems = proxyDriver.validate(resource, ['hangzhou', 'beijing']);
    assert.deepEqual(
      problems.map((problem) => problem.path.join('.')),
      paths,
    );
    assert.ok(problems.every(({ message, fix }) => fix !== '' && !message.includes('secret')));
  });
}
