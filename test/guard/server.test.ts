import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { askLease, closeGuard, getState, putEpoch, stopGranting } from '../../activities/guard/client.ts';
import { openGranter } from '../../activities/guard/granter-store.ts';
import type { Guard } from '../../activities/guard/guard.ts';
import type { HttpServer } from '../../activities/guard/http.ts';
import { startAgentServer } from '../../activities/guard/server.ts';
import { MusterError } from '../../workflows/engine/errors.ts';

const token = 'a-token-that-nobody-guesses';
const limit = { timeoutMs: 5000 };

describe('HTTP of an agent', () => {
  let dir: string;
  let server: HttpServer;
  const closes: unknown[] = [];

  const guard = (resource: string, state: 'closed' | 'stopped', finalLsn: string): Guard => ({
    service: 'shop',
    resource,
    state: () => ({ service: 'shop', resource, epoch: 1, state, leaseRemainingMs: 0, why: 'test' }),
    close: async (request) => {
      closes.push([resource, request]);
      if (request.throughEpoch === 9) throw new MusterError('EPOCH_STALE', 'hangzhou holds epoch 10');
      if (request.throughEpoch === 8) throw new MusterError('FENCE_UNCONFIRMED', 'it does not answer');
      return { kind: 'closed', state, finalLsn };
    },
    openNow: async () => {},
    stop: async () => {},
  });

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'muster-server-'));
    const services = { shop: { leaseMs: 1000 } };
    server = await startAgentServer({
      host: '127.0.0.1',
      port: 0,
      token,
      site: 'beijing',
      granter: openGranter({ stateFile: join(dir, 'granter.json'), site: 'beijing', services }),
      guards: () => [guard('orders', 'closed', '0/1'), guard('stock', 'stopped', '0/2')],
      vantage: () => [
        {
          from: 'beijing',
          service: 'shop',
          site: 'hangzhou',
          up: false,
          downForMs: 5,
          failedForMs: 3,
          failures: 2,
          why: 'x',
        },
      ],
      extraRoutes: [
        { method: 'GET', path: '/metrics', withoutToken: true, handle: () => ({ status: 200, content: 'up 1\n' }) },
        {
          method: 'PUT',
          path: '/v1/evidence/',
          bodyLimitBytes: 100_000,
          handle: ({ rest, bytes }) => ({ status: 200, json: { rest, sizeBytes: bytes.length } }),
        },
        {
          method: 'GET',
          path: '/v1/evidence/',
          handle: () => ({ status: 200, content: Readable.from(['a', 'b']), contentType: 'application/x-ndjson' }),
        },
      ],
    });
  });
  after(async () => {
    await server.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const agent = () => ({ site: 'beijing', url: server.url, token });
  const raw = (path: string, init: RequestInit = {}) =>
    fetch(new URL(path, server.url), { headers: { authorization: `Bearer ${token}` }, ...init });

  test('a holder is named, granted, stopped and refused', async () => {
    const ask = { service: 'shop', site: 'hangzhou', epoch: 1 };
    const unknown = await askLease(agent(), ask, limit);
    assert.deepEqual(unknown, { kind: 'refused', epoch: 0, holder: null, why: 'other-holder' });
    const named = await putEpoch(agent(), { service: 'shop', epoch: 1, holder: 'hangzhou' }, limit);
    assert.deepEqual([named.epoch, named.holder], [1, 'hangzhou']);
    assert.deepEqual(await askLease(agent(), ask, limit), { kind: 'granted', epoch: 1, ttlMs: 1000 });
    const stopped = await stopGranting(agent(), { service: 'shop', throughEpoch: 1, by: 'run' }, limit);
    assert.ok(stopped.remainingMs > 0 && stopped.remainingMs <= 1000);
    const refused = await askLease(agent(), ask, limit);
    assert.deepEqual(refused, { kind: 'refused', epoch: 1, holder: 'hangzhou', why: 'stopped' });
    await assert.rejects(putEpoch(agent(), { service: 'shop', epoch: 1, holder: 'beijing' }, limit), {
      code: 'EPOCH_STALE',
    });
  });

  test('the state tells of granters, guards and what is seen of other sites', async () => {
    const state = await getState(agent(), limit);
    assert.equal(state.site, 'beijing');
    assert.deepEqual(
      state.granters.map(({ service }) => service),
      ['shop'],
    );
    assert.deepEqual(
      state.guards.map(({ resource }) => resource),
      ['orders', 'stock'],
    );
    assert.equal(state.vantage[0]?.failedForMs, 3);
  });

  test('a close reaches every guard of the service, and one alone when it is named', async () => {
    const all = await closeGuard(agent(), { service: 'shop', throughEpoch: 1, stop: false }, limit);
    assert.deepEqual(all, { kind: 'closed', state: 'closed', finalLsn: null });
    assert.equal(closes.length, 2);
    const one = { service: 'shop', resource: 'stock', throughEpoch: 1, stop: true };
    assert.deepEqual(await closeGuard(agent(), one, limit), { kind: 'closed', state: 'stopped', finalLsn: '0/2' });
    assert.deepEqual(closes.at(-1), ['stock', one]);
  });

  test('a close of what is not guarded here, of a newer epoch, or without proof is refused with its reason', async () => {
    const order = { service: 'shop', throughEpoch: 1, stop: false };
    await assert.rejects(closeGuard(agent(), { ...order, service: 'bank' }, limit), { code: 'SERVICE_UNKNOWN' });
    await assert.rejects(closeGuard(agent(), { ...order, resource: 'bank' }, limit), { code: 'SERVICE_UNKNOWN' });
    await assert.rejects(closeGuard(agent(), { ...order, throughEpoch: 9 }, limit), { code: 'EPOCH_STALE' });
    await assert.rejects(closeGuard(agent(), { ...order, throughEpoch: 8 }, limit), { code: 'FENCE_UNCONFIRMED' });
  });

  const bad = [
    { name: 'no JSON', body: '{', says: 'the body is not JSON' },
    { name: 'nothing', body: '', says: 'the body is not JSON' },
    { name: 'no object', body: '[]', says: /^body: / },
    { name: 'a missing field', body: '{"service":"shop","site":"hangzhou"}', says: /^epoch: / },
    { name: 'a negative epoch', body: '{"service":"shop","site":"hangzhou","epoch":-1}', says: /^epoch: / },
    { name: 'half an epoch', body: '{"service":"shop","site":"hangzhou","epoch":1.5}', says: /^epoch: / },
    { name: 'an empty name', body: '{"service":"","site":"hangzhou","epoch":1}', says: /^service: / },
    { name: 'a text as epoch', body: '{"service":"shop","site":"hangzhou","epoch":"1"}', says: /^epoch: / },
  ];
  for (const { name, body, says } of bad) {
    test(`a question with ${name} is answered 400 with what is wrong`, async () => {
      const response = await raw('/v1/lease', { method: 'POST', body });
      assert.equal(response.status, 400);
      const answer = (await response.json()) as { error: string; code: string };
      assert.equal(answer.code, 'CONFIG_INVALID');
      assert.match(answer.error, typeof says === 'string' ? new RegExp(says) : says);
    });
  }

  const paths = [
    { method: 'GET', path: '/', status: 404 },
    { method: 'GET', path: '/v1/states', status: 404 },
    { method: 'GET', path: '/v1/state/', status: 404 },
    { method: 'DELETE', path: '/v1/state', status: 405 },
    { method: 'GET', path: '/v1/lease', status: 405 },
    { method: 'GET', path: '/metrics', status: 200 },
    { method: 'GET', path: '/v1/state?x=1', status: 200 },
  ];
  for (const { method, path, status } of paths) {
    test(`${method} ${path} is answered ${status}`, async () => {
      assert.equal((await raw(path, { method })).status, status);
    });
  }

  test('without the right token nothing is told, not even what exists', async () => {
    for (const authorization of [
      '',
      'Bearer',
      `Bearer ${token}x`,
      `Bearer ${token.slice(1)}`,
      token,
      `Basic ${token}`,
    ]) {
      for (const path of ['/v1/state', '/v1/nothing']) {
        const response = await raw(path, { headers: { authorization } });
        assert.equal(response.status, 401, `${authorization} ${path}`);
        assert.deepEqual(Object.keys((await response.json()) as object), ['error']);
      }
    }
    await assert.rejects(getState({ ...agent(), token: 'another' }, limit), (err: MusterError) => {
      assert.equal(err.code, 'AGENT_UNREACHABLE');
      assert.match(err.message, /agent of beijing: GET \/v1\/state: HTTP 401/);
      return true;
    });
  });

  test('metrics need no token', async () => {
    const response = await raw('/metrics', { headers: {} });
    assert.equal(await response.text(), 'up 1\n');
  });

  test('a body beyond the limit is refused, below a route with its own limit it is taken', async () => {
    const body = 'x'.repeat(20_000);
    assert.equal((await raw('/v1/lease', { method: 'POST', body })).status, 413);
    const put = await raw('/v1/evidence/run-1/rows.jsonl', { method: 'PUT', body });
    assert.deepEqual(await put.json(), { rest: 'run-1/rows.jsonl', sizeBytes: 20_000 });
    const got = await raw('/v1/evidence/run-1/rows.jsonl');
    assert.equal(got.headers.get('content-type'), 'application/x-ndjson');
    assert.equal(await got.text(), 'ab');
  });

  test('an agent refuses to start without a token, and says so when its address is taken', async () => {
    const options = { host: '127.0.0.1', site: 'x', granter: openGranter({ stateFile: '', site: null, services: {} }) };
    await assert.rejects(startAgentServer({ ...options, port: 0, token: '' }), { code: 'CONFIG_INVALID' });
    await assert.rejects(startAgentServer({ ...options, port: server.port, token }), {
      code: 'CONFIG_INVALID',
      message: /cannot listen on 127\.0\.0\.1:\d+/,
    });
  });

  test('a half-sent request does not keep others waiting', async () => {
    const socket = connect(server.port, '127.0.0.1');
    socket.write('POST /v1/lease HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n');
    await getState(agent(), limit);
    socket.destroy();
  });
});

describe('an agent that is not there', () => {
  const open: Server[] = [];
  after(() => {
    for (const server of open) server.close().closeAllConnections();
  });
  const url = (server: { address(): unknown }) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fake = async (handler: Parameters<typeof createServer>[1]): Promise<string> => {
    const server = createServer(handler).listen(0, '127.0.0.1');
    open.push(server);
    await new Promise((resolve) => server.once('listening', resolve));
    return url(server);
  };
  const unreachable = (why: RegExp) => (err: MusterError) => {
    assert.equal(err.code, 'AGENT_UNREACHABLE');
    assert.match(err.message, /^agent of hangzhou: GET \/v1\/state: /);
    assert.match(err.message, why);
    return true;
  };
  const ask = (where: string, timeoutMs = 5000, signal?: AbortSignal) =>
    getState({ site: 'hangzhou', url: where, token }, { timeoutMs, ...(signal && { signal }) });

  test('nobody listens', async () => {
    const closed = createTcpServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => closed.once('listening', resolve));
    const where = url(closed);
    await new Promise((resolve) => closed.close(resolve));
    await assert.rejects(ask(where), unreachable(/ECONNREFUSED/));
  });

  test('it accepts and never answers', async () => {
    const where = await fake(() => {});
    await assert.rejects(ask(where, 50), unreachable(/no answer in 50 ms/));
  });

  test('it begins an answer and never ends it', async () => {
    const where = await fake((_, response) => void response.write('{'));
    await assert.rejects(ask(where, 50), unreachable(/no answer in 50 ms/));
  });

  test('somebody else listens there', async () => {
    const where = await fake((_, response) => void response.end('hello'));
    await assert.rejects(ask(where), unreachable(/answers what a Muster agent would not/));
    const json = await fake((_, response) => void response.end('{"site":"x"}'));
    await assert.rejects(ask(json), unreachable(/answers what a Muster agent would not/));
  });

  test('it answers an error', async () => {
    const where = await fake((_, response) => void response.writeHead(502).end('bad gateway'));
    await assert.rejects(ask(where), unreachable(/HTTP 502/));
  });

  test('the caller gives up', async () => {
    const where = await fake(() => {});
    await assert.rejects(ask(where, 5000, AbortSignal.abort()), unreachable(/./));
  });

  test('a kept connection that the other end closed meanwhile is no failure', async () => {
    let answers = 0;
    const state = JSON.stringify({ site: 'hangzhou', granters: [], guards: [], vantage: [] });
    const where = await fake((request, response) => {
      // The second question arrives on the kept connection, which is closed under it.
      if (++answers === 2) request.socket.destroy();
      else response.end(state);
    });
    await ask(where);
    assert.equal((await ask(where)).site, 'hangzhou');
    assert.equal(answers, 3);
  });
});
