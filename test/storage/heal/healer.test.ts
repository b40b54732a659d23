import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createHealer, type Healer, type HealerOptions } from '../../../storage-node/heal/healer.ts';
import { type HealDeps } from '../../../storage-node/heal/types.ts';
import { blockSeed } from '../../../storage-node/store/block.ts';
import { type DriveApi } from '../../../storage-node/store/drive-api.ts';
import { type ErasureSet } from '../../../storage-node/store/set.ts';
import { type MemoryDrive } from '../support/memory-drive.ts';
import { memoryDrives, setOf } from '../support/memory-set.ts';
import { kernels, objectNode, putObject } from '../support/object-node.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';

const keys = ['a', 'b', 'c'];

interface World {
  clock: FakeClock;
  drives: MemoryDrive[];
  set: ErasureSet;
  healer: Healer;
}

interface Setup {
  /** Stands between the healer and a drive. */
  wrap?: (drive: DriveApi, position: number) => DriveApi;
  /** Put in the place of drive 2, empty. */
  replaced?: boolean;
  options?: Partial<HealerOptions>;
  deps?: Partial<HealDeps>;
}

/** Four drives with a few objects, and a healer whose clock is moved by hand. */
async function makeWorld({ wrap, replaced, options, deps }: Setup = {}): Promise<World> {
  const drives = memoryDrives(4);
  const writer = objectNode(setOf(drives, 0), 0);
  for (const key of keys) await putObject(writer, key, Buffer.from(`body of ${key}`));
  if (replaced === true) drives[2] = memoryDrives(1)[0]!;
  const set = setOf(drives, 0, wrap);
  const clock = fakeClock(Date.now());
  const { heal } = objectNode(set, 0);
  const healer = createHealer(
    { ...heal, env: { ...heal.env, clock }, ...deps },
    { sets: [set], inCharge: () => true, recountEveryMs: 3_600_000, scrubEveryMs: 7 * 86_400_000, ...options },
  );
  return { clock, drives, set, healer };
}

/** Work on drives in memory ends by itself, but not at once. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 1));
}
const lastOf = (healer: Healer): ReturnType<Healer['status']>[0]['last'] => healer.status()[0]!.last;

describe('a drive that was replaced', () => {
  test('is healed by the recount and by nothing before it', async () => {
    const { clock, drives, set, healer } = await makeWorld({ replaced: true });
    await clock.pass(3_500_000);
    assert.equal(drives[2]!.rows.size, 0, 'nobody knows of it yet');
    assert.deepEqual([lastOf(healer), healer.totals().queued], [undefined, 0]);
    healer.driveReturned(set);
    await clock.pass(3_000);
    await until(() => lastOf(healer) !== undefined);
    assert.deepEqual([drives[2]!.rows.size, drives[2]!.data.size], [keys.length, keys.length]);
    const { whole, kind, result } = lastOf(healer)!;
    assert.deepEqual([whole, kind, result.unwhole, result.short, result.complete], [true, 'recount', 3, 0, true]);
    const { keysHealed, shardsWritten } = healer.totals();
    assert.deepEqual([keysHealed, shardsWritten], [keys.length, keys.length]);
    await healer.stop();
  });

  test('is not whole when it only says that it took its shards: the second count decides', async () => {
    const forgetful = (drive: DriveApi, position: number): DriveApi =>
      position === 2 ? { ...drive, learn: () => Promise.resolve({ kind: 'learned' }) } : drive;
    const { set, healer } = await makeWorld({ replaced: true, wrap: forgetful });
    const result = await healer.run(set, 'recount');
    assert.deepEqual([result.unwhole, result.shardsWritten], [keys.length, keys.length], 'the first believed it');
    assert.deepEqual([result.short, lastOf(healer)!.whole], [keys.length, false]);
    assert.deepEqual(result.reasons, ['not healed, only counted']);
    await healer.stop();
  });

  test('is not whole while another drive of the set does not answer, and that is said', async () => {
    const { drives, set, healer } = await makeWorld({ replaced: true });
    drives[3]!.down = true;
    const result = await healer.run(set, 'recount');
    assert.deepEqual([result.complete, result.short, lastOf(healer)!.whole], [false, keys.length, false]);
    assert.equal(drives[2]!.data.size, keys.length, 'what can be healed is');
    drives[3]!.down = false;
    await healer.run(set, 'recount');
    assert.equal(lastOf(healer)!.whole, true);
    await healer.stop();
  });
});

test('a set in which nothing was wrong is counted once, any other once more', async () => {
  let scans = 0;
  const counting = (drive: DriveApi): DriveApi => ({
    ...drive,
    scan(request, call) {
      scans += 1;
      return drive.scan(request, call);
    },
  });
  for (const [replaced, times] of [
    [false, 1],
    [true, 2],
  ] as const) {
    const { set, healer } = await makeWorld({ replaced, wrap: counting });
    scans = 0;
    await healer.run(set, 'recount');
    assert.deepEqual([scans, lastOf(healer)!.whole], [times * 4, true]);
    await healer.stop();
  }
});

test('a recount whose drives were all silent proves nothing', async () => {
  const { drives, set, healer } = await makeWorld();
  for (const drive of drives) drive.down = true;
  const { complete, reasons } = await healer.run(set, 'scrub');
  assert.deepEqual([complete, reasons], [false, ['no drive of the set answered']]);
  assert.deepEqual([lastOf(healer)!.whole, healer.status()[0]!.scrubbedAtMs], [false, undefined]);
  await healer.stop();
});

describe('passes come by themselves', () => {
  const every = { recountEveryMs: 10_000, scrubEveryMs: 30_000 };

  test('when they are due, and the third time as one that verifies', async () => {
    const { clock, healer } = await makeWorld({ options: every });
    const kinds: (string | undefined)[] = [];
    for (let round = 0; round < 6; round++) {
      const before = lastOf(healer);
      await clock.pass(10_500);
      await until(() => lastOf(healer) !== before);
      kinds.push(lastOf(healer)!.kind);
    }
    assert.deepEqual(kinds.slice(0, 4), ['recount', 'recount', 'scrub', 'recount']);
    assert.equal(kinds.filter((kind) => kind === 'scrub').length, 2);
    assert.ok(healer.status()[0]!.scrubbedAtMs! > 0);
    await healer.stop();
  });

  test('only at the node that is in charge of the set; the others make them when asked', async () => {
    const { clock, set, healer } = await makeWorld({ options: { ...every, inCharge: () => false } });
    healer.driveReturned(set);
    await clock.pass(100_000);
    assert.equal(lastOf(healer), undefined);
    await healer.run(set, 'recount');
    assert.equal(lastOf(healer)!.whole, true);
    await healer.stop();
  });

  test('again after five minutes when a set was not whole at the end of one', async () => {
    const { clock, drives, set, healer } = await makeWorld();
    drives[1]!.down = true;
    healer.driveReturned(set);
    await clock.pass(3_000);
    await until(() => lastOf(healer) !== undefined);
    const short = lastOf(healer);
    assert.equal(short!.whole, false);
    drives[1]!.down = false;
    await clock.pass(4 * 60_000);
    assert.equal(lastOf(healer), short, 'not yet');
    await clock.pass(90_000);
    await until(() => lastOf(healer) !== short);
    assert.equal(lastOf(healer)!.whole, true);
    await healer.stop();
  });

  test('and after it was stopped none more', async () => {
    const { clock, healer } = await makeWorld({ options: every });
    await healer.stop();
    await clock.pass(100_000);
    assert.equal(lastOf(healer), undefined);
  });
});

test('two passes are made one after the other, and stopping waits for the one that runs', async () => {
  const order: string[] = [];
  let open: (() => void) | undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const watched =
    (name: string) =>
    (drive: DriveApi): DriveApi => ({
      ...drive,
      async scan(request, call) {
        order.push(name);
        await gate;
        return drive.scan(request, call);
      },
    });
  const first = await makeWorld({ wrap: watched('first') });
  const second = { ...setOf(first.drives, 0, watched('second')), index: 1 };
  const { heal } = objectNode(first.set, 0);
  const healer = createHealer(heal, {
    ...{ sets: [first.set, second], inCharge: () => false, recountEveryMs: 1e9, scrubEveryMs: 1e9 },
  });
  const passes = [healer.run(first.set, 'recount'), healer.run(second, 'recount')];
  await until(() => order.length === 4);
  await new Promise(setImmediate);
  assert.deepEqual([...new Set(order)], ['first']);
  assert.deepEqual(
    healer.status().map(({ running }) => running?.kind),
    [undefined, undefined],
    'nothing was counted yet',
  );
  let stopped = false;
  const stopping = healer.stop().then(() => (stopped = true));
  await new Promise(setImmediate);
  assert.equal(stopped, false);
  open!();
  await stopping;
  const [done, cut] = await Promise.all(passes);
  assert.deepEqual([done!.complete, cut!.complete], [true, false], 'the second was given up before it began');
  await first.healer.stop();
});

test('a pass that fails is told to who asked for it, and hinders no other', async () => {
  let broken = true;
  const throttle = (): Promise<void> => (broken ? Promise.reject(new Error('out of order')) : Promise.resolve());
  const { set, healer } = await makeWorld({ deps: { throttle } });
  await assert.rejects(healer.run(set, 'scrub'), /out of order/);
  assert.deepEqual([healer.status()[0]!.running, lastOf(healer)], [undefined, undefined]);
  broken = false;
  await healer.run(set, 'scrub');
  assert.equal(lastOf(healer)!.whole, true);
  await healer.stop();
});

describe('a damaged shard', () => {
  /** Says of its shards what reading them would tell. */
  const checking =
    (drives: () => MemoryDrive[]) =>
    (drive: DriveApi, position: number): DriveApi => ({
      ...drive,
      async checkData(ids, verify, call) {
        const checks = await drive.checkData(ids, verify, call);
        if (!verify) return checks;
        return checks.map((check, i) => {
          const stored = drives()[position]!.data.get(Buffer.from(ids[i]!).toString('latin1'));
          const bad = stored?.blocks.some(
            ({ index, payload, checksum }) =>
              kernels.xxh64Of(payload, blockSeed(ids[i]!, stored.shard, index)) !== checksum,
          );
          return bad === true ? 'damaged' : check;
        });
      },
    });

  async function damagedWorld(): Promise<World & { key: Uint8Array; isRight: () => boolean }> {
    let all: MemoryDrive[] = [];
    const world = await makeWorld({ wrap: checking(() => all) });
    all = world.drives;
    const { data, rows } = world.drives[2]!;
    const [row] = rows.values();
    const id = Buffer.from(row!.headData!).toString('latin1');
    const original = Buffer.from(data.get(id)!.blocks[0]!.payload);
    data.get(id)!.blocks[0]!.payload[0]! ^= 1;
    return { ...world, key: row!.key, isRight: () => original.equals(data.get(id)!.blocks[0]!.payload) };
  }

  test('that a read met is healed soon', async () => {
    const { clock, set, healer, key, isRight } = await damagedWorld();
    assert.equal(isRight(), false);
    healer.damaged(set, key);
    assert.deepEqual([healer.totals().damagedShards, healer.totals().queued], [1, 1]);
    await clock.pass(1_500);
    await until(() => healer.totals().queued === 0);
    assert.equal(isRight(), true);
    await healer.stop();
  });

  test('that could not be healed at first is still looked for when it is tried again', async () => {
    const { clock, drives, set, healer, key, isRight } = await damagedWorld();
    // Only one good shard is left of the two that are needed.
    drives[1]!.down = true;
    drives[3]!.down = true;
    healer.damaged(set, key);
    await clock.pass(1_500);
    assert.deepEqual([healer.totals().queued, isRight()], [1, false]);
    drives[1]!.down = false;
    drives[3]!.down = false;
    for (let i = 0; i < 10 && healer.totals().queued > 0; i++) await clock.pass(2_000);
    assert.deepEqual([healer.totals().queued, isRight()], [0, true]);
    await healer.stop();
  });

  test('that nobody met is found by the pass that verifies, and not by a recount', async () => {
    const { set, healer, isRight } = await damagedWorld();
    await healer.run(set, 'recount');
    assert.deepEqual([isRight(), lastOf(healer)!.whole], [false, true]);
    const { shardsLacking, shardsWritten, bytesChecked } = await healer.run(set, 'scrub');
    assert.deepEqual([isRight(), lastOf(healer)!.whole, shardsLacking, shardsWritten], [true, true, 1, 1]);
    assert.ok(bytesChecked > 0);
    await healer.stop();
  });
});
