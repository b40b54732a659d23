import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHealQueue, type HealQueue } from '../../../storage-node/heal/queue.ts';
import { type HealTarget, type KeyHealth } from '../../../storage-node/heal/types.ts';
import { type ErasureSet } from '../../../storage-node/store/set.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';

const sets: ErasureSet[] = [0, 1].map((index) => ({ index, drives: [] }));
const key = (name: string): Uint8Array => Buffer.from(name);
const health = (kind: KeyHealth['kind']): KeyHealth => ({
  ...{ kind, shardsLacking: 1, shardsWritten: 1, bytesWritten: 1, reason: undefined },
});

interface Bench {
  clock: FakeClock;
  queue: HealQueue;
  /** `set/key` and when, in the order they were looked after. */
  healed: string[];
  told: KeyHealth[];
}

/** `heal` says how a key comes out; a key it says nothing of is healed. */
function bench(
  heal: (name: string, attempt: number) => KeyHealth['kind'] | Promise<KeyHealth['kind']> = () => 'healed',
  options: { capacity?: number; delayMs?: number } = {},
): Bench {
  const clock = fakeClock();
  const healed: string[] = [];
  const told: KeyHealth[] = [];
  const attempts = new Map<string, number>();
  const queue = createHealQueue({
    clock,
    ...options,
    async heal({ set, key: bytes }: HealTarget) {
      const name = `${set.index}/${Buffer.from(bytes).toString()}`;
      healed.push(`${name} ${clock.monotonicMs()}`);
      attempts.set(name, (attempts.get(name) ?? 0) + 1);
      return health(await heal(name, attempts.get(name)!));
    },
    onHealed: (one) => told.push(one),
  });
  return { clock, queue, healed, told };
}

test('a key is healed once, a second after it was first met, however often it is met until then', async () => {
  const { clock, queue, healed, told } = bench();
  for (let i = 0; i < 100; i++) {
    queue.add(sets[0]!, key('a'));
    await clock.pass(9);
  }
  assert.deepEqual([queue.length, healed], [1, []]);
  await clock.pass(10_000);
  assert.deepEqual([queue.length, healed, told.length], [0, ['0/a 1000'], 1]);
});

test('keys of the same name in two sets are two, and bytes that change later change nothing', async () => {
  const { clock, queue, healed } = bench();
  const bytes = key('a');
  queue.add(sets[0]!, bytes);
  queue.add(sets[1]!, bytes);
  bytes[0] = 'z'.charCodeAt(0);
  queue.add(sets[0]!, key('b'));
  assert.equal(queue.length, 3);
  await clock.pass(2_000);
  assert.deepEqual(healed, ['0/a 1000', '1/a 1000', '0/b 1000']);
});

test('a key that is met again after it was healed is healed again', async () => {
  const { clock, queue, healed } = bench(() => 'whole');
  queue.add(sets[0]!, key('a'));
  await clock.pass(5_000);
  queue.add(sets[0]!, key('a'));
  await clock.pass(5_000);
  assert.deepEqual(healed, ['0/a 1000', '0/a 6000']);
});

test('a key that is met again while it is being healed is healed once more: the first look may have been too early', async () => {
  let end: (() => void) | undefined;
  const first = new Promise<KeyHealth['kind']>((resolve) => (end = () => resolve('healed')));
  const { clock, queue, healed } = bench((_, attempt) => (attempt === 1 ? first : 'healed'));
  queue.add(sets[0]!, key('a'));
  await clock.pass(1_500);
  assert.deepEqual(healed, ['0/a 1000'], 'under way');
  queue.add(sets[0]!, key('a'));
  queue.add(sets[0]!, key('a'));
  end!();
  await clock.pass(10_000);
  assert.equal(queue.length, 0);
  assert.equal(healed.length, 2, healed.join());
});

test('a key that stays short is tried again after 2, 4, 8 seconds and so on, then every minute', async () => {
  const { clock, queue, healed } = bench((_, attempt) => (attempt <= 9 ? 'short' : 'healed'));
  queue.add(sets[0]!, key('a'));
  await clock.pass(600_000);
  const at = healed.map((one) => Number(one.split(' ')[1]) / 1_000);
  const pauses = at.slice(1).map((seconds, i) => seconds - at[i]!);
  assert.deepEqual(pauses, [2, 4, 8, 16, 32, 60, 60, 60, 60]);
  assert.equal(queue.length, 0);
});

test('a key that stays short keeps no other waiting', async () => {
  const { clock, queue, healed } = bench((name) => (name === '0/bad' ? 'short' : 'healed'));
  queue.add(sets[0]!, key('bad'));
  await clock.pass(30_000);
  queue.add(sets[0]!, key('good'));
  await clock.pass(2_000);
  assert.equal(healed.filter((one) => one.startsWith('0/good')).length, 1);
  assert.equal(queue.length, 1);
});

test('a key whose healing throws is tried again like one that stays short, and keeps no other waiting', async () => {
  const { clock, queue, healed, told } = bench((name, attempt) => {
    if (name === '0/bad' && attempt <= 3) throw new Error('what it says cannot be read');
    return 'healed';
  });
  queue.add(sets[0]!, key('bad'));
  queue.add(sets[0]!, key('good'));
  await clock.pass(1_000);
  assert.deepEqual(healed, ['0/bad 1000', '0/good 1000']);
  await clock.pass(60_000);
  const bad = healed.filter((one) => one.startsWith('0/bad')).map((one) => Number(one.split(' ')[1]) / 1_000);
  assert.deepEqual(bad, [1, 3, 7, 15]);
  assert.equal(queue.length, 0);
  assert.deepEqual(
    told.map(({ kind }) => kind),
    ['healed', 'healed'],
    'of an attempt that threw nothing is known',
  );
});

test('when it is full, further keys are dropped and counted, those it has are not', async () => {
  const { clock, queue, healed } = bench(undefined, { capacity: 2 });
  for (const name of ['a', 'b', 'c', 'a', 'd', 'c']) queue.add(sets[0]!, key(name));
  assert.deepEqual([queue.length, queue.dropped], [2, 3]);
  await clock.pass(2_000);
  assert.deepEqual(healed, ['0/a 1000', '0/b 1000']);
  queue.add(sets[0]!, key('c'));
  assert.deepEqual([queue.length, queue.dropped], [1, 3]);
});

test('one key is healed at a time', async () => {
  let running = 0;
  let most = 0;
  const { clock, queue } = bench(async () => {
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running -= 1;
    return 'healed' as const;
  });
  for (let i = 0; i < 5; i++) queue.add(sets[0]!, key(String(i)));
  for (let i = 0; i < 10; i++) await clock.pass(1_000);
  assert.deepEqual([most, queue.length], [1, 0]);
});

test('once stopped it heals nothing more and takes nothing', async () => {
  let stop: (() => void) | undefined;
  const { clock, queue, healed } = bench(() => {
    stop?.();
    return 'short';
  });
  stop = () => queue.stop();
  queue.add(sets[0]!, key('a'));
  queue.add(sets[0]!, key('b'));
  await clock.pass(1_000);
  assert.deepEqual(healed, ['0/a 1000']);
  queue.add(sets[0]!, key('c'));
  await clock.pass(100_000);
  assert.deepEqual([healed.length, queue.length], [1, 0]);
});
