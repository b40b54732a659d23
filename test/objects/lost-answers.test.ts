import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checksumsOf } from '../../activities/objects/checksum/hasher.ts';
import { openObjects } from '../../activities/objects/open.ts';
import { type Link } from './support/relay.ts';
import { failsWith, kilobyte, through, withWays } from './support/ways.ts';

const ways = withWays();

/** Once, for a request that begins like this. */
function once(method: string): (link: Link) => boolean {
  let done = false;
  return (link) => {
    if (done || !link.head.startsWith(method)) return false;
    done = true;
    return true;
  };
}

for (const dialect of ['s3', 'oss'] as const) {
  test(`${dialect}: a conditional put whose answer is lost is read back and done, once`, async () => {
    await using client = await through(ways, 'relay', {}, dialect);
    const own = Buffer.from(randomUUID());
    const lost = once('PUT');
    ways.relay.faults = { down: (piece, link) => (lost(link) ? 'cut' : piece) };
    const put = await client.put('lock', own, { ifAbsent: true });
    assert.equal(put.readBack, true);
    ways.relay.faults = {};
    const { bytes, info } = await client.getBytes('lock');
    assert.deepEqual([bytes, info.etag], [own, put.etag]);
  });
}

const isLargePut = (link: Link): boolean => link.head.startsWith('PUT') && link.upBytes > 1_000 * kilobyte;

test('a conditional put whose refusal is lost is refused: the key holds what another wrote', async () => {
  await using client = await through(ways, 'relay');
  // Of the same length, so that only the bytes tell.
  await client.put('lock', Buffer.from('theirs'));
  const lost = once('PUT');
  ways.relay.faults = { down: (piece, link) => (lost(link) ? 'cut' : piece) };
  await assert.rejects(
    client.put('lock', Buffer.from('mine!!'), { ifAbsent: true }),
    failsWith('OBJECT_CHANGED', /PreconditionFailed.*after 2 tries/, { mayHaveHappened: true }),
  );
  assert.equal((await client.getBytes('lock')).bytes.toString(), 'theirs');
});

test('a stream that is hashed on its way is read back, too, with If-Match', async () => {
  await using client = await through(ways, 'relay');
  const { etag } = await client.put('object', Buffer.from('old'));
  const bytes = randomBytes(300 * kilobyte);
  const lost = once('PUT');
  ways.relay.faults = { down: (piece, link) => (lost(link) ? 'cut' : piece) };
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
  await using client = await through(ways, 'relay');
  const bytes = randomBytes(300 * kilobyte);
  let opened = 0;
  const body = {
    ...{ sizeBytes: bytes.length, once: true },
    open: async function* () {
      opened += 1;
      yield bytes;
    },
  };
  ways.relay.faults = { down: (piece, link) => (link.head.startsWith('PUT') ? 'cut' : piece) };
  await assert.rejects(
    client.put('object', body),
    failsWith('OBJECT_STORE_UNREACHABLE', /^PUT f-.*\/object at 127\.0\.0\.1:/, { mayHaveHappened: true }),
  );
  assert.equal(opened, 1);
});

test('a source is closed however its put ends, so that what it reads from is free again', async () => {
  // One connection to read by: were it not given back, the next round would wait for it.
  await using client = await through(ways, 'relay', { connections: 1 });
  await using hasty = openObjects({ ...client.place, limits: { tries: 1, stallMs: 200, answerMs: 200 } });
  // More than the sockets on the way hold.
  const bytes = randomBytes(24_000 * kilobyte);
  await client.put('source', bytes);
  // Each when a part of the body has gone out: then its source is open for certain.
  const ends: { name: string; fault: (stop: AbortController) => 'cut' | 'hold' }[] = [
    { name: 'lost', fault: () => 'cut' },
    { name: 'stalled', fault: () => 'hold' },
    {
      name: 'aborted',
      fault(stop) {
        stop.abort();
        return 'hold';
      },
    },
  ];
  for (const { name, fault } of ends) {
    for (let round = 0; round < 2; round++) {
      const body = await client.get('source');
      const stop = new AbortController();
      ways.relay.faults = { up: (piece, link) => (isLargePut(link) ? fault(stop) : piece) };
      const source = { sizeBytes: bytes.length, open: () => body, once: true };
      await assert.rejects(hasty.put('target', source, {}, { signal: stop.signal }), name);
      ways.relay.faults = {};
      await assert.rejects(body[Symbol.asyncIterator]().next(), name);
    }
  }
  assert.equal((await client.head('source')).sizeBytes, bytes.length);
});

test('an unconditional put whose answers are lost is repeated until one comes', async () => {
  await using client = await through(ways, 'relay');
  let lost = 0;
  ways.relay.faults = { down: (piece, link) => (link.head.startsWith('PUT') && lost++ < 2 ? 'cut' : piece) };
  const put = await client.put('object', Buffer.from('x'));
  assert.deepEqual([put.readBack, lost], [false, 3]);
});

test('a completion whose answer is lost is done', async () => {
  await using client = await through(ways, 'relay');
  const upload = await client.createUpload('parts');
  const part = await client.uploadPart({ ...upload, partNumber: 1 }, randomBytes(200 * kilobyte));
  const lost = once('POST');
  ways.relay.faults = { down: (piece, link) => (lost(link) ? 'cut' : piece) };
  const done = await client.completeUpload(upload, [part]);
  ways.relay.faults = {};
  const info = await client.head('parts');
  assert.deepEqual([info.etag, info.sizeBytes], [done.etag, 200 * kilobyte]);
});

test('a small body that breaks off is fetched again; a large one is the reader’s to go on with', async () => {
  await using client = await through(ways, 'relay');
  const bytes = randomBytes(400 * kilobyte);
  await client.put('object', bytes);
  let cuts = 1;
  ways.relay.faults = {
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
  await using client = await through(ways, 'relay', { stallMs: 800 });
  const bytes = randomBytes(2_000 * kilobyte);
  await client.put('object', bytes);
  ways.relay.faults = {
    down: (piece, link) => (link.head.startsWith('GET') && link.downBytes > 100 * kilobyte ? 'hold' : piece),
  };
  const stalled = async (): Promise<void> => {
    for await (const chunk of await client.get('object')) assert.ok(chunk.length > 0);
  };
  await assert.rejects(stalled, failsWith('OBJECT_STORE_UNREACHABLE', /the answer stopped for 800 ms/));
  ways.relay.faults = {};
  let readBytes = 0;
  for await (const chunk of await client.get('object')) {
    // Longer than the limit, and it is what this is about.
    if (readBytes === 0) await sleep(1_800);
    readBytes += chunk.length;
  }
  assert.equal(readBytes, bytes.length);
});

test('a server that takes no more of a body is given up, a source that is slow is not', async () => {
  await using client = await through(ways, 'relay', { stallMs: 800, tries: 1 });
  ways.relay.faults = {
    up: (piece, link) => (link.head.startsWith('PUT') && link.upBytes > 100 * kilobyte ? 'hold' : piece),
  };
  await assert.rejects(
    client.put('object', randomBytes(40_000 * kilobyte)),
    failsWith('OBJECT_STORE_UNREACHABLE', /took nothing of the body for 800 ms/, { mayHaveHappened: true }),
  );
  ways.relay.faults = {};
  const slow = {
    sizeBytes: 2,
    open: async function* () {
      yield Buffer.from('a');
      await sleep(1_800);
      yield Buffer.from('b');
    },
  };
  await client.put('object', slow);
  assert.equal((await client.getBytes('object')).bytes.toString(), 'ab');
});

test('a server that does not answer is asked again, within the limits', async () => {
  await using client = await through(ways, 'relay', { answerMs: 700, tries: 3 });
  await client.put('object', Buffer.from('x'));
  let silent = 1;
  ways.relay.faults = {
    down: (piece, link) => (link.head.startsWith('GET') && link.downBytes === 0 && silent-- > 0 ? 'hold' : piece),
  };
  assert.equal((await client.getBytes('object')).bytes.toString(), 'x');
  ways.relay.faults = { down: () => 'hold' };
  await assert.rejects(
    client.getBytes('object'),
    failsWith('OBJECT_STORE_UNREACHABLE', /no answer within 700 ms \(after 3 tries\)/),
  );
  await assert.rejects(
    client.getBytes('object', {}, { deadlineMs: 60 }),
    failsWith('OBJECT_STORE_UNREACHABLE', /no answer within the deadline, which left \d+ ms/),
  );
});

test('bytes damaged on the way are sent again', async () => {
  await using client = await through(ways, 'relay');
  const bytes = randomBytes(100 * kilobyte);
  let flips = 1;
  ways.relay.faults = {
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
