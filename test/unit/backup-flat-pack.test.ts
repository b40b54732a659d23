import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { flatten, unflatten } from '../../activities/backup/engine/flat-pack.ts';

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const entry = fc.record(
  {
    type: fc.constantFrom('data' as const, 'tree' as const),
    id: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    ...{ offset: word, length: word, uncompressedLength: word },
  },
  { noNullPrototype: true },
);

test('what lies in a pack is the same behind the way between threads', () => {
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const back = unflatten(structuredClone(flatten({ name: 'pack', entries })));
      assert.deepEqual(back, { name: 'pack', entries });
    }),
  );
});
