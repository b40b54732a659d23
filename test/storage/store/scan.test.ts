import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type ScanPage, type ScanRequest } from '../../../storage-node/store/drive-api.ts';
import { type Drive } from '../../../storage-node/store/drive.ts';
import { endOfPrefix } from '../../../storage-node/store/scan.ts';
import { packedOf } from '../support/packed-page.ts';
import { simHome } from './drives.ts';
import { acceptOf, keyOf, put, scanOf } from './requests.ts';

interface Entry {
  name: Buffer;
  tombstone: boolean;
  hidden: boolean;
  decided: boolean;
}

const byte = fc.constantFrom(0x00, 0x2f, 0x61, 0x62, 0xff);
const name = fc.array(byte, { maxLength: 6 }).map((bytes) => Buffer.from(bytes));
const entry = fc.record({ name, tombstone: fc.boolean(), hidden: fc.boolean(), decided: fc.boolean() });
const entries = fc.uniqueArray(entry, { selector: (one) => one.name.toString('latin1'), maxLength: 25 });
const query = fc.record({
  prefix: name.map((bytes) => bytes.subarray(0, 2)),
  delimiter: fc.constantFrom(undefined, Buffer.from('/'), Buffer.from('ab')),
  limit: fc.integer({ min: 1, max: 6 }),
  skipTombstones: fc.boolean(),
  skipHidden: fc.boolean(),
});

async function filled(all: readonly Entry[]): Promise<Drive> {
  const drive = await simHome().open();
  for (const { name: own, tombstone, hidden, decided } of all) {
    const key = Buffer.concat([keyOf(''), own]);
    await put(drive, acceptOf(key, 1000, { tombstone, hidden }));
    if (decided) drive.decide([{ key, ballot: 1000 }]);
  }
  return drive;
}

/** What a listing shows, from all rows at once: keys and roll-ups in order. */
function expected(all: readonly Entry[], request: ScanRequest): string[] {
  const prefix = Buffer.from(request.prefix).toString('latin1');
  const delimiter = request.delimiter === undefined ? undefined : Buffer.from(request.delimiter).toString('latin1');
  const shown = new Set<string>();
  for (const one of all) {
    const key = Buffer.concat([keyOf(''), one.name]).toString('latin1');
    if (!key.startsWith(prefix)) continue;
    if (one.decided && ((one.tombstone && request.skipTombstones) || (one.hidden && request.skipHidden))) continue;
    const at = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
    shown.add(at < 0 ? `row ${key}` : `all ${key.slice(0, at + delimiter!.length)}`);
  }
  const bare = (line: string): string => line.slice(4);
  return [...shown].sort((a, b) => (bare(a) < bare(b) ? -1 : 1));
}

function shownBy(page: ScanPage): string[] {
  const latin = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  return [...page.rows.map(({ key }) => `row ${latin(key)}`), ...page.rollups.map((one) => `all ${latin(one)}`)].sort(
    (a, b) => (a.slice(4) < b.slice(4) ? -1 : 1),
  );
}

describe('listing a drive', () => {
  test('pages of any size show the same as everything at once, and each digest is that of its page', async () => {
    await fc.assert(
      fc.asyncProperty(entries, query, async (all, asked) => {
        const drive = await filled(all);
        const base = scanOf({ ...asked, prefix: Buffer.concat([keyOf(''), asked.prefix]) });
        const shown: string[] = [];
        let after: Uint8Array | undefined;
        do {
          const request = { ...base, after };
          const page = await drive.scan(request);
          const digest = await drive.scanDigest(request);
          const packed = await drive.scanPacked(request);
          assert.deepEqual(packed, { ...digest, ...packedOf(page) });
          assert.equal(digest.rows, page.rows.length);
          assert.equal(
            digest.undecided,
            page.rows.some(({ decided }) => !decided),
          );
          assert.deepEqual(digest.next, page.next);
          assert.ok(page.rows.length + page.rollups.length <= base.limit);
          shown.push(...shownBy(page));
          after = page.next;
        } while (after !== undefined);
        assert.deepEqual(shown, expected(all, base));
        await drive.close();
      }),
      { numRuns: 150 },
    );
  });

  test('digests differ where pages differ: in a key, a ballot, a roll-up or the end', async () => {
    const drive = await filled([
      { name: Buffer.from('a'), tombstone: false, hidden: false, decided: true },
      { name: Buffer.from('b/1'), tombstone: false, hidden: false, decided: true },
    ]);
    const digestOf = async (more: Partial<ScanRequest>): Promise<string> =>
      Buffer.from((await drive.scanDigest(scanOf(more))).digest).toString('hex');
    const digests = [await digestOf({}), await digestOf({ limit: 1 }), await digestOf({ delimiter: Buffer.from('/') })];
    await put(drive, acceptOf(keyOf('a'), 1001));
    digests.push(await digestOf({}));
    await put(drive, acceptOf(keyOf('c'), 1001));
    digests.push(await digestOf({}));
    assert.equal(new Set(digests).size, digests.length);
    await drive.close();
  });

  test('the end of a prefix is right behind everything that begins with it', () => {
    for (const [prefix, end] of [
      ['61', '62'],
      ['61ff', '62'],
      ['00', '01'],
      ['61fffe', '61ffff'],
    ]) {
      assert.equal(endOfPrefix(Buffer.from(prefix!, 'hex'))?.toString('hex'), end);
    }
    assert.equal(endOfPrefix(Buffer.from('ffff', 'hex')), undefined);
    assert.equal(endOfPrefix(Buffer.alloc(0)), undefined);
  });
});
