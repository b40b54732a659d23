import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { ObjectStoreError } from '../../../activities/objects/failure.ts';
import { openObjects } from '../../../activities/objects/open.ts';
import { gather, mebibyte, type Suite } from './store.ts';

/** Buckets, refusals, aborts, tags and locks. */
export function describeService({ name, traits, open }: Suite): void {
  test(`${name}: what is missing, foreign or not allowed is said by name`, async () => {
    await using client = await open();
    const { place } = client;
    await assert.rejects(client.getBytes('nothing'), {
      code: 'OBJECT_UNKNOWN',
      message: /GET .*\/nothing at .*request /,
    });
    await assert.rejects(client.head('nothing'), { code: 'OBJECT_UNKNOWN' });
    assert.deepEqual((await client.delete('nothing')).deleteMarker, false);
    await using absent = openObjects({ ...place, bucket: 'no-such-bucket-here' });
    await assert.rejects(absent.list(), { code: 'BUCKET_UNKNOWN' });
    await assert.rejects(absent.put('key', Buffer.from('x')), { code: 'BUCKET_UNKNOWN' });
    await assert.rejects(absent.headBucket(), { code: 'BUCKET_UNKNOWN' });
    const { credentials } = place;
    assert.equal(credentials.kind, 'fixed');
    if (credentials.kind !== 'fixed') return;
    const secret = 'a-wrong-secret-that-must-not-show';
    for (const keys of [
      { ...credentials.credentials, secretAccessKey: secret },
      { ...credentials.credentials, accessKeyId: 'NOBODY' },
    ]) {
      await using stranger = openObjects({ ...place, credentials: { kind: 'fixed', credentials: keys } });
      const refused = (error: unknown): boolean => {
        assert.ok(error instanceof ObjectStoreError);
        assert.equal(error.code, 'CREDENTIALS_REFUSED');
        assert.ok(!`${error.message} ${String(error.stack)}`.includes(secret));
        return true;
      };
      await assert.rejects(stranger.list(), refused);
      await assert.rejects(stranger.head('object'), refused);
      await assert.rejects(stranger.headBucket(), refused);
      await assert.rejects(stranger.put('object', randomBytes(3 * mebibyte)), refused);
    }
  });

  test(`${name}: a clock that is wrong is called one, with both times`, async () => {
    await using client = await open();
    await using late = openObjects(client.place, { nowMs: () => Date.now() - 3_600_000 });
    await assert.rejects(late.list(), {
      code: 'CREDENTIALS_REFUSED',
      message: /clocks disagree.* the server has 20|GMT/,
    });
  });

  test(`${name}: buckets are made, found, and made again without harm`, async () => {
    await using client = await open();
    await client.createBucket();
    await client.headBucket();
    const buckets = await client.listBuckets();
    const own = buckets.find((bucket) => bucket.name === client.bucket);
    assert.ok(own !== undefined && Math.abs(own.createdAtMs - Date.now()) < 60_000);
    assert.equal(await client.getVersioning(), 'off');
    await client.put('object', Buffer.from('x'));
    await assert.rejects(client.deleteBucket(), { code: 'OBJECT_STORE_REFUSED', serverCode: 'BucketNotEmpty' });
    await client.delete('object');
    await client.deleteBucket();
    await assert.rejects(client.headBucket(), { code: 'BUCKET_UNKNOWN' });
  });

  test(`${name}: an abort ends a call at any point, and the connections serve on`, async () => {
    await using client = await open();
    await client.put('large', randomBytes(4 * mebibyte));
    const before = AbortSignal.abort(new Error('before it began'));
    await assert.rejects(client.getBytes('large', {}, { signal: before }), { message: 'before it began' });
    const during = new AbortController();
    const body = await client.get('large', {}, { signal: during.signal });
    const reading = gather(body);
    during.abort(new Error('under way'));
    await assert.rejects(reading, { message: 'under way' });
    const upload = new AbortController();
    const endless = {
      sizeBytes: 100 * mebibyte,
      open: async function* () {
        yield randomBytes(mebibyte);
        upload.abort(new Error('half-way'));
        for (;;) yield randomBytes(mebibyte);
      },
    };
    await assert.rejects(client.put('half', endless, {}, { signal: upload.signal }), { message: 'half-way' });
    for await (const chunk of await client.get('large')) {
      assert.ok(chunk.length > 0);
      break;
    }
    (await client.get('large')).cancel();
    await assert.rejects(client.head('half'), { code: 'OBJECT_UNKNOWN' });
    assert.equal((await client.getBytes('large')).bytes.length, 4 * mebibyte);
  });

  test(`${name}: tags`, async (t) => {
    await using client = await open();
    await client.put('object', Buffer.from('x'));
    const tags = { team: 'ops + more', 'a key:1': 'x/y@z=1' };
    if (!traits.tags) {
      await assert.rejects(client.putTags('object', tags), { code: 'OBJECT_STORE_REFUSED' });
      t.skip(`${name} keeps no tags`);
      return;
    }
    await client.putTags('object', tags);
    assert.deepEqual(await client.getTags('object'), tags);
    await client.put('tagged', Buffer.from('x'), { tags });
    assert.deepEqual(await client.getTags('tagged'), tags);
    assert.equal((await client.getBytes('tagged')).info.tagCount, 2);
    await client.putTags('object', {});
    assert.deepEqual(await client.getTags('object'), {});
  });

  test(`${name}: locks`, async (t) => {
    if (!traits.objectLock) {
      await using client = await open();
      const asked = client.putRetention('object', { mode: 'GOVERNANCE', untilMs: Date.now() + 60_000 });
      await assert.rejects(asked, { code: 'OBJECT_STORE_REFUSED' });
      t.skip(`${name} locks no objects`);
      return;
    }
    await using client = await open({ lock: true });
    assert.deepEqual(await client.getBucketLock(), { state: 'on' });
    const untilMs = Math.floor(Date.now() / 1000) * 1000 + 3_600_000;
    const put = await client.put('kept', Buffer.from('x'), { retention: { mode: 'GOVERNANCE', untilMs } });
    const version = { versionId: put.versionId! };
    assert.deepEqual(await client.getRetention('kept'), { mode: 'GOVERNANCE', untilMs });
    assert.deepEqual((await client.head('kept')).retention, { mode: 'GOVERNANCE', untilMs });
    await assert.rejects(client.delete('kept', version), { code: 'OBJECT_LOCKED' });
    const [outcome] = await client.deleteMany([{ key: 'kept', ...version }]);
    assert.equal(outcome!.kind, 'failed');
    const longer = { mode: 'GOVERNANCE' as const, untilMs: untilMs + 60_000 };
    await client.putRetention('kept', longer, version);
    assert.deepEqual(await client.getRetention('kept', version), longer);
    await client.put('held', Buffer.from('x'), { legalHold: true });
    assert.equal(await client.getLegalHold('held'), true);
    await client.putLegalHold('held', false);
    assert.equal(await client.getLegalHold('held'), false);
    await client.setBucketLock({ mode: 'GOVERNANCE', days: 1 });
    assert.deepEqual(await client.getBucketLock(), { state: 'on', mode: 'GOVERNANCE', days: 1 });
  });

  test(`${name}: an account's many small objects at once`, async () => {
    await using client = await open();
    const keys = Array.from({ length: 300 }, (_, i) => `small/${i}`);
    await Promise.all(keys.map((key) => client.put(key, Buffer.from(key))));
    const back = await Promise.all(keys.map((key) => client.getBytes(key)));
    assert.deepEqual(
      back.map(({ bytes }) => bytes.toString()),
      keys,
    );
  });
}
