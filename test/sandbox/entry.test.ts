import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import type { EntryState } from '../../sandbox/entry/proxy.ts';
import { startEntry, type EntryOptions } from '../../sandbox/entry/start.ts';
import type { Second } from '../../sandbox/entry/traffic.ts';

const host = '127.0.0.1';
const root = mkdtempSync(join(tmpdir(), 'muster-entry-'));
const agent = new Agent();
const open: { close(): Promise<unknown> }[] = [];
after(async () => {
  await Promise.all(open.map((thing) => thing.close()));
  await agent.destroy();
  rmSync(root, { recursive: true, force: true });
});

type Behaviour = (req: IncomingMessage, res: ServerResponse) => void;

/** A shop that answers at once, or as told. */
async function shop(site: string, behaviour?: Behaviour) {
  const seen: string[] = [];
  const server = createServer((req, res) => {
    if (req.url === '/healthz') return void res.end('{}');
    seen.push(`${req.method} ${req.url}`);
    res.setHeader('x-muster-site', site);
    res.statusCode = req.method === 'POST' ? 201 : 200;
    req.resume().on('end', () => (behaviour === undefined ? res.end(site) : behaviour(req, res)));
  });
  server.listen(0, host);
  await once(server, 'listening');
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  open.push({ close });
  return { url: `http://${host}:${(server.address() as AddressInfo).port}`, seen, close };
}

let entries = 0;
async function entry(upstreams: { hangzhou: string; beijing: string }, more: Partial<EntryOptions> = {}) {
  const started = await startEntry({
    listen: { host, port: 0 },
    adminListen: { host, port: 0 },
    token: 'secret',
    upstreams: Object.entries(upstreams).map(([site, url]) => ({ site, url })),
    firstRoute: 'hangzhou',
    stateFile: join(root, `entry-${(entries += 1)}.json`),
    ...more,
  });
  open.push({ close: () => started.close() });
  const admin = async <T = EntryState>(method: 'GET' | 'PUT', path: string, body?: object, token = 'secret') => {
    const answer = await request(`${started.adminUrl}/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      body: body === undefined ? null : JSON.stringify(body),
      dispatcher: agent,
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as T };
  };
  const post = async (client = 'c1') => {
    const answer = await request(`${started.url}/orders`, {
      method: 'POST',
      headers: { 'x-client-id': client },
      body: '{}',
      dispatcher: agent,
    });
    await answer.body.dump();
    const { 'x-muster-site': site, 'x-muster-outcome': outcome } = answer.headers;
    return { status: answer.statusCode, site, outcome };
  };
  const state = async () => (await admin('GET', '/state')).body;
  return { ...started, admin, post, state };
}

/** A shop that keeps its answers until told to give them. */
function slow() {
  const kept: ServerResponse[] = [];
  return { kept, behaviour: (_req: IncomingMessage, res: ServerResponse) => void kept.push(res) };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !(await condition()); i++) {
    assert.ok(i < 2000, 'it never came to be');
    await sleep(5);
  }
}

const acked = (site: string) => ({ status: 201, site, outcome: undefined });
const refused = { status: 503, site: undefined, outcome: 'refused' };

test('requests pass with their headers and bodies, those of the connection stay behind', async () => {
  const hangzhou = await shop('hangzhou', (req, res) => {
    res.setHeader('x-many', ['a', 'b']);
    const { connection, te, ...kept } = req.headers;
    res.end(JSON.stringify({ kept, te, connection, url: req.url }));
  });
  const { url } = await entry({ hangzhou: hangzhou.url, beijing: hangzhou.url });
  const answer = await request(`${url}/orders/1?x=%20y`, {
    headers: { te: 'trailers', 'x-a': '1' },
    dispatcher: agent,
  });
  assert.equal(answer.statusCode, 200);
  assert.deepEqual(answer.headers['x-many'], ['a', 'b']);
  const said = (await answer.body.json()) as Record<string, unknown>;
  assert.deepEqual([said['url'], said['te']], ['/orders/1?x=%20y', undefined]);
  assert.equal((said['kept'] as Record<string, string>)['x-a'], '1');
  const big = await request(`${url}/orders`, { method: 'POST', body: Buffer.alloc(2_000_000), dispatcher: agent });
  await big.body.dump();
  assert.equal(big.statusCode, 413);
});

test('a switch under load: what is under way is broken off as unknown, and the old site acknowledges nothing after the answer', async () => {
  const beijing = await shop('beijing');
  const hangzhou = await shop('hangzhou', (_req, res) => void setTimeout(() => res.end(), Math.random() * 20));
  const { post, admin, state } = await entry({ hangzhou: hangzhou.url, beijing: beijing.url });
  const seen: { status: number; site: unknown; outcome: unknown }[] = [];
  let running = true;
  const clients = Array.from({ length: 20 }, async (_, i) => {
    while (running) {
      seen.push(await post(`client-${i}`));
    }
  });
  await until(() => seen.length > 200);
  const answer = await admin('PUT', '/route', { epoch: 1, site: 'beijing', token: 't1' });
  assert.deepEqual([answer.status, answer.body.route, answer.body.mode], [200, 'beijing', 'open']);
  assert.equal(answer.body.inFlight['hangzhou'], 0);
  assert.equal(answer.body.writersBeforeRoute, 20);
  await until(() => seen.filter((s) => s.site === 'beijing').length > 200);
  running = false;
  await Promise.all(clients);
  // A client may still read an answer of hangzhou that was written before the switch, so the entry's own count decides.
  const { stats } = await state();
  assert.equal(stats['hangzhou']?.writesOkSinceRoute, 0);
  assert.equal(stats['beijing']?.writersSinceRoute, 20);
  assert.equal(stats['beijing']?.writesOkSinceRoute, seen.filter((s) => s.site === 'beijing').length);
  assert.equal(stats['hangzhou']?.writesOk, seen.filter((s) => s.site === 'hangzhou').length);
  const broken = seen.filter((s) => s.status !== 201);
  assert.ok(
    broken.length >= 1 && broken.every((s) => s.status === 502 && s.outcome === 'unknown'),
    JSON.stringify(broken),
  );
});

test('a request that was surely not sent to the old site goes to the new one', async () => {
  const { kept, behaviour } = slow();
  const beijing = await shop('beijing');
  const hangzhou = await shop('hangzhou', behaviour);
  const limits = { connectMs: 60_000, answerMs: 60_000 };
  const { post, admin, state } = await entry({ hangzhou: hangzhou.url, beijing: beijing.url }, { limits });
  // 256 connections are busy, the rest waits for one.
  const inFlight = Array.from({ length: 300 }, () => post());
  await until(async () => kept.length === 256 && (await state()).inFlight['hangzhou'] === 300);
  await admin('PUT', '/route', { epoch: 1, site: 'beijing', token: 't1' });
  const answers = await Promise.all(inFlight);
  assert.equal(answers.filter((a) => a.outcome === 'unknown').length, 256);
  assert.equal(answers.filter((a) => a.site === 'beijing').length, 44);
});

test('hold: what is under way ends, what is new waits, and a route releases it to the new site', async () => {
  const { kept, behaviour } = slow();
  const hangzhou = await shop('hangzhou', behaviour);
  const beijing = await shop('beijing');
  const { post, admin, state } = await entry({ hangzhou: hangzhou.url, beijing: beijing.url });
  const underWay = post();
  await until(() => kept.length === 1);
  assert.equal((await admin('PUT', '/mode', { mode: 'hold', epoch: 1 })).body.mode, 'hold');
  const waiting = [post('c2'), post('c3')];
  await until(async () => (await state()).held === 2);
  kept[0]?.end();
  assert.deepEqual(await underWay, acked('hangzhou'));
  assert.deepEqual(beijing.seen, []);
  await admin('PUT', '/route', { epoch: 1, site: 'beijing', token: 't1' });
  assert.deepEqual(await Promise.all(waiting), [acked('beijing'), acked('beijing')]);
  assert.equal(hangzhou.seen.length, 1);
});

test('hold with a site to break off: its requests end as unknown at once, and new ones wait', async () => {
  const { kept, behaviour } = slow();
  const hangzhou = await shop('hangzhou', behaviour);
  const beijing = await shop('beijing');
  const { post, admin, state } = await entry({ hangzhou: hangzhou.url, beijing: beijing.url });
  const underWay = post();
  await until(() => kept.length === 1);
  await admin('PUT', '/mode', { mode: 'hold', epoch: 1, breakOff: 'hangzhou' });
  assert.equal((await underWay).outcome, 'unknown');
  const waiting = post('c2');
  await until(async () => (await state()).held === 1);
  await admin('PUT', '/route', { epoch: 1, site: 'beijing', token: 't1' });
  assert.deepEqual(await waiting, acked('beijing'));
});

test('hold is taken back by open, without a new route', async () => {
  const hangzhou = await shop('hangzhou');
  const { post, admin, state } = await entry({ hangzhou: hangzhou.url, beijing: hangzhou.url });
  await admin('PUT', '/mode', { mode: 'hold', epoch: 1 });
  const waiting = post();
  await until(async () => (await state()).held === 1);
  const { body } = await admin('PUT', '/mode', { mode: 'open', epoch: 1 });
  assert.deepEqual([body.mode, body.route], ['open', 'hangzhou']);
  assert.deepEqual(await waiting, acked('hangzhou'));
});

test('a held request is refused when it has waited too long', async () => {
  const hangzhou = await shop('hangzhou');
  const { post, admin } = await entry({ hangzhou: hangzhou.url, beijing: hangzhou.url }, { limits: { holdMs: 100 } });
  await admin('PUT', '/mode', { mode: 'hold', epoch: 1 });
  assert.deepEqual(await post(), refused);
  assert.deepEqual(hangzhou.seen, []);
});

test('closed: what is under way is broken off as unknown, what is held or new is refused', async () => {
  const { kept, behaviour } = slow();
  const hangzhou = await shop('hangzhou', behaviour);
  const { post, admin, state } = await entry({ hangzhou: hangzhou.url, beijing: hangzhou.url });
  const underWay = post();
  await until(() => kept.length === 1);
  await admin('PUT', '/mode', { mode: 'hold', epoch: 1 });
  const held = post();
  await until(async () => (await state()).held === 1);
  const { body } = await admin('PUT', '/mode', { mode: 'closed', epoch: 1 });
  assert.deepEqual([body.mode, body.inFlight['hangzhou'], body.held], ['closed', 0, 0]);
  assert.deepEqual(await underWay, { status: 502, site: undefined, outcome: 'unknown' });
  assert.deepEqual(await held, refused);
  assert.deepEqual(await post(), refused);
});

test('orders of an older epoch, a second site in one epoch, a late hold and a wrong token are refused and change nothing', async () => {
  const hangzhou = await shop('hangzhou');
  const { admin, state } = await entry({ hangzhou: hangzhou.url, beijing: hangzhou.url });
  assert.equal((await admin('PUT', '/route', { epoch: 5, site: 'beijing', token: 't5' })).status, 200);
  const before = await state();
  for (const { path, body, status, token } of [
    { path: '/route', body: { epoch: 4, site: 'hangzhou', token: 't4' }, status: 409 },
    { path: '/route', body: { epoch: 5, site: 'hangzhou', token: 't6' }, status: 409 },
    { path: '/route', body: { epoch: 6, site: 'shanghai', token: 't7' }, status: 409 },
    { path: '/mode', body: { epoch: 4, mode: 'closed' }, status: 409 },
    { path: '/mode', body: { epoch: 5, mode: 'hold' }, status: 409 },
    { path: '/mode', body: { epoch: 5, mode: 'ajar' }, status: 400 },
    { path: '/route', body: { epoch: '6', site: 'hangzhou', token: 't8' }, status: 400 },
    { path: '/route', body: { epoch: 6, site: 'hangzhou', token: 't9' }, status: 401, token: 'guess' },
    { path: '/nothing', body: {}, status: 404 },
  ]) {
    assert.equal((await admin('PUT', path, body, token)).status, status, JSON.stringify(body));
  }
  const now = await state();
  assert.deepEqual({ ...now, upstreams: [] }, { ...before, upstreams: [] });
});

test('a route that arrives twice acts once', async () => {
  const hangzhou = await shop('hangzhou');
  const { admin, post, state } = await entry({ hangzhou: hangzhou.url, beijing: hangzhou.url });
  const order = { epoch: 1, site: 'beijing', token: 't1' };
  await admin('PUT', '/route', order);
  await post();
  assert.equal((await admin('PUT', '/route', order)).status, 200);
  assert.equal((await state()).stats['beijing']?.writesOkSinceRoute, 1);
  await admin('PUT', '/mode', { mode: 'closed', epoch: 1 });
  assert.equal((await admin('PUT', '/route', order)).body.mode, 'closed');
});

test('a restart keeps epoch, route and mode; a damaged state file stops it', async () => {
  const hangzhou = await shop('hangzhou');
  const stateFile = join(root, 'kept.json');
  const upstreams = { hangzhou: hangzhou.url, beijing: hangzhou.url };
  const first = await entry(upstreams, { stateFile });
  await first.admin('PUT', '/route', { epoch: 7, site: 'beijing', token: 't7' });
  await first.admin('PUT', '/mode', { epoch: 8, mode: 'hold' });
  await first.close();
  const second = await entry(upstreams, { stateFile });
  const { epoch, route, mode } = await second.state();
  assert.deepEqual({ epoch, route, mode }, { epoch: 8, route: 'beijing', mode: 'hold' });
  assert.equal((await second.admin('PUT', '/route', { epoch: 7, site: 'beijing', token: 't' })).status, 409);
  await second.close();
  writeFileSync(stateFile, readFileSync(stateFile, 'utf8').slice(0, 20));
  await assert.rejects(entry(upstreams, { stateFile }));
});

test('a site that does not answer: unknown when the request was sent, refused when it could not be', async () => {
  const { behaviour } = slow();
  const silent = await shop('hangzhou', behaviour);
  const gone = await shop('beijing');
  await gone.close();
  const { post, admin } = await entry({ hangzhou: silent.url, beijing: gone.url }, { limits: { answerMs: 200 } });
  assert.deepEqual(await post(), { status: 504, site: undefined, outcome: 'unknown' });
  await admin('PUT', '/route', { epoch: 1, site: 'beijing', token: 't1' });
  assert.deepEqual(await post(), refused);
});

test("a site that breaks the connection after the request leaves its outcome unknown; the shop's own word passes", async () => {
  const broken = await shop('hangzhou', (req) => void req.socket.destroy());
  const honest = await shop('beijing', (_req, res) => {
    res.writeHead(500, { 'x-muster-outcome': 'unknown' }).end();
  });
  const { post, admin, state } = await entry({ hangzhou: broken.url, beijing: honest.url });
  assert.deepEqual(await post(), { status: 502, site: undefined, outcome: 'unknown' });
  await admin('PUT', '/route', { epoch: 1, site: 'beijing', token: 't1' });
  assert.deepEqual(await post(), { status: 500, site: 'beijing', outcome: 'unknown' });
  const { stats } = await state();
  assert.deepEqual([stats['hangzhou']?.failed, stats['beijing']?.failed], [1, 1]);
});

test('health: a site that accepts writes, one that answers but does not, one that is gone', async () => {
  const hangzhou = await shop('hangzhou');
  const standby = createServer((_req, res) => void res.writeHead(503).end('{}'));
  standby.listen(0, host);
  await once(standby, 'listening');
  open.push({ close: () => new Promise((resolve) => (standby.closeAllConnections(), standby.close(resolve))) });
  const url = `http://${host}:${(standby.address() as AddressInfo).port}`;
  // What is gone refuses at once; a machine that stands still makes no site ill.
  const limits = { healthEveryMs: 20, healthMs: 5_000 };
  const { state } = await entry({ hangzhou: hangzhou.url, beijing: url }, { limits });
  const health = async () =>
    (await state()).upstreams.map(({ site, weight, healthy, answers }) => [site, weight, healthy, answers]);
  await until(async () => (await state()).upstreams.every((upstream) => upstream.answers));
  assert.deepEqual(await health(), [
    ['hangzhou', 100, true, true],
    ['beijing', 0, false, true],
  ]);
  await hangzhou.close();
  await until(async () => !(await state()).upstreams[0]?.answers);
  assert.deepEqual((await health())[0], ['hangzhou', 100, false, false]);
});

test('the series counts writes, failures and held requests by second and site', async () => {
  const hangzhou = await shop('hangzhou');
  const gone = await shop('beijing');
  await gone.close();
  const { post, admin } = await entry({ hangzhou: hangzhou.url, beijing: gone.url }, { limits: { holdMs: 50 } });
  const sinceMs = Date.now();
  await Promise.all([post('a'), post('b'), post('c')]);
  await admin('PUT', '/mode', { epoch: 1, mode: 'hold' });
  await post();
  await admin('PUT', '/route', { epoch: 1, site: 'beijing', token: 't1' });
  await post();
  const { body } = await admin<{ series: Second[] }>('GET', `/series?since=${sinceMs}`);
  const sum = { hangzhou: [0, 0, 0], beijing: [0, 0, 0] };
  for (const { atMs, sites } of body.series) {
    assert.equal(atMs % 1000, 0);
    for (const [site, second] of Object.entries(sites)) {
      const counts = [second.writesOk, second.failed, second.held];
      counts.forEach((n, i) => (sum[site as 'hangzhou'][i]! += n));
    }
  }
  assert.deepEqual(sum, { hangzhou: [3, 1, 1], beijing: [0, 1, 0] });
  assert.deepEqual((await admin<{ series: Second[] }>('GET', `/series?since=${Date.now() + 5000}`)).body.series, []);
});
