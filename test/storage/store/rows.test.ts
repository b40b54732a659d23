import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeBlockHeader, encodeBlockHeader } from '../../../storage-node/store/block.ts';
import { type DataRow, decodeData, encodeData } from '../../../storage-node/store/data-row.ts';
import {
  copyState,
  decodeLog,
  decodeRegister,
  encodeLog,
  encodeRegister,
  type RegisterRow,
} from '../../../storage-node/store/rows.ts';

const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
const anyBytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true });
const register = record({
  ballot: fc.maxSafeNat(),
  decided: fc.boolean(),
  tombstone: fc.boolean(),
  hidden: fc.boolean(),
  headData: fc.option(bytes(16), { nil: undefined }),
  older: fc.constant<RegisterRow['older']>([]),
  frees: fc.array(bytes(16), { maxLength: 5 }),
  state: anyBytes,
});

describe('rows of the index', () => {
  test('registers come back as they were, and no bit of them may turn over', () => {
    fc.assert(
      fc.property(register, fc.nat(), (row, at) => {
        const stored = encodeRegister(row);
        assert.deepEqual(decodeRegister(stored), row);
        assert.deepEqual(copyState(stored), row.state);
        const bit = at % (stored.length * 8);
        stored[bit >> 3]! ^= 1 << (bit & 7);
        assert.throws(() => decodeRegister(stored), /rotted/);
        assert.throws(() => decodeRegister(stored.subarray(0, at % 12)), /rotted/);
      }),
    );
  });

  test('log rows come back as they were', () => {
    fc.assert(
      fc.property(bytes(8), anyBytes, anyBytes, fc.boolean(), (bucketId, name, note, decided) => {
        const key = Buffer.concat([bucketId, name]);
        assert.deepEqual(decodeLog(bucketId, encodeLog({ key, note, decided })), { key, note, decided });
      }),
    );
  });

  test('places of shards come back as they were, and nonsense leads nowhere', () => {
    const uint32 = fc.nat(0xffff_ffff);
    const extent = record({ segment: uint32, offset: uint32, firstBlock: uint32, blocks: uint32 });
    const large = record({
      shard: fc.nat(15),
      small: fc.constant(false),
      wide: fc.boolean(),
      blockBytes: uint32,
      lastBlockBytes: uint32,
      extents: fc.array(extent, { maxLength: 4 }),
    });
    fc.assert(fc.property(large, (row) => assert.deepEqual(decodeData(encodeData(row)), row)));
    fc.assert(
      fc.property(fc.nat(15), uint32, uint32, uint32, (shard, length, segment, offset) => {
        const extents = [{ segment, offset, firstBlock: 0, blocks: 1 }];
        const row: DataRow = { shard, small: true, wide: false, blockBytes: length, lastBlockBytes: length, extents };
        const stored = encodeData(row);
        assert.equal(stored.length, 13);
        assert.deepEqual(decodeData(stored), row);
      }),
    );
    fc.assert(fc.property(anyBytes, (nonsense) => void decodeData(nonsense)));
  });

  test('block headers come back as they were, and no bit of them may turn over', () => {
    const header = record({
      dataId: bytes(16),
      shard: fc.nat(15),
      index: fc.nat(0xffff_ffff),
      length: fc.nat(0xffff_ffff),
      checksum: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
    });
    fc.assert(
      fc.property(header, fc.nat(44 * 8 - 1), (one, bit) => {
        const stored = encodeBlockHeader(one);
        assert.deepEqual(decodeBlockHeader(stored), one);
        stored[bit >> 3]! ^= 1 << (bit & 7);
        assert.equal(decodeBlockHeader(stored), undefined);
      }),
    );
  });
});
