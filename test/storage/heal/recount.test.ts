import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Recount, recountSet } from '../../../storage-node/heal/recount.ts';
import { type HealDeps } from '../../../storage-node/heal/types.ts';
import { type DriveApi } from '../../../storage-node/store/drive-api.ts';
import { type MemoryDrive } from '../support/memory-drive.ts';
import { memoryDrives, setOf } from '../support/memory-set.ts';
import { objectNode, type ObjectNode, putObject } from '../support/object-node.ts';

const hourMs = 3_600_000;
const count = { verify: false, heal: false };
const heal = { verify: false, heal: true };

interface World {
  drives: MemoryDrive[];
  node: ObjectNode;
  /** So much later. */
  later(ms: number): HealDeps;
}

async function makeWorld(
  keys: readonly string[],
  wrap?: (drive: DriveApi, position: number) => DriveApi,
): Promise<World> {
  const drives = memoryDrives(4);
  const writer = objectNode(setOf(drives, 0), 0);
  for (const key of keys) await putObject(writer, key, Buffer.from(`body of ${key}`));
  const node = objectNode(setOf(drives, 0, wrap), 0);
  const { env } = node.heal;
  return {
    ...{ drives, node },
    later: (ms) => ({
      ...node.heal,
      env: { ...env, clock: { ...env.clock, wallMs: () => Date.now() + ms } },
    }),
  };
}

/** The row of a key, by the end of its name, as this drive has it. */
function rowOf({ rows }: MemoryDrive, key: string): NonNullable<ReturnType<MemoryDrive['rows']['get']>> {
  return [...rows.values()].find((row) => Buffer.from(row.key).toString().endsWith(key))!;
}

/** The drive fails calls of this name only. */
function failing(drive: MemoryDrive, method: string): void {
  drive.before = (called) => {
    if (called === method) throw new Error(`${method} fails`);
  };
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

describe('of two keys and four drives', () => {
  const rows: { name: string; change: (drives: MemoryDrive[]) => void; counts: Partial<Recount>; stays?: boolean }[] = [
    {
      name: 'all is well',
      change: () => {},
      counts: { keys: 2, shardsExpected: 8, unwhole: 0, short: 0, complete: true },
    },
    {
      name: 'one drive has a key not',
      change: ([, drive]) => drive!.rows.delete(text(rowOf(drive!, 'a').key)),
      counts: { keys: 2, unwhole: 1, short: 1, complete: true },
    },
    {
      name: 'one drive has all keys not',
      change: ([, drive]) => drive!.rows.clear(),
      counts: { keys: 2, unwhole: 2, short: 2, complete: true },
    },
    {
      name: 'one drive has a shard not',
      change: ([, , drive]) => drive!.data.delete(text(rowOf(drive!, 'a').headData!)),
      counts: { keys: 2, unwhole: 1, short: 1, complete: true },
    },
    {
      name: 'one drive does not know a key to be decided',
      change: ([drive]) => (rowOf(drive!, 'a').decided = false),
      counts: { keys: 2, unwhole: 1, short: 1, complete: true },
    },
    {
      name: 'one drive has an older value',
      change: ([, , , drive]) => (rowOf(drive!, 'b').ballot -= 1),
      counts: { keys: 2, unwhole: 1, short: 1, complete: true },
    },
    {
      name: 'one drive lists its keys and cannot say what it has of them',
      change: ([, drive]) => failing(drive!, 'checkData'),
      counts: { keys: 2, unwhole: 2, short: 2, complete: true },
      stays: true,
    },
    {
      name: 'one drive does not answer',
      change: ([, drive]) => (drive!.down = true),
      counts: { keys: 2, unwhole: 2, short: 2, complete: false },
    },
    {
      name: 'no drive answers',
      change: (drives) => drives.forEach((drive) => (drive.down = true)),
      counts: { keys: 0, short: 0, complete: false, reasons: ['no drive of the set answered'] },
    },
  ];
  for (const { name, change, counts, stays } of rows) {
    test(`${name}: the count says so, and heals nothing`, async () => {
      const { drives, node } = await makeWorld(['a', 'b']);
      change(drives);
      const before = JSON.stringify(drives.map(({ rows: has, data }) => [[...has.keys()], [...data.keys()]]));
      const counted = await recountSet(node.heal, node.set, count);
      for (const [field, value] of Object.entries(counts))
        assert.deepEqual(counted[field as keyof Recount], value, field);
      assert.deepEqual([counted.shardsWritten, counted.bytesWritten], [0, 0]);
      assert.equal(JSON.stringify(drives.map(({ rows: has, data }) => [[...has.keys()], [...data.keys()]])), before);
    });

    if (counts.complete === true && stays !== true) {
      test(`${name}: after healing a count finds nothing`, async () => {
        const { drives, node } = await makeWorld(['a', 'b']);
        change(drives);
        const healed = await recountSet(node.heal, node.set, heal);
        assert.deepEqual([healed.unwhole, healed.short], [counts.unwhole, 0]);
        const { unwhole, short, shardsExpected, complete } = await recountSet(node.heal, node.set, count);
        assert.deepEqual([unwhole, short, shardsExpected, complete], [0, 0, 8, true]);
      });
    }
  }
});

test('drives that give pages of different lengths are compared over the same stretches, each key once', async () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(name, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 4, maxLength: 4 }),
      async (keys, limits) => {
        const short = (drive: DriveApi, position: number): DriveApi => ({
          ...drive,
          scan: (request, call) => drive.scan({ ...request, limit: limits[position]! }, call),
        });
        const { node } = await makeWorld(keys, short);
        const { keys: counted, unwhole, shardsExpected, complete } = await recountSet(node.heal, node.set, count);
        assert.deepEqual([counted, unwhole, shardsExpected, complete], [keys.length, 0, keys.length * 4, true]);
      },
    ),
    { numRuns: 30 },
  );
});

describe('a tombstone', () => {
  const rows: {
    name: string;
    afterMs: number;
    options: typeof count;
    change?: (drives: MemoryDrive[]) => void;
    forgotten: boolean;
  }[] = [
    { name: 'goes after an hour when all drives have it', afterMs: hourMs + 1_000, options: heal, forgotten: true },
    { name: 'stays for an hour', afterMs: hourMs - 60_000, options: heal, forgotten: false },
    { name: 'stays when it is only counted', afterMs: 10 * hourMs, options: count, forgotten: false },
    {
      name: 'stays while a drive does not answer',
      afterMs: 10 * hourMs,
      options: heal,
      change: ([, drive]) => (drive!.down = true),
      forgotten: false,
    },
    {
      name: 'stays while a drive lists it and does not say that it still has it',
      afterMs: 10 * hourMs,
      options: heal,
      change: ([, drive]) => failing(drive!, 'read'),
      forgotten: false,
    },
    {
      name: 'stays while a drive has it not, and is given to it',
      afterMs: 10 * hourMs,
      options: heal,
      change: ([, drive]) => drive!.rows.clear(),
      forgotten: false,
    },
  ];
  for (const { name, afterMs, options, change, forgotten } of rows) {
    test(name, async () => {
      const { drives, node, later } = await makeWorld(['a']);
      await node.objects.remove({ bucket: node.bucket.name, key: 'a' });
      change?.(drives);
      const counted = await recountSet(later(afterMs), node.set, options);
      assert.deepEqual([counted.tombstones, counted.tombstonesForgotten], [1, forgotten ? 1 : 0]);
      assert.deepEqual(drives.filter(({ rows: has }) => has.size > 0).length, forgotten ? 0 : 4);
    });
  }
});

test('a key whose value cannot be read is short and said to be, and the others are healed all the same', async () => {
  const { drives, node } = await makeWorld(['a', 'bad', 'c']);
  drives[1]!.rows.clear();
  drives[1]!.data.clear();
  const values: HealDeps['values'] = {
    ...node.heal.values,
    dataOf(key, value) {
      if (Buffer.from(key).toString().endsWith('bad')) throw new Error('a value of no known form');
      return node.heal.values.dataOf(key, value);
    },
  };
  const healed = await recountSet({ ...node.heal, values }, node.set, heal);
  assert.deepEqual([healed.keys, healed.unwhole, healed.short, healed.complete], [3, 3, 1, true]);
  assert.deepEqual(healed.reasons, ['a value of no known form']);
  assert.equal(drives[1]!.data.size, 2);
  const again = await recountSet({ ...node.heal, values }, node.set, count);
  assert.equal(again.short, 1);
});

test('a pass that is stopped ends without having proven anything', async () => {
  const one = (drive: DriveApi): DriveApi => ({
    ...drive,
    scan: (request, call) => drive.scan({ ...request, limit: 1 }, call),
  });
  const { node } = await makeWorld(['a', 'b', 'c'], one);
  let seen = 0;
  const stopped = await recountSet(node.heal, node.set, {
    ...count,
    onProgress: ({ keys }) => (seen = keys),
    stopped: () => seen >= 2,
  });
  assert.deepEqual([stopped.keys, stopped.complete], [2, false]);
});
