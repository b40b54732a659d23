import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EntryCursor, EntryPacker, spanOf } from '../../../storage-node/store/packed-entries.ts';
import { maxBallot } from '../../../storage-node/consensus/ballot.ts';

const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const row = fc.record({
  key: bytes(40),
  // An envelope of up to three operations, then the value.
  operations: fc.integer({ min: 0, max: 3 }),
  value: bytes(300),
  ballot: fc.integer({ min: 0, max: maxBallot }),
  decided: fc.boolean(),
  tombstone: fc.boolean(),
  hidden: fc.boolean(),
});
const entry = fc.oneof(row, fc.record({ rollup: bytes(40) }));

test('what was packed is shown again, one entry after the other', () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 30 }), fc.integer({ min: 1, max: 1000 }), (entries, expectedBytes) => {
      const packer = new EntryPacker(expectedBytes);
      for (const one of entries) {
        if ('rollup' in one) packer.rollup(one.rollup);
        else
          packer.row(
            one.key,
            one,
            spanOf(Buffer.concat([Buffer.alloc(1 + 8 * one.operations, one.operations), one.value])),
          );
      }
      const shown: unknown[] = [];
      for (const at = new EntryCursor(packer.end()); at.valid; at.next()) {
        const key = at.key.toString('hex');
        shown.push(at.isRow ? { key, hidden: at.hidden, value: at.value.toString('hex') } : { rollup: key });
      }
      const expected = entries.map((one) =>
        'rollup' in one
          ? { rollup: one.rollup.toString('hex') }
          : { key: one.key.toString('hex'), hidden: one.hidden, value: one.value.toString('hex') },
      );
      assert.deepEqual(shown, expected);
    }),
  );
});

test('a page that ends in the middle of an entry is refused, wherever it does', () => {
  const packer = new EntryPacker();
  const head = { ballot: 7, decided: true, tombstone: false, hidden: false };
  packer.row(Buffer.from('key'), head, spanOf(Buffer.from('\0value')));
  const whole = packer.end();
  for (let length = 1; length < whole.length; length++) {
    assert.throws(() => new EntryCursor(whole.subarray(0, length)), { code: 'Corrupt' });
  }
  assert.equal(new EntryCursor(whole).valid, true);
  assert.equal(new EntryCursor(whole.subarray(0, 0)).valid, false);
});
