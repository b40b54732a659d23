import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBallotClock } from '../../../storage-node/consensus/ballot.ts';
import { type Change, createRegisters, type Registers } from '../../../storage-node/consensus/registers.ts';
import { type DriveApi, DriveUnavailable } from '../../../storage-node/store/drive-api.ts';
import { type ErasureSet } from '../../../storage-node/store/set.ts';
import { type MemoryDrive } from '../support/memory-drive.ts';
import { memoryDrives, realClock, setOf, testEnv } from '../support/memory-set.ts';

const key = Buffer.concat([Buffer.alloc(8, 1), Buffer.from([0x10]), Buffer.from('counter')]);
const guard = { fromClient: true, bucketGeneration: 1 };
const lostOnTheWay = (): Promise<never> => Promise.reject(new DriveUnavailable('lost on the way'));

interface Node {
  set: ErasureSet;
  registers: Registers;
}

/** Every value has one small shard of its own for each drive. */
function nodeOn(
  drives: readonly MemoryDrive[],
  index: number,
  wrap?: Parameters<typeof setOf>[2],
  writeDeadlineMs = 10_000,
): Node {
  const registers = createRegisters({
    env: testEnv(Math.random),
    ballots: createBallotClock(index, realClock),
    dataIdsOf: (_, value) => [dataIdOf(value)],
    siteEpoch: () => 0,
    lagging: () => {},
    readDeadlineMs: 300,
    writeDeadlineMs,
    graceMs: 5,
  });
  return { registers, set: setOf(drives, index, wrap) };
}

function dataIdOf(value: Uint8Array): Uint8Array {
  const id = Buffer.alloc(16);
  id.set(value);
  return id;
}

function valueOf(text: string): Change {
  const state = Buffer.from(text);
  const put = { kind: 'small' as const, dataId: dataIdOf(state), payload: state, checksum: 0n };
  return {
    ...{ tombstone: false, hidden: false, state, headData: undefined, note: undefined },
    puts: (position) => [{ ...put, shard: position }],
  };
}

const write = ({ registers, set }: Node, text: string): Promise<unknown> =>
  registers.change(set, key, guard, () => valueOf(text));

async function held({ registers, set }: Node): Promise<string> {
  return Buffer.from((await registers.get(set, key)).state).toString();
}

function changed(drive: DriveApi, by: Partial<DriveApi>): DriveApi {
  return Object.assign(Object.create(drive) as DriveApi, by);
}

test('drives that accept a lost round late are not told that it was decided', async () => {
  const drives = memoryDrives(4);
  await write(nodeOn(drives, 0), 'old');
  const told: number[] = [];
  const answers: Promise<unknown>[] = [];
  const wrap = (drive: DriveApi, position: number): DriveApi =>
    changed(drive, {
      accept(request, options) {
        if (position > 1) return Promise.resolve({ kind: 'outbid', promised: request.ballot + 1 });
        const answer = new Promise((resolve) => {
          setTimeout(resolve, 50);
        }).then(() => drive.accept(request, options));
        answers.push(answer);
        return answer;
      },
      decide(requests) {
        told.push(position);
        drive.decide(requests);
      },
    });
  const writer = nodeOn(drives, 0, wrap, 300);
  await assert.rejects(write(writer, 'new'), { code: 'WriteQuorumLost' });
  await Promise.all(answers);
  assert.deepEqual(told, []);
});

test('what drives that promised nothing may still accept is not passed over, though they lack its data so far', async () => {
  const drives = memoryDrives(8);
  await write(nodeOn(drives, 7), 'old');
  const slow = [5, 6, 7];
  let arrive = (): void => {};
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const first = nodeOn(drives, 0, (drive, position) =>
    changed(drive, {
      async accept(request, options) {
        if (slow.includes(position)) await arrived;
        else if (position > 1) return lostOnTheWay();
        return drive.accept(request, options);
      },
    }),
  );
  const firstWrite = first.registers
    .change(first.set, key, guard, ({ state }) => {
      assert.equal(Buffer.from(state).toString(), 'old');
      return valueOf('first');
    })
    .then(
      () => 'acknowledged',
      () => 'refused',
    );
  while (drives.some(({ rows }, i) => i < 2 && [...rows.values()].every(({ decided }) => decided)))
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  // What the second writer sends gets lost where the accepts of the first are still on their way.
  const second = nodeOn(drives, 2, (drive, position) =>
    slow.includes(position) ? changed(drive, { prepare: lostOnTheWay, accept: lostOnTheWay }) : drive,
  );
  const seen: string[] = [];
  const secondWrite = second.registers
    .change(second.set, key, guard, ({ state }) => {
      seen.push(Buffer.from(state).toString());
      return valueOf('second');
    })
    .then(
      () => 'acknowledged',
      () => 'refused',
    );
  const ended = await secondWrite;
  arrive();
  assert.equal(await firstWrite, 'acknowledged');
  if (ended === 'acknowledged') assert.equal(seen.at(-1), 'first', 'both writes were made from the same value');
  else assert.equal(await held(nodeOn(drives, 3)), 'first');
});
