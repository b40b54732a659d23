/** A drive at its space reserve gives back what was deleted, wherever that lay. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ballotAt } from '../../../storage-node/consensus/ballot.ts';
import { StorageError } from '../../../storage-node/errors.ts';
import { type Drive } from '../../../storage-node/store/drive.ts';
import { simHome, type SimHome } from './drives.ts';
import { acceptOf, dataIdOf, keyOf, put, readAll, small, stage, writeBlock } from './requests.ts';

const now = ballotAt(1_800_000_000_000);
const mebibyte = 1024 * 1024;
const lengths = [mebibyte, mebibyte];
const reserveBytes = 10 * mebibyte;

/** Writes objects of 2 MiB until one is refused. @returns how many there are */
async function fill(drive: Drive): Promise<number> {
  for (let n = 0; ; n++) {
    const of = { dataId: dataIdOf(n), shard: 1 };
    const writer = drive.stage({ ...of, expectedBytes: 2 * mebibyte });
    lengths.forEach((length, index) => writeBlock(writer, of, [index, length]));
    try {
      await writer.finish();
    } catch (error) {
      writer.abort();
      assert.ok(error instanceof StorageError && error.code === 'OutOfSpace', String(error));
      return n;
    }
    await put(drive, acceptOf(keyOf(`k${n}`), now, { puts: [{ kind: 'staged', dataId: dataIdOf(n) }] }));
  }
}

async function remove(drive: Drive, numbers: readonly number[]): Promise<void> {
  for (const n of numbers) {
    const one = { key: keyOf(`k${n}`), ballot: now + 1 };
    await put(drive, acceptOf(one.key, one.ballot, { tombstone: true, frees: [dataIdOf(n)] }));
    drive.decide([one]);
  }
  await drive.settleMarks();
}

const upTo = (end: number, from = 0): number[] => Array.from({ length: end - from }, (_, i) => from + i);

/** A drive of 40 MiB at its reserve, far from the size at which a file is closed by itself. */
async function fullDrive(): Promise<{ home: SimHome; drive: Drive; count: number }> {
  const home = simHome();
  home.disk.capacityBytes = 40 * mebibyte;
  const drive = await home.open({ reserveBytes });
  const count = await fill(drive);
  assert.ok(count > 10, `full after ${count}`);
  assert.equal((await drive.stat()).state, 'full');
  return { home, drive, count };
}

/** What compaction gave back counts from the next look at the disk. */
async function settled(home: SimHome, drive: Drive): Promise<void> {
  await home.pass(2_000);
  await drive.stat();
  await home.pass(2_000);
}

async function assertAlive(drive: Drive, numbers: readonly number[]): Promise<void> {
  for (const n of numbers) await readAll(drive, dataIdOf(n), lengths);
}

describe('a full drive', () => {
  test('gives back what lies in the file that it was writing, and carries over what lives there', async () => {
    const { home, drive, count } = await fullDrive();
    await remove(drive, upTo(count, 2));
    assert.ok((await drive.compactOnce()) > 0);
    await settled(home, drive);
    assert.equal((await drive.stat()).state, 'ok');
    await assertAlive(drive, [0, 1]);
    await put(drive, acceptOf(keyOf('new'), now + 2, { puts: [small(dataIdOf(500))] }));
    assert.deepEqual(await drive.checkData([dataIdOf(0), dataIdOf(1), dataIdOf(500)], true), ['ok', 'ok', 'ok']);
    await drive.close();
    const again = await home.open({ reserveBytes });
    await assertAlive(again, [0, 1]);
    await again.close();
  });

  test('leaves the file that it writes alone while there is room', async () => {
    const home = simHome();
    home.disk.capacityBytes = 400 * mebibyte;
    const drive = await home.open({ reserveBytes });
    await stage(drive, dataIdOf(0), lengths);
    await put(drive, acceptOf(keyOf('k0'), now, { puts: [{ kind: 'staged', dataId: dataIdOf(0) }] }));
    await remove(drive, [0]);
    assert.equal(await drive.compactOnce(true), 0);
    await drive.close();
  });

  test('whose compaction finds no room in the middle goes on when there is some', async () => {
    const { home, drive, count } = await fullDrive();
    await remove(drive, upTo(count, 3));
    let writes = 0;
    home.disk.fault = (asked, path) => {
      if (asked !== 'write' || !path.endsWith('.seg') || ++writes < 3) return;
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    };
    await assert.rejects(drive.compactOnce(), /is full/);
    assert.ok(writes > 1, 'copies were under way');
    home.disk.fault = () => {};
    while ((await drive.compactOnce()) > 0);
    await settled(home, drive);
    await assertAlive(drive, [0, 1, 2]);
    const { segmentBytes, liveBytes, state } = await drive.stat();
    assert.equal(state, 'ok');
    assert.ok(segmentBytes < liveBytes + 4 * mebibyte, `${segmentBytes} bytes for ${liveBytes}`);
    await drive.close();
  });

  test('without room for what lives says how much it needs, loses nothing, and is helped by more deletes', async () => {
    const { home, drive, count } = await fullDrive();
    const half = Math.floor(count / 2) - 1;
    await remove(drive, upTo(count, half));
    await assert.rejects(
      drive.compactOnce(),
      (error) =>
        error instanceof StorageError &&
        error.code === 'OutOfSpace' &&
        /compaction needs \d+ MiB and \d+ MiB are free; .* delete more/.test(error.message),
    );
    await assertAlive(drive, upTo(half));
    await remove(drive, upTo(half, 1));
    while ((await drive.compactOnce()) > 0);
    await settled(home, drive);
    assert.equal((await drive.stat()).state, 'ok');
    await assertAlive(drive, [0]);
    await drive.close();
  });
});
