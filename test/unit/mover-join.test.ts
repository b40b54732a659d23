import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { joinSorted, type Joined, type Pages } from '../../activities/mover/compare/join.ts';
import { alignVersions } from '../../activities/mover/compare/align-versions.ts';
import { judgeSameness } from '../../activities/mover/compare/judge.ts';
import { type ListedVersion } from '../../activities/objects/types.ts';

interface Named {
  key: string;
}

/** Odd on purpose: around the surrogates, where UTF-16 and UTF-8 order differ, and keys that begin with others. */
const keys = fc.array(
  fc.oneof(
    fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '\u{1f600}', '\uff5e', '\ud7ff', '\u{10ffff}', '\u0001') }),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }),
  ),
  { maxLength: 60 },
);
/** No half of a surrogate pair: UTF-8 has no such thing. */
const isWellFormed = (key: string): boolean => Buffer.from(key).toString() === key;
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

function paged(of: readonly string[], sizes: readonly number[]): Pages<Named> {
  const sorted = [...new Set(of)].filter(isWellFormed).toSorted(byBytes);
  let at = 0;
  let turn = 0;
  return {
    next() {
      if (at >= sorted.length) return Promise.resolve(undefined);
      const size = sizes.length === 0 ? 3 : sizes[turn++ % sizes.length]!;
      const page = sorted.slice(at, at + size).map((key) => ({ key }));
      at += size;
      return Promise.resolve(page);
    },
  };
}

async function all(joined: AsyncIterable<Joined<Named>[]>): Promise<Joined<Named>[]> {
  const found: Joined<Named>[] = [];
  for await (const batch of joined) found.push(...batch);
  return found;
}

test('a merge-join says of every key what sets of keys would say, in the order of UTF-8 bytes', async () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 5 }).filter((some) => some.some((n) => n > 0));
  await fc.assert(
    fc.asyncProperty(keys, keys, sizes, async (left, right, pages) => {
      const from = new Set(left.filter(isWellFormed));
      const to = new Set(right.filter(isWellFormed));
      const found = await all(joinSorted(paged(left, pages), paged(right, pages.toReversed())));
      const want = [...new Set([...from, ...to])].toSorted(byBytes);
      assert.deepEqual(
        found.map(({ key }) => key),
        want,
      );
      for (const { key, source, target } of found) {
        assert.equal(source !== undefined, from.has(key));
        assert.equal(target !== undefined, to.has(key));
      }
    }),
  );
});

const md5 = 'd41d8cd98f00b204e9800998ecf8427e';
const other = '900150983cd24fb0d6963f7d28e17f72';
const sameness = [
  {
    name: 'another size is different whatever else',
    a: { etag: md5 },
    b: { etag: md5, sizeBytes: 2 },
    want: 'different',
  },
  { name: 'one MD5 in two cases is the same', a: { etag: md5 }, b: { etag: md5.toUpperCase() }, want: 'same' },
  { name: 'two MD5s that differ may be keys of KMS', a: { etag: md5 }, b: { etag: other }, want: 'unsure' },
  { name: 'parts cut differently say nothing', a: { etag: `${md5}-3` }, b: { etag: md5 }, want: 'unsure' },
  {
    name: 'a checksum both know decides',
    a: { checksums: { crc32: '0' } },
    b: { checksums: { crc32: '1' } },
    want: 'different',
  },
  {
    name: 'checksums without a common kind decide nothing',
    a: { checksums: { crc32: '0' } },
    b: { checksums: { md5 } },
    want: 'unsure',
  },
];
for (const { name, a, b, want } of sameness) {
  test(`sameness: ${name}`, () => {
    const known = { sizeBytes: 1, etag: '' };
    assert.equal(judgeSameness({ ...known, ...a }, { ...known, ...b }).kind, want);
  });
}

/** A letter is a write with that content, `-` a delete marker; oldest first. */
function versions(text: string): ListedVersion[] {
  return Array.from(text).map((letter, i) => ({
    ...{ key: 'k', versionId: `${i}`, latest: i === text.length - 1, deleteMarker: letter === '-' },
    ...{ sizeBytes: 1, etag: letter, lastModifiedMs: i, storageClass: 'STANDARD' },
  }));
}
const alignments = [
  { name: 'nothing there: all of it', source: 'abc', target: '', want: 'behind:abc' },
  { name: 'the same', source: 'ab-c', target: 'ab-c', want: 'same' },
  { name: 'the newest are missing', source: 'ab-c', target: 'ab', want: 'behind:-c' },
  { name: 'the source has lost its oldest', source: 'cd', target: 'abc', want: 'behind:d' },
  { name: 'the target has lost its oldest', source: 'abcd', target: 'bc', want: 'behind:d' },
  { name: 'the longer of two overlaps counts', source: 'aba', target: 'aba', want: 'same' },
  { name: 'the target went its own way', source: 'abc', target: 'abx', want: 'forked' },
  { name: 'only the target has any', source: '', target: 'a', want: 'forked' },
];
for (const { name, source, target, want } of alignments) {
  test(`versions of a key: ${name}`, () => {
    const found = alignVersions(versions(source), versions(target));
    const missing = found.kind === 'behind' ? `:${found.missing.map(({ etag }) => etag).join('')}` : '';
    assert.equal(`${found.kind}${missing}`, want);
  });
}
