import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Trees } from '../../activities/backup/engine/trees.ts';
import type { TreeNode } from '../../activities/backup/repository/tree.ts';
import { createObjectPaths } from '../../activities/backup/source/object-paths.ts';
import { joinReferences } from '../../activities/protection/references/join-references.ts';
import { keysBelow } from '../../activities/protection/references/saved-keys.ts';

type Answer = Awaited<ReturnType<typeof joinReferences>>;

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

async function* stream(keys: Iterable<string>): AsyncGenerator<string> {
  yield* keys;
}

/** The same by tables of all keys. */
function simply(rows: readonly string[], objects: readonly string[]): Answer {
  const missing = rows.filter((key) => !objects.includes(key));
  const unreferred = objects.filter((key) => !rows.includes(key));
  return {
    ...{ rows: rows.length, objects: objects.length },
    missing: { count: missing.length, names: [...new Set(missing)].slice(0, 100) },
    unreferred: { count: unreferred.length, names: unreferred.slice(0, 100) },
  };
}

/** Letters on both sides of where UTF-16 and UTF-8 sort otherwise. */
const letter = fc.constantFrom('a', 'b', '/', '-', '%', '.', '\u{e000}', '\u{1f600}', 'é');
const key = fc.string({ unit: letter, minLength: 1, maxLength: 4 });

test('the join says what tables of all keys say', async () => {
  const lists = fc.tuple(fc.array(key, { maxLength: 40 }), fc.uniqueArray(key, { maxLength: 40 }));
  await fc.assert(
    fc.asyncProperty(lists, async ([rows, objects]) => {
      const [a, b] = [rows.toSorted(byBytes), objects.toSorted(byBytes)];
      assert.deepEqual(await joinReferences(stream(a), stream(b)), simply(a, b));
    }),
    { numRuns: 300 },
  );
});

const many = 60_000;
const nameOf = (i: number): string => `key-${String(i).padStart(9, '0')}`;

test('of many keys the join holds one of each side, and a hundred names', async () => {
  const told = { rows: 0, objects: 0, mostApart: 0 };
  async function* counted(side: 'rows' | 'objects', every: number): AsyncGenerator<string> {
    for (let i = 0; i < many; i += every) {
      told[side] = i;
      told.mostApart = Math.max(told.mostApart, Math.abs(told.rows - told.objects));
      yield nameOf(i);
    }
  }
  const answer = await joinReferences(counted('rows', 3), counted('objects', 2));
  assert.equal(told.mostApart, 3, 'one side was read ahead of the other');
  const [rows, objects, both] = [3, 2, 6].map((every) => Math.ceil(many / every)) as [number, number, number];
  assert.deepEqual([answer.rows, answer.objects], [rows, objects]);
  assert.deepEqual([answer.missing.count, answer.missing.names.length], [rows - both, 100]);
  assert.deepEqual([answer.unreferred.count, answer.unreferred.names.length], [objects - both, 100]);
});

for (const side of ['rows', 'objects'] as const) {
  test(`${side} that are out of order are refused, and both streams are let go`, async () => {
    const ended: string[] = [];
    async function* watched(name: string, keys: string[]): AsyncGenerator<string> {
      try {
        yield* keys;
      } finally {
        ended.push(name);
      }
    }
    const keys = { rows: ['a', 'b', 'c', 'd'], objects: ['a', 'b', 'c', 'd'], [side]: ['a', 'c', 'b', 'd'] };
    const joined = joinReferences(watched('rows', keys.rows), watched('objects', keys.objects));
    await assert.rejects(joined, { code: 'INTERNAL', message: new RegExp(`of ${side} are out of order: b `) });
    assert.deepEqual(ended.toSorted(), ['objects', 'rows']);
  });
}

const common = { mode: 0o600, mtime: '', atime: '', ctime: '', uid: 0, gid: 0 };

/** The trees of a snapshot in which the objects with these keys lie as a backup lays them, and the root of them. */
function treesOf(keys: readonly string[]): { trees: Trees; root: string } {
  const directories = new Map<string, Map<string, TreeNode>>([['', new Map()]]);
  const paths = createObjectPaths('');
  for (const one of [...new Set(keys)].toSorted(byBytes)) {
    const path = paths.pathOf(one).slice(1);
    const names = path.split('/');
    const file = names.pop()!;
    let at = '';
    for (const name of names) {
      const below = `${at}/${name}`;
      directories.get(at)!.set(name, { ...common, name, type: 'dir', content: null, subtree: below });
      if (!directories.has(below)) directories.set(below, new Map());
      at = below;
    }
    const kept = [{ name: 'user.muster.key', value: Buffer.from(one) }];
    const odd = path === one ? {} : { extendedAttributes: kept };
    directories.get(at)!.set(file, { ...common, name: file, type: 'file', content: [], ...odd });
  }
  const load: Trees['load'] = (id) => Promise.resolve({ kind: 'tree', nodes: [...directories.get(id)!.values()] });
  return { trees: { load }, root: '' };
}

test('the keys of a snapshot come in the order of their bytes, whatever directories they lie in', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: letter, minLength: 1, maxLength: 7 }), { maxLength: 40 }),
      async (keys) => {
        const { trees, root } = treesOf(keys);
        const found: string[] = [];
        for await (const one of keysBelow(trees, root)) found.push(one);
        assert.deepEqual(found, [...new Set(keys)].toSorted(byBytes));
      },
    ),
    { numRuns: 300 },
  );
});

test('a directory that cannot be read ends it by its path', async () => {
  const { trees } = treesOf(['a/b', 'c']);
  const load: Trees['load'] = (id) =>
    id === '/a' ? Promise.resolve({ kind: 'damaged', why: 'stands in no index' }) : trees.load(id);
  const keys = keysBelow({ load }, '');
  await assert.rejects(keys.next(), { code: 'REPOSITORY_DAMAGED', message: 'a/: stands in no index' });
});
