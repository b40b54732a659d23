/** A change of tags alone leaves no trace in a listing: what backups of buckets know of it all the same. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTrees } from '../../activities/backup/engine/trees.ts';
import { walkSnapshot } from '../../activities/backup/engine/walk-snapshot.ts';
import { createBlobTable } from '../../activities/backup/repository/blob-table.ts';
import { loadIndex } from '../../activities/backup/repository/index-load.ts';
import { loadSnapshot } from '../../activities/backup/repository/snapshot.ts';
import { savedObject } from '../../activities/backup/source/bucket.ts';
import { openObjects } from '../../activities/objects/open.ts';
import type { ObjectClient } from '../../activities/objects/types.ts';
import { saveBackup } from '../../activities/protection/backup.ts';
import { openBucketAt } from '../../activities/drivers/bucket/place.ts';
import { planTags, type TagsPlan } from '../../activities/protection/bucket-tags.ts';
import type { JsonObject, PlanResource } from '../../workflows/engine/plan.ts';
import type { RecoveryPoint } from '../../workflows/engine/protection.ts';
import { account, startCluster, type TestCluster } from '../storage/support/dev-cluster.ts';
import { contextOf, createWorld, service, site, type World } from './proof/support/world.ts';

let storage: TestCluster;
let world: World;
let resource: PlanResource;
let client: ObjectClient;

before(async () => {
  storage = await startCluster();
  world = await createWorld('tags');
  process.env['TAGS_ACCESS_KEY'] = account.user;
  process.env['TAGS_SECRET_KEY'] = account.password;
  const keys = { accessKey: 'env:TAGS_ACCESS_KEY', secretKey: 'env:TAGS_SECRET_KEY' };
  const at = { endpoints: storage.cluster.endpoints.join(','), ...keys };
  resource = {
    ...{ name: 'receipts', driver: 'bucket', shared: { bucket: 'receipts', replication: 'none' } },
    sites: { [site]: at, beijing: at },
  };
  const { CreateBucketCommand } = await import('@aws-sdk/client-s3');
  await storage.client(0).send(new CreateBucketCommand({ Bucket: 'receipts' }));
  client = await openBucketAt(resource, site);
});
after(async () => {
  await client[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
  await storage[Symbol.asyncDispose]();
});

function backupAt(where: string): Promise<RecoveryPoint> {
  return saveBackup({ service, resource, site: where, vault: world.vault, startedBy: 'test' }, contextOf({ world }));
}

/** By key, what a recovery point holds. */
async function tagsIn({ snapshotId }: RecoveryPoint): Promise<Record<string, Record<string, string>>> {
  const table = createBlobTable();
  await loadIndex(world.repository, table);
  const { tree } = await loadSnapshot(world.repository, snapshotId);
  const found: Record<string, Record<string, string>> = {};
  for await (const entry of walkSnapshot(openTrees(world.repository, table), tree)) {
    assert.equal(entry.kind, 'node');
    if (entry.kind !== 'node' || entry.node.type !== 'file') continue;
    const { key, tags } = savedObject(String(entry.path).slice('/receipts/'.length), entry.node);
    found[key] = tags;
  }
  return found;
}

test('on our own nodes each backup has the tags that objects had when it began, also where nothing else has changed', async () => {
  for (const key of ['a', 'b', 'c']) await client.put(key, Buffer.from(key), { tags: { state: 'new' } });
  const first = await backupAt(site);
  assert.deepEqual(await tagsIn(first), { a: { state: 'new' }, b: { state: 'new' }, c: { state: 'new' } });
  await client.putTags('a', { state: 'paid' });
  await client.putTags('b', {});
  const second = await backupAt(site);
  assert.deepEqual(await tagsIn(second), { a: { state: 'paid' }, b: {}, c: { state: 'new' } });
  assert.equal(typeof second.facts['logPosition'], 'number');
  // Several changes, some of them taken back, and an object that was written anew.
  for (const state of ['x', 'y', 'z']) await client.putTags('c', { state });
  await client.put('a', Buffer.from('another'), { tags: { state: 'again' } });
  const third = await backupAt(site);
  assert.deepEqual(await tagsIn(third), { a: { state: 'again' }, b: {}, c: { state: 'z' } });
});

test('a point of another site is no point to go on from: all tags are asked for', async () => {
  await client.putTags('b', { seen: 'there' });
  const there = await backupAt('beijing');
  assert.deepEqual((await tagsIn(there))['b'], { seen: 'there' });
});

const day = 24 * 3_600_000;
const nowMs = Date.UTC(2026, 0, 15);
const elsewhere: { name: string; before: JsonObject; isAsked: boolean; next: JsonObject }[] = [
  { name: 'nothing is known', before: {}, isAsked: true, next: { tagsReadAtMs: nowMs } },
  {
    name: 'they were asked for within the day',
    before: { tagsReadAtMs: nowMs - day + 1 },
    isAsked: false,
    next: { tagsReadAtMs: nowMs - day + 1 },
  },
  {
    name: 'they were asked for a day ago',
    before: { tagsReadAtMs: nowMs - day },
    isAsked: true,
    next: { tagsReadAtMs: nowMs },
  },
  {
    name: 'the clock has gone back',
    before: { tagsReadAtMs: nowMs + 1 },
    isAsked: true,
    next: { tagsReadAtMs: nowMs },
  },
  { name: 'a log was read before', before: { logPosition: 1 }, isAsked: true, next: { tagsReadAtMs: nowMs } },
];

/** What a store without a change log of ours looks like: this account may not read it. */
async function plan(before: JsonObject): Promise<TagsPlan> {
  const credentials = { accessKeyId: account.user, secretAccessKey: 'not the password' };
  await using stranger = openObjects({ ...client.place, credentials: { kind: 'fixed', credentials } });
  return planTags({ client: stranger, before, nowMs, signal: new AbortController().signal });
}

for (const { name, before: facts, isAsked, next } of elsewhere) {
  test(`where no change log can be read and ${name}, ${isAsked ? 'all tags are' : 'no tags are'} asked for`, async () => {
    const { isAskedAnew, facts: told } = await plan(facts);
    assert.deepEqual([isAskedAnew('a'), told], [isAsked, next]);
  });
}
