import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Repository } from '../../../activities/backup/repository/attach.ts';
import type { LockClock } from '../../../activities/backup/repository/lock-clock.ts';
import { readLocks, writeLock } from '../../../activities/backup/repository/lock-file.ts';
import { acquireLock, listLocks, unlock } from '../../../activities/backup/repository/lock.ts';
import { eventually } from '../../support/eventually.ts';
import { initCheaply, password, reopen } from './support/repositories.ts';
import { restic, scratch, skipWithoutRestic, tryRestic } from './support/restic.ts';

const options = { skip: skipWithoutRestic, timeout: 120_000 };
const minute = 60_000;

function isLocked(...words: (string | RegExp)[]): (err: unknown) => boolean {
  return (err) => {
    assert.ok(err instanceof MusterError && err.code === 'REPOSITORY_LOCKED', String(err));
    for (const word of words) assert.match(err.message, new RegExp(word));
    return true;
  };
}

const lockNames = async (repository: Repository): Promise<string[]> =>
  (await readLocks(repository)).map(({ name }) => name);

/** A restic that holds a shared lock until its input ends. */
async function resticHoldingLock(path: string, repository: Repository): Promise<ChildProcess> {
  const env = { ...process.env, RESTIC_PASSWORD: password };
  const child = spawn('restic', ['--no-cache', '-r', path, 'backup', '--stdin'], {
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await eventually('restic locks', async () => (await readLocks(repository)).length === 1);
  return child;
}

test('while we share the repository, restic may back up and may not prune', options, async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  const repository = await initCheaply(path);
  const lock = await acquireLock(repository, { exclusive: false });
  await restic(path, ['backup', '--stdin', '--quiet']);
  const refused = await tryRestic(path, ['prune']);
  assert.match(refused.stderr, /already locked by PID/);
  await lock.release();
  await restic(path, ['prune']);
});

test('while we have the repository for ourselves, restic may do nothing to it', options, async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  const repository = await initCheaply(path);
  const lock = await acquireLock(repository, { exclusive: true });
  assert.match((await tryRestic(path, ['backup', '--stdin'])).stderr, /already locked exclusively by PID/);
  await lock.release();
  assert.deepEqual(await lockNames(repository), []);
});

test('the lock of a running restic is respected, named, waited for, and gone with it', options, async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  const repository = await initCheaply(path);
  const child = await resticHoldingLock(path, repository);
  try {
    const shared = await acquireLock(repository, { exclusive: false });
    await shared.release();
    const who = [`process ${child.pid}, shared`, process.env['USER'] ?? 'root', 'not stale', 'locks/[0-9a-f]{64}'];
    await assert.rejects(acquireLock(repository, { exclusive: true }), isLocked(...who));
    const waitedFor: string[] = [];
    const onWaiting = (name: string): void => {
      waitedFor.push(name);
      child.stdin?.end();
    };
    const lock = await acquireLock(repository, { exclusive: true, waitMs: 60_000, onWaiting });
    assert.deepEqual([waitedFor.length, waitedFor[0]?.includes(String(child.pid))], [1, true]);
    await lock.release();
  } finally {
    child.kill('SIGKILL');
  }
});

test('the lock of a killed restic is removed by the next who needs it gone', options, async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  const repository = await initCheaply(path);
  const child = await resticHoldingLock(path, repository);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal((await listLocks(repository))[0]?.verdict.kind, 'stale');
  const lock = await acquireLock(repository, { exclusive: true });
  assert.equal((await lockNames(repository)).length, 1);
  await lock.release();
});

/** A clock that a test turns. Those who sleep wake when their time has come. */
function createClock(): LockClock & { advance(ms: number): void; jump(ms: number): void; sleepers(): number } {
  let monotonicMs = 0;
  let wallMs = Date.now();
  const sleeping = new Set<{ untilMs: number; wake: () => void }>();
  return {
    wallMs: () => wallMs,
    monotonicMs: () => monotonicMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { untilMs: monotonicMs + ms, wake: resolve };
        sleeping.add(sleeper);
        signal?.addEventListener('abort', () => {
          sleeping.delete(sleeper);
          reject(new Error('woken'));
        });
      }),
    advance(ms) {
      monotonicMs += ms;
      wallMs += ms;
      for (const sleeper of sleeping) {
        if (sleeper.untilMs > monotonicMs) continue;
        sleeping.delete(sleeper);
        sleeper.wake();
      }
    },
    jump(ms) {
      wallMs += ms;
    },
    sleepers: () => sleeping.size,
  };
}

type TurnedClock = ReturnType<typeof createClock>;

/** Takes a lock by a clock that has to be turned for it. */
async function take(repository: Repository, clock: TurnedClock, exclusive = true) {
  const taking = acquireLock(repository, { exclusive, clock });
  await eventually('somebody sleeps', () => clock.sleepers() === 1);
  clock.advance(200);
  const lock = await taking;
  await eventually('somebody sleeps', () => clock.sleepers() === 1);
  return lock;
}

/** Turns the clock, and waits until the refresher has done its work and sleeps again. */
async function pass(clock: TurnedClock, ms: number): Promise<void> {
  clock.advance(ms);
  await eventually('somebody sleeps', () => clock.sleepers() === 1);
}

test('a lock is written anew every five minutes, the new one before the old one goes', async () => {
  await using at = scratch();
  const repository = await initCheaply(join(at.path, 'repository'));
  const removed: string[] = [];
  const watched: Repository = {
    ...repository,
    store: {
      ...repository.store,
      async remove(kind, name) {
        removed.push(`${name} of ${(await lockNames(repository)).length}`);
        await repository.store.remove(kind, name);
      },
    },
  };
  const clock = createClock();
  const lock = await take(watched, clock);
  const [first] = await lockNames(repository);
  await pass(clock, 4 * minute);
  assert.deepEqual(await lockNames(repository), [first]);
  await pass(clock, minute);
  const names = await lockNames(repository);
  assert.deepEqual([names.length, names[0] === first, removed], [1, false, [`${first} of 2`]]);
  await lock.confirm();
  await lock.release();
  await lock.release();
  assert.deepEqual(await lockNames(repository), []);
  await assert.doesNotReject(acquireLock(repository, { exclusive: true }).then((next) => next.release()));
});

test('who lost the lock is told when it asks', async () => {
  await using at = scratch();
  const repository = await initCheaply(join(at.path, 'repository'));
  const clock = createClock();
  const [asking, working] = [
    await take(repository, clock, false),
    await take(await reopen(repository), createClock(), false),
  ];
  assert.equal((await unlock(repository, 'stale')).length, 0);
  assert.equal((await unlock(repository, 'all')).length, 2);
  await assert.rejects(asking.confirm(), isLocked('somebody removed its lock'));
  assert.ok(asking.signal.aborted);
  await assert.rejects(asking.confirm(), isLocked('somebody removed its lock'));
  assert.ok(!working.signal.aborted);
  await asking.release();
  await working.release();
});

test('a lock that was removed stops its work at the next refresh', async () => {
  await using at = scratch();
  const repository = await initCheaply(join(at.path, 'repository'));
  const clock = createClock();
  const lock = await take(repository, clock);
  await unlock(repository, 'all');
  clock.advance(5 * minute);
  await eventually('the lock is lost', () => lock.signal.aborted);
  isLocked('somebody removed its lock')(lock.signal.reason);
  assert.deepEqual(await lockNames(repository), []);
});

test('a store that cannot be written to costs the lock after 25 minutes, not before', async () => {
  await using at = scratch();
  const repository = await initCheaply(join(at.path, 'repository'));
  let broken = false;
  const write = repository.store.write;
  const failing: Repository = {
    ...repository,
    store: { ...repository.store, write: (...args) => (broken ? Promise.reject(new Error('no way')) : write(...args)) },
  };
  const clock = createClock();
  const lock = await take(failing, clock);
  broken = true;
  await pass(clock, 5 * minute);
  for (let minutes = 6; minutes <= 25; minutes += 1) await pass(clock, minute);
  assert.ok(!lock.signal.aborted);
  clock.advance(minute);
  await eventually('the lock is lost', () => lock.signal.aborted);
  isLocked('could not be refreshed for 25 minutes')(lock.signal.reason);
});

test('after the wall clock jumped, confirming writes the lock anew', async () => {
  await using at = scratch();
  const repository = await initCheaply(join(at.path, 'repository'));
  const clock = createClock();
  const lock = await take(repository, clock);
  const [before] = await lockNames(repository);
  clock.jump(2 * 60 * minute);
  await lock.confirm();
  const [after] = await readLocks(repository);
  assert.notEqual(after?.name, before);
  assert.equal(after?.time, new Date(clock.wallMs()).toISOString());
  await lock.release();
});

test('of many that want the repository for themselves never two have it', { timeout: 120_000 }, async () => {
  await using at = scratch();
  const repository = await initCheaply(join(at.path, 'repository'));
  let inside = 0;
  let turns = 0;
  const clock: LockClock = {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    // Pauses are shorter than in life; the order of things is the same.
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, ms / 10);
        signal?.addEventListener('abort', () => {
          clearTimeout(timer);
          reject(new Error('woken'));
        });
      }),
  };
  const contender = async (): Promise<void> => {
    const lock = await acquireLock(await reopen(repository), { exclusive: true, waitMs: 100_000, clock });
    inside += 1;
    assert.equal(inside, 1);
    await lock.confirm();
    turns += 1;
    inside -= 1;
    await lock.release();
  };
  await Promise.all(Array.from({ length: 5 }, contender));
  assert.equal(turns, 5);
});

test('a lock file that cannot be read stops everybody, by name', async () => {
  await using at = scratch();
  const repository = await initCheaply(join(at.path, 'repository'));
  const name = await writeLock(repository, { exclusive: false, wallMs: Date.now() });
  await repository.store.write('lock', name, [Buffer.from('not sealed with our key')]);
  await assert.rejects(acquireLock(repository, { exclusive: false }), (err) => {
    assert.ok(err instanceof MusterError && err.code === 'REPOSITORY_DAMAGED', String(err));
    assert.ok(err.message.includes(`locks/${name}`));
    return true;
  });
});
