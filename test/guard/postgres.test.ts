import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serverProcesses } from '../../activities/drivers/postgres/process.ts';
import { killServer } from '../../activities/drivers/postgres/server.ts';
import { openGranter, type Granter } from '../../activities/guard/granter-store.ts';
import { startGuard, type Guard } from '../../activities/guard/guard.ts';
import type { HttpServer } from '../../activities/guard/http.ts';
import { startAgentServer } from '../../activities/guard/server.ts';
import { rowsOf, signalSite, startWorld, type World } from '../drivers/postgres-world.ts';
import { until } from './support/fake-database.ts';

const token = 'a-token-that-nobody-guesses';
/** Long enough that a busy machine closes a real server before its guard must end it. */
const leaseMs = 5000;

describe('guard beside a real PostgreSQL', () => {
  let world: World;
  let granter: Granter;
  let server: HttpServer;
  let guard: Guard;
  let port = 0;

  const listen = async (): Promise<void> => {
    server = await startAgentServer({ host: '127.0.0.1', port, token, site: 'control', granter });
    port = server.port;
  };
  before(async () => {
    world = await startWorld({ schema: 'CREATE TABLE orders (id bigint PRIMARY KEY)', tables: ['orders'] });
    const stateFile = join(world.root, 'granter.json');
    granter = openGranter({ stateFile, site: null, services: { shop: { leaseMs } } });
    granter.putEpoch({ service: 'shop', epoch: 1, holder: 'hangzhou' });
    await listen();
    guard = startGuard({
      service: 'shop',
      resource: 'orders',
      site: 'hangzhou',
      leaseMs,
      database: world.access.hangzhou,
      granters: [{ name: 'control', url: server.url }],
      token,
      stateFile: join(world.root, 'guard.json'),
    });
  });
  after(async () => {
    await guard.stop({ close: false });
    await server.close();
    await world.stop();
  });

  let id = 0;
  /** A client's write: null when it was taken, otherwise how it was refused. */
  const write = async (): Promise<string | null> => {
    try {
      await rowsOf(world.appUrl('hangzhou'), 'INSERT INTO orders VALUES ($1)', [++id]);
      return null;
    } catch (err) {
      return err instanceof Error ? err.message : String(err);
    }
  };
  const isOpen = async (): Promise<boolean> => guard.state().state === 'open' && (await write()) === null;

  test('it opens under its lease, and clients write', async () => {
    await until('clients write', isOpen);
    const [lease] = await rowsOf<{ epoch: string }>(world.url('hangzhou'), 'SELECT epoch FROM muster.lease');
    assert.equal(Number(lease?.epoch), 1);
  });

  test('cut off it takes no write after the lease, stops the server, and opens it again when it is granted', async () => {
    await server.close();
    const endsAt = performance.now() + (granter.states()[0]?.remainingMs ?? 0);
    let lastWriteAt = 0;
    await until('the server is stopped', async () => {
      const beganAt = performance.now();
      if ((await write()) === null) lastWriteAt = beganAt;
      return guard.state().state === 'stopped';
    });
    assert.ok(lastWriteAt <= endsAt, `${lastWriteAt - endsAt} ms after the grant`);
    assert.deepEqual(serverProcesses(world.serverOf('hangzhou').dataDir), []);
    await listen();
    await until('clients write again', isOpen);
  });

  test('a server that is killed and comes up by itself is opened again by the guard', async () => {
    await killServer(world.serverOf('hangzhou').dataDir);
    await world.start('hangzhou', false);
    await until('clients write again', isOpen);
  });

  test('a server that does not answer is ended before its lease is', async () => {
    await until('clients write', isOpen);
    signalSite(world, 'hangzhou', 'SIGSTOP');
    await server.close();
    await until('the server is stopped', () => guard.state().state === 'stopped');
    assert.deepEqual(serverProcesses(world.serverOf('hangzhou').dataDir), []);
    await listen();
    await until('clients write again', isOpen);
  });

  test('an ordered close ends the sessions that write, and names the last position', async () => {
    await until('clients write', isOpen);
    const answer = await guard.close({ throughEpoch: 1, stop: false });
    assert.equal(answer.state, 'closed');
    assert.match(answer.finalLsn ?? '', /^[0-9A-F]+\/[0-9A-F]+$/);
    assert.match((await write()) ?? 'taken', /read-only|lease/);
    granter.putEpoch({ service: 'shop', epoch: 2, holder: 'hangzhou' });
    await until('a newer epoch has opened it', isOpen);
  });
});
