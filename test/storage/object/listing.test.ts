import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterLayer } from '../../../storage-node/object/cluster-layer.ts';
import { type MemoryDrive } from '../support/memory-drive.ts';
import { memoryDrives, seeded, setOf } from '../support/memory-set.ts';
import { layerNode, store } from '../support/layer-node.ts';

const bucket = 'photos';

interface World {
  drives: MemoryDrive[][];
  nodes: ClusterLayer[];
}

/** Some sets of four memory drives, seen by four nodes. */
async function world(sets: number): Promise<World> {
  const drives = Array.from({ length: sets }, () => memoryDrives(4));
  const nodes = [0, 1, 2, 3].map((node) =>
    layerNode(
      drives.map((own, index) => ({ ...setOf(own, node), index })),
      node,
    ),
  );
  await nodes[0]!.createBucket({ name: bucket, owner: 'root', region: 'us-east-1' });
  return { drives, nodes };
}

async function all(
  layer: ClusterLayer,
  input: { prefix?: string; delimiter?: string; maxKeys?: number } = {},
): Promise<string[]> {
  const found: string[] = [];
  let after = '';
  for (;;) {
    const page = await layer.list(bucket, { prefix: '', delimiter: '', maxKeys: 3, ...input, after });
    assert.ok(page.objects.length + page.commonPrefixes.length <= (input.maxKeys ?? 3));
    found.push(
      ...[...page.objects.map(({ key }) => key), ...page.commonPrefixes.map((prefix) => `(${prefix})`)].sort(byBytes),
    );
    if (!page.truncated) return found;
    after = page.next!;
  }
}

const bare = (name: string): string => name.replace(/^\((.*)\)$/s, '$1');
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(bare(a)), Buffer.from(bare(b)));

const keys = ['a', 'a/b', 'a/b/c', 'a/d', 'b', 'b/', 'b//x', 'ä', 'z/1', 'z/2', 'z0', '😀/x', '../up', 'a+b c%'];

for (const sets of [1, 3]) {
  for (const { name, input, want } of [
    { name: 'everything in byte order', input: {}, want: [...keys].sort(byBytes) },
    { name: 'below a prefix', input: { prefix: 'a/' }, want: ['a/b', 'a/b/c', 'a/d'] },
    {
      name: 'rolled up at a delimiter',
      input: { delimiter: '/' },
      want: ['(../)', 'a', '(a/)', 'a+b c%', 'b', '(b/)', '(z/)', 'z0', 'ä', '(😀/)'].sort(byBytes),
    },
    { name: 'rolled up below a prefix', input: { prefix: 'a/', delimiter: '/' }, want: ['a/b', '(a/b/)', 'a/d'] },
    {
      name: 'with a delimiter of two characters',
      input: { delimiter: '//' },
      want: [...keys.filter((key) => key !== 'b//x'), '(b//)'].sort(byBytes),
    },
    { name: 'one at a time', input: { delimiter: '/', maxKeys: 1, prefix: 'b' }, want: ['b', '(b/)'] },
  ]) {
    test(`listing over ${sets} sets: ${name}`, async () => {
      const { nodes } = await world(sets);
      for (const [i, key] of keys.entries()) await store(nodes[i % 4]!, bucket, key, Buffer.from(key));
      for (const node of nodes) assert.deepEqual(await all(node, input), want);
    });
  }
}

test('a listing holds every acknowledged key and no removed one, whichever drive is down or behind', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const random = seeded(seed);
    const { drives, nodes } = await world(2);
    const live = new Set<string>();
    for (let step = 0; step < 60; step++) {
      for (const set of drives) {
        for (const drive of set) drive.down = false;
        set[Math.floor(random() * 4)]!.down = true;
      }
      const up = nodes[Math.floor(random() * 4)]!;
      const key = `${'xyz'[Math.floor(random() * 3)]}/${Math.floor(random() * 12)}`;
      if (random() < 0.6) {
        await store(up, bucket, key, Buffer.from(key));
        live.add(key);
      } else {
        await up.remove({ bucket, key });
        live.delete(key);
      }
      if (step % 6 !== 0) continue;
      assert.deepEqual(await all(up, { maxKeys: 5 }), [...live].sort(byBytes), `seed ${seed}, step ${step}`);
      const rolled = new Set([...live].map((one) => `(${one.slice(0, 2)})`));
      assert.deepEqual(await all(up, { delimiter: '/' }), [...rolled].sort(byBytes), `seed ${seed}, step ${step}`);
    }
  }
});

test('versions are listed newest first, page by page, with delete markers, and only current ones in a plain listing', async () => {
  const { nodes } = await world(2);
  const [one, other] = [nodes[0]!, nodes[2]!];
  await one.setVersioning(bucket, 'Enabled');
  for (const body of ['1', '2', '3']) await store(other, bucket, 'k/a', Buffer.from(body));
  await store(one, bucket, 'k/b', Buffer.from('b'));
  await other.remove({ bucket, key: 'k/b' });
  const found: string[] = [];
  let markers = { keyMarker: '', versionIdMarker: '' };
  for (;;) {
    const page = await one.listVersions(bucket, { prefix: 'k/', delimiter: '', maxKeys: 2, ...markers });
    found.push(...page.versions.map((v) => `${v.key} ${v.deleteMarker ? 'marker' : v.sizeBytes} ${v.isLatest}`));
    if (!page.truncated) break;
    markers = { keyMarker: page.nextKeyMarker!, versionIdMarker: page.nextVersionIdMarker! };
  }
  assert.deepEqual(found, ['k/a 1 true', 'k/a 1 false', 'k/a 1 false', 'k/b marker true', 'k/b 1 false']);
  assert.deepEqual(await all(other), ['k/a']);
});
