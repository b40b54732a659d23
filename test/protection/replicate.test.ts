/** The continuous replication of a bucket, between two real clusters over links that can be cut. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBucketPair, settles, type BucketPair } from './support/bucket-pair.ts';
import { startReplicating, type Replicating } from './support/replicating.ts';

let pair: BucketPair;
let stateDir: string;
before(async () => {
  pair = await startBucketPair({ replicate: { deleteGuard: 100 } });
  stateDir = path.join(pair.dir, 'state');
  await pair.fence('beijing', 1);
  await pair.openAt('hangzhou', 1);
});
after(async () => {
  await pair?.[Symbol.asyncDispose]();
});

async function caughtUp(replication: Replicating): Promise<void> {
  await settles(async () => {
    assert.deepEqual(await pair.contents('beijing'), await pair.contents('hangzhou'));
    assert.equal(replication.status()?.backlogObjects, 0);
  });
}

test(
  'writes, overwrites, metadata and deletes arrive at a standby that takes no write of a client',
  { timeout: 60_000 },
  async () => {
    const [a, b] = [pair.at('hangzhou'), pair.at('beijing')];
    await a.put('before', Buffer.from('1'));
    await using replication = startReplicating(pair.resource, stateDir);
    await caughtUp(replication);
    await a.put('before', Buffer.from('2'));
    await a.put('with/metadata', Buffer.from('3'), { metadata: { v: '1' } });
    await a.put('odd \u{1f600} key', Buffer.from(''));
    await caughtUp(replication);
    await a.put('with/metadata', Buffer.from('3'), { metadata: { v: '2' } });
    await a.delete('before');
    await caughtUp(replication);
    await settles(async () => assert.equal((await b.head('with/metadata')).metadata['v'], '2'));
    assert.deepEqual(Object.keys(await pair.contents('beijing')), ['odd \u{1f600} key', 'with/metadata']);
    const { oldestPendingAgeSeconds, phase, epoch, failed } = replication.status()!;
    assert.deepEqual([phase, epoch, failed], ['following', 1, 0]);
    assert.ok(oldestPendingAgeSeconds! > 0 && oldestPendingAgeSeconds! < 2, `${oldestPendingAgeSeconds}`);
    assert.equal(await pair.guard('beijing').role(), 'standby');
    assert.equal(await pair.guard('hangzhou').role(), 'primary');
    await replication.stop();
    // Nobody gives the standby a lease any more.
    await sleep(4_500);
    await assert.rejects(b.put('stranger', Buffer.from('x'), {}, { deadlineMs: 500 }), /lease/);
  },
);
