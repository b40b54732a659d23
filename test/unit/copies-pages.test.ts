/** Pages of listings cut for pieces of a long copy. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readPages } from '../../activities/mover/compare/pages.ts';
import type {
  ListedObject,
  ListedVersion,
  ListPage,
  ListRequest,
  ListVersionsRequest,
  ObjectClient,
  VersionPage,
} from '../../activities/objects/types.ts';
import { cutPages } from '../../activities/protection/copy/cut-pages.ts';
import { trimDoomed } from '../../activities/protection/copy/doomed-file.ts';

/** A store that lists what it is given, in pages as large as asked for. */
function listing(objects: ListedObject[], onPage: () => void = () => undefined): ObjectClient {
  const list = ({ startAfter = '', maxKeys = 1_000 }: ListRequest = {}): Promise<ListPage> => {
    onPage();
    const rest = objects.filter(({ key }) => key > startAfter);
    const page = { objects: rest.slice(0, maxKeys), commonPrefixes: [] };
    return Promise.resolve(rest.length > maxKeys ? { ...page, continuation: 'more' } : page);
  };
  return { list, name: 'store' } as unknown as ObjectClient;
}

test('pages that are cut by bytes bring every key once, and ask the store no more often', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 40 }),
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: 12 }),
      async (sizes, bytes, pageKeys) => {
        const about = { etag: '', lastModifiedMs: 0, storageClass: '' };
        const objects = sizes.map((sizeBytes, i) => ({ key: String(i).padStart(3, '0'), sizeBytes, ...about }));
        let asked = 0;
        const client = cutPages(
          listing(objects, () => (asked += 1)),
          { bytes },
        );
        const pages = readPages({ side: { client, prefix: '' }, after: '', versions: false, pageKeys });
        const found: string[] = [];
        for (let page = await pages.next(); page !== undefined; page = await pages.next()) {
          const sum = page.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
          assert.ok(page.length === 1 || sum <= bytes, `${sum} of ${bytes}`);
          found.push(...page.map(({ key }) => key));
        }
        assert.deepEqual(
          found,
          objects.map(({ key }) => key),
        );
        assert.ok(asked <= Math.max(1, Math.ceil(sizes.length / pageKeys)), `${asked} requests`);
      },
    ),
    { numRuns: 100 },
  );
});

function versionListing(versions: ListedVersion[], onPage: () => void): ObjectClient {
  const listVersions = ({ marker, maxKeys = 1_000 }: ListVersionsRequest = {}): Promise<VersionPage> => {
    onPage();
    const isLast = ({ key, versionId }: ListedVersion): boolean =>
      key === marker?.key && versionId === marker.versionId;
    const rest = marker === undefined ? versions : versions.slice(versions.findIndex(isLast) + 1);
    const page = { versions: rest.slice(0, maxKeys), commonPrefixes: [] };
    const last = page.versions.at(-1);
    if (last === undefined || rest.length <= maxKeys) return Promise.resolve(page);
    return Promise.resolve({ ...page, next: { key: last.key, versionId: last.versionId } });
  };
  return { listVersions, name: 'store' } as unknown as ObjectClient;
}

test('pages of versions that are cut by bytes bring every version once, a key whole, and hold no more than was allowed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 8 }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 5 }),
      async (sizesOfKeys, bytes, pageKeys, keys) => {
        const about = { etag: '', lastModifiedMs: 0, storageClass: '' };
        const all = sizesOfKeys.flatMap((sizes, k) =>
          sizes.map((sizeBytes, v) => {
            const key = String(k).padStart(3, '0');
            return { key, sizeBytes, versionId: `v${v}`, latest: v === 0, deleteMarker: sizeBytes === 0, ...about };
          }),
        );
        const sumOf = (some: readonly ListedVersion[]): number => some.reduce((sum, one) => sum + one.sizeBytes, 0);
        let asked = 0;
        const store = versionListing(all, () => (asked += 1));
        const client = cutPages(store, { bytes, keys });
        const listed: string[] = [];
        for (let page = await client.listVersions({ maxKeys: pageKeys }); ;) {
          const { versions, next } = page;
          assert.ok(versions.length <= keys && (versions.length <= 1 || sumOf(versions) <= bytes));
          listed.push(...versions.map(({ key, versionId }) => `${key} ${versionId}`));
          if (next === undefined) break;
          page = await client.listVersions({ maxKeys: pageKeys, marker: next });
        }
        assert.deepEqual(
          listed,
          all.map(({ key, versionId }) => `${key} ${versionId}`),
        );
        assert.ok(asked <= Math.max(1, Math.ceil(all.length / pageKeys)), `${asked} requests`);
        const pages = readPages({ side: { client, prefix: '' }, after: '', versions: true, pageKeys });
        const found: string[][] = [];
        for (let page = await pages.next(); page !== undefined; page = await pages.next()) {
          // The first was begun in pages before: what this one brought is the rest.
          const came = page.slice(1).flatMap(({ versions = [] }) => versions);
          assert.ok(came.length <= keys && (came.length <= 1 || sumOf(came) <= bytes));
          found.push(...page.map(({ key, versions = [] }) => [key, ...versions.map(({ versionId }) => versionId)]));
        }
        assert.deepEqual(
          found,
          sizesOfKeys.map((sizes, k) => [String(k).padStart(3, '0'), ...sizes.map((_, v) => `v${v}`).toReversed()]),
        );
      },
    ),
    { numRuns: 200 },
  );
});

test('what is gone over once more, and a line that a kill cut off, leave the list of deletes', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'muster-copies-'));
  try {
    assert.equal(await trimDoomed(directory, []), 0);
    const file = path.join(directory, 'doomed.jsonl');
    const line = (key: string): string => `${JSON.stringify({ key, etag: 'e', sizeBytes: 1 })}\n`;
    writeFileSync(file, `${['a', 'b', 'c', 'm', 'n', 'z'].map(line).join('')}{"key":"zz`);
    assert.equal(await trimDoomed(directory, [{ after: 'a', upTo: 'c' }, { after: 'm' }]), 2);
    assert.equal(readFileSync(file, 'utf8'), line('a') + line('m'));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
