/** Tags on their way between buckets of our own nodes: by a pass, by the change log, into a backup. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { settles } from '../support/settles.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { bucketEntries, savedObject } from '../../activities/backup/source/bucket.ts';
import { type FollowInput, follow } from '../../activities/mover/changes/follow.ts';
import { openNodeLog } from '../../activities/mover/changes/node-log.ts';
import { type CopySetup } from '../../activities/mover/copy/ports.ts';
import { refreshProperties } from '../../activities/mover/copy/refresh-properties.ts';
import { openLmdbLedger } from '../../activities/mover/ledger/lmdb-ledger.ts';
import { type ReplicationLedger } from '../../activities/mover/ledger/ledger.ts';
import { type PassRule, usualCopyRule, usualPassRule } from '../../activities/mover/run/pass.ts';
import { runPass } from '../../activities/mover/run/run-pass.ts';
import { type ObjectClient } from '../../activities/objects/types.ts';
import { account, type MoverCluster, startMoverCluster } from '../mover/support/cluster.ts';

let cluster: MoverCluster;
let work: string;
before(async () => {
  cluster = await startMoverCluster();
  work = mkdtempSync(path.join(os.tmpdir(), 'muster-tags-test-'));
});
after(async () => {
  await cluster?.[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

const mebibyte = 1024 * 1024;
let made = 0;
async function pair(dialect: 's3' | 'oss' = 's3'): Promise<[ObjectClient, ObjectClient]> {
  made += 1;
  const target = dialect === 's3' ? {} : { dialect, region: 'cn-hangzhou' };
  return [await cluster.bucket(`source-${made}`), await cluster.bucket(`target-${made}`, target)];
}
async function pass(from: ObjectClient, to: ObjectClient, rule: Partial<PassRule> = {}) {
  const sides = { source: { client: from, prefix: '' }, target: { client: to, prefix: '' } };
  const result = await runPass({ ...sides, rule: { ...usualPassRule, ...rule } }).finished;
  assert.equal(result.kind, 'complete', JSON.stringify(result));
  return result.counts;
}

for (const dialect of ['s3', 'oss'] as const) {
  test(`tags go along with objects of every size, from S3 to ${dialect}`, async () => {
    const [a, b] = await pair(dialect);
    const sizes = { small: 5, streamed: 300_000, parts: 6 * mebibyte };
    for (const [key, size] of Object.entries(sizes)) {
      await a.put(key, randomBytes(size), { tags: { team: 'ops + more', Größe: key } });
    }
    await a.put('plain', Buffer.from('x'));
    const copy = { ...usualCopyRule, smallBytes: 1_000, multipartBytes: mebibyte, partBytes: 5 * mebibyte };
    const counts = await pass(a, b, { copy });
    assert.deepEqual([counts.copied, counts.notCarried], [4, 0]);
    for (const key of Object.keys(sizes)) assert.deepEqual(await b.getTags(key), { team: 'ops + more', Größe: key });
    assert.deepEqual(await b.getTags('plain'), {});
  });

  test(`tags that changed alone are found by comparing properties, from S3 to ${dialect}`, async () => {
    const [a, b] = await pair(dialect);
    await a.put('tagged', Buffer.from('x'), { tags: { a: '1' } });
    await a.put('both', Buffer.from('x'), { tags: { a: '1' }, metadata: { v: '1' } });
    await pass(a, b);
    const { etag } = await b.head('tagged');
    await a.putTags('tagged', { b: '2' });
    // Written anew with other metadata and without tags: those at the target must go.
    await a.put('both', Buffer.from('x'), { metadata: { v: '2' } });
    assert.equal((await pass(a, b, { compareProperties: true })).refreshed, 2);
    assert.deepEqual(await b.getTags('tagged'), { b: '2' });
    assert.equal((await b.head('tagged')).etag, etag);
    assert.deepEqual([(await b.head('both')).metadata['v'], await b.getTags('both')], ['2', {}]);
    await a.putTags('tagged', {});
    assert.equal((await pass(a, b, { compareProperties: true })).refreshed, 1);
    assert.deepEqual(await b.getTags('tagged'), {});
    assert.equal((await pass(a, b, { compareProperties: true })).refreshed, 0);
  });
}

interface Following extends AsyncDisposable {
  ledger: ReplicationLedger;
  /** The change log has been read up to this moment. */
  caughtUp: () => Promise<void>;
  /** Nothing is left to be brought. */
  idle: () => Promise<void>;
}
function following(from: ObjectClient, to: ObjectClient, rule: Partial<PassRule> = {}): Following {
  const ledger = openLmdbLedger(path.join(work, `ledger-${made}`));
  const stop = new AbortController();
  const input: Omit<FollowInput, 'log'> = {
    ...{ source: { client: from, prefix: '' }, target: { client: to, prefix: '' }, ledger },
    ...{ everyMs: 3_600_000, paceMs: 20, signal: stop.signal, rule: { ...usualPassRule, ...rule } },
  };
  const ended = (async () => {
    await using log = openNodeLog(from.place, () => Promise.resolve(account));
    await follow({ ...input, log });
  })();
  ended.catch(() => {});
  return {
    ledger,
    caughtUp: () => {
      const nowMs = Date.now();
      return settles(async () => {
        const observed = await ledger.observed();
        assert.ok(observed?.by === 'change-log' && observed.upToMs >= nowMs);
      });
    },
    idle: () =>
      settles(async () => {
        const { pending, copied, failed } = await ledger.totals();
        assert.deepEqual([pending.objects, copied.objects, failed.objects], [0, 0, 0]);
      }),
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('test'));
      await ended;
      await ledger[Symbol.asyncDispose]();
    },
  };
}

test('tags that changed alone follow the change log, also where the object came a moment before', async () => {
  const [a, b] = await pair();
  const body = Buffer.from('x');
  await a.put('old', body, { metadata: { v: '1' } });
  await using replication = following(a, b);
  await settles(async () => assert.equal((await b.head('old')).sizeBytes, 1));
  // The log tells of the first write again, at a later time than the listing: of its metadata, as far as anyone can tell.
  await replication.caughtUp();
  await replication.idle();
  const first = await b.head('old');
  await a.putTags('old', { a: '1' });
  await settles(async () => assert.deepEqual(await b.getTags('old'), { a: '1' }));
  await replication.idle();
  const [row] = await replication.ledger.lookUp([{ key: 'old', version: '' }]);
  assert.deepEqual(
    [row?.op, row?.state, (await b.head('old')).lastModifiedMs],
    ['tags', 'verified', first.lastModifiedMs],
  );
  await a.putTags('old', {});
  // Each of them is tagged while its copy may be under way.
  const keys = Array.from({ length: 20 }, (_, i) => `new-${i}`);
  await Promise.all(
    keys.map(async (key, i) => {
      await a.put(key, body);
      await sleep(i * 10);
      await a.putTags(key, { key });
    }),
  );
  await settles(async () => {
    assert.deepEqual(await b.getTags('old'), {});
    for (const key of keys) assert.deepEqual(await b.getTags(key), { key });
  });
  await replication.idle();
});

test('tags of a version follow to its copy, and no version is made of them', async () => {
  const [a, b] = await pair();
  for (const client of [a, b]) await client.setVersioning('enabled');
  const write = async (text: string): Promise<string> => (await a.put('k', Buffer.from(text))).versionId!;
  const early = await write('one');
  await using replication = following(a, b, { versions: true });
  await settles(async () => assert.equal((await b.listVersions()).versions.length, 1));
  await replication.idle();
  const late = await write('two');
  const told = async (): Promise<Record<string, string>[]> => {
    const { versions } = await b.listVersions();
    return Promise.all(versions.map(({ versionId }) => b.getTags('k', { versionId })));
  };
  await settles(async () => assert.deepEqual(await told(), [{}, {}]));
  await a.putTags('k', { n: 'early' }, { versionId: early });
  await a.putTags('k', { n: 'late' }, { versionId: late });
  await settles(async () => assert.deepEqual(await told(), [{ n: 'late' }, { n: 'early' }]));
  await a.putTags('k', {}, { versionId: early });
  await settles(async () => assert.deepEqual(await told(), [{ n: 'late' }, {}]));
  await replication.idle();
});

test('a version that no ledger knows is found among those of the target', async () => {
  const [a, b] = await pair();
  for (const client of [a, b]) await client.setVersioning('enabled');
  const ids: string[] = [];
  for (const text of ['one', 'two', 'three']) ids.push((await a.put('k', Buffer.from(text))).versionId!);
  // A longer name with the same beginning lies behind it in the listing.
  await a.put('k2', Buffer.from('other'));
  await pass(a, b, { versions: true });
  const [one, , three] = ids as [string, string, string];
  await a.putTags('k', { n: 'one' }, { versionId: one });
  const setup: CopySetup = {
    ...{ source: { client: a, prefix: '' }, target: { client: b, prefix: '' }, rule: usualCopyRule },
    ...{ parts: (_, run) => run(), refused: new Set(), targetVersioned: true },
  };
  const task = { key: 'k', versionId: one, sizeBytes: 3, etag: '', writtenAtMs: 0 };
  assert.equal((await refreshProperties(setup, task)).kind, 'refreshed');
  assert.equal((await refreshProperties(setup, task)).kind, 'same');
  assert.equal((await refreshProperties(setup, { ...task, versionId: three })).kind, 'same');
  const { versions } = await b.listVersions({ prefix: 'k' });
  const tags = await Promise.all(versions.map(({ key, versionId }) => b.getTags(key, { versionId })));
  assert.deepEqual(tags, [{}, {}, { n: 'one' }, {}]);
  const { versionId: unknown } = await a.put('k', Buffer.from('four'));
  await assert.rejects(refreshProperties(setup, { ...task, versionId: unknown! }), { code: 'OBJECT_UNKNOWN' });
});

test('a backup of a bucket has the tags of its objects', async () => {
  const [a] = await pair();
  await a.put('tagged', Buffer.from('x'), { tags: { a: '1', b: '' } });
  await a.put('plain', Buffer.from('x'));
  const saved: Record<string, Record<string, string>> = {};
  for await (const { path: at, node, open, after: told } of bucketEntries({ client: a })) {
    for await (const chunk of open!()) assert.ok(chunk.length > 0);
    const { key, tags } = savedObject(path.posix.basename(at), { ...node, content: [], ...told!() });
    saved[key] = tags;
  }
  assert.deepEqual(saved, { tagged: { a: '1', b: '' }, plain: {} });
});
