import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hostMs, readServer, writeWorld } from './harness/file-database.ts';
import { House, pass, type HouseOptions } from './harness/house.ts';

const leaseMs = 1000;

/** Writes were refused that nothing should have kept from being taken. */
class Disturbed extends Error {}

describe('guards and granters as processes', () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'muster-processes-'));
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  const withHouse = async (work: (house: House) => Promise<void>, options: Partial<HouseOptions> = {}) => {
    const house = await House.open({ leaseMs, compileCache: join(dir, 'compiled'), ...options });
    try {
      await work(house);
    } finally {
      await house.close();
      assert.equal(house.twoWriters, 0, 'at some moment both sites took writes');
    }
  };

  /**
   * For work that must not be disturbed. A machine that stands still closes a site as a pause would, so another house
   * is tried; what closes it for a reason does so in every one. A longer lease makes that rare.
   */
  const withCalmHouse = async (
    work: (house: House) => Promise<void>,
    env: HouseOptions['env'] = {},
    attempts = 3,
  ): Promise<void> => {
    try {
      await withHouse(work, { leaseMs: 3000, env });
    } catch (err) {
      if (!(err instanceof Disturbed) || attempts === 1) throw err;
      await withCalmHouse(work, env, attempts - 1);
    }
  };

  /** Nothing is refused at hangzhou from here on, for longer than a lease lasts. */
  const undisturbed = async (house: House, fault: string): Promise<void> => {
    house.refusedMs.hangzhou.length = 0;
    await pass(house.leaseMs * 1.1);
    if (house.refusedMs.hangzhou.length > 0) throw new Disturbed(`${fault}: hangzhou refused writes`);
  };

  test('control killed, paused or cut off alone, or the other site cut off alone, closes nothing', () =>
    withCalmHouse(async (house) => {
      await house.kill('control');
      await undisturbed(house, 'control killed');
      await house.start('control');
      await undisturbed(house, 'control started');
      assert.equal((await house.granter('control')).epoch, 1);
      house.signal('control', 'SIGSTOP');
      await undisturbed(house, 'control paused');
      house.signal('control', 'SIGCONT');
      house.cut('control', 'hangzhou', true);
      await undisturbed(house, 'link to control cut');
      house.cut('control', 'hangzhou', false);
      house.cut('hangzhou', 'beijing', true);
      await undisturbed(house, 'link to beijing cut');
    }));

  test('both links cut: no write is taken after the last grant has ended, the server is stopped, and opens when one is back', () =>
    withHouse(async (house) => {
      house.isolate('hangzhou', true);
      const [control, beijing] = [await house.granter('control'), await house.granter('beijing')];
      const endsMs = hostMs() + Math.max(control.remainingMs, beijing.remainingMs);
      await house.until('the server is stopped', () => !readServer(house.dirOf('hangzhou')).running);
      await pass(leaseMs);
      assert.ok(house.lastWriteMs.hangzhou <= endsMs, `${house.lastWriteMs.hangzhou - endsMs} ms after the grant`);
      const state = await house.guard('hangzhou');
      assert.equal(state.state, 'stopped');
      assert.match(state.why, /cut off|lease ended/);
      house.cut('hangzhou', 'beijing', false);
      await house.until('it is open again', () => house.isWritable('hangzhou'));
      assert.equal(readServer(house.dirOf('hangzhou')).epoch, 1);
    }));

  test('the guard killed: the database ends the lease by itself; its next life opens only when it is granted', () =>
    withHouse(async (house) => {
      await house.kill('hangzhou');
      const [control, beijing] = [await house.granter('control'), await house.granter('beijing')];
      const endsMs = hostMs() + Math.max(control.remainingMs, beijing.remainingMs);
      await pass(leaseMs * 1.5);
      assert.ok(house.lastWriteMs.hangzhou <= endsMs, `${house.lastWriteMs.hangzhou - endsMs} ms after the grant`);
      house.isolate('hangzhou', true);
      await house.start('hangzhou');
      await house.until('it is closed', async () => (await house.guard('hangzhou')).state === 'closed');
      const restartedMs = hostMs();
      await pass(leaseMs * 2);
      assert.ok(house.lastWriteMs.hangzhou < restartedMs);
      house.isolate('hangzhou', false);
      await house.until('it is open again', () => house.isWritable('hangzhou'));
    }));

  test('failed over while the guard is dead, its next life is refused', () =>
    withHouse(async (house) => {
      await house.kill('hangzhou');
      await house.failover(2, 'beijing');
      await house.until('beijing is open', () => house.isWritable('beijing'));
      const movedMs = hostMs();
      await house.start('hangzhou');
      await house.until('it is refused', async () => /beijing holds epoch 2/.test((await house.guard('hangzhou')).why));
      await pass(leaseMs);
      assert.ok(house.lastWriteMs.hangzhou < movedMs);
      await house.until('it is closed', async () => (await house.guard('hangzhou')).state === 'closed');
    }));

  test('paused, failed over, continued: not one write is taken after the pause', () =>
    withHouse(async (house) => {
      house.signal('hangzhou', 'SIGSTOP');
      await house.failover(2, 'beijing');
      const movedMs = hostMs();
      house.signal('hangzhou', 'SIGCONT');
      await house.until('it is refused', async () => /beijing holds epoch 2/.test((await house.guard('hangzhou')).why));
      await pass(leaseMs);
      assert.ok(house.lastWriteMs.hangzhou < movedMs);
      await house.until('beijing is open', () => house.isWritable('beijing'));
    }));

  test('paused and continued with nobody else promoted: closed first, then open again', () =>
    withHouse(async (house) => {
      house.signal('hangzhou', 'SIGSTOP');
      await pass(leaseMs * 2);
      house.signal('hangzhou', 'SIGCONT');
      await house.until('it is open again', () => house.isWritable('hangzhou'));
    }));

  test('every granter killed and started again keeps what it promised', () =>
    withHouse(async (house) => {
      await house.failover(2, 'beijing');
      for (const place of ['control', 'hangzhou', 'beijing'] as const) {
        await house.kill(place);
        await house.start(place);
      }
      assert.deepEqual(
        [(await house.granter('control')).epoch, (await house.granter('beijing')).holder],
        [2, 'beijing'],
      );
      await house.until('beijing is open again', () => house.isWritable('beijing'));
      await pass(leaseMs);
      // Stopped, when nobody answered it in time while the others began anew.
      const isShut = async (): Promise<boolean> => /^(closed|stopped)$/.test((await house.guard('hangzhou')).state);
      await house.until('hangzhou is closed', isShut);
      assert.equal(house.isWritable('hangzhou'), false);
    }));

  test('an ordered close is read back and stands through restarts', () =>
    withHouse(async (house) => {
      const answer = await house.closeGuard('hangzhou', 1, false);
      assert.deepEqual(answer, { kind: 'closed', state: 'closed', finalLsn: '0/3000148' });
      const closedMs = hostMs();
      await house.kill('hangzhou');
      await house.start('hangzhou');
      await pass(leaseMs * 2);
      assert.ok(house.lastWriteMs.hangzhou < closedMs, 'the granters still grant, and it stays closed');
    }));

  test('a database whose calls hang keeps neither the guard from answering nor the lease from ending', () =>
    withHouse(async (house) => {
      writeWorld(house.dirOf('hangzhou'), { role: 'primary', hanging: ['renew', 'open', 'role', 'close'] });
      await house.until('writes are refused', () => !house.isWritable('hangzhou'));
      assert.equal((await house.guard('hangzhou')).service, 'shop');
      house.isolate('hangzhou', true);
      await house.until('the server is stopped', () => !readServer(house.dirOf('hangzhou')).running);
    }));

  const library = [
    '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1',
    '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1',
  ]
    .concat(process.env['MUSTER_LIBFAKETIME'] ?? [])
    .find((path) => existsSync(path));
  test(
    'the clock of the guard jumps',
    { skip: library === undefined && 'libfaketime is not installed here' },
    async () => {
      const file = join(dir, 'faketime');
      const setClock = (offset: string): void => writeFileSync(file, `${offset}\n`);
      setClock('+0');
      const env = {
        LD_PRELOAD: library,
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        DONT_FAKE_MONOTONIC: '1',
      };
      const jump = async (house: House): Promise<void> => {
        setClock('-3600');
        await house.until('the clock is back', async () => (await house.clockOf('hangzhou')) < Date.now() - 3_000_000);
        await undisturbed(house, 'clock set back');
        house.refusedMs.hangzhou.length = 0;
        setClock('+3600');
        await house.until('it has closed for the time that seemed to pass', () => house.refusedMs.hangzhou.length > 0);
        await house.until('it is open again', () => house.isWritable('hangzhou'));
      };
      // The next house, if there must be one, begins with the right time.
      const run = (house: House): Promise<void> => jump(house).finally(() => setClock('+0'));
      await withCalmHouse(run, { hangzhou: env });
    },
  );
});
