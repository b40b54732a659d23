/** The process that replicates is killed again and again while it copies. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openNodeLog } from '../../activities/mover/changes/node-log.ts';
import { protectionDir } from '../../activities/drivers/bucket/replication/home.ts';
import { replicationFigures } from '../../activities/drivers/bucket/replication/status.ts';
import { account } from '../storage/support/dev-cluster.ts';
import { startBucketPair, settles, type Bucket, type BucketPair } from './support/bucket-pair.ts';

const program = path.join(import.meta.dirname, 'support', 'replicate-program.ts');
let pair: BucketPair;
before(async () => {
  pair = await startBucketPair();
});
after(async () => {
  await pair?.[Symbol.asyncDispose]();
});

function start({ resource, home }: Bucket): { kill: () => Promise<void> } {
  const stateDir = protectionDir(home);
  mkdirSync(stateDir, { recursive: true });
  const order = { service: 'shop', resource, from: 'hangzhou', to: 'beijing', startedBy: 'test' };
  const child = spawn(process.execPath, [program, JSON.stringify({ order, stateDir })], { stdio: 'inherit' });
  const ended = once(child, 'exit');
  return {
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Without their bytes: it is asked again and again. */
async function keysAt(bucket: Bucket, site: 'hangzhou' | 'beijing'): Promise<string[]> {
  return (await bucket.at(site).list()).objects.map(({ key }) => key).filter((key) => !key.startsWith('.muster/'));
}

const countAt = async (bucket: Bucket): Promise<number> => (await keysAt(bucket, 'beijing')).length;

/** How often each key was written at the standby, by its own change log. */
async function writesAtStandby(bucket: Bucket): Promise<Map<string, number>> {
  const writes = new Map<string, number>();
  const keys = { accessKeyId: account.user, secretAccessKey: account.password };
  await using log = openNodeLog(bucket.at('beijing').place, () => Promise.resolve(keys));
  for (let after = 0, more = true; more;) {
    const answer = await log.read({ after });
    assert.equal(answer.kind, 'page');
    if (answer.kind !== 'page') return writes;
    for (const { key, kind } of answer.page.changes) if (kind === 'put') writes.set(key, (writes.get(key) ?? 0) + 1);
    ({ position: after, more } = answer.page);
  }
  return writes;
}

test(
  'killed in the middle of copying three times: nothing is missing, and nothing was written twice',
  { timeout: 120_000 },
  async () => {
    const bucket = await pair.begin({ replicate: { deleteGuard: 100, transfers: 4, requests: '150' } });
    const a = bucket.at('hangzhou');
    for (let i = 0; i < 150; i++) await a.put(`k${i}`, Buffer.from(`${i}`));
    await a.put('large', Buffer.alloc(40 * 1024 * 1024, 7));
    for (const copied of [20, 60, 100]) {
      const life = start(bucket);
      await settles(async () => assert.ok((await countAt(bucket)) >= copied), 40_000);
      await life.kill();
      await a.put(`after-${copied}`, Buffer.from('x'));
    }
    await a.delete('k149');
    const life = start(bucket);
    try {
      await settles(async () => {
        assert.deepEqual(await keysAt(bucket, 'beijing'), await keysAt(bucket, 'hangzhou'));
        const status = replicationFigures(protectionDir(bucket.home), 'shop', 'receipts');
        assert.deepEqual([status?.backlogObjects, status?.failed], [0, 0]);
      }, 60_000);
    } finally {
      await life.kill();
    }
    assert.deepEqual(await bucket.contents('beijing'), await bucket.contents('hangzhou'));
    const writes = [...(await writesAtStandby(bucket))].filter(([key]) => !key.startsWith('.muster/'));
    assert.ok(writes.length >= 153);
    assert.deepEqual(
      writes.filter(([, count]) => count > 1),
      [],
    );
  },
);
