import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ballotAt } from '../../../storage-node/consensus/ballot.ts';
import { StorageError } from '../../../storage-node/errors.ts';
import { blockSeed } from '../../../storage-node/store/block.ts';
import { DriveUnavailable } from '../../../storage-node/store/drive-api.ts';
import { type DiskOperation } from '../support/sim-file-system.ts';
import { simHome, type SimHome } from './drives.ts';
import {
  acceptOf,
  dataIdOf,
  kernels,
  keyOf,
  learnOf,
  payloadOf,
  put,
  readAll,
  scanOf,
  small,
  stage,
} from './requests.ts';

const now = ballotAt(1_800_000_000_000);
const later = now + 60_000 * 2048;
const key = keyOf('cats/tom.jpg');
const staged = [3000, 3000, 500];

function failing(home: SimHome, operation: DiskOperation, code = 'EIO'): void {
  home.disk.fault = (asked) => {
    if (asked === operation) throw Object.assign(new Error(`${code}: ${asked}`), { code });
  };
}

const isOutOfSpace = (error: unknown): boolean => error instanceof StorageError && error.code === 'OutOfSpace';

describe('a disk that fails to write', () => {
  for (const operation of ['sync', 'sync-index', 'write', 'sync-directory', 'open'] as const) {
    test(`stops the drive for good at a failed ${operation}`, async () => {
      const home = simHome();
      const drive = await home.open();
      await put(drive, acceptOf(keyOf('before'), now));
      await drive.prepare({ key, ballot: now });
      failing(home, operation);
      await assert.rejects(drive.accept(acceptOf(key, now, { puts: [small(dataIdOf(1))] })), DriveUnavailable);
      home.disk.fault = () => {};
      await assert.rejects(drive.accept(acceptOf(key, now)), DriveUnavailable);
      await assert.rejects(drive.prepare({ key, ballot: now + 1 }), DriveUnavailable);
      await assert.rejects(drive.read({ key, withHead: true }), DriveUnavailable);
      await assert.rejects(drive.scan(scanOf()), DriveUnavailable);
      await assert.rejects(stage(drive, dataIdOf(2), [10]), DriveUnavailable);
      await assert.rejects(drive.siteState(), DriveUnavailable);
      drive.decide([{ key, ballot: now }]);
      const stat = await drive.stat();
      assert.equal(stat.state, 'stopped');
      assert.match(stat.reason!, /EIO/);
      await drive.close();
      home.crash();
      const again = await home.open();
      assert.equal((await again.read({ key: keyOf('before'), withHead: false })).ballot, now);
      await again.close();
    });
  }

  test('acknowledges nothing that was under way', async () => {
    const home = simHome();
    const drive = await home.open();
    const keys = Array.from({ length: 8 }, (_, i) => keyOf(`key-${i}`));
    for (const one of keys) await drive.prepare({ key: one, ballot: now });
    failing(home, 'sync');
    const outcomes = await Promise.allSettled(
      keys.map((one, i) => drive.accept(acceptOf(one, now, { puts: [small(dataIdOf(i + 1))] }))),
    );
    assert.ok(outcomes.every(({ status }) => status === 'rejected'));
    await drive.close();
  });

  test('fails a stage whose sync or write failed', async () => {
    for (const operation of ['sync', 'write'] as const) {
      const home = simHome();
      const drive = await home.open();
      failing(home, operation);
      await assert.rejects(stage(drive, dataIdOf(1), staged), DriveUnavailable);
      assert.equal((await drive.stat()).state, 'stopped');
      await drive.close();
    }
  });
});

describe('a full disk', () => {
  test('refuses new data at the reserve, and takes deletes and gives what it has', async () => {
    const home = simHome();
    home.disk.capacityBytes = 100_000;
    const drive = await home.open({ reserveBytes: 50_000 });
    await put(drive, acceptOf(key, now, { puts: [small(dataIdOf(1), 60_000)] }));
    const other = keyOf('other');
    await drive.prepare({ key: other, ballot: now });
    assert.deepEqual(await drive.accept(acceptOf(other, now, { puts: [small(dataIdOf(2))] })), { kind: 'full' });
    assert.deepEqual(await drive.learn(learnOf(other, now, { puts: [small(dataIdOf(2))] })), { kind: 'full' });
    await assert.rejects(stage(drive, dataIdOf(3), [10]), isOutOfSpace);
    assert.equal((await drive.stat()).state, 'full');
    assert.deepEqual(await drive.checkData([dataIdOf(1)], true), ['ok']);
    await put(drive, acceptOf(key, now + 1, { tombstone: true, frees: [dataIdOf(1)] }));
    home.disk.capacityBytes = 1_000_000;
    await home.pass(2_000);
    await drive.stat();
    await home.pass(2_000);
    await put(drive, acceptOf(other, now + 1, { puts: [small(dataIdOf(2))] }));
    assert.equal((await drive.stat()).state, 'ok');
    await drive.close();
  });

  test('that has no room at all answers so, and goes on when there is room again', async () => {
    const home = simHome();
    const drive = await home.open();
    await drive.prepare({ key, ballot: now });
    home.disk.capacityBytes = 0;
    const request = acceptOf(key, now, { puts: [small(dataIdOf(1))] });
    assert.deepEqual(await drive.accept(request), { kind: 'full' });
    await assert.rejects(stage(drive, dataIdOf(3), [10]), isOutOfSpace);
    failing(home, 'sync-index', 'ENOSPC');
    assert.deepEqual(await drive.accept(acceptOf(key, now)), { kind: 'full' });
    home.disk.capacityBytes = 1_000_000;
    home.disk.fault = () => {};
    assert.equal((await drive.accept(request)).kind, 'accepted');
    assert.deepEqual(await drive.checkData([dataIdOf(1)], true), ['ok']);
    assert.equal((await drive.stat()).liveBytes, 148);
    await drive.close();
  });

  test('at a sync stops the drive: nobody knows what was lost', async () => {
    const home = simHome();
    const drive = await home.open();
    await drive.prepare({ key, ballot: now });
    failing(home, 'sync', 'ENOSPC');
    await assert.rejects(drive.accept(acceptOf(key, now, { puts: [small(dataIdOf(1))] })), DriveUnavailable);
    assert.equal((await drive.stat()).state, 'stopped');
    await drive.close();
  });
});

describe('bytes that rot', () => {
  const segmentsOf = (home: SimHome): Buffer[] =>
    home.disk
      .paths()
      .filter((path) => path.endsWith('.seg'))
      .map((path) => home.disk.content(path));

  test('any bit of a small shard turned over is noticed', async () => {
    const home = simHome();
    const drive = await home.open();
    const id = dataIdOf(1);
    await put(drive, acceptOf(key, now, { puts: [small(id, 40)] }));
    const [bytes] = segmentsOf(home);
    for (let bit = 0; bit < bytes!.length * 8; bit++) {
      bytes![bit >> 3]! ^= 1 << (bit & 7);
      const [shard] = await drive.readSmall([id]);
      if (shard!.kind === 'shard') {
        const right = kernels.xxh64Of(shard!.payload, blockSeed(id, shard!.shard, 0)) === shard!.checksum;
        // Bits nobody looks at may turn over: the header's own check, and what is left free in it.
        if (right) assert.ok(payloadOf(id, 40).equals(shard!.payload) && bit >> 3 >= 40 && bit >> 3 < 48);
        else assert.deepEqual(await drive.checkData([id], true), ['damaged']);
      }
      bytes![bit >> 3]! ^= 1 << (bit & 7);
    }
    await readAll(drive, id, [40]);
    await drive.close();
  });

  test('shards that lie in each other’s place, and blocks in the wrong order, are damaged', async () => {
    const home = simHome();
    const drive = await home.open();
    await put(drive, acceptOf(key, now, { puts: [small(dataIdOf(1), 100)] }));
    await put(drive, acceptOf(key, now + 1, { puts: [small(dataIdOf(2), 100)] }));
    await stage(drive, dataIdOf(3), [100, 100]);
    await put(drive, acceptOf(key, now + 2, { puts: [{ kind: 'staged', dataId: dataIdOf(3) }] }));
    for (const bytes of segmentsOf(home)) {
      const first = Buffer.from(bytes.subarray(0, 148));
      bytes.copyWithin(0, 148, 296);
      first.copy(bytes, 148);
    }
    const ids = [1, 2, 3].map(dataIdOf);
    assert.deepEqual(await drive.checkData(ids, false), ['ok', 'ok', 'ok']);
    assert.deepEqual(await drive.checkData(ids, true), ['damaged', 'damaged', 'damaged']);
    const shards = await drive.readSmall(ids.slice(0, 2));
    assert.deepEqual(
      shards.map(({ kind }) => kind),
      ['damaged', 'damaged'],
    );
    assert.equal((await drive.readBlocks({ dataId: dataIdOf(3), first: 0, count: 2 })).kind, 'damaged');
    await drive.close();
  });

  test('a medium that cannot be read gives damaged data, not a stopped drive', async () => {
    const home = simHome();
    const drive = await home.open();
    await put(drive, acceptOf(key, now, { puts: [small(dataIdOf(1))], headData: dataIdOf(1) }));
    failing(home, 'read');
    assert.equal((await drive.readSmall([dataIdOf(1)]))[0]!.kind, 'damaged');
    assert.equal((await drive.read({ key, withHead: true })).head?.kind, 'damaged');
    assert.equal((await drive.readBlocks({ dataId: dataIdOf(1), first: 0, count: 1 })).kind, 'damaged');
    assert.equal((await drive.stat()).state, 'ok');
    home.disk.fault = () => {};
    assert.deepEqual(await drive.checkData([dataIdOf(1)], true), ['ok']);
    await drive.close();
  });

  test('a file that is cut short gives damaged data', async () => {
    const home = simHome();
    const first = await home.open();
    await put(first, acceptOf(key, now, { puts: [small(dataIdOf(1), 5_000)] }));
    await first.close();
    const [path] = home.disk.paths().filter((one) => one.endsWith('.seg'));
    const handle = await home.disk.files.open(`${path!}.cut`, 'create');
    await handle.write([Buffer.from(home.disk.content(path!).subarray(0, 1_000))], 0);
    await home.disk.files.rename(`${path!}.cut`, path!);
    const drive = await home.open();
    assert.deepEqual(await drive.checkData([dataIdOf(1)], true), ['damaged']);
    assert.equal((await drive.readSmall([dataIdOf(1)]))[0]!.kind, 'damaged');
    await drive.close();
  });

  test('repairing damaged data makes it whole, and the old place free', async () => {
    const home = simHome();
    const drive = await home.open();
    const puts = [small(dataIdOf(1), 500)];
    await put(drive, acceptOf(key, now, { puts }));
    segmentsOf(home)[0]!.fill(0, 60, 70);
    assert.deepEqual(await drive.checkData([dataIdOf(1)], true), ['damaged']);
    assert.equal(await drive.repair({ key, ballot: now, puts }), true);
    assert.deepEqual(await drive.checkData([dataIdOf(1)], true), ['ok']);
    assert.equal((await drive.stat()).liveBytes, 548);
    await drive.close();
  });

  test('compaction leaves a file in which data is still dying, until that has been quiet for a while', async () => {
    const home = simHome();
    let drive = await home.open();
    const ballot = (life: number): number => now + life * 60_000 * 2048;
    for (let life = 0; life < 20; life++) {
      for (const n of [0, 1]) {
        const puts = [small(dataIdOf(100 * n + life))];
        await put(drive, acceptOf(keyOf(`k${n}-${life}`), ballot(2 * life + n), { puts }));
      }
      await drive.close();
      drive = await home.open();
    }
    for (let life = 0; life < 20; life++) {
      const one = { key: keyOf(`k0-${life}`), ballot: ballot(100 + life) };
      await put(drive, acceptOf(one.key, one.ballot, { frees: [dataIdOf(life)] }));
      drive.decide([one]);
    }
    await drive.settleMarks();
    assert.equal(await drive.compactOnce(), 0);
    await home.pass(11 * 60 * 1000);
    assert.ok((await drive.compactOnce()) > 0);
    await drive.close();
  });

  test('compaction keeps a file whose blocks it cannot copy, until they are repaired', async () => {
    const home = simHome();
    let drive = await home.open();
    const puts = [small(dataIdOf(1), 500)];
    await put(drive, acceptOf(key, now, { puts }));
    await put(drive, acceptOf(keyOf('other'), now, { puts: [small(dataIdOf(2), 500)] }));
    const ballot = (life: number): number => now + life * 60_000 * 2048;
    for (let life = 1; life < 20; life++) {
      await drive.close();
      drive = await home.open();
      await put(drive, acceptOf(keyOf(`k${life}`), ballot(life), { puts: [small(dataIdOf(10 + life))] }));
    }
    home.disk.content('/drive/segments/0000000001.seg').fill(0, 60, 70);
    while ((await drive.compactOnce(true)) > 0);
    assert.ok(home.disk.paths().includes('/drive/segments/0000000001.seg'));
    assert.deepEqual(await drive.checkData([dataIdOf(1), dataIdOf(2)], true), ['damaged', 'ok']);
    assert.equal(await drive.repair({ key, ballot: now, puts }), true);
    while ((await drive.compactOnce(true)) > 0);
    assert.ok(!home.disk.paths().includes('/drive/segments/0000000001.seg'));
    assert.deepEqual(await drive.checkData([dataIdOf(1), dataIdOf(2)], true), ['ok', 'ok']);
    await drive.close();
  });

  test('a register that rotted is not believed; what is learnt takes its place, and a copy is kept', async () => {
    const home = simHome();
    const first = await home.open();
    await put(first, acceptOf(key, now));
    const [row] = [...home.index.rows('registers').values()];
    row![row!.length - 6]! ^= 4;
    const isCorrupt = (error: unknown): boolean => error instanceof StorageError && error.code === 'Corrupt';
    await assert.rejects(first.read({ key, withHead: false }), isCorrupt);
    await assert.rejects(first.prepare({ key, ballot: now + 1 }), isCorrupt);
    await assert.rejects(first.accept(acceptOf(key, now + 1)), isCorrupt);
    await assert.rejects(first.scan(scanOf()), isCorrupt);
    await assert.rejects(first.scanDigest(scanOf()), isCorrupt);
    assert.equal((await first.learn(learnOf(key, now - 1))).kind, 'newer');
    assert.equal((await first.learn(learnOf(key, now))).kind, 'learned');
    assert.equal((await first.read({ key, withHead: false })).decided, true);
    await first.close();
    const drive = await home.open();
    assert.equal((await drive.stat()).quarantined, 1);
    assert.equal(Buffer.from((await drive.read({ key, withHead: false })).state).toString(), `state ${now}`);
    await drive.close();
  });
});

describe('what a drive cannot explain', () => {
  test('a stranger among the segment files is moved aside, counted and kept', async () => {
    const home = simHome();
    const first = await home.open();
    await put(first, acceptOf(key, now, { puts: [small(dataIdOf(1))] }));
    await first.close();
    for (const life of [1, 2]) {
      const handle = await home.disk.files.open('/drive/segments/notes.txt', 'create');
      await handle.write([Buffer.from(`hello ${life}`)], 0);
      const drive = await home.open();
      assert.equal((await drive.stat()).quarantined, life);
      assert.deepEqual(await drive.checkData([dataIdOf(1)], true), ['ok']);
      await drive.close();
    }
    assert.equal(home.disk.content('/drive/quarantine/notes.txt').toString(), 'hello 1');
    assert.equal(home.disk.content('/drive/quarantine/notes.txt.1').toString(), 'hello 2');
    assert.match(home.disk.content('/drive/quarantine/notes.txt.reason.txt').toString(), /no segment file/);
  });

  test('a drive whose index is lost does not vote as if it had never voted', async () => {
    const home = simHome();
    const first = await home.open();
    await put(first, acceptOf(key, later, { puts: [small(dataIdOf(1))] }));
    await first.close();
    for (const table of ['registers', 'data', 'log', 'meta'] as const) home.index.wipe(table);
    await assert.rejects(home.open(), /index .* is lost/);
    assert.equal(home.disk.paths().filter((path) => path.endsWith('.seg')).length, 1);
  });
});
