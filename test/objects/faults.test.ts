import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checksumsOf } from '../../activities/objects/checksum/hasher.ts';
import { ObjectStoreError } from '../../activities/objects/failure.ts';
import { openObjects } from '../../activities/objects/open.ts';
import { type ObjectLimits, type ObjectPlace } from '../../activities/objects/place.ts';
import { type ObjectClient } from '../../activities/objects/types.ts';
import { account, startCluster, type TestCluster } from '../storage/support/dev-cluster.ts';
import { errorDocument, type Front, startFront } from './support/front.ts';
import { type Link, type Relay, startRelay } from './support/relay.ts';

let cluster: TestCluster;
let relay: Relay;
let front: Front;
before(async () => {
  cluster = await startCluster();
  relay = await startRelay(cluster.cluster.endpoints[0]!);
  front = await startFront(cluster.cluster.endpoints[1]!);
});
after(async () => {
  await relay[Symbol.asyncDispose]();
  await front[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

const keys = { accessKeyId: account.user, secretAccessKey: account.password };
const kilobyte = 1024;

function placeAt(endpoint: string, limits: ObjectLimits = {}, dialect: ObjectPlace['dialect'] = 's3'): ObjectPlace {
  return {
    ...{ dialect, bucket: 'faults', prefix: '', region: 'us-east-1', addressing: 'path', endpoint, limits },
    credentials: { kind: 'fixed', credentials: keys },
  };
}

/** A bucket of its own, and a client that reaches it through the relay or the front. */
async function through(
  way: 'relay' | 'front',
  limits?: ObjectLimits,
  dialect?: ObjectPlace['dialect'],
): Promise<ObjectClient> {
  relay.faults = {};
  front.script = () => undefined;
  front.seen = [];
  const endpoint = way === 'relay' ? relay.endpoint : front.endpoint;
  const client = openObjects({ ...placeAt(endpoint, limits, dialect), bucket: `f-${randomUUID().slice(0, 18)}` });
  await client.createBucket();
  front.seen = [];
  return client;
}

/** Once, for a request that begins like this. */
function once(method: string): (link: Link) => boolean {
  let done = false;
  return (link) => {
    if (done || !link.head.startsWith(method)) return false;
    done = true;
    return true;
  };
}

function failsWith(code: string, message: RegExp, facts: Partial<ObjectStoreError> = {}): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ObjectStoreError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    for (const [name, value] of Object.entries(facts)) assert.equal(error[name as keyof ObjectStoreError], value, name);
    return true;
  };
}

for (const dialect of ['s3', 'oss'] as const) {
  test(`${dialect}: a conditional put whose answer is lost is read back and done, once`, async () => {
    await using client = await through('relay', {}, dialect);
    const own = Buffer.from(randomUUID());
    const lost = once('PUT');
    relay.faults = { down: (piece, link) => (lost(link) ? 'cut' : piece) };
    const put = await client.put('lock', own, { ifAbsent: true });
    assert.equal(put.readBack, true);
    relay.faults = {};
    const { bytes, info } = await client.getBytes('lock');
    assert.deepEqual([bytes, info.etag], [own, put.etag]);
  });
}

test('a conditional put whose refusal is lost is refused: the key holds what another wrote', async () => {
  await using client = await through('relay');
  // Of the same length, so that only the bytes tell.
  await client.put('lock', Buffer.from('theirs'));
  const lost = once('PUT');
  relay.faults = { down: (piece, link) => (lost(link) ? 'cut' : piece) };
  await assert.rejects(
    client.put('lock', Buffer.from('mine!!'), { ifAbsent: true }),
    failsWith('OBJECT_CHANGED', /PreconditionFailed.*after 2 tries/, { mayHaveHappened: true }),
  );
  assert.equal((await client.getBytes('lock')).bytes.toString(), 'theirs');
});

test('a stream that is hashed on its way is read back, too, with If-Match', async () => {
  await using client = await through('relay');
  const { etag } = await client.put('object', Buffer.from('old'));
  const bytes = randomBytes(300 * kilobyte);
  const lost = once('PUT');
  relay.faults = { down: (piece, link) => (lost(link) ? 'cut' : piece) };
  const body = {
    sizeBytes: bytes.length,
    open: async function* () {
      yield bytes;
    },
  };
  const put = await client.put('object', body, { ifMatch: etag, checksums: () => checksumsOf(['md5'], bytes) });
  assert.equal(put.readBack, true);
  assert.ok((await client.getBytes('object')).bytes.equals(bytes));
});

test('a stream that cannot be begun again is not repeated, and may have arrived', async () => {
  await using client = await through('relay');
  const bytes = randomBytes(300 * kilobyte);
  let opened = 0;
  const body = {
    ...{ sizeBytes: bytes.length, once: true },
    open: async function* () {
      opened += 1;
      yield bytes;
    },
  };
  relay.faults = { down: (piece, link) => (link.head.startsWith('PUT') ? 'cut' : piece) };
  await assert.rejects(
    client.put('object', body),
    failsWith('OBJECT_STORE_UNREACHABLE', /^PUT f-.*\/object at 127\.0\.0\.1:/, { mayHaveHappened: true }),
  );
  assert.equal(opened, 1);
});

test('an unconditional put whose answers are lost is repeated until one comes', async () => {
  await using client = await through('relay');
  let lost = 0;
  relay.faults = { down: (piece, link) => (link.head.startsWith('PUT') && lost++ < 2 ? 'cut' : piece) };
  const put = await client.put('object', Buffer.from('x'));
  assert.deepEqual([put.readBack, lost], [false, 3]);
});

test('a completion whose answer is lost is done', async () => {
  await using client = await through('relay');
  const upload = await client.createUpload('parts');
  const part = await client.uploadPart({ ...upload, partNumber: 1 }, randomBytes(200 * kilobyte));
  const lost = once('POST');
  relay.faults = { down: (piece, link) => (lost(link) ? 'cut' : piece) };
  const done = await client.completeUpload(upload, [part]);
  relay.faults = {};
  const info = await client.head('parts');
  assert.deepEqual([info.etag, info.sizeBytes], [done.etag, 200 * kilobyte]);
});

test('a completion that a server has forgotten is found by what it made', async () => {
  await using client = await through('front');
  const upload = await client.createUpload('parts');
  const part = await client.uploadPart({ ...upload, partNumber: 1 }, randomBytes(200 * kilobyte));
  const done = await client.completeUpload(upload, [part]);
  front.seen = [];
  front.script = (request, count) =>
    request.startsWith('POST')
      ? count === 0
        ? { status: 500, body: errorDocument('InternalError') }
        : { status: 404, body: errorDocument('NoSuchUpload') }
      : undefined;
  const again = await client.completeUpload(upload, [part]);
  assert.deepEqual([again.readBack, again.etag], [true, done.etag]);
});

test('a small body that breaks off is fetched again; a large one is the reader’s to go on with', async () => {
  await using client = await through('relay');
  const bytes = randomBytes(400 * kilobyte);
  await client.put('object', bytes);
  let cuts = 1;
  relay.faults = {
    down: (piece, link) => {
      if (!link.head.startsWith('GET') || link.downBytes < 100 * kilobyte || cuts === 0) return piece;
      cuts -= 1;
      return 'cut';
    },
  };
  assert.ok((await client.getBytes('object')).bytes.equals(bytes));
  assert.equal(cuts, 0);
  cuts = 1;
  const body = await client.get('object');
  const got: Buffer[] = [];
  const reading = async (): Promise<void> => {
    for await (const chunk of body) got.push(chunk);
  };
  await assert.rejects(reading, failsWith('OBJECT_STORE_UNREACHABLE', /^GET f-.*\/object at /));
  const first = Buffer.concat(got);
  assert.ok(first.length > 0 && first.length < bytes.length);
  const rest = await client.getBytes('object', { range: { first: first.length }, ifMatch: body.info.etag });
  assert.ok(Buffer.concat([first, rest.bytes]).equals(bytes));
});

test('an answer that stops half-way is given up, one whose reader is slow is not', async () => {
  await using client = await through('relay', { stallMs: 200 });
  const bytes = randomBytes(2_000 * kilobyte);
  await client.put('object', bytes);
  relay.faults = {
    down: (piece, link) => (link.head.startsWith('GET') && link.downBytes > 100 * kilobyte ? 'hold' : piece),
  };
  const stalled = async (): Promise<void> => {
    for await (const chunk of await client.get('object')) assert.ok(chunk.length > 0);
  };
  await assert.rejects(stalled, failsWith('OBJECT_STORE_UNREACHABLE', /the answer stopped for 200 ms/));
  relay.faults = {};
  let readBytes = 0;
  for await (const chunk of await client.get('object')) {
    // Longer than the limit, and it is what this is about.
    if (readBytes === 0) await sleep(600);
    readBytes += chunk.length;
  }
  assert.equal(readBytes, bytes.length);
});

test('a server that takes no more of a body is given up, a source that is slow is not', async () => {
  await using client = await through('relay', { stallMs: 200, tries: 1 });
  relay.faults = {
    up: (piece, link) => (link.head.startsWith('PUT') && link.upBytes > 100 * kilobyte ? 'hold' : piece),
  };
  await assert.rejects(
    client.put('object', randomBytes(40_000 * kilobyte)),
    failsWith('OBJECT_STORE_UNREACHABLE', /took nothing of the body for 200 ms/, { mayHaveHappened: true }),
  );
  relay.faults = {};
  const slow = {
    sizeBytes: 2,
    open: async function* () {
      yield Buffer.from('a');
      await sleep(600);
      yield Buffer.from('b');
    },
  };
  await client.put('object', slow);
  assert.equal((await client.getBytes('object')).bytes.toString(), 'ab');
});

test('a server that does not answer is asked again, within the limits', async () => {
  await using client = await through('relay', { answerMs: 150, tries: 3 });
  await client.put('object', Buffer.from('x'));
  let silent = 1;
  relay.faults = {
    down: (piece, link) => (link.head.startsWith('GET') && link.downBytes === 0 && silent-- > 0 ? 'hold' : piece),
  };
  assert.equal((await client.getBytes('object')).bytes.toString(), 'x');
  relay.faults = { down: () => 'hold' };
  await assert.rejects(
    client.getBytes('object'),
    failsWith('OBJECT_STORE_UNREACHABLE', /no answer within 150 ms \(after 3 tries\)/),
  );
  await assert.rejects(
    client.getBytes('object', {}, { deadlineMs: 60 }),
    failsWith('OBJECT_STORE_UNREACHABLE', /no answer within the deadline, which left \d+ ms/),
  );
});

test('bytes damaged on the way are sent again', async () => {
  await using client = await through('relay');
  const bytes = randomBytes(100 * kilobyte);
  let flips = 1;
  relay.faults = {
    up: (piece, link) => {
      if (!link.head.startsWith('PUT') || link.upBytes < 50 * kilobyte || flips === 0) return piece;
      flips -= 1;
      const damaged = Buffer.from(piece);
      damaged[100]! ^= 1;
      return damaged;
    },
  };
  await client.put('object', bytes);
  assert.equal(flips, 0);
  assert.ok((await client.getBytes('object')).bytes.equals(bytes));
  flips = 99;
  await assert.rejects(client.put('object', bytes), failsWith('CHECKSUM_MISMATCH', /\((after 2 tries)\)/));
});

test('an overloaded server is left alone and asked again', async () => {
  await using client = await through('front');
  front.script = (_, count) =>
    count < 2 ? { status: 503, body: errorDocument('SlowDown'), headers: { 'retry-after': '0' } } : undefined;
  await client.put('object', Buffer.from('x'));
  assert.equal(front.seen.length, 3);
});

test('a server that asks for more rest than there is time is not asked again', async () => {
  await using client = await through('front');
  front.script = () => ({ status: 429, headers: { 'retry-after': '600' } });
  await assert.rejects(
    client.list({}, { deadlineMs: 10_000 }),
    failsWith('OBJECT_STORE_UNREACHABLE', /status 429/, { retryAfterMs: 600_000, status: 429 }),
  );
  assert.equal(front.seen.length, 1);
});

test('a refusal that comes as a success is one', async () => {
  await using client = await through('front');
  await client.put('source', Buffer.from('x'));
  front.seen = [];
  front.script = (_, count) => (count === 0 ? { status: 200, body: errorDocument('InternalError') } : undefined);
  await client.copy({ key: 'source' }, 'copy');
  assert.equal(front.seen.length, 2);
  front.script = () => ({ status: 200, body: errorDocument('AccessDenied') });
  await assert.rejects(client.copy({ key: 'source' }, 'copy'), failsWith('CREDENTIALS_REFUSED', /AccessDenied/));
});

test('a listing that is damaged or of something else is asked for again, and never taken for an empty one', async () => {
  await using client = await through('front', { tries: 3 });
  await client.put('object', Buffer.from('x'));
  const pages = [
    '<ListBucketResult><IsTruncated>false</IsTruncated>',
    '<html><body>502</body></html>',
    '',
    '<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>',
  ];
  for (const body of pages) {
    front.seen = [];
    front.script = (_, count) => (count === 0 ? { status: 200, body } : undefined);
    assert.equal((await client.list()).objects.length, 1, body);
  }
  front.script = () => ({ status: 200, body: '<html/>' });
  await assert.rejects(client.list(), failsWith('OBJECT_STORE_UNREACHABLE', /not what an object store says/));
});

test('what will not get better is not repeated', async () => {
  await using client = await through('front');
  const cases: [number, string, string][] = [
    [501, 'NotImplemented', 'OBJECT_STORE_REFUSED'],
    [403, 'InvalidObjectState', 'OBJECT_ARCHIVED'],
    [507, 'InsufficientStorage', 'TARGET_FULL'],
    [503, 'SiteFenced', 'OBJECT_STORE_REFUSED'],
  ];
  for (const [status, serverCode, code] of cases) {
    front.seen = [];
    front.script = () => ({ status, body: errorDocument(serverCode) });
    await assert.rejects(client.put('object', Buffer.from('x')), failsWith(code, /SCRIPT1/, { serverCode, status }));
    assert.equal(front.seen.length, 1);
  }
});

test('a deletion of many names each that failed', async () => {
  await using client = await through('front');
  front.script = () => ({
    status: 200,
    body: '<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>',
  });
  assert.deepEqual(await client.deleteMany([{ key: 'a' }, { key: 'b' }, { key: 'c' }]), [
    { key: 'a', kind: 'deleted', code: undefined, message: undefined },
    { key: 'b', kind: 'failed', code: 'AccessDenied', message: 'no' },
    { key: 'c', kind: 'failed', code: '', message: 'the answer does not mention it' },
  ]);
});

test('nobody there: said at once for each try, and nothing can have happened', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  await using client = openObjects(placeAt(`http://127.0.0.1:${port}`, { tries: 2 }));
  await assert.rejects(
    client.put('object', Buffer.from('x')),
    failsWith('OBJECT_STORE_UNREACHABLE', /ECONNREFUSED.*after 2 tries/, { mayHaveHappened: false }),
  );
});

test('an abort ends the pause between two tries', async () => {
  await using client = await through('front');
  const abort = new AbortController();
  front.script = () => {
    abort.abort(new Error('enough'));
    return { status: 503, headers: { 'retry-after': '60' }, body: errorDocument('SlowDown') };
  };
  await assert.rejects(client.list({}, { signal: abort.signal }), { message: 'enough' });
});

test('keys that were renewed are taken up under way', async () => {
  await using prepared = await through('front');
  const asked: boolean[] = [];
  const provider = ({ refused }: { refused: boolean }) => {
    asked.push(refused);
    return Promise.resolve(asked.length === 1 ? { ...keys, secretAccessKey: 'of yesterday' } : keys);
  };
  await using client = openObjects({ ...placeAt(front.endpoint), bucket: prepared.bucket }, { credentials: provider });
  await Promise.all([client.list(), client.list(), client.put('object', Buffer.from('x'))]);
  assert.deepEqual(asked, [false, true]);
  let tries = 0;
  const never = () => {
    tries += 1;
    return Promise.resolve({ ...keys, secretAccessKey: 'of yesterday' });
  };
  await using other = openObjects({ ...placeAt(front.endpoint), bucket: prepared.bucket }, { credentials: never });
  await assert.rejects(other.list(), failsWith('CREDENTIALS_REFUSED', /SignatureDoesNotMatch/));
  assert.equal(tries, 2);
});
