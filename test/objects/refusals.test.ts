import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { openObjects } from '../../activities/objects/open.ts';
import { errorDocument } from './support/front.ts';
import { failsWith, keys, kilobyte, placeAt, through, withWays } from './support/ways.ts';

const ways = withWays();

test('a completion that a server has forgotten is found by what it made', async () => {
  await using client = await through(ways, 'front');
  const upload = await client.createUpload('parts');
  const part = await client.uploadPart({ ...upload, partNumber: 1 }, randomBytes(200 * kilobyte));
  const done = await client.completeUpload(upload, [part]);
  ways.front.seen = [];
  ways.front.script = (request, count) =>
    request.startsWith('POST')
      ? count === 0
        ? { status: 500, body: errorDocument('InternalError') }
        : { status: 404, body: errorDocument('NoSuchUpload') }
      : undefined;
  const again = await client.completeUpload(upload, [part]);
  assert.deepEqual([again.readBack, again.etag], [true, done.etag]);
});

test('an overloaded server is left alone and asked again', async () => {
  await using client = await through(ways, 'front');
  ways.front.script = (_, count) =>
    count < 2 ? { status: 503, body: errorDocument('SlowDown'), headers: { 'retry-after': '0' } } : undefined;
  await client.put('object', Buffer.from('x'));
  assert.equal(ways.front.seen.length, 3);
});

test('a server that asks for more rest than there is time is not asked again', async () => {
  await using client = await through(ways, 'front');
  ways.front.script = () => ({ status: 429, headers: { 'retry-after': '600' } });
  await assert.rejects(
    client.list({}, { deadlineMs: 10_000 }),
    failsWith('OBJECT_STORE_UNREACHABLE', /status 429/, { retryAfterMs: 600_000, status: 429 }),
  );
  assert.equal(ways.front.seen.length, 1);
});

test('a refusal that comes as a success is one', async () => {
  await using client = await through(ways, 'front');
  await client.put('source', Buffer.from('x'));
  ways.front.seen = [];
  ways.front.script = (_, count) => (count === 0 ? { status: 200, body: errorDocument('InternalError') } : undefined);
  await client.copy({ key: 'source' }, 'copy');
  assert.equal(ways.front.seen.length, 2);
  ways.front.script = () => ({ status: 200, body: errorDocument('AccessDenied') });
  await assert.rejects(client.copy({ key: 'source' }, 'copy'), failsWith('CREDENTIALS_REFUSED', /AccessDenied/));
});

test('a listing that is damaged or of something else is asked for again, and never taken for an empty one', async () => {
  await using client = await through(ways, 'front', { tries: 3 });
  await client.put('object', Buffer.from('x'));
  const pages = [
    '<ListBucketResult><IsTruncated>false</IsTruncated>',
    '<html><body>502</body></html>',
    '',
    '<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>',
  ];
  for (const body of pages) {
    ways.front.seen = [];
    ways.front.script = (_, count) => (count === 0 ? { status: 200, body } : undefined);
    assert.equal((await client.list()).objects.length, 1, body);
  }
  ways.front.script = () => ({ status: 200, body: '<html/>' });
  await assert.rejects(client.list(), failsWith('OBJECT_STORE_UNREACHABLE', /not what an object store says/));
});

test('what will not get better is not repeated', async () => {
  await using client = await through(ways, 'front');
  const cases: [number, string, string][] = [
    [501, 'NotImplemented', 'OBJECT_STORE_REFUSED'],
    [403, 'InvalidObjectState', 'OBJECT_ARCHIVED'],
    [507, 'InsufficientStorage', 'TARGET_FULL'],
    [503, 'SiteFenced', 'OBJECT_STORE_REFUSED'],
  ];
  for (const [status, serverCode, code] of cases) {
    ways.front.seen = [];
    ways.front.script = () => ({ status, body: errorDocument(serverCode) });
    await assert.rejects(client.put('object', Buffer.from('x')), failsWith(code, /SCRIPT1/, { serverCode, status }));
    assert.equal(ways.front.seen.length, 1);
  }
});

test('a deletion of many names each that failed', async () => {
  await using client = await through(ways, 'front');
  ways.front.script = () => ({
    status: 200,
    body: '<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>',
  });
  assert.deepEqual(await client.deleteMany([{ key: 'a' }, { key: 'b' }, { key: 'c' }]), [
    { key: 'a', kind: 'deleted', code: undefined, message: undefined },
    { key: 'b', kind: 'failed', code: 'AccessDenied', message: 'no' },
    { key: 'c', kind: 'failed', code: '', message: 'the answer does not mention it' },
  ]);
});

test('a server that refuses without reading the body is heard', async () => {
  const document = errorDocument('AccessDenied', 'not here');
  // It closes with bytes unread, so that the system resets the connection under the one who still sends.
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('readable', () => {
      socket.read(1);
      socket.write(
        `HTTP/1.1 403 Forbidden\r\ncontent-length: ${document.length}\r\nconnection: close\r\n\r\n${document}`,
      );
      socket.destroySoon();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  try {
    await using client = openObjects(placeAt(`http://127.0.0.1:${port}`));
    for (let round = 0; round < 5; round++) {
      const put = client.put('object', Buffer.alloc(8_000 * kilobyte));
      await assert.rejects(put, failsWith('CREDENTIALS_REFUSED', /AccessDenied \(403\): not here/));
    }
  } finally {
    server.close();
  }
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
  await using client = await through(ways, 'front');
  const abort = new AbortController();
  ways.front.script = () => {
    abort.abort(new Error('enough'));
    return { status: 503, headers: { 'retry-after': '60' }, body: errorDocument('SlowDown') };
  };
  await assert.rejects(client.list({}, { signal: abort.signal }), { message: 'enough' });
});

test('keys that were renewed are taken up under way', async () => {
  await using prepared = await through(ways, 'front');
  const asked: boolean[] = [];
  const provider = ({ refused }: { refused: boolean }) => {
    asked.push(refused);
    return Promise.resolve(asked.length === 1 ? { ...keys, secretAccessKey: 'of yesterday' } : keys);
  };
  await using client = openObjects(
    { ...placeAt(ways.front.endpoint), bucket: prepared.bucket },
    { credentials: provider },
  );
  await Promise.all([client.list(), client.list(), client.put('object', Buffer.from('x'))]);
  assert.deepEqual(asked, [false, true]);
  let tries = 0;
  const never = () => {
    tries += 1;
    return Promise.resolve({ ...keys, secretAccessKey: 'of yesterday' });
  };
  await using other = openObjects({ ...placeAt(ways.front.endpoint), bucket: prepared.bucket }, { credentials: never });
  await assert.rejects(other.list(), failsWith('CREDENTIALS_REFUSED', /SignatureDoesNotMatch/));
  assert.equal(tries, 2);
});
