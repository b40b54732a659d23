/** Outcomes on their way into the ledger: gathered, bounded, and no reason to hold up the next copy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SettledWrite, type ReplicationLedger } from '../../activities/mover/ledger/ledger.ts';
import { createLanes } from '../../activities/mover/run/lanes.ts';
import { usualPassRule } from '../../activities/mover/run/pass.ts';
import { runPass } from '../../activities/mover/run/run-pass.ts';
import { createSettler } from '../../activities/mover/run/settler.ts';
import { memoryBucket } from '../mover/support/memory-client.ts';
import { memoryLedger } from '../mover/support/memory-ledger.ts';

const outcome = (key: string): SettledWrite => ({ key, version: '', state: 'verified', sourceEtag: 'e' });

/** A ledger whose disk takes nothing until it is told to. */
function stuckDisk(settle: (outcomes: readonly SettledWrite[]) => Promise<void> = () => Promise.resolve()): {
  ledger: Pick<ReplicationLedger, 'settle'>;
  free: () => void;
  commits: number[];
} {
  const commits: number[] = [];
  let free: () => void = () => {};
  const freed = new Promise<void>((resolve) => (free = resolve));
  return {
    commits,
    free: () => free(),
    ledger: {
      async settle(outcomes) {
        await freed;
        commits.push(outcomes.length);
        await settle(outcomes);
      },
    },
  };
}

test('outcomes of one moment share a commit, and each is told when it is durable', async () => {
  const { ledger, free, commits } = stuckDisk();
  const settler = createSettler(ledger as ReplicationLedger);
  let durable = 0;
  const all = ['a', 'b', 'c'].map((key) => settler.settle(outcome(key)).then(() => (durable += 1)));
  await sleep(50);
  assert.equal(durable, 0);
  free();
  await Promise.all(all);
  assert.deepEqual([durable, commits], [3, [3]]);
});

test('a disk that takes nothing makes it crowded, and no longer when it has', async () => {
  const { ledger, free } = stuckDisk();
  const settler = createSettler(ledger as ReplicationLedger);
  const all: Promise<void>[] = [];
  while (!settler.crowded) {
    all.push(settler.settle(outcome(String(all.length))));
    assert.ok(all.length <= 100_000, 'never crowded');
  }
  free();
  await Promise.all(all);
  assert.equal(settler.crowded, false);
});

test('outcomes that cannot be written count as waiting no longer, and their writers are told', async () => {
  const settler = createSettler({ settle: () => Promise.reject(new Error('full')) } as unknown as ReplicationLedger);
  const all: Promise<void>[] = [];
  while (!settler.crowded) all.push(settler.settle(outcome(String(all.length))));
  for (const settled of await Promise.allSettled(all)) assert.equal(settled.status, 'rejected');
  assert.equal(settler.crowded, false);
});

test('a lane that is left twice is given back once', async () => {
  const lanes = createLanes(2);
  const leave = await lanes.take(1);
  await lanes.take(1);
  leave();
  leave();
  assert.equal(lanes.taken, 1);
});

test('objects are copied while the outcomes of others wait for the disk; the pass ends when all are durable', async () => {
  const own = memoryLedger();
  const { ledger: stuck, free } = stuckDisk((outcomes) => own.settle(outcomes));
  const ledger: ReplicationLedger = { ...own, settle: stuck.settle };
  const [a, b] = [memoryBucket('a'), memoryBucket('b')];
  for (let i = 0; i < 40; i++) a.set(`key-${String(i).padStart(2, '0')}`, 'x');
  const sides = { source: { client: a.client, prefix: '' }, target: { client: b.client, prefix: '' } };
  // With one lane, which nothing gives back before the disk does, the second object would wait for ever.
  const pass = runPass({ ...sides, ledger, rule: { ...usualPassRule, transfers: 1 } });
  let ended = false;
  void pass.finished.then(() => (ended = true));
  while (b.keys().length < 40) await sleep(5);
  assert.deepEqual([ended, (await own.totals()).verifiedRows], [false, 0]);
  free();
  const result = await pass.finished;
  assert.deepEqual([result.kind, result.counts.copied, (await own.totals()).verifiedRows], ['complete', 40, 40]);
});
