import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ballotAt } from '../../../storage-node/consensus/ballot.ts';
import { type AcceptRequest } from '../../../storage-node/store/drive-api.ts';
import { type Drive } from '../../../storage-node/store/drive.ts';
import { type DriveHome } from './drives.ts';
import {
  acceptOf,
  bucketId,
  dataIdOf,
  keyOf,
  learnOf,
  payloadOf,
  put,
  readAll,
  scanOf,
  small,
  stage,
  writeBlock,
} from './requests.ts';

const now = ballotAt(1_800_000_000_000);
const key = keyOf('cats/tom.jpg');

interface Case {
  home: DriveHome;
  drive: Drive;
  /** Closes and opens it again. */
  again(): Promise<Drive>;
}

/** What every drive does, whatever it lies on. */
export function describeDrive(name: string, makeHome: () => DriveHome): void {
  const check = (what: string, run: (one: Case) => Promise<void>): void => {
    test(what, async () => {
      const home = makeHome();
      let drive = await home.open();
      const one: Case = {
        home,
        drive,
        async again() {
          await drive.close();
          drive = await home.open();
          return drive;
        },
      };
      try {
        await run(one);
      } finally {
        await drive.close();
        home.remove();
      }
    });
  };
  describe(name, () => {
    describe('promises', () => promises(check));
    describe('registers', () => registers(check));
    describe('data', () => data(check));
    describe('letting go of data', () => freeing(check));
    describe('listings and the log', () => listings(check));
    describe('fences', () => fences(check));
  });
}

type Check = (what: string, run: (one: Case) => Promise<void>) => void;

function promises(check: Check): void {
  check('a promise keeps smaller ballots out', async ({ drive }) => {
    assert.equal((await drive.prepare({ key, ballot: now + 10 })).kind, 'promised');
    assert.deepEqual(await drive.accept(acceptOf(key, now + 9)), { kind: 'outbid', promised: now + 10 });
    const outbid = await drive.prepare({ key, ballot: now + 10 });
    assert.equal(outbid.kind, 'outbid');
    assert.equal((await drive.accept(acceptOf(key, now + 10))).kind, 'accepted');
  });

  check('a promise is kept over a restart, and so is every other one that may have been given', async (one) => {
    await one.drive.prepare({ key, ballot: now + 10 });
    const drive = await one.again();
    assert.equal((await drive.accept(acceptOf(key, now + 9))).kind, 'outbid');
    assert.equal((await drive.accept(acceptOf(key, now + 10))).kind, 'outbid');
    const later = now + 60_000 * 2048;
    assert.equal((await drive.prepare({ key, ballot: later })).kind, 'promised');
    assert.equal((await drive.accept(acceptOf(key, later))).kind, 'accepted');
  });

  check('a raised floor counts for all keys, and for promises given before', async ({ drive }) => {
    await drive.prepare({ key, ballot: now + 10 });
    assert.equal(await drive.raiseFloor(now + 20), now + 20);
    assert.equal((await drive.accept(acceptOf(key, now + 10))).kind, 'outbid');
    assert.equal((await drive.prepare({ key: keyOf('other'), ballot: now + 20 })).kind, 'outbid');
    assert.equal(await drive.raiseFloor(now + 5), now + 20);
    await put(drive, acceptOf(key, now + 21));
  });

  check('the floor waits for accepts that were under way', async ({ drive }) => {
    await drive.prepare({ key, ballot: now + 1 });
    const accepting = drive.accept(acceptOf(key, now + 1, { change: { note: Buffer.from('put') } }));
    await drive.raiseFloor(now + 5);
    const rows = await drive.log({ bucketId, after: 0, upTo: now + 5, limit: 10 });
    assert.equal(rows.length, (await accepting).kind === 'accepted' ? 1 : 0);
  });

  check('a promise answers with everything accepted before, also when an accept overtook it', async ({ drive }) => {
    await drive.prepare({ key, ballot: now + 1 });
    const replies = await Promise.all([
      drive.accept(acceptOf(key, now + 1)),
      drive.prepare({ key, ballot: now + 3 }),
      drive.accept(acceptOf(key, now + 2)),
      drive.prepare({ key, ballot: now + 4 }),
    ]);
    for (const [before, promise] of [
      [replies[0], replies[1]],
      [replies[2], replies[3]],
    ] as const) {
      if (before.kind === 'accepted' && promise.kind === 'promised') {
        assert.ok(promise.register.ballot >= now + 1);
      }
    }
    const last = replies[3].register.ballot;
    assert.equal((await drive.read({ key, withHead: false })).ballot, last);
  });

  check('ballots that are no ballots are refused', async ({ drive }) => {
    assert.equal((await drive.prepare({ key, ballot: Number.MAX_SAFE_INTEGER + 1 })).kind, 'outbid');
    assert.equal((await drive.prepare({ key, ballot: 0 })).kind, 'outbid');
  });
}

function registers(check: Check): void {
  check('a key never written reads as ballot 0', async ({ drive }) => {
    const reply = await drive.read({ key, withHead: true });
    assert.equal(reply.ballot, 0);
    assert.equal(reply.state.length, 0);
  });

  check('what was accepted is read, decided once it is told so, and the same after a restart', async (one) => {
    const request = acceptOf(key, now, { hidden: true, headData: dataIdOf(1), puts: [small(dataIdOf(1))] });
    await put(one.drive, request);
    const before = await one.drive.read({ key, withHead: true });
    assert.equal(before.decided, false);
    assert.equal((await one.drive.stat()).undecided, 1);
    one.drive.decide([{ key, ballot: now }]);
    const after = await one.drive.read({ key, withHead: true });
    assert.equal(after.decided, true);
    const drive = await one.again();
    const reply = await drive.read({ key, withHead: true });
    assert.deepEqual(
      [reply.ballot, reply.decided, reply.hidden, reply.tombstone, Buffer.from(reply.state).toString()],
      [now, true, true, false, `state ${now}`],
    );
    assert.equal(reply.head?.kind, 'shard');
    assert.equal((await drive.stat()).undecided, 0);
  });

  check('an accept that comes twice is accepted once and answered twice', async ({ drive }) => {
    const request = acceptOf(key, now, { change: { note: Buffer.from('n') } });
    await drive.prepare({ key, ballot: now });
    const replies = await Promise.all([drive.accept(request), drive.accept(request)]);
    assert.deepEqual(
      replies.map(({ kind }) => kind),
      ['accepted', 'accepted'],
    );
    assert.equal((await drive.log({ bucketId, after: 0, upTo: now, limit: 9 })).length, 1);
  });

  check('a decision of another ballot marks nothing', async ({ drive }) => {
    await put(drive, acceptOf(key, now));
    drive.decide([{ key, ballot: now - 1 }]);
    drive.decide([{ key: keyOf('none'), ballot: now }]);
    assert.equal((await drive.read({ key, withHead: false })).decided, false);
  });

  check('learning brings a value that is decided, but never an older one', async ({ drive }) => {
    assert.equal((await drive.learn(learnOf(key, now + 5, { puts: [small(dataIdOf(1))] }))).kind, 'learned');
    const reply = await drive.read({ key, withHead: false });
    assert.deepEqual([reply.ballot, reply.decided], [now + 5, true]);
    assert.deepEqual(await drive.learn(learnOf(key, now + 4)), { kind: 'newer', ballot: now + 5 });
    assert.equal((await drive.accept(acceptOf(key, now + 4))).kind, 'outbid');
  });

  check('a promise tells of the undecided value with its note and head', async ({ drive }) => {
    const change = { note: Buffer.from('note') };
    await put(drive, acceptOf(key, now, { headData: dataIdOf(1), puts: [small(dataIdOf(1))], change }));
    const reply = await drive.prepare({ key, ballot: now + 1 });
    assert.deepEqual(Buffer.from(reply.register.headData!), dataIdOf(1));
    assert.equal(Buffer.from(reply.register.note!).toString(), 'note');
  });

  check('only a decided tombstone of that very ballot is forgotten', async ({ drive }) => {
    await put(drive, acceptOf(key, now, { tombstone: true, state: Buffer.alloc(0) }));
    assert.equal(await drive.forget({ key, ballot: now }), false);
    drive.decide([{ key, ballot: now }]);
    assert.equal(await drive.forget({ key, ballot: now - 1 }), false);
    assert.equal(await drive.forget({ key, ballot: now }), true);
    assert.equal((await drive.read({ key, withHead: false })).ballot, 0);
    assert.equal((await drive.prepare({ key, ballot: now })).kind, 'outbid');
    assert.equal(await drive.forget({ key, ballot: now }), false);
  });

  check('the change log goes on telling that a forgotten tombstone was decided', async (one) => {
    const change = { note: Buffer.from('gone') };
    await put(one.drive, acceptOf(key, now, { tombstone: true, state: Buffer.alloc(0), change }));
    one.drive.decide([{ key, ballot: now }]);
    assert.equal(await one.drive.forget({ key, ballot: now }), true);
    for (const life of [1, 2]) {
      const drive = life === 1 ? one.drive : await one.again();
      const rows = await drive.log({ bucketId, after: 0, upTo: now, limit: 9 });
      assert.deepEqual(
        rows.map(({ ballot, decided }) => [ballot, decided]),
        [[now, true]],
      );
    }
  });

  check('keys may be 1,200 bytes long and hold any bytes', async ({ drive }) => {
    const long = Buffer.concat([keyOf(''), Buffer.alloc(1191, 0xff)]);
    const zeros = Buffer.concat([keyOf(''), Buffer.alloc(5)]);
    for (const one of [long, zeros, keyOf('')]) {
      await put(drive, acceptOf(one, now, { change: { note: Buffer.from('n') } }));
      assert.equal((await drive.read({ key: one, withHead: false })).ballot, now);
    }
    const { rows } = await drive.scan(scanOf({ prefix: Buffer.alloc(0) }));
    assert.deepEqual(
      rows.map((row) => row.key.length),
      [9, 14, 1200],
    );
  });

  check('states may be large', async ({ drive }) => {
    const state = payloadOf(dataIdOf(3), 300_000);
    await put(drive, acceptOf(key, now, { state }));
    assert.ok(state.equals((await drive.read({ key, withHead: false })).state));
    const { rows } = await drive.scan(scanOf());
    assert.ok(state.equals(rows[0]!.state));
  });
}

function data(check: Check): void {
  const sizes = [1, 100, 16 * 1024, 16 * 1024 + 1, 128 * 1024];
  check('small shards of every size come back, over a restart, too', async (one) => {
    const puts = sizes.map((size, i) => small(dataIdOf(i + 1), size));
    await put(one.drive, acceptOf(key, now, { puts }));
    for (const life of [1, 2]) {
      const drive = life === 1 ? one.drive : await one.again();
      const shards = await drive.readSmall([...puts.map(({ dataId }) => dataId), dataIdOf(99)]);
      assert.deepEqual(
        shards.map((shard) => (shard.kind === 'shard' ? [shard.shard, shard.payload.length] : shard.kind)),
        [...sizes.map((size) => [1, size]), 'missing'],
      );
      for (const [i, shard] of shards.entries()) {
        if (shard.kind === 'shard') assert.ok(payloadOf(dataIdOf(i + 1), sizes[i]!).equals(shard.payload));
      }
      assert.deepEqual(await drive.checkData([dataIdOf(1), dataIdOf(99)], true), ['ok', 'missing']);
    }
  });

  for (const declare of [true, false]) {
    check(`staged data is read once it is accepted, its size ${declare ? 'known' : 'not known'}`, async (one) => {
      const lengths = [...Array<number>(20).fill(4096), 700];
      const id = dataIdOf(1);
      await stage(one.drive, id, lengths, { declare });
      assert.equal((await one.drive.readBlocks({ dataId: id, first: 0, count: 1 })).kind, 'missing');
      assert.deepEqual(await one.drive.checkData([id], false), ['staged']);
      await put(one.drive, acceptOf(key, now, { puts: [{ kind: 'staged', dataId: id }] }));
      await readAll(one.drive, id, lengths);
      const drive = await one.again();
      await readAll(drive, id, lengths);
      assert.deepEqual(await drive.checkData([id], true), ['ok']);
      const some = await drive.readBlocks({ dataId: id, first: 7, count: 3 });
      assert.deepEqual(some.kind === 'blocks' ? some.blocks.map(({ index }) => index) : some.kind, [7, 8, 9]);
      const behind = await drive.readBlocks({ dataId: id, first: 50, count: 3 });
      assert.deepEqual(behind.kind === 'blocks' ? behind.blocks : behind.kind, []);
    });
  }

  check('data of many writers at once lies apart', async ({ drive }) => {
    const lengths = [5000, 5000, 5000, 10];
    const ids = Array.from({ length: 8 }, (_, i) => dataIdOf(i + 1));
    const writers = ids.map((dataId, i) => drive.stage({ dataId, shard: i % 4, expectedBytes: undefined }));
    for (const [index, length] of lengths.entries()) {
      for (const [i, writer] of writers.entries()) {
        writeBlock(writer, { dataId: ids[i]!, shard: i % 4 }, [index, length]);
      }
    }
    await Promise.all(writers.map((writer) => writer.finish()));
    await put(drive, acceptOf(key, now, { puts: ids.map((dataId) => ({ kind: 'staged', dataId })) }));
    for (const id of ids) await readAll(drive, id, lengths);
  });

  check('staged data is gone after a restart, or when it was given up', async (one) => {
    const puts: AcceptRequest['puts'] = [{ kind: 'staged', dataId: dataIdOf(1) }];
    const writer = await stage(one.drive, dataIdOf(1), [100]);
    writer.abort();
    await one.drive.prepare({ key, ballot: now });
    assert.equal((await one.drive.accept(acceptOf(key, now, { puts }))).kind, 'no-data');
    await stage(one.drive, dataIdOf(1), [100]);
    await one.drive.unstage(dataIdOf(1));
    await one.drive.unstage(dataIdOf(1));
    assert.equal((await one.drive.accept(acceptOf(key, now, { puts }))).kind, 'no-data');
    await stage(one.drive, dataIdOf(1), [100]);
    const drive = await one.again();
    const later = now + 60_000 * 2048;
    await drive.prepare({ key, ballot: later });
    assert.equal((await drive.accept(acceptOf(key, later, { puts }))).kind, 'no-data');
    assert.equal((await drive.learn(learnOf(key, later, { puts }))).kind, 'no-data');
    assert.equal((await drive.read({ key, withHead: false })).ballot, 0);
  });

  check('giving up what a register names already takes nothing away', async ({ drive }) => {
    const writer = await stage(drive, dataIdOf(1), [100, 50]);
    await put(drive, acceptOf(key, now, { puts: [{ kind: 'staged', dataId: dataIdOf(1) }] }));
    writer.abort();
    await drive.unstage(dataIdOf(1));
    await readAll(drive, dataIdOf(1), [100, 50]);
  });

  check('blocks must come in order, none longer than the first', async ({ drive }) => {
    for (const blocks of [
      [[1, 100]],
      [
        [0, 100],
        [1, 101],
      ],
      [
        [0, 100],
        [1, 50],
        [2, 50],
      ],
    ] as [number, number][][]) {
      const dataId = dataIdOf(1);
      const writer = drive.stage({ dataId, shard: 1, expectedBytes: undefined });
      let released = 0;
      for (const [index, length] of blocks) {
        const payload = payloadOf(dataId, length, index);
        writer.write({ index, payload, checksum: 1n }, () => (released += 1));
      }
      await assert.rejects(writer.finish(), /block \d/);
      assert.equal(released, blocks.length);
      assert.equal(writer.queuedBytes, 0);
    }
  });

  check('repaired shards are taken only for the ballot they are of', async ({ drive }) => {
    await put(drive, acceptOf(key, now));
    const puts = [small(dataIdOf(1))];
    assert.equal(await drive.repair({ key, ballot: now + 1, puts }), false);
    assert.deepEqual(await drive.checkData([dataIdOf(1)], true), ['missing']);
    assert.equal(await drive.repair({ key, ballot: now, puts }), true);
    assert.deepEqual(await drive.checkData([dataIdOf(1)], true), ['ok']);
  });
}

function freeing(check: Check): void {
  const has = async (drive: Drive, id: Uint8Array): Promise<boolean> =>
    (await drive.readSmall([id]))[0]!.kind === 'shard';

  check('data is let go when the value that frees it is decided, not before', async ({ drive }) => {
    await put(drive, acceptOf(key, now, { puts: [small(dataIdOf(1))] }));
    drive.decide([{ key, ballot: now }]);
    await put(drive, acceptOf(key, now + 1, { puts: [small(dataIdOf(2))], frees: [dataIdOf(1)] }));
    await drive.settleMarks();
    assert.equal(await has(drive, dataIdOf(1)), true);
    drive.decide([{ key, ballot: now + 1 }]);
    assert.equal(await has(drive, dataIdOf(1)), true);
    await drive.settleMarks();
    assert.equal(await has(drive, dataIdOf(1)), false);
    assert.equal(await has(drive, dataIdOf(2)), true);
    await drive.counted;
    assert.equal((await drive.stat()).liveBytes, 148);
  });

  check('frees of overwritten ballots are gathered, less what a newer one keeps or brings', async ({ drive }) => {
    const puts = [1, 2, 3].map((id) => small(dataIdOf(id)));
    await put(drive, acceptOf(key, now, { puts }));
    drive.decide([{ key, ballot: now }]);
    await put(drive, acceptOf(key, now + 1, { frees: [dataIdOf(1), dataIdOf(2), dataIdOf(3)] }));
    await put(drive, acceptOf(key, now + 2, { keeps: [dataIdOf(2)], puts: [small(dataIdOf(3))] }));
    drive.decide([{ key, ballot: now + 2 }]);
    await drive.settleMarks();
    assert.deepEqual(await drive.checkData([1, 2, 3].map(dataIdOf), true), ['missing', 'ok', 'ok']);
  });

  check('pinned data stays until the last one lets it go', async ({ drive }) => {
    await put(drive, acceptOf(key, now, { puts: [small(dataIdOf(1))] }));
    const pins = [drive.pin([dataIdOf(1)]), drive.pin([dataIdOf(1)])];
    await put(drive, acceptOf(key, now + 1, { frees: [dataIdOf(1)] }));
    drive.decide([{ key, ballot: now + 1 }]);
    for (const pin of pins) {
      await drive.settleMarks();
      assert.equal(await has(drive, dataIdOf(1)), true);
      pin.release();
      pin.release();
    }
    await drive.settleMarks();
    assert.equal(await has(drive, dataIdOf(1)), false);
  });

  check('what was pinned at the end is let go in the next life', async (one) => {
    await put(one.drive, acceptOf(key, now, { puts: [small(dataIdOf(1))] }));
    one.drive.pin([dataIdOf(1)]);
    await put(one.drive, acceptOf(key, now + 1, { frees: [dataIdOf(1)] }));
    one.drive.decide([{ key, ballot: now + 1 }]);
    const drive = await one.again();
    assert.equal(await has(drive, dataIdOf(1)), true);
    assert.equal((await drive.read({ key, withHead: false })).decided, true);
    await drive.counted;
    while ((await has(drive, dataIdOf(1))) === true) {
      await new Promise((resolve) => setImmediate(resolve));
      await drive.settleMarks();
    }
  });

  check('learning frees what it says', async ({ drive }) => {
    await put(drive, acceptOf(key, now, { puts: [small(dataIdOf(1))] }));
    await drive.learn(learnOf(key, now + 1, { frees: [dataIdOf(1)], puts: [small(dataIdOf(2))] }));
    await drive.settleMarks();
    assert.equal(await has(drive, dataIdOf(1)), false);
    assert.equal(await has(drive, dataIdOf(2)), true);
  });

  check('files that are mostly dead are rewritten, and what lives in them moves', async (one) => {
    const lengths = [...Array<number>(9).fill(2000), 30];
    await stage(one.drive, dataIdOf(1), lengths);
    await put(one.drive, acceptOf(key, now, { puts: [{ kind: 'staged', dataId: dataIdOf(1) }, small(dataIdOf(2))] }));
    // Small files are merged once there are more than a few of them.
    let drive = one.drive;
    for (let i = 0; i < 20; i++) {
      drive = await one.again();
      const ballot = now + (i + 1) * 60_000 * 2048;
      await put(drive, acceptOf(keyOf(`more-${i}`), ballot, { puts: [small(dataIdOf(10 + i))] }));
    }
    const before = await drive.stat();
    const reader = drive.readBlocks({ dataId: dataIdOf(1), first: 0, count: 10 });
    while ((await drive.compactOnce(true)) > 0);
    assert.equal((await reader).kind, 'blocks');
    const after = await drive.stat();
    assert.equal(after.liveBytes, before.liveBytes);
    for (const life of [1, 2]) {
      const again = life === 1 ? drive : await one.again();
      await readAll(again, dataIdOf(1), lengths);
      const ids = [dataIdOf(2), ...Array.from({ length: 20 }, (_, i) => dataIdOf(10 + i))];
      assert.deepEqual(new Set(await again.checkData(ids, true)), new Set(['ok']));
    }
  });
}

function listings(check: Check): void {
  check('a scan shows the rows of a prefix in order, in pages', async ({ drive }) => {
    const names = ['a', 'b/1', 'b/2', 'c', 'd'];
    for (const [i, name] of names.entries()) await put(drive, acceptOf(keyOf(name), now + i));
    await put(drive, acceptOf(keyOf('a', 2), now));
    const seen: string[] = [];
    let after: Uint8Array | undefined;
    do {
      const page = await drive.scan(scanOf({ after, limit: 2 }));
      const digest = await drive.scanDigest(scanOf({ after, limit: 2 }));
      assert.deepEqual([digest.rows, digest.next, digest.undecided], [page.rows.length, page.next, true]);
      seen.push(...page.rows.map((row) => Buffer.from(row.key.subarray(9)).toString()));
      after = page.next;
    } while (after !== undefined);
    assert.deepEqual(seen, names);
  });

  check('tombstones and hidden rows are left out once they are decided', async ({ drive }) => {
    await put(drive, acceptOf(keyOf('gone'), now, { tombstone: true }));
    await put(drive, acceptOf(keyOf('hidden'), now, { hidden: true }));
    const names = async (): Promise<string[]> =>
      (await drive.scan(scanOf())).rows.map((row) => Buffer.from(row.key.subarray(9)).toString());
    assert.deepEqual(await names(), ['gone', 'hidden']);
    drive.decide([
      { key: keyOf('gone'), ballot: now },
      { key: keyOf('hidden'), ballot: now },
    ]);
    assert.deepEqual(await names(), []);
    await drive.settleMarks();
    assert.deepEqual(await names(), []);
    const all = await drive.scan(scanOf({ skipHidden: false, skipTombstones: false }));
    assert.equal(all.rows.length, 2);
  });

  check('the log shows a bucket in the order of ballots, decided or not', async (one) => {
    const { drive } = one;
    const note = (text: string): { note: Buffer } => ({ note: Buffer.from(text) });
    await put(drive, acceptOf(keyOf('b'), now + 1, { change: note('1') }));
    await put(drive, acceptOf(keyOf('a'), now + 2, { change: note('2') }));
    await put(drive, acceptOf(keyOf('b'), now + 3, { change: note('3') }));
    await put(drive, acceptOf(keyOf('x', 2), now + 2, { change: note('other bucket') }));
    await put(drive, acceptOf(keyOf('quiet'), now + 4));
    drive.decide([{ key: keyOf('a'), ballot: now + 2 }]);
    const read = async (from: Drive, after: number, upTo: number, limit = 10): Promise<unknown[]> =>
      (await from.log({ bucketId, after, upTo, limit })).map((row) => [
        row.ballot - now,
        Buffer.from(row.note).toString(),
        Buffer.from(row.key.subarray(9)).toString(),
        row.decided,
      ]);
    const all = [
      [1, '1', 'b', false],
      [2, '2', 'a', true],
      [3, '3', 'b', false],
    ];
    assert.deepEqual(await read(drive, 0, now + 9), all);
    assert.deepEqual(await read(await one.again(), 0, now + 9), all);
  });

  check('the log keeps what was decided when a newer value came, and drops what is cancelled', async ({ drive }) => {
    const change = { note: Buffer.from('n') };
    await put(drive, acceptOf(key, now + 1, { change }));
    drive.decide([{ key, ballot: now + 1 }]);
    await put(drive, acceptOf(key, now + 2, { change }));
    await put(drive, acceptOf(key, now + 3, { change, cancels: [now + 2] }));
    const rows = await drive.log({ bucketId, after: now, upTo: now + 9, limit: 9 });
    assert.deepEqual(
      rows.map(({ ballot, decided }) => [ballot - now, decided]),
      [
        [1, true],
        [3, false],
      ],
    );
    const some = await drive.log({ bucketId, after: now + 1, upTo: now + 3, limit: 1 });
    assert.deepEqual(
      some.map(({ ballot }) => ballot - now),
      [3],
    );
  });
}

function fences(check: Check): void {
  check('clients are refused while the site is fenced, or under an old epoch; healing is not', async (one) => {
    const shut = { epoch: 3, fenced: true, leased: false };
    const open = { epoch: 3, fenced: false, leased: false };
    assert.deepEqual(await one.drive.siteState(), { epoch: 0, fenced: false, leased: false });
    assert.deepEqual(await one.drive.setSiteState(shut), shut);
    assert.deepEqual(await one.drive.setSiteState({ ...open, epoch: 2 }), shut);
    const drive = await one.again();
    assert.deepEqual(await drive.siteState(), shut);
    const later = now + 60_000 * 2048;
    await drive.prepare({ key, ballot: later });
    const fenced = { kind: 'fenced', siteEpoch: 3, fenced: true, why: 'fenced' };
    assert.deepEqual(await drive.accept(acceptOf(key, later, { siteEpoch: 3 })), fenced);
    assert.equal((await drive.accept(acceptOf(key, later, { fromClient: false }))).kind, 'accepted');
    await drive.setSiteState(open);
    assert.deepEqual(await drive.setSiteState(shut), open, 'a late order to fence does not take the opening back');
    await put(drive, acceptOf(key, later + 1, { siteEpoch: 3 }));
    await drive.prepare({ key, ballot: later + 2 });
    assert.equal((await drive.accept(acceptOf(key, later + 2, { siteEpoch: 2 }))).kind, 'fenced');
  });

  check(
    'a leased site takes writes of clients only while its node holds a lease of its epoch or a newer one',
    async (one) => {
      let drive = one.drive;
      await drive.setSiteState({ epoch: 5, fenced: false, leased: true });
      let ballot = now + 60_000 * 2048;
      const reply = async (): Promise<unknown> => {
        ballot += 1;
        await drive.prepare({ key, ballot });
        const answer = await drive.accept(acceptOf(key, ballot, { siteEpoch: 5 }));
        return answer.kind === 'fenced' ? answer.why : answer.kind;
      };
      const endsAtMs = (ms: number): number => one.home.clock.monotonicMs() + ms;
      assert.equal(await reply(), 'no-lease');
      drive.lease({ epoch: 4, endsAtMs: endsAtMs(60_000) });
      assert.equal(await reply(), 'no-lease', 'a lease of an older epoch is none');
      drive.lease({ epoch: 5, endsAtMs: endsAtMs(60_000) });
      assert.equal(await reply(), 'accepted');
      drive.lease({ epoch: 5, endsAtMs: endsAtMs(-1) });
      assert.equal(await reply(), 'no-lease', 'one that has run out is none');
      drive.lease({ epoch: 6, endsAtMs: endsAtMs(60_000) });
      assert.equal(await reply(), 'accepted');
      drive.lease(undefined);
      assert.equal(await reply(), 'no-lease', 'one that was taken back is none');
      drive.lease({ epoch: 5, endsAtMs: endsAtMs(60_000) });
      drive = await one.again();
      assert.deepEqual(await drive.siteState(), { epoch: 5, fenced: false, leased: true });
      assert.equal(await reply(), 'no-lease', 'a restart begins without one');
    },
  );

  check('writers that do not know the present settings of a bucket are refused', async (one) => {
    const guard = { bucketId, generation: 4, sealed: false };
    for (const asked of [guard, { ...guard, generation: 3, sealed: true }]) {
      const { generation, sealed } = await one.drive.guardBucket(asked);
      assert.deepEqual([generation, sealed], [4, false]);
    }
    const drive = await one.again();
    const later = now + 60_000 * 2048;
    await drive.prepare({ key, ballot: later });
    const changed = { kind: 'bucket-changed', generation: 4, sealed: false };
    assert.deepEqual(await drive.accept(acceptOf(key, later, { bucketGeneration: 3 })), changed);
    await put(drive, acceptOf(key, later + 1, { bucketGeneration: 4 }));
    await put(drive, acceptOf(keyOf('a', 2), later, { bucketGeneration: 0 }));
    await drive.guardBucket({ ...guard, generation: 5, sealed: true });
    await drive.prepare({ key, ballot: later + 2 });
    const sealed = { kind: 'bucket-changed', generation: 5, sealed: true };
    assert.deepEqual(await drive.accept(acceptOf(key, later + 2, { bucketGeneration: 5 })), sealed);
  });
}
