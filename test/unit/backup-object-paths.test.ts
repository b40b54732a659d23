import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createObjectPaths } from '../../activities/backup/source/object-paths.ts';

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

function pathsOf(keys: readonly string[]): Map<string, string> {
  const paths = createObjectPaths('');
  return new Map([...new Set(keys)].toSorted(byBytes).map((key) => [key, paths.pathOf(key).slice(1)]));
}

const table: [keys: string[], expected: string[]][] = [
  [
    ['a', 'b/c'],
    ['a', 'b/c'],
  ],
  [
    ['a', 'a-b', 'a/b'],
    ['a', 'a-b', 'a%/b'],
  ],
  [
    ['a/', 'a//b'],
    ['a/%00', 'a/%00%/b'],
  ],
  [
    ['.', '../x'],
    ['%2E', '%2E%2E/x'],
  ],
  [['50%'], ['50%25']],
];

for (const [keys, expected] of table) {
  test(`the keys ${JSON.stringify(keys)} lie at ${JSON.stringify(expected)}`, () => {
    assert.deepEqual([...pathsOf(keys).values()], expected);
  });
}

test('different keys never share a path, and no path is the directory of another one', () => {
  const key = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '%', '\0', '-', '0'), minLength: 1, maxLength: 7 });
  fc.assert(
    fc.property(fc.array(key, { maxLength: 30 }), (keys) => {
      const paths = [...pathsOf(keys).values()];
      assert.equal(new Set(paths).size, paths.length);
      for (const path of paths) {
        assert.ok(
          path.split('/').every((name) => name !== '' && name !== '.' && name !== '..' && !name.includes('\0')),
        );
        assert.ok(!paths.some((other) => other.startsWith(`${path}/`)), path);
      }
    }),
    { numRuns: 500 },
  );
});
