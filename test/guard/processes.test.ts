import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { hostMs, readServer, writeWorld } from './harness/file-database.ts';
import { House, pass, type HouseOptions } from './harness/house.ts';

const leaseMs = 1000;

describe('guards and granters as processes', { timeout: 120_000 }, () => {
  let house: House;
  const open = async (options: Partial<HouseOptions> = {}): Promise<House> =>
    (house = await House.open({ leaseMs, ...options }));
  afterEach(async () => {
    await house.close();
    assert.equal(house.twoWriters, 0, 'at some moment both sites took writes');
  });

  /** Nothing was refused at hangzhou while `work` ran. */
  const undisturbed = async (work: () => Promise<void>): Promise<void> => {
    house.refusedMs.hangzhou.length = 0;
    await work();
    await pass(leaseMs * 3);
    assert.equal(house.refusedMs.hangzhou.length, 0, 'hangzhou refused writes');
  };

  test('control killed alone: nothing closes, and it is the granter again when it is back', async () => {
    await open();
    await undisturbed(() => house.kill('control'));
    await undisturbed(() => house.start('control'));
    assert.equal((await house.granter('control')).epoch, 1);
  });

  test('the link to control cut alone: nothing closes', async () => {
    await open();
    await undisturbed(async () => house.cut('control', 'hangzhou', true));
    await undisturbed(async () => house.cut('control', 'hangzhou', false));
  });

  test('the link to the other site cut alone: nothing closes', async () => {
    await open();
    await undisturbed(async () => house.cut('hangzhou', 'beijing', true));
  });

  test('control paused alone: nothing closes', async () => {
    await open();
    await undisturbed(async () => house.signal('control', 'SIGSTOP'));
    house.signal('control', 'SIGCONT');
  });

  test('both links cut: no write is taken after the last grant has ended, the server is stopped, and opens when one is back', async () => {
    await open();
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
  });

  test('the guard killed: the database ends the lease by itself; its next life opens only when it is granted', async () => {
    await open();
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
  });

  test('failed over while the guard is dead, its next life is refused', async () => {
    await open();
    await house.kill('hangzhou');
    await house.failover(2, 'beijing');
    assert.equal(house.isWritable('beijing'), true);
    const movedMs = hostMs();
    await house.start('hangzhou');
    await house.until('it is refused', async () => /beijing holds epoch 2/.test((await house.guard('hangzhou')).why));
    await pass(leaseMs);
    assert.ok(house.lastWriteMs.hangzhou < movedMs);
    assert.equal((await house.guard('hangzhou')).state, 'closed');
  });

  test('paused, failed over, continued: not one write is taken after the pause', async () => {
    await open();
    house.signal('hangzhou', 'SIGSTOP');
    await house.failover(2, 'beijing');
    const movedMs = hostMs();
    house.signal('hangzhou', 'SIGCONT');
    await house.until('it is refused', async () => /beijing holds epoch 2/.test((await house.guard('hangzhou')).why));
    await pass(leaseMs);
    assert.ok(house.lastWriteMs.hangzhou < movedMs);
    assert.equal(house.isWritable('beijing'), true);
  });

  test('paused and continued with nobody else promoted: closed first, then open again', async () => {
    await open();
    house.signal('hangzhou', 'SIGSTOP');
    await pass(leaseMs * 2);
    house.signal('hangzhou', 'SIGCONT');
    await house.until('it is open again', () => house.isWritable('hangzhou'));
  });

  test('every granter killed and started again keeps what it promised', async () => {
    await open();
    await house.failover(2, 'beijing');
    for (const place of ['control', 'hangzhou', 'beijing'] as const) {
      await house.kill(place);
      await house.start(place);
    }
    assert.deepEqual([(await house.granter('control')).epoch, (await house.granter('beijing')).holder], [2, 'beijing']);
    await house.until('beijing is open again', () => house.isWritable('beijing'));
    await pass(leaseMs);
    assert.equal((await house.guard('hangzhou')).state, 'closed');
  });

  test('an ordered close is read back and stands through restarts', async () => {
    await open();
    const answer = await house.closeGuard('hangzhou', 1, false);
    assert.deepEqual(answer, { kind: 'closed', state: 'closed', finalLsn: '0/3000148' });
    const closedMs = hostMs();
    await house.kill('hangzhou');
    await house.start('hangzhou');
    await pass(leaseMs * 2);
    assert.ok(house.lastWriteMs.hangzhou < closedMs, 'the granters still grant, and it stays closed');
  });

  test('a database whose calls hang keeps neither the guard from answering nor the lease from ending', async () => {
    await open();
    writeWorld(house.dirOf('hangzhou'), { role: 'primary', hanging: ['renew', 'open', 'role', 'close'] });
    await house.until('writes are refused', () => !house.isWritable('hangzhou'));
    assert.equal((await house.guard('hangzhou')).service, 'shop');
    house.isolate('hangzhou', true);
    await house.until('the server is stopped', () => !readServer(house.dirOf('hangzhou')).running);
  });

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
      const file = join(process.env['TMPDIR'] ?? '/tmp', `muster-faketime-${process.pid}`);
      const setClock = (offset: string): void => writeFileSync(file, `${offset}\n`);
      setClock('+0');
      const env = {
        LD_PRELOAD: library,
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        DONT_FAKE_MONOTONIC: '1',
      };
      await open({ env: { hangzhou: env } });
      await undisturbed(async () => {
        setClock('-3600');
        await house.until('the clock is back', async () => (await house.clockOf('hangzhou')) < Date.now() - 3_000_000);
      });
      house.refusedMs.hangzhou.length = 0;
      setClock('+3600');
      await house.until('it has closed for the time that seemed to pass', () => house.refusedMs.hangzhou.length > 0);
      await house.until('it is open again', () => house.isWritable('hangzhou'));
    },
  );
});
