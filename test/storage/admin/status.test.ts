import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setStatus } from '../../../storage-node/admin/status.ts';
import { setSizes } from '../../../storage-node/erasure/geometry.ts';
import { type DriveMode, fakeCluster } from './fakes.ts';

/** As docs/storage.md promises it. */
const survived: Record<(typeof setSizes)[number], { reads: number; writes: number }> = {
  4: { reads: 2, writes: 1 },
  8: { reads: 4, writes: 3 },
  12: { reads: 6, writes: 5 },
  16: { reads: 8, writes: 7 },
};

for (const size of setSizes) {
  describe(`a set of ${size}`, () => {
    const { reads, writes } = survived[size];
    for (const mode of ['gone', 'stopped'] as const) {
      for (let down = 0; down <= size; down++) {
        const can = `${down <= reads ? 'reads' : 'reads nothing'} and ${down <= writes ? 'writes' : 'writes nothing'}`;
        test(`${can} with ${down} drives ${mode}, and says how many more may go`, async () => {
          const cluster = fakeCluster(size);
          // Not the first ones: which of them it is must not matter. Five divides no size.
          for (let i = 0; i < down; i++) cluster.put(mode, (i * 5 + 1) % size);
          const { drives, ...status } = await setStatus(cluster.sets[0]!, cluster.topology);
          assert.equal(drives.filter(({ answers }) => !answers).length, down);
          assert.deepEqual(status, {
            ...{ set: 0, size, answering: size - down, readable: down <= reads, writable: down <= writes },
            ...{ mayLoseForReads: reads - down, mayLoseForWrites: writes - down },
          });
        });
      }
    }

    test('with full drives reads on and writes as if they were gone', async () => {
      const cluster = fakeCluster(size);
      for (let node = 0; node <= writes; node++) cluster.put('full', node);
      const status = await setStatus(cluster.sets[0]!, cluster.topology);
      assert.deepEqual([status.answering, status.readable, status.mayLoseForReads], [size, true, reads]);
      assert.deepEqual([status.writable, status.mayLoseForWrites], [false, -1]);
    });
  });
}

describe('a drive', () => {
  const rows: { mode: DriveMode; answers: boolean; state: string | undefined }[] = [
    { mode: 'ok', answers: true, state: 'ok' },
    { mode: 'full', answers: true, state: 'full' },
    { mode: 'stopped', answers: false, state: 'stopped' },
    { mode: 'gone', answers: false, state: undefined },
  ];
  for (const { mode, answers, state } of rows) {
    test(`that is ${mode} ${answers ? 'answers' : 'does not answer'}, and is named with its node`, async () => {
      const cluster = fakeCluster(4);
      cluster.put(mode, 2);
      const { drives } = await setStatus(cluster.sets[0]!, cluster.topology);
      assert.deepEqual(
        drives.map((drive) => drive.answers),
        [true, true, answers, true],
      );
      assert.equal(drives[2]!.stat?.state, state);
      assert.deepEqual([drives[2]!.node, drives[2]!.name], ['node3-9000', 'node3-9000/data1']);
    });
  }

  test('that hangs is not waited for', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const cluster = fakeCluster(4);
    cluster.put('hung', 0);
    const asked = setStatus(cluster.sets[0]!, cluster.topology);
    // The others have answered by then.
    await new Promise(setImmediate);
    context.mock.timers.tick(1_100);
    assert.equal((await asked).answering, 3);
  });
});

describe('a cluster of many sets', () => {
  test('each set counts its own drives', async () => {
    const cluster = fakeCluster(4, 3);
    cluster.put('gone', 0, 1);
    cluster.put('gone', 1, 1);
    cluster.put('full', 2, 2);
    const all = await Promise.all(cluster.sets.map((set) => setStatus(set, cluster.topology)));
    assert.deepEqual(
      all.map(({ mayLoseForReads, mayLoseForWrites }) => [mayLoseForReads, mayLoseForWrites]),
      [
        [2, 1],
        [0, -1],
        [2, 0],
      ],
    );
  });

  test('without a node, its drives count as gone once, also when they are', async () => {
    const cluster = fakeCluster(8);
    const without = async (): Promise<number[]> => {
      const { answering, mayLoseForWrites } = await setStatus(cluster.sets[0]!, cluster.topology, 5);
      return [answering, mayLoseForWrites];
    };
    assert.deepEqual(await without(), [7, 2]);
    cluster.put('gone', 5);
    assert.deepEqual(await without(), [7, 2]);
    cluster.put('gone', 6);
    assert.deepEqual(await without(), [6, 1]);
  });
});
