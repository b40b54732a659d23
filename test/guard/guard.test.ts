import assert from 'node:assert/strict';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { openGranter, type Granter } from '../../activities/guard/granter-store.ts';
import { startGuard, type Guard, type GuardEvent } from '../../activities/guard/guard.ts';
import type { HttpServer } from '../../activities/guard/http.ts';
import { startAgentServer } from '../../activities/guard/server.ts';
import type { MusterError } from '../../workflows/engine/errors.ts';
import { fakeDatabase, until } from './support/fake-database.ts';

const token = 'a-token-that-nobody-guesses';
const leaseMs = 800;

describe('guard', () => {
  let dir: string;
  let granters: { name: string; url: string; granter: Granter; server: HttpServer }[];
  let guards: Guard[];
  let events: GuardEvent[];

  const startGranter = async (name: string) => {
    const stateFile = join(dir, `${name}.json`);
    const granter = openGranter({ stateFile, site: null, services: { shop: { leaseMs } } });
    const server = await startAgentServer({ host: '127.0.0.1', port: 0, token, site: name, granter });
    return { name, url: server.url, granter, server };
  };
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'muster-guard-'));
    granters = [await startGranter('control'), await startGranter('beijing')];
    for (const { granter } of granters) granter.putEpoch({ service: 'shop', epoch: 1, holder: 'hangzhou' });
    guards = [];
    events = [];
  });
  afterEach(async () => {
    for (const guard of guards) await guard.stop();
    for (const { server } of granters) await server.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const guardOf = (database: ReturnType<typeof fakeDatabase>['database'], at = granters): Guard => {
    const guard = startGuard({
      service: 'shop',
      resource: 'orders',
      site: 'hangzhou',
      leaseMs,
      database,
      granters: at.map(({ name, url }) => ({ name, url })),
      token,
      stateFile: join(dir, 'guard.json'),
      onEvent: (event) => events.push(event),
    });
    guards.push(guard);
    return guard;
  };

  test('it closes, asks, opens under the lease, and renews it', async () => {
    const { world, database } = fakeDatabase();
    const guard = guardOf(database);
    await until('it is open', () => guard.state().state === 'open' && world.open !== null);
    const changes = world.calls.filter((call) => call !== 'role');
    assert.deepEqual(changes.slice(0, 2), ['close', 'open']);
    const first = world.open?.endsAtUnixMs ?? 0;
    assert.ok(first <= Date.now() + leaseMs);
    await until('it has renewed', () => (world.open?.endsAtUnixMs ?? 0) > first);
    assert.equal(guard.state().epoch, 1);
  });

  test('with control gone it lives on the other site alone', async () => {
    const { world, database } = fakeDatabase();
    await granters[0]?.server.close();
    const guard = guardOf(database);
    await until('it is open', () => guard.state().state === 'open' && world.open !== null);
    // In a row, for longer than a lease: a machine that stands still for one may close it, and then opens it again.
    await until('it has renewed many times and was not closed meanwhile', () => {
      const since = world.calls.slice(world.calls.lastIndexOf('close'));
      return since.filter((call) => call === 'renew').length > 6;
    });
  });

  test('with both gone it closes, then stops the server; when one is back it starts and opens it', async () => {
    const { world, database } = fakeDatabase();
    const guard = guardOf(database);
    await until('it is open', () => world.open !== null);
    for (const { server } of granters) await server.close();
    await until('it has stopped the server', () => guard.state().state === 'stopped');
    assert.ok(world.calls.lastIndexOf('close') < world.calls.indexOf('stop'));
    const { host, port } = { host: '127.0.0.1', port: granters[1]?.server.port ?? 0 };
    const granter = granters[1]?.granter as Granter;
    const server = await startAgentServer({ host, port, token, site: 'beijing', granter });
    granters.push({ name: 'again', url: server.url, granter, server });
    await until('it is open again', () => guard.state().state === 'open' && world.open !== null);
    assert.ok(world.calls.includes('start'));
  });

  test('a stop of granting closes it, and the new holder stays refused', async () => {
    const { world, database } = fakeDatabase();
    const guard = guardOf(database);
    await until('it is open', () => world.open !== null);
    for (const { granter } of granters) granter.stopGranting({ service: 'shop', throughEpoch: 1, by: 'run' });
    await until('it is closed', () => guard.state().state === 'closed');
    for (const { granter } of granters) granter.putEpoch({ service: 'shop', epoch: 2, holder: 'beijing' });
    await assert.rejects(guard.openNow(2), { code: 'LEASE_REFUSED', message: /beijing holds epoch 2/ });
    assert.equal(world.open, null);
  });

  test('an ordered close is read back, tells the last position, and stands in the next life', async () => {
    const { world, database } = fakeDatabase();
    const guard = guardOf(database);
    await until('it is open', () => world.open !== null);
    const answer = await guard.close({ throughEpoch: 1, stop: false });
    assert.deepEqual(answer, { kind: 'closed', state: 'closed', finalLsn: '0/3000148' });
    assert.equal(world.open, null);
    await guard.stop();
    const next = guardOf(database);
    await until('it has closed again', () => next.state().state === 'closed');
    await assert.rejects(next.openNow(1), { code: 'EPOCH_STALE', message: /closed through epoch 1/ });
    for (const { granter } of granters) granter.putEpoch({ service: 'shop', epoch: 2, holder: 'hangzhou' });
    await until('a newer epoch opened it', () => world.open?.epoch === 2);
    await assert.rejects(next.close({ throughEpoch: 1, stop: false }), {
      code: 'EPOCH_STALE',
      message: /holds epoch 2/,
    });
  });

  test('an ordered stop ends the server', async () => {
    const { world, database } = fakeDatabase();
    const guard = guardOf(database);
    await until('it is open', () => world.open !== null);
    const answer = await guard.close({ throughEpoch: 1, stop: true });
    assert.deepEqual([answer.state, world.role], ['stopped', 'stopped']);
  });

  test('a close that cannot be remembered is not confirmed, but done', async () => {
    const { world, database } = fakeDatabase();
    const guard = guardOf(database);
    await until('it is open', () => world.open !== null);
    mkdirSync(join(dir, 'guard.json.new'));
    await assert.rejects(guard.close({ throughEpoch: 1, stop: false }), { code: 'FENCE_UNCONFIRMED' });
    assert.equal(world.open, null);
  });

  test('an opening for the promotion may be ordered while the database is still a standby', async () => {
    const { world, database } = fakeDatabase('standby');
    const guard = guardOf(database);
    await until('it is a standby', () => guard.state().state === 'standby');
    for (const { granter } of granters) granter.putEpoch({ service: 'shop', epoch: 2, holder: 'hangzhou' });
    const opened = guard.openNow(2, 15_000);
    await until('the lease is there', () => guard.state().leaseRemainingMs > 0);
    world.role = 'primary';
    await opened;
    assert.equal(world.open?.epoch, 2);
  });

  test('an opening of a database that stays a standby says so', async () => {
    const { database } = fakeDatabase('standby');
    const guard = guardOf(database);
    await assert.rejects(guard.openNow(1, 200), { code: 'LEASE_REFUSED', message: /the database is standby/ });
  });

  test('an opening that nobody grants says who did not answer', async () => {
    const { database } = fakeDatabase('standby');
    for (const { server } of granters) await server.close();
    const guard = guardOf(database);
    // A machine that stands still when the time is over makes that the reason: then it is ordered again.
    await until('it says who did not answer', async () => {
      const refusal = await guard.openNow(2, 1000).catch((err: MusterError) => err);
      assert.equal(refusal?.code, 'LEASE_REFUSED');
      return /agent of control/.test(refusal.message);
    });
  });

  for (const name of ['role', 'open', 'renew', 'close']) {
    test(`a ${name} of the database that hangs stops neither the loop nor the end of the lease`, async () => {
      const { world, database } = fakeDatabase();
      const guard = guardOf(database);
      await until('it is open', () => world.open !== null);
      world.hanging.add(name);
      for (const { server } of granters) await server.close();
      await until('it has stopped the server', () => world.calls.includes('stop'));
      assert.equal(guard.state().leaseRemainingMs < leaseMs, true);
      world.hanging.clear();
      world.release();
      await until('it knows that it has stopped', () => guard.state().state === 'stopped');
    });
  }

  test('what it does is told, and a listener that throws does not end it', async () => {
    const { world, database } = fakeDatabase();
    events.push = () => {
      throw new Error('listener');
    };
    const guard = guardOf(database);
    await until('it is open', () => world.open !== null);
    events.push = Array.prototype.push.bind(events);
    await guard.close({ throughEpoch: 1, stop: false });
    const states = events.flatMap((event) => (event.kind === 'state' ? [`${event.from} -> ${event.to}`] : []));
    assert.deepEqual(states, ['open -> closed']);
  });

  test('it closes the database when it is stopped, unless told not to', async () => {
    const { world, database } = fakeDatabase();
    const guard = guardOf(database);
    await until('it is open', () => world.open !== null);
    await guard.stop({ close: false });
    assert.notEqual(world.open, null);
    const next = guardOf(database);
    await until(
      'it is open',
      () => next.state().state === 'open' && world.calls.filter((c) => c === 'open').length > 1,
    );
    await next.stop();
    assert.equal(world.open, null);
  });

  test('a damaged memory keeps it from starting', () => {
    writeFileSync(join(dir, 'guard.json'), '{"version":1');
    assert.throws(() => guardOf(fakeDatabase().database), { code: 'CONFIG_INVALID' });
  });
});
