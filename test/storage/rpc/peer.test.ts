import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { describe, test } from 'node:test';
import { StorageError } from '../../../storage-node/errors.ts';
import { remoteDrive } from '../../../storage-node/rpc/remote-drive.ts';
import { type DriveApi, DriveUnavailable, type ReadReply } from '../../../storage-node/store/drive-api.ts';
import { eventually } from '../../support/eventually.ts';
import { loopback } from './loopback.ts';
import { startRelay } from './relay.ts';
import { gate, scriptedDrive, stageWriter } from './scripted-drive.ts';

const key = Buffer.from('bucketidkey');
const dataId = Buffer.alloc(16, 3);
const register = (state: Uint8Array): ReadReply => ({
  ballot: 1,
  decided: true,
  tombstone: false,
  hidden: false,
  state,
  older: [],
  head: undefined,
});
/** Answers each read with its own key. */
const echo = (): DriveApi => scriptedDrive({ read: (request) => Promise.resolve(register(request.key)) });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('many calls', () => {
  test('10,000 at the same time each get their own answer', async () => {
    await using nodes = await loopback({ drives: { 0: echo() } });
    const { api } = remoteDrive(nodes.peer, 0);
    const calls = Array.from({ length: 10_000 }, async (_, number) => {
      const reply = await api.read({ key: Buffer.from(`key ${number}`), withHead: false });
      return Buffer.from(reply.state).toString() === `key ${number}`;
    });
    assert.ok((await Promise.all(calls)).every(Boolean));
    assert.equal(nodes.server.connections, 1, 'one connection for all of them');
  });

  test('a drive is given so many at a time, the rest in the order of their coming', async () => {
    const started: number[] = [];
    const gates: (() => void)[] = [];
    const drive = scriptedDrive({
      read(request) {
        started.push(Number(Buffer.from(request.key).toString()));
        const { promise, open } = gate();
        gates.push(open);
        return promise.then(() => register(request.key));
      },
    });
    await using nodes = await loopback({ drives: { 0: drive }, server: { runningCallsMax: 3 } });
    const { api } = remoteDrive(nodes.peer, 0);
    const calls = Array.from({ length: 12 }, (_, number) =>
      api.read({ key: Buffer.from(`${number}`), withHead: false }),
    );
    await eventually('three run', () => started.length === 3);
    for (let ended = 0; ended < 12; ended++) {
      await eventually('the next one runs', () => started.length === Math.min(12, ended + 3));
      gates[ended]!();
    }
    await Promise.all(calls);
    assert.deepEqual(
      started,
      Array.from({ length: 12 }, (_, number) => number),
    );
  });

  test('messages longer than a frame arrive whole, both ways, and small ones pass between their pieces', async () => {
    const controls = { echo: (body: unknown) => body, small: () => 'small' };
    await using nodes = await loopback({ controls });
    const long = Buffer.alloc(20 * 1024 * 1024, 'long ');
    const order: string[] = [];
    const slow = nodes.peer.control('echo', long).then((reply) => {
      order.push('long');
      return reply as Buffer;
    });
    const quick = nodes.peer.control('small', 0).then(() => order.push('small'));
    assert.ok(long.equals(await slow));
    await quick;
    assert.deepEqual(order, ['small', 'long']);
  });

  test('a message longer than any that is taken fails alone, on either side', async () => {
    const huge = Buffer.alloc(65 * 1024 * 1024);
    await using nodes = await loopback({ controls: { huge: () => huge, small: () => 'small' } });
    await assert.rejects(nodes.peer.control('huge', 0), { code: 'Internal' });
    await assert.rejects(nodes.peer.control('small', huge), RangeError);
    assert.equal(await nodes.peer.control('small', 0), 'small');
    assert.equal(nodes.server.connections, 1);
  });

  test('small calls do not wait for a stage that fills its connection', async () => {
    const held: (() => void)[] = [];
    const drive = scriptedDrive({
      read: (request) => Promise.resolve(register(request.key)),
      stage: () => stageWriter({ write: (_block, release) => held.push(release) }),
    });
    await using nodes = await loopback({ drives: { 0: drive } });
    const { api } = remoteDrive(nodes.peer, 0);
    const order: string[] = [];
    const stage = api.stage({ dataId, shard: 0, expectedBytes: undefined });
    for (let index = 0; index < 100; index++) {
      stage.write({ index, payload: Buffer.alloc(512 * 1024), checksum: 0n }, () => {});
    }
    const end = stage.finish().then(() => order.push('stage'));
    await eventually('the window is full', () => held.length === 8);
    // The stage cannot go on; everything else can, another stage and its blocks too.
    await api.read({ key, withHead: false });
    order.push('read');
    const other = api.stage({ dataId, shard: 1, expectedBytes: undefined });
    other.write({ index: 0, payload: Buffer.alloc(1000), checksum: 0n }, () => {});
    await eventually('the other stage has its block', () => held.length === 9);
    order.push('other stage');
    await eventually('all is taken', () => {
      for (const release of held.splice(0)) release();
      return stage.queuedBytes === 0;
    });
    await end;
    assert.deepEqual(order, ['read', 'other stage', 'stage']);
  });
});

describe('calls that are given up', () => {
  /** A drive whose scans never end, and that tells when it is told to stop. */
  function endless(): { drive: DriveApi; started: () => number; aborted: () => number } {
    let started = 0;
    let aborted = 0;
    const drive = scriptedDrive({
      scan: (_request, options) => {
        started++;
        options?.signal?.addEventListener('abort', () => aborted++);
        return new Promise<never>(() => {});
      },
      siteState: () => Promise.resolve({ epoch: 1, fenced: false, leased: false }),
    });
    return { drive, started: () => started, aborted: () => aborted };
  }
  const scan = {
    prefix: key,
    after: undefined,
    delimiter: undefined,
    limit: 1,
    skipTombstones: false,
    skipHidden: false,
  };

  for (const deadlineMs of [30, 1_000]) {
    test(`a deadline of ${deadlineMs} ms ends the call as Busy, here and at the drive`, async () => {
      const { drive, aborted } = endless();
      await using nodes = await loopback({ drives: { 0: drive } });
      const { api } = remoteDrive(nodes.peer, 0);
      await nodes.peer.connect();
      await assert.rejects(api.scan(scan, { deadlineMs }), { code: 'Busy' });
      await eventually('the drive was told', () => aborted() === 1);
      await api.siteState();
    });
  }

  test('an abort ends the call, here and at the drive', async () => {
    const { drive, started, aborted } = endless();
    await using nodes = await loopback({ drives: { 0: drive } });
    const { api } = remoteDrive(nodes.peer, 0);
    const abort = new AbortController();
    const call = api.scan(scan, { signal: abort.signal });
    await eventually('the drive works on it', () => started() === 1);
    abort.abort();
    await assert.rejects(call, DriveUnavailable);
    await eventually('the drive was told', () => aborted() === 1);
  });

  test('a call that was aborted before it began is never sent', async () => {
    const { drive, started } = endless();
    await using nodes = await loopback({ drives: { 0: drive } });
    const { api } = remoteDrive(nodes.peer, 0);
    const signal = AbortSignal.abort();
    await assert.rejects(api.scan(scan, { signal }), DriveUnavailable);
    await assert.rejects(api.readBlocks({ dataId, first: 0, count: 1 }, { signal }), DriveUnavailable);
    await api.siteState();
    assert.equal(started(), 0);
  });

  test('a call that waits for its turn at the node is taken out of the queue', async () => {
    const { drive, started } = endless();
    await using nodes = await loopback({ drives: { 0: drive }, server: { runningCallsMax: 1 } });
    const { api } = remoteDrive(nodes.peer, 0);
    const [first, second] = [new AbortController(), new AbortController()];
    const calls = [first, second].map((abort) => api.scan(scan, { signal: abort.signal }));
    const outcome = Promise.allSettled(calls);
    await eventually('the first runs', () => started() === 1);
    second.abort();
    first.abort();
    await outcome;
    await turn();
    assert.equal(started(), 1);
  });

  test('blocks that come after their call was given up are given back', async () => {
    const answer = gate();
    let released = 0;
    const drive = scriptedDrive({
      async readBlocks() {
        await answer.promise;
        const blocks = Array.from({ length: 8 }, (_, index) => ({
          index,
          payload: Buffer.alloc(400_000),
          checksum: 0n,
        }));
        return { kind: 'blocks', shard: 0, blocks, release: () => released++ };
      },
    });
    await using nodes = await loopback({ drives: { 0: drive } });
    const { api } = remoteDrive(nodes.peer, 0);
    const abort = new AbortController();
    const call = api.readBlocks({ dataId, first: 0, count: 8 }, { signal: abort.signal });
    answer.open();
    await eventually('some are on their way', () => nodes.clientMemory.taken > 0);
    abort.abort();
    await call.then(
      (reply) => reply.kind === 'blocks' && reply.release(),
      () => {},
    );
    await eventually('nothing is held', () => released === 1 && nodes.clientMemory.inUse === 0);
  });
});

describe('a peer that goes away', () => {
  test('calls under way fail, stages are aborted, pins released, and memory comes back', async () => {
    const events: string[] = [];
    const drive = scriptedDrive({
      read: () => new Promise<never>(() => {}),
      siteState: () => Promise.resolve({ epoch: 1, fenced: false, leased: false }),
      stage: () =>
        stageWriter({
          write: (_block, release) => blocks.push(release),
          abort() {
            events.push('abort');
            for (const release of blocks.splice(0)) release();
          },
        }),
      pin: () => ({ release: () => events.push('unpin') }),
    });
    const blocks: (() => void)[] = [];
    await using relay = await relayed();
    await using nodes = await loopback({ drives: { 0: drive }, dialPort: relay.to });
    const { api, health } = remoteDrive(nodes.peer, 0);
    await api.siteState();
    api.pin([dataId]);
    const stage = api.stage({ dataId, shard: 0, expectedBytes: undefined });
    let released = 0;
    for (let index = 0; index < 20; index++) {
      stage.write({ index, payload: Buffer.alloc(500_000), checksum: 0n }, () => released++);
    }
    const read = assert.rejects(api.read({ key, withHead: false }), DriveUnavailable);
    await eventually('blocks are there', () => blocks.length > 0);
    relay.at.refusing = true;
    relay.at.cut();
    await read;
    assert.equal(health.suspect, true, 'a lost connection is suspect at once');
    await assert.rejects(stage.finish(), DriveUnavailable);
    await assert.rejects(api.read({ key, withHead: false }), DriveUnavailable, 'and calls fail at once');
    await eventually('everything is given back', () => released === 20 && nodes.serverMemory.inUse === 0);
    await eventually('the node let go', () => events.length === 2);
    assert.deepEqual(events.toSorted(), ['abort', 'unpin']);
  });

  test('comes back: calls go through again without anybody asking for a connection', async () => {
    await using relay = await relayed();
    await using nodes = await loopback({ drives: { 0: echo() }, dialPort: relay.to });
    const { api, health } = remoteDrive(nodes.peer, 0);
    await api.read({ key, withHead: false });
    relay.at.refusing = true;
    relay.at.cut();
    await eventually('it is suspect', () => health.suspect);
    const attempts = relay.at.accepted;
    await eventually('it is tried again and again', () => relay.at.accepted >= attempts + 3);
    relay.at.refusing = false;
    await eventually('it is well again', () => !health.suspect);
    await api.read({ key, withHead: false });
    assert.equal(nodes.peer.health.reason, undefined);
  });

  test('was never there: the first call says so, and why', async () => {
    await using relay = await relayed();
    await using nodes = await loopback({ drives: { 0: echo() }, dialPort: relay.to });
    relay.at.refusing = true;
    await assert.rejects(
      remoteDrive(nodes.peer, 0).api.read({ key, withHead: false }),
      (error) => error instanceof DriveUnavailable && /node 1 cannot be reached/.test(error.message),
    );
    const stage = remoteDrive(nodes.peer, 0).api.stage({ dataId, shard: 0, expectedBytes: undefined });
    let released = 0;
    stage.write({ index: 0, payload: Buffer.alloc(10), checksum: 0n }, () => released++);
    await assert.rejects(stage.finish(), DriveUnavailable);
    assert.deepEqual([released, stage.queuedBytes], [1, 0]);
  });

  test('accepts and says nothing: the first calls fail when the connection takes too long', async () => {
    await using relay = await relayed();
    await using nodes = await loopback({
      drives: { 0: echo() },
      dialPort: relay.to,
      peer: { times: { connectMs: 100 } },
    });
    relay.at.swallowing = true;
    await assert.rejects(remoteDrive(nodes.peer, 0).api.read({ key, withHead: false }), /no answer within 100 ms/);
    relay.at.swallowing = false;
    await eventually('it is well again', () => !nodes.peer.health.suspect);
  });

  test('is silent: suspect while a call waits, lost when it lasts, back when it speaks', async () => {
    await using relay = await relayed();
    await using nodes = await loopback({
      drives: { 0: echo() },
      dialPort: relay.to,
      peer: { silentMs: 50, times: { deadMs: 1_500, connectMs: 300 } },
    });
    const { api, health } = remoteDrive(nodes.peer, 0);
    await eventually('it answers', async () => (await api.read({ key, withHead: false })) !== undefined);
    relay.at.swallowing = true;
    const read = assert.rejects(api.read({ key, withHead: false }), /silent/);
    await eventually('it is suspect', () => health.suspect && nodes.peer.health.reason === undefined);
    await read;
    await eventually('it is given up', () => nodes.peer.health.reason !== undefined);
    relay.at.swallowing = false;
    await eventually('it is well again', () => !health.suspect);
    await api.read({ key, withHead: false });
  });

  test('is silent without being asked anything: a ping notices', async () => {
    await using relay = await relayed();
    await using nodes = await loopback({
      drives: { 0: echo() },
      dialPort: relay.to,
      peer: { silentMs: 100, times: { deadMs: 800 } },
    });
    await nodes.peer.connect();
    relay.at.swallowing = true;
    await eventually('it is suspect', () => nodes.peer.health.suspect);
    relay.at.swallowing = false;
    await eventually('it is well again', () => !nodes.peer.health.suspect);
  });

  test('is stopped in the middle and goes on: calls wait, and are answered', async () => {
    const child = fork(new URL('echo-node.ts', import.meta.url).pathname);
    try {
      const port = await new Promise<number>((resolve) => child.once('message', (message) => resolve(Number(message))));
      await using nodes = await loopback({ dialPort: () => Promise.resolve(port), peer: { silentMs: 100 } });
      assert.equal(await nodes.peer.control('echo', 'before'), 'before');
      child.kill('SIGSTOP');
      const waiting = nodes.peer.control('echo', 'through');
      await eventually('it is suspect', () => nodes.peer.health.suspect);
      child.kill('SIGCONT');
      assert.equal(await waiting, 'through');
      assert.equal(nodes.peer.health.suspect, false, 'an answer clears it');
      child.kill('SIGKILL');
      await eventually('it is suspect at once', () => nodes.peer.health.reason !== undefined);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('reads slowly: the node stops reading from it, and loses nothing', async () => {
    await using relay = await relayed();
    const shard = Buffer.alloc(100_000, 5);
    let asked = 0;
    const drive = scriptedDrive({
      read(request) {
        if (++asked === 10) relay.at.hold(true);
        return Promise.resolve({ ...register(request.key), state: shard });
      },
    });
    await using nodes = await loopback({ drives: { 0: drive }, dialPort: relay.to });
    const { api } = remoteDrive(nodes.peer, 0);
    await api.read({ key, withHead: false });
    const calls = Array.from({ length: 2_000 }, () => api.read({ key, withHead: false }));
    await eventually('the drive is asked no more', async () => {
      const before = asked;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return before > 10 && asked === before;
    });
    assert.ok(asked < 2_000, 'answers nobody takes keep further calls waiting');
    relay.at.hold(false);
    for (const reply of await Promise.all(calls)) assert.equal(reply.state.length, shard.length);
  });

  test('stops in order: what is under way is finished, new calls are told to go elsewhere', async () => {
    const answer = gate();
    const drive = scriptedDrive({
      read: (request) => answer.promise.then(() => register(request.key)),
      siteState: () => Promise.resolve({ epoch: 1, fenced: false, leased: false }),
    });
    const nodes = await loopback({ drives: { 0: drive } });
    const { api, health } = remoteDrive(nodes.peer, 0);
    const reads = [1, 2, 3].map(() => api.read({ key, withHead: false }));
    await api.siteState();
    const closed = nodes.server.close(30_000);
    await eventually('the peer knows', () => health.suspect);
    await assert.rejects(api.siteState(), DriveUnavailable);
    answer.open();
    await Promise.all(reads);
    nodes.peer.close();
    await closed;
  });
});

describe('named calls', () => {
  test('are answered by the handler of their name, which knows who asks', async () => {
    const controls = {
      status: (body: unknown, from: string) => ({ body, from }),
      later: async () => {
        await turn();
        return undefined;
      },
      refuse() {
        throw new StorageError('Busy', 'not now', { details: { why: 'test' } });
      },
    };
    await using nodes = await loopback({ controls });
    const body = { list: [1, 'two', null], bytes: Buffer.from('x') };
    const reply = (await nodes.peer.control('status', body)) as { body: typeof body; from: string };
    assert.equal(reply.from, '0');
    assert.deepEqual([reply.body.list, Buffer.from(reply.body.bytes).toString()], [[1, 'two', null], 'x']);
    assert.equal(await nodes.peer.control('later', undefined), undefined);
    await assert.rejects(nodes.peer.control('refuse', 0), { code: 'Busy', details: { why: 'test' } });
    await assert.rejects(nodes.peer.control('nobody', 0), { code: 'Internal' });
  });
});

/** A relay whose target is known only once the server listens. */
async function relayed(): Promise<
  AsyncDisposable & { at: Awaited<ReturnType<typeof startRelay>>; to: (port: number) => Promise<number> }
> {
  let relay: Awaited<ReturnType<typeof startRelay>> | undefined;
  return {
    get at() {
      return relay!;
    },
    async to(port) {
      relay = await startRelay(port);
      return relay.port;
    },
    async [Symbol.asyncDispose]() {
      await relay?.[Symbol.asyncDispose]();
    },
  };
}
