import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ballotAt } from '../../../storage-node/consensus/ballot.ts';
import { type DataId, DriveUnavailable, type ShardPut } from '../../../storage-node/store/drive-api.ts';
import { type Drive } from '../../../storage-node/store/drive.ts';
import { PowerCut } from '../support/sim-file-system.ts';
import { simHome, type SimHome } from './drives.ts';
import { acceptOf, bucketId, dataIdOf, keyOf, readAll, small, stage } from './requests.ts';

/** One value that was sent to the drive. */
interface Sent {
  ballot: number;
  /** Data it brings: id and lengths of its blocks. */
  data: { id: DataId; lengths: number[] }[];
  acked: boolean;
  decided: boolean;
}

/** What one writer, the only one of its key, knows. */
interface Writer {
  key: Buffer;
  /** The value the drive is known to hold, then those sent since. */
  values: Sent[];
  /** The greatest ballot a promise was given for. */
  promised: number;
}

function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface World {
  /** Written once and left alone: what compaction has to carry along. */
  archive: Writer[];
  home: SimHome;
  random: () => number;
  writers: Writer[];
  nextBallot: () => number;
  nextData: () => DataId;
}

function makeWorld(seed: number): World {
  const random = seeded(seed);
  let tick = ballotAt(1_800_000_000_000);
  let data = seed * 1_000;
  return {
    archive: [],
    home: simHome(random),
    random,
    writers: Array.from({ length: 4 }, (_, i) => ({ key: keyOf(`key-${i}`), values: [], promised: 0 })),
    // Further than a drive promises ahead, so that a new life is not outbid by the ceiling of the last one.
    nextBallot: () => (tick += 11_000 * 2048),
    nextData: () => dataIdOf(++data),
  };
}

async function write(world: World, drive: Drive, writer: Writer): Promise<void> {
  const { random } = world;
  const ballot = world.nextBallot();
  const before = writer.values.at(-1);
  const data: Sent['data'] = [];
  const puts: ShardPut[] = [];
  const kind = random();
  if (kind < 0.5) {
    const length = [1, 700, 5_000, 40_000][Math.floor(random() * 4)]!;
    const id = world.nextData();
    puts.push(small(id, length));
    data.push({ id, lengths: [length] });
  } else if (kind < 0.8) {
    const id = world.nextData();
    const lengths = [...Array<number>(Math.floor(random() * 12)).fill(3_000), 1 + Math.floor(random() * 3_000)];
    await stage(drive, id, lengths.length === 1 ? lengths : [3_000, ...lengths.slice(1)], { declare: random() < 0.5 });
    if (lengths.length > 1) lengths[0] = 3_000;
    puts.push({ kind: 'staged', dataId: id });
    data.push({ id, lengths });
  }
  if (random() < 0.7) {
    const promise = await drive.prepare({ key: writer.key, ballot });
    if (promise.kind === 'outbid') return;
    writer.promised = ballot;
  }
  const sent: Sent = { ballot, data, acked: false, decided: false };
  writer.values.push(sent);
  const reply = await drive.accept(
    acceptOf(writer.key, ballot, {
      puts,
      headData: puts[0]?.kind === 'small' ? puts[0].dataId : undefined,
      frees: before?.data.map(({ id }) => id) ?? [],
      change: { note: Buffer.from(`note ${ballot}`) },
    }),
  );
  assert.equal(reply.kind, 'accepted');
  sent.acked = true;
  if (random() < 0.6) {
    sent.decided = true;
    drive.decide([{ key: writer.key, ballot }]);
  }
}

/** One life of the drive: writers at work until the power is cut at some operation of the disk. */
async function live(world: World, drive: Drive, cutAfter: number): Promise<void> {
  const { home, random } = world;
  let left = cutAfter;
  home.disk.delay = () => (random() < 0.3 ? new Promise((resolve) => setImmediate(resolve)) : undefined);
  home.disk.fault = () => {
    if (left-- === 0) home.crash();
  };
  const work = async (writer: Writer): Promise<void> => {
    for (let i = 0; i < 12; i++) {
      await write(world, drive, writer);
      if (random() < 0.2) await drive.settleMarks();
    }
  };
  const housekeeping = async (): Promise<void> => {
    for (let i = 0; i < 6; i++) await drive.compactOnce(true);
  };
  const store: Writer = { key: keyOf(`archive-${world.archive.length}`), values: [], promised: 0 };
  world.archive.push(store);
  const outcomes = await Promise.allSettled([write(world, drive, store), ...world.writers.map(work), housekeeping()]);
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') continue;
    const { reason } = outcome as { reason: unknown };
    if (!(reason instanceof DriveUnavailable || reason instanceof PowerCut)) throw reason;
  }
  home.disk.fault = () => {};
  if (left >= 0) home.crash();
}

/** What must hold after each power cut. */
async function check(world: World, drive: Drive): Promise<void> {
  const log = await drive.log({ bucketId, after: 0, upTo: Number.MAX_SAFE_INTEGER - 1, limit: 1e6 });
  const logged = new Set(log.map(({ ballot }) => ballot));
  for (const writer of [...world.writers, ...world.archive]) {
    const row = await drive.read({ key: writer.key, withHead: true });
    const acked = writer.values.findLastIndex((value) => value.acked);
    const at = writer.values.findIndex(({ ballot }) => ballot === row.ballot);
    assert.ok(row.ballot === 0 ? acked < 0 : at >= acked, `${row.ballot} is there, and ${acked} was acknowledged`);
    if (at < 0) {
      writer.values = [];
      continue;
    }
    const value = writer.values[at]!;
    assert.equal(Buffer.from(row.state).toString(), `state ${row.ballot}`);
    // A value is there with all its data, and so is the one before it, until the drive was told that it may go.
    for (const { id, lengths } of value.data) await isThere(drive, id, lengths);
    const before = writer.values[at - 1];
    if (before !== undefined && !value.decided)
      for (const { id, lengths } of before.data) await isThere(drive, id, lengths);
    assert.ok(logged.has(row.ballot));
    for (const { ballot } of writer.values.slice(0, acked + 1)) assert.ok(logged.has(ballot));
    if (writer.promised > row.ballot) {
      const late = await drive.accept(acceptOf(writer.key, writer.promised - 1));
      assert.equal(late.kind, 'outbid');
    }
    writer.values = writer.values.slice(Math.max(0, at - 1), at + 1);
  }
}

async function isThere(drive: Drive, id: DataId, lengths: readonly number[]): Promise<void> {
  assert.deepEqual(await drive.checkData([id], true), ['ok']);
  await readAll(drive, id, lengths);
}

describe('a drive whose power is cut', () => {
  for (const seed of [1, 2, 3, 4]) {
    test(`keeps everything it acknowledged, whole, at whatever moment (seed ${seed})`, async () => {
      const world = makeWorld(seed);
      for (let life = 0; life < 30; life++) {
        const drive = await world.home.open();
        await check(world, drive);
        await live(world, drive, Math.floor(world.random() * 120));
      }
      const drive = await world.home.open();
      await check(world, drive);
      await drive.close();
    });
  }

  test('opens again when the cut came while it was opened', async () => {
    for (let cutAfter = 0; cutAfter < 12; cutAfter++) {
      const world = makeWorld(100 + cutAfter);
      let left = cutAfter;
      world.home.disk.fault = () => {
        if (left-- === 0) world.home.crash();
      };
      await world.home.open().catch((error: unknown) => {
        assert.ok(error instanceof PowerCut || error instanceof DriveUnavailable);
      });
      world.home.disk.fault = () => {};
      world.home.crash();
      const drive = await world.home.open();
      await write(world, drive, world.writers[0]!);
      await drive.close();
    }
  });
});
