import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compareKeys } from '../../activities/objects/keys.ts';

test('keys are ordered as their UTF-8 bytes are', () => {
  const text = fc.string({ unit: 'binary', maxLength: 8 });
  fc.assert(
    fc.property(text, text, text, (start, a, b) => {
      const [left, right] = [start + a, start + b];
      const bytes = Buffer.compare(Buffer.from(left), Buffer.from(right));
      assert.equal(Math.sign(compareKeys(left, right)), bytes);
    }),
    { numRuns: 2_000 },
  );
});

test('what lies above U+FFFF comes behind U+FF5E, not before', () => {
  const keys = ['\u{1f600}', '\uff5e'];
  assert.deepEqual(keys.toSorted(), ['\u{1f600}', '\uff5e']);
  assert.deepEqual(keys.toSorted(compareKeys), ['\uff5e', '\u{1f600}']);
});
