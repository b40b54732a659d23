import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { StorageError } from '../../../storage-node/errors.ts';
import { siteStateCall } from '../../../storage-node/rpc/housekeeping-codec.ts';
import { methodIds } from '../../../storage-node/rpc/methods.ts';
import { ask } from '../../../storage-node/rpc/peer.ts';
import { remoteDrive } from '../../../storage-node/rpc/remote-drive.ts';
import { type DriveApi, DriveUnavailable, type StageWriter } from '../../../storage-node/store/drive-api.ts';
import { eventually } from '../../support/eventually.ts';
import { decideRequests, driveCalls, pinned } from './drive-values.ts';
import { type Loopback, loopback } from './loopback.ts';
import { gate, plain, scriptedDrive, stageWriter } from './scripted-drive.ts';

type Callable = (...args: readonly unknown[]) => Promise<unknown>;
const dataId = Buffer.alloc(16, 7);
const fails = (error: unknown): ((thrown: unknown) => boolean) => {
  const { code, message } = error as { code?: string; message: string };
  return (thrown) => (thrown as { code?: string }).code === code && (thrown as Error).message === message;
};

describe('a drive behind the wire answers as the drive itself', () => {
  let answer: unknown;
  let asked: unknown[] = [];
  const methods = Object.keys(driveCalls).map((method) => [
    method,
    (...args: unknown[]) => {
      // The last argument is the options, which are the server's own.
      asked = args.slice(0, -1);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  ]);
  let nodes: Loopback;
  let api: DriveApi;
  before(async () => {
    nodes = await loopback({ drives: { 2: scriptedDrive(Object.fromEntries(methods) as Partial<DriveApi>) } });
    ({ api } = remoteDrive(nodes.peer, 2));
  });
  after(() => nodes[Symbol.asyncDispose]());

  for (const [method, { args, reply }] of Object.entries(driveCalls)) {
    test(`${method}: request and answer arrive unchanged`, async () => {
      const call = api[method as keyof typeof driveCalls] as Callable;
      await fc.assert(
        fc.asyncProperty(args as fc.Arbitrary<unknown[]>, reply as fc.Arbitrary<unknown>, async (given, told) => {
          answer = told;
          assert.deepEqual(plain(await call(...given)), plain(told));
          assert.deepEqual(plain(asked), plain(given));
        }),
        { numRuns: 50 },
      );
    });
    test(`${method}: a refusal and a dead drive arrive as what they are`, async () => {
      const call = api[method as keyof typeof driveCalls] as Callable;
      const given = fc.sample(args as fc.Arbitrary<unknown[]>, 1)[0]!;
      answer = new StorageError('OutOfSpace', 'the reserve is reached', { details: { drive: '2' } });
      await assert.rejects(call(...given), fails(answer));
      answer = new DriveUnavailable('stopped after an error of the disk');
      await assert.rejects(call(...given), DriveUnavailable);
    });
  }

  test('every method of the table is one that is tested here', () => {
    const oneWay = ['decide', 'stage', 'readBlocks', 'pin', 'unpin', 'control'];
    assert.deepEqual(Object.keys(methodIds).toSorted(), [...Object.keys(driveCalls), ...oneWay].toSorted());
    assert.equal(new Set(Object.values(methodIds)).size, Object.keys(methodIds).length);
  });

  test('a method nobody knows and a message nobody can read are answered, and the connection goes on', async () => {
    const target = nodes.peer.target(2, undefined, undefined);
    const link = nodes.peer.calls.openLink;
    const unknown = { ...siteStateCall, method: 200 };
    await assert.rejects(ask(nodes.peer, unknown, undefined, target), /knows no method 200/);
    const unreadable = { ...siteStateCall, method: methodIds.accept };
    await assert.rejects(ask(nodes.peer, unreadable, undefined, target), /unreadable call/);
    answer = { epoch: 3, fenced: true, leased: false };
    assert.deepEqual(await api.siteState(), answer);
    assert.ok(link !== undefined && nodes.peer.calls.openLink === link);
  });

  test('a number no drive has is a drive that is not there', async () => {
    await assert.rejects(remoteDrive(nodes.peer, 9).api.siteState(), DriveUnavailable);
  });
});

test('marks of decided ballots arrive, in order', async () => {
  const arrived: unknown[] = [];
  const drive = scriptedDrive({
    decide: (requests) => arrived.push(plain(requests)),
    siteState: () => Promise.resolve({ epoch: 1, fenced: false, leased: false }),
  });
  await using nodes = await loopback({ drives: { 0: drive } });
  const { api } = remoteDrive(nodes.peer, 0);
  await api.siteState();
  await fc.assert(
    fc.asyncProperty(fc.array(decideRequests, { maxLength: 4 }), async (marks) => {
      arrived.length = 0;
      for (const requests of marks) api.decide(requests);
      await api.siteState();
      assert.deepEqual(arrived, marks.map(plain));
    }),
    { numRuns: 20 },
  );
});

test('a mark for a node that cannot be reached is dropped without a word', async () => {
  const nodes = await loopback();
  await nodes[Symbol.asyncDispose]();
  remoteDrive(nodes.peer, 0).api.decide([{ key: dataId, ballot: 1 }]);
});

test('pins are taken before a later call is, and released', async () => {
  const events: string[] = [];
  const drive = scriptedDrive({
    pin(dataIds) {
      events.push(`pin ${dataIds.length}`);
      return { release: () => events.push('release') };
    },
    siteState() {
      events.push('call');
      return Promise.resolve({ epoch: 1, fenced: false, leased: false });
    },
  });
  await using nodes = await loopback({ drives: { 0: drive } });
  const { api } = remoteDrive(nodes.peer, 0);
  const pin = api.pin(fc.sample(pinned, 1)[0]!.concat([dataId]).slice(0, 1));
  await api.siteState();
  pin.release();
  pin.release();
  await api.siteState();
  assert.deepEqual(events, ['pin 1', 'call', 'release', 'call']);
});

test('blocks come with their index, checksum and bytes, each in memory that is given back once', async () => {
  const payloads = [512 * 1024, 64, 100_032].map((size) => Buffer.alloc(size, `${size}`));
  let released = 0;
  const drive = scriptedDrive({
    readBlocks: ({ first, count }) => {
      const blocks = payloads.slice(0, count).map((payload, at) => ({
        index: first + at,
        payload,
        checksum: 2n ** 63n + BigInt(at),
      }));
      return Promise.resolve({ kind: 'blocks', shard: 3, blocks, release: () => released++ });
    },
  });
  await using nodes = await loopback({ drives: { 0: drive } });
  const { api } = remoteDrive(nodes.peer, 0);
  for (const count of [3, 1, 0]) {
    const reply = await api.readBlocks({ dataId, first: 40, count });
    assert.ok(reply.kind === 'blocks');
    assert.equal(reply.shard, 3);
    assert.deepEqual(
      reply.blocks.map(({ index, checksum }) => [index, checksum]),
      payloads.slice(0, count).map((_, at) => [40 + at, 2n ** 63n + BigInt(at)]),
    );
    for (const [at, block] of reply.blocks.entries()) assert.ok(payloads[at]!.equals(block.payload));
    assert.equal(nodes.clientMemory.inUse, count);
    reply.release();
    reply.release();
    assert.equal(nodes.clientMemory.inUse, 0);
  }
  await eventually('the drive has its memory back', () => released === 3);
});

test('data that is missing or damaged is said to be', async () => {
  for (const kind of ['missing', 'damaged'] as const) {
    await using nodes = await loopback({
      drives: { 0: scriptedDrive({ readBlocks: () => Promise.resolve({ kind }) }) },
    });
    assert.deepEqual(await remoteDrive(nodes.peer, 0).api.readBlocks({ dataId, first: 0, count: 1 }), { kind });
  }
});

test('a stage is given its blocks in order and finishes when the drive has', async () => {
  const finished = gate();
  const given: string[] = [];
  const drive = scriptedDrive({
    stage(request) {
      given.push(JSON.stringify(plain(request)));
      return stageWriter({
        write({ index, payload, checksum }, release) {
          given.push(`${index} ${payload.length} ${payload[0]} ${checksum}`);
          setImmediate(release);
        },
        finish: () => finished.promise,
      });
    },
  });
  await using nodes = await loopback({ drives: { 0: drive } });
  const { api } = remoteDrive(nodes.peer, 0);
  const stage = api.stage({ dataId, shard: 2, expectedBytes: 100 });
  let released = 0;
  for (let index = 0; index < 30; index++) {
    const payload = Buffer.alloc(300_000, index);
    stage.write({ index, payload, checksum: BigInt(index) }, () => released++);
  }
  let ended = false;
  const end = stage.finish().then(() => (ended = true));
  await eventually('the drive was given all', () => given.length === 31);
  assert.equal(ended, false);
  finished.open();
  await end;
  assert.deepEqual(given, [
    JSON.stringify(plain({ dataId, shard: 2, expectedBytes: 100 })),
    ...Array.from({ length: 30 }, (_, index) => `${index} 300000 ${index} ${index}`),
  ]);
  assert.equal(released, 30);
  assert.equal(stage.queuedBytes, 0);
  await eventually('all memory is back', () => nodes.serverMemory.inUse === 0);
});

test('a stage sends no more than its window to a drive that takes nothing, and goes on when it does', async () => {
  const held: (() => void)[] = [];
  const drive = scriptedDrive({ stage: () => stageWriter({ write: (_block, release) => held.push(release) }) });
  await using nodes = await loopback({ drives: { 0: drive } });
  const { api } = remoteDrive(nodes.peer, 0);
  const stage = api.stage({ dataId, shard: 0, expectedBytes: undefined });
  let progress = 0;
  stage.onProgress = () => progress++;
  const blockBytes = 512 * 1024;
  for (let index = 0; index < 20; index++) {
    stage.write({ index, payload: Buffer.alloc(blockBytes), checksum: 0n }, () => {});
  }
  await eventually('the window is full', () => held.length === 8);
  await nodes.peer.control('nothing', 0).catch(() => {});
  assert.equal(held.length, 8, '4 MiB, and not a block more');
  assert.equal(stage.queuedBytes, 20 * blockBytes);
  assert.equal(progress, 0);
  for (const release of held.splice(0, 2)) release();
  await eventually('two more came', () => held.length === 8);
  await eventually('the caller was told', () => progress > 0 && stage.queuedBytes === 18 * blockBytes);
  const end = stage.finish();
  await eventually('the rest came', () => {
    for (const release of held.splice(0)) release();
    return stage.queuedBytes === 0;
  });
  await end;
});

describe('a stage that cannot end well', () => {
  let givenUp = 0;
  const abort = (): void => void (givenUp += 1);
  /** `started`: the drive has made a writer, which holds space until it is given up. */
  const writers: { name: string; started: boolean; stage: () => StageWriter }[] = [
    {
      name: 'is refused when it begins',
      started: false,
      stage: () => {
        throw new StorageError('OutOfSpace', 'the reserve is reached');
      },
    },
    {
      name: 'is refused when it ends',
      started: true,
      stage: () =>
        stageWriter({ finish: () => Promise.reject(new StorageError('OutOfSpace', 'the reserve is reached')), abort }),
    },
    {
      name: 'meets a drive that throws at a block',
      started: true,
      stage: () =>
        stageWriter({
          abort,
          write() {
            throw new StorageError('OutOfSpace', 'the reserve is reached');
          },
        }),
    },
  ];
  for (const { name, started, stage: makeStage } of writers) {
    test(name, async () => {
      givenUp = 0;
      await using nodes = await loopback({ drives: { 0: scriptedDrive({ stage: makeStage }) } });
      const { api } = remoteDrive(nodes.peer, 0);
      const stage = api.stage({ dataId, shard: 0, expectedBytes: undefined });
      let released = 0;
      for (let index = 0; index < 40; index++) {
        stage.write({ index, payload: Buffer.alloc(200_000), checksum: 0n }, () => released++);
      }
      await assert.rejects(stage.finish(), { code: 'OutOfSpace' });
      await eventually('the caller has its memory back', () => released === 40);
      assert.equal(stage.queuedBytes, 0);
      await eventually('the server has its memory back', () => nodes.serverMemory.inUse === 0);
      assert.equal(givenUp, started ? 1 : 0);
    });
  }

  test('is given up after its end: the drive is told, once, behind everything that was sent of it', async () => {
    const told: string[] = [];
    const drive = scriptedDrive({
      stage: () => stageWriter({ abort: () => void told.push('abort') }),
      unstage(id) {
        told.push(`unstage ${Buffer.from(id).toString('hex')}`);
        return Promise.resolve();
      },
    });
    await using nodes = await loopback({ drives: { 0: drive } });
    const { api } = remoteDrive(nodes.peer, 0);
    const stage = api.stage({ dataId, shard: 0, expectedBytes: undefined });
    stage.write({ index: 0, payload: Buffer.alloc(200_000), checksum: 0n }, () => {});
    await stage.finish();
    stage.abort();
    stage.abort();
    await eventually('the drive knows', () => told.length > 0);
    const other = api.stage({ dataId: Buffer.alloc(16, 8), shard: 0, expectedBytes: undefined });
    await other.finish();
    assert.deepEqual(told, [`unstage ${dataId.toString('hex')}`]);
  });

  test('is given up while its end is on the way: nothing of it stays, whichever comes first', async () => {
    const left = new Set<number>();
    let ended = 0;
    const drive = scriptedDrive({
      stage(request) {
        const number = request.dataId[0]!;
        let aborted = false;
        return stageWriter({
          async finish() {
            await Promise.resolve();
            ended++;
            if (aborted) throw new Error('the stage was given up');
            left.add(number);
          },
          abort() {
            aborted = true;
            left.delete(number);
          },
        });
      },
      unstage: (id) => Promise.resolve(void left.delete(id[0]!)),
    });
    await using nodes = await loopback({ drives: { 0: drive } });
    const { api } = remoteDrive(nodes.peer, 0);
    for (let number = 1; number <= 60; number++) {
      const stage = api.stage({ dataId: Buffer.alloc(16, number), shard: 0, expectedBytes: undefined });
      stage.write({ index: 0, payload: Buffer.alloc(1_000), checksum: 0n }, () => {});
      const end = stage.finish().catch(() => {});
      // From at once to long after it.
      for (let turn = 0; turn < number; turn++) await new Promise(setImmediate);
      stage.abort();
      await end;
    }
    await eventually('nothing is left', () => left.size === 0);
    assert.ok(ended > 10, `only ${ended} had an end`);
  });

  test('is given up: the drive is told, and everything is released', async () => {
    let aborted = 0;
    const held: (() => void)[] = [];
    const stageOf = (): StageWriter =>
      stageWriter({
        write: (_block, release) => held.push(release),
        abort() {
          aborted++;
          for (const release of held.splice(0)) release();
        },
      });
    await using nodes = await loopback({ drives: { 0: scriptedDrive({ stage: stageOf }) } });
    const stage = remoteDrive(nodes.peer, 0).api.stage({ dataId, shard: 0, expectedBytes: undefined });
    let released = 0;
    for (let index = 0; index < 40; index++) {
      stage.write({ index, payload: Buffer.alloc(200_000), checksum: 0n }, () => released++);
    }
    await eventually('some arrived', () => held.length > 3);
    stage.abort();
    stage.abort();
    await eventually('all released', () => released === 40 && aborted === 1 && nodes.serverMemory.inUse === 0);
    await assert.rejects(stage.finish(), DriveUnavailable);
  });
});
