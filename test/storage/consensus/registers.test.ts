import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createBallotClock } from '../../../storage-node/consensus/ballot.ts';
import { type Change, createRegisters, type Registers } from '../../../storage-node/consensus/registers.ts';
import { StorageError } from '../../../storage-node/errors.ts';
import { type DriveApi, DriveUnavailable } from '../../../storage-node/store/drive-api.ts';
import { type ErasureSet } from '../../../storage-node/store/set.ts';
import { type MemoryDrive } from '../support/memory-drive.ts';
import { memoryDrives, realClock, seeded, setOf, testEnv } from '../support/memory-set.ts';

const key = Buffer.concat([Buffer.alloc(8, 1), Buffer.from([0x10]), Buffer.from('counter')]);
const guard = { fromClient: true, bucketGeneration: 1 };

function plain(value: Uint8Array, tombstone = false): Change {
  return { tombstone, hidden: false, state: value, headData: undefined, puts: () => [], note: undefined };
}

interface Node {
  set: ErasureSet;
  registers: Registers;
}

function nodeOn(
  drives: readonly MemoryDrive[],
  index: number,
  options: { random?: () => number; wrap?: Wrap } = {},
): Node {
  const env = testEnv(options.random ?? Math.random);
  const registers = createRegisters({
    env,
    ballots: createBallotClock(index, realClock),
    dataIdsOf: () => [],
    siteEpoch: () => 0,
    lagging: () => {},
    readDeadlineMs: 400,
    writeDeadlineMs: 2_000,
    graceMs: 5,
  });
  return { registers, set: setOf(drives, index, options.wrap) };
}

type Wrap = (drive: DriveApi, position: number) => DriveApi;

test('what one node writes, every other node reads', async () => {
  const drives = memoryDrives(4);
  const [writer, reader] = [nodeOn(drives, 0), nodeOn(drives, 3)];
  assert.equal((await reader!.registers.get(reader!.set, key)).ballot, 0);
  await writer!.registers.change(writer!.set, key, guard, () => plain(Buffer.from('one')));
  const found = await reader!.registers.get(reader!.set, key);
  assert.equal(Buffer.from(found.state).toString(), 'one');
});

for (const { size, down, reads, writes } of [
  { size: 4, down: 1, reads: true, writes: true },
  { size: 4, down: 2, reads: true, writes: false },
  { size: 4, down: 3, reads: false, writes: false },
  { size: 8, down: 3, reads: true, writes: true },
  { size: 8, down: 4, reads: true, writes: false },
  { size: 16, down: 8, reads: true, writes: false },
  { size: 16, down: 9, reads: false, writes: false },
]) {
  test(`with ${down} of ${size} drives down reads ${reads ? 'work' : 'fail'} and writes ${writes ? 'work' : 'fail'}`, async () => {
    const drives = memoryDrives(size);
    const node = nodeOn(drives, 0);
    await node.registers.change(node.set, key, guard, () => plain(Buffer.from('before')));
    for (const drive of drives.slice(size - down)) drive.down = true;
    const read = node.registers.get(node.set, key).then(({ state }) => Buffer.from(state).toString());
    if (reads) assert.equal(await read, 'before');
    else await assert.rejects(read, { code: 'ReadQuorumLost' });
    const write = node.registers.change(node.set, key, guard, () => plain(Buffer.from('after')));
    if (writes) await write;
    else await assert.rejects(write, { code: 'WriteQuorumLost' });
  });
}

test('a fenced drive quorum refuses clients and says so; housekeeping goes on', async () => {
  const drives = memoryDrives(4);
  const node = nodeOn(drives, 1);
  for (const drive of drives) await drive.setSiteState({ epoch: 7, fenced: true, leased: false });
  const refused = node.registers.change(node.set, key, guard, () => plain(Buffer.from('x')));
  await assert.rejects(refused, (error: StorageError) => error.code === 'Fenced' && error.details['siteEpoch'] === '7');
  const own = { fromClient: false, bucketGeneration: 1 };
  await node.registers.change(node.set, key, own, () => plain(Buffer.from('y')));
});

test('a writer with old bucket settings is refused by any quorum that knows newer ones', async () => {
  const drives = memoryDrives(4);
  const node = nodeOn(drives, 1);
  for (const drive of drives.slice(0, 3)) {
    await drive.guardBucket({ bucketId: key.subarray(0, 8), generation: 2, sealed: false });
  }
  const refused = node.registers.change(node.set, key, guard, () => plain(Buffer.from('x')));
  await assert.rejects(refused, (error: StorageError) => error.details['bucketChanged'] === '1');
});

test('a value on one drive only is passed over once all have spoken, and completed or dropped by the next writer', async () => {
  const drives = memoryDrives(4);
  const node = nodeOn(drives, 0);
  await node.registers.change(node.set, key, guard, () => plain(Buffer.from('old')));
  // A writer that dies after the first accept.
  const lonely = nodeOn(drives, 2, {
    wrap: (drive, position) =>
      position === 0 ? drive : { ...drive, accept: () => Promise.reject(new DriveUnavailable('cut')) },
  });
  await assert.rejects(lonely.registers.change(lonely.set, key, guard, () => plain(Buffer.from('lost'))));
  assert.equal(Buffer.from((await node.registers.get(node.set, key)).state).toString(), 'old');
  await node.registers.change(node.set, key, guard, (current) => {
    assert.equal(Buffer.from(current.state).toString(), 'old');
    return plain(Buffer.from('new'));
  });
  assert.equal(Buffer.from((await nodeOn(drives, 3).registers.get(node.set, key)).state).toString(), 'new');
});

test('counting up from four nodes at once over a bad network counts every acknowledged step exactly once', async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = seeded(seed);
    const drives = memoryDrives(4);
    const nodes = [0, 1, 2, 3].map((index) => nodeOn(drives, index, { random, wrap: badNetwork(random) }));
    let acknowledged = 0;
    let unknown = 0;
    const step = async (node: Node): Promise<void> => {
      try {
        await node.registers.change(node.set, key, guard, ({ state }) => plain(Buffer.from([(state[0] ?? 0) + 1])));
        acknowledged += 1;
      } catch (error) {
        assert.ok(error instanceof StorageError, String(error));
        if (error.details['unknown'] === '1') unknown += 1;
      }
    };
    await Promise.all(
      nodes.map(async (node) => {
        for (let i = 0; i < 5; i++) await step(node);
      }),
    );
    const calm = nodeOn(drives, 0);
    const { current } = await calm.registers.change(calm.set, key, guard, () => 'unchanged');
    const counted = current.state[0] ?? 0;
    assert.ok(counted >= acknowledged, `seed ${seed}: ${acknowledged} acknowledged, ${counted} counted`);
    assert.ok(
      counted <= acknowledged + unknown,
      `seed ${seed}: ${acknowledged} + ${unknown} unknown, ${counted} counted`,
    );
  }
});

/** Delays everything, loses some requests, and loses some answers of calls that were carried out. */
function badNetwork(random: () => number): Wrap {
  const pass = async <T>(call: () => Promise<T>): Promise<T> => {
    await sleep(random() * 3);
    if (random() < 0.03) throw new DriveUnavailable('request lost');
    const answer = await call();
    await sleep(random() * 3);
    if (random() < 0.05) throw new DriveUnavailable('answer lost');
    return answer;
  };
  return (drive) => ({
    ...drive,
    read: (request) => pass(() => drive.read(request)),
    prepare: (request) => pass(() => drive.prepare(request)),
    accept: (request) => pass(() => drive.accept(request)),
    decide: (requests) => {
      if (random() < 0.7) drive.decide(requests);
    },
  });
}
