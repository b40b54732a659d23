import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { recountSet } from '../../../storage-node/heal/recount.ts';
import { decodeChange, encodeChange } from '../../../storage-node/object/change-codec.ts';
import { type ObjectLayer } from '../../../storage-node/object/layer.ts';
import { type Change, type Tags, type Version } from '../../../storage-node/object/model.ts';
import { decodeState, encodeState } from '../../../storage-node/object/state-codec.ts';
import { extraWith, sameTags, tagCountOf, tagsOf } from '../../../storage-node/object/tags.ts';
import { decodeUpload } from '../../../storage-node/object/upload-state.ts';
import { fill, layerNode, load, store } from '../support/layer-node.ts';
import { memoryDrives, setOf } from '../support/memory-set.ts';
import { objectNode } from '../support/object-node.ts';

const bucket = 'photos';
const mib = 1024 * 1024;
const one: Tags = [['team', 'ops']];
const two: Tags = [
  ['b', ''],
  ['a', 'x'],
];
const empty = { headers: {}, user: {} };

async function world(size = 4) {
  const drives = memoryDrives(size);
  const nodes = drives.map((_, i) => layerNode([setOf(drives, i)], i));
  await nodes[0]!.createBucket({ name: bucket, owner: 'root', region: 'here' });
  const tagged = async (node: number, key: string, versionId?: string): Promise<Tags> =>
    tagsOf(await nodes[node]!.head(bucket, key, versionId === undefined ? {} : { versionId }));
  return { drives, nodes, tagged };
}

test('tags that one node took are those every node tells, and the bytes are untouched', async () => {
  const { drives, nodes, tagged } = await world();
  const bodies = { small: randomBytes(5_000), large: randomBytes(2 * mib + 7), nothing: Buffer.alloc(0) };
  for (const [key, body] of Object.entries(bodies)) {
    await store(nodes[0]!, bucket, key, body);
    const { etag, lastModifiedMs } = await nodes[0]!.head(bucket, key, {});
    await nodes[1]!.setTags({ bucket, key, tags: one });
    await nodes[2]!.setTags({ bucket, key, tags: two });
    for (const node of nodes.keys()) assert.deepEqual(await tagged(node, key), two);
    const after = await nodes[3]!.head(bucket, key, {});
    assert.deepEqual([after.etag, after.lastModifiedMs], [etag, lastModifiedMs]);
    if (body.length > 0) assert.ok((await load(nodes[3]!, bucket, key)).equals(body));
    await nodes[3]!.setTags({ bucket, key, tags: [] });
    assert.deepEqual((await nodes[0]!.head(bucket, key, {})).extra, {});
    await nodes[0]!.remove({ bucket, key });
  }
  for (const drive of drives) assert.equal(drive.data.size, 0, 'data of what was removed is freed');
});

test('a change of tags needs a write quorum, and is not told before it has one', async () => {
  const { drives, nodes, tagged } = await world();
  await store(nodes[0]!, bucket, 'key', Buffer.from('x'));
  await nodes[0]!.setTags({ bucket, key: 'key', tags: one });
  for (const drive of drives.slice(2)) drive.down = true;
  await assert.rejects(nodes[0]!.setTags({ bucket, key: 'key', tags: two }), { code: 'WriteQuorumLost' });
  assert.deepEqual(await tagged(1, 'key'), one);
});

test('a site that is fenced takes no tags of clients', async () => {
  const { drives, nodes, tagged } = await world();
  await store(nodes[0]!, bucket, 'key', Buffer.from('x'));
  await Promise.all(drives.map((drive) => drive.setSiteState({ epoch: 7, fenced: true, leased: false })));
  await assert.rejects(nodes[1]!.setTags({ bucket, key: 'key', tags: one }), { code: 'Fenced' });
  assert.deepEqual(await tagged(2, 'key'), []);
});

test('a drive that slept while tags changed does not bring the old ones back, and is healed', async () => {
  const { drives, nodes } = await world();
  await store(nodes[0]!, bucket, 'key', randomBytes(300_000));
  await nodes[0]!.setTags({ bucket, key: 'key', tags: one });
  drives[3]!.down = true;
  await nodes[0]!.setTags({ bucket, key: 'key', tags: two });
  drives[3]!.down = false;
  drives[0]!.down = true;
  assert.deepEqual(tagsOf(await nodes[3]!.head(bucket, 'key', {})), two);
  drives[0]!.down = false;
  const { heal, set } = objectNode(setOf(drives, 3), 3);
  assert.equal((await recountSet(heal, set, { verify: true, heal: false })).short, 1);
  await recountSet(heal, set, { verify: true, heal: true });
  assert.equal((await recountSet(heal, set, { verify: true, heal: false })).short, 0);
  for (const drive of drives.slice(0, 2)) drive.down = true;
  assert.deepEqual(tagsOf(await nodes[3]!.head(bucket, 'key', {})), two);
});

/** So many changes, or as many as there are. The log stays a little behind the present: a page may end in their midst. */
async function toldBy(node: ObjectLayer, count: number): Promise<Change[]> {
  const all: Change[] = [];
  for (let after = 0; ;) {
    const { changes, position } = await node.changes(bucket, { after, limit: 100, waitMs: 2_000 });
    all.push(...changes);
    after = position;
    if (changes.length === 0 || all.length >= count) return all;
  }
}

test('of nodes that tag a key at the same time the last one counts, and the log has them in that order', async () => {
  const { nodes, tagged } = await world();
  await store(nodes[0]!, bucket, 'key', Buffer.from('x'));
  await Promise.all(nodes.map((node, i) => node.setTags({ bucket, key: 'key', tags: [['by', `n${i}`]] })));
  const told = await tagged(0, 'key');
  for (const node of nodes.keys()) assert.deepEqual(await tagged(node, 'key'), told);
  const kinds = (await toldBy(nodes[1]!, 5)).map(({ kind }) => kind);
  assert.deepEqual(kinds, ['put', 'tags', 'tags', 'tags', 'tags']);
});

test('the change log tells of tags, of which version, and not of tags that stayed as they were', async () => {
  const { nodes } = await world();
  await nodes[0]!.setVersioning(bucket, 'Enabled');
  const body = Buffer.from('hello');
  const written = async (tags: Tags): Promise<string> => {
    const upload = await nodes[0]!.put({ bucket, key: 'key', metadata: empty, tags, expectedBytes: body.length });
    return (await fill(upload, body)).versionId!;
  };
  const [old, newest] = [await written(one), await written(two)];
  await nodes[1]!.setTags({ bucket, key: 'key', tags: two });
  await nodes[1]!.setTags({ bucket, key: 'key', tags: one });
  await nodes[2]!.setTags({ bucket, key: 'key', versionId: old, tags: [] });
  const changes = await toldBy(nodes[3]!, 4);
  const etag = '5d41402abc4b2a76b9719d911017c592';
  assert.deepEqual(
    changes.map((change) => [change.kind, change.versionId, change.sizeBytes, change.etag]),
    [
      ['put', old, 5, etag],
      ['put', newest, 5, etag],
      ['tags', newest, 5, etag],
      ['version-tags', old, 5, etag],
    ],
  );
});

test('an object made of parts can be completed again after its tags became others', async () => {
  const { nodes, tagged } = await world();
  const at = { bucket, key: 'parts' };
  const plain = { metadata: empty, checksumAlgorithm: undefined, checksumType: undefined };
  const { uploadId, tags } = await nodes[0]!.createUpload({ ...at, ...plain, tags: one });
  assert.deepEqual(tags, one);
  const body = randomBytes(1_000);
  const part = await nodes[1]!.putPart({ ...at, uploadId, number: 1, expectedBytes: body.length });
  const { etag } = await fill(part, body);
  const complete = { ...at, uploadId, parts: [{ number: 1, etag }], conditions: {}, checksum: undefined };
  const made = await nodes[2]!.completeUpload(complete);
  assert.deepEqual(await tagged(3, 'parts'), one);
  await nodes[3]!.setTags({ ...at, tags: two });
  assert.deepEqual(await nodes[0]!.completeUpload(complete), made);
  assert.deepEqual(await tagged(1, 'parts'), two);
  await nodes[1]!.setTags({ ...at, tags: [] });
  assert.deepEqual(await nodes[2]!.completeUpload(complete), made);
  assert.ok((await load(nodes[3]!, bucket, 'parts')).equals(body));
});

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const someTags = fc.uniqueArray(fc.tuple(text, text), { selector: ([name]) => name, maxLength: 10 });
const version: Version = decodeState(
  encodeState({
    versions: [
      {
        ...{ versionId: 'null', deleteMarker: false, sizeBytes: 0, etag: 'e', lastModifiedMs: 1, metadata: empty },
        ...{ checksum: undefined, parts: [], multipart: false, storageClass: 'STANDARD', extra: { upload: 'u' } },
      },
    ],
  }),
).versions[0]!;

test('tags of any names survive being written down, and leave other extras alone', () => {
  const names = fc.constantFrom('__proto__', 'constructor', 'toString', '');
  const tags = fc.oneof(
    someTags,
    names.map((name): Tags => [[name, '1']]),
  );
  fc.assert(
    fc.property(tags, someTags, (first, second) => {
      const state = { versions: [{ ...version, extra: extraWith(version.extra, first) }, version] };
      const [read, other] = decodeState(encodeState(state)).versions;
      assert.ok(sameTags(tagsOf(read!), first));
      assert.equal(tagCountOf(read!), first.length);
      assert.deepEqual([other!.extra, tagCountOf(other!)], [{ upload: 'u' }, 0]);
      const again = extraWith(read!.extra, second);
      assert.ok(sameTags(tagsOf({ extra: again }), second));
      assert.deepEqual(extraWith(again, []), { upload: 'u' });
    }),
  );
});

/** As nodes wrote it before there were tags: an object of one part, and under it one of two parts. */
const oldState =
  'kpgAy0J4vP5Wh7AAxBBdQUAqvEsqdrlxnZEQF8WSk8QQEBESExQVFhcYGRobHB0eHwUB2SgwMTkyYWFiYmNjZGRlZWZmMDAxMTIyMzM0NDU1' +
  'NjY3Nzg4OTlhYWJiAIGsY29udGVudC10eXBlqnRleHQvcGxhaW6BoWGhYpsCy0J4vP5Wh7AA2SJkNDFkOGNkOThmMDBiMjA0ZTk4MDA5OThl' +
  'Y2Y4NDI3ZS0yAAAAgaxjb250ZW50LXR5cGWqdGV4dC9wbGFpboGhYaFikpYBBcQQXUFAKrxLKna5cZ2REBfFksQQICEiIyQlJicoKSorLC0u' +
  'LwEAlgICxBBdQUAqvEsqdrlxnZEQF8WSxBAwMTIzNDU2Nzg5Ojs8PT4/AQCrU1RBTkRBUkRfSUGBpnVwbG9hZNkgMDAxMTIyMzM0NDU1NjY3' +
  'Nzg4OTlhYWJiY2NkZGVlZmY=';

test('a record of before is read, written again byte for byte, and takes tags', () => {
  const bytes = Buffer.from(oldState, 'base64');
  const { versions } = decodeState(bytes);
  assert.deepEqual(
    versions.map((each) => [each.etag, each.sizeBytes, each.metadata.user, tagsOf(each)]),
    [
      ['5d41402abc4b2a76b9719d911017c592', 5, { a: 'b' }, []],
      ['d41d8cd98f00b204e9800998ecf8427e-2', 7, { a: 'b' }, []],
    ],
  );
  assert.ok(Buffer.from(encodeState({ versions })).equals(bytes));
  const tagged = versions.map((each) => ({ ...each, extra: extraWith(each.extra, two) }));
  const after = decodeState(encodeState({ versions: tagged })).versions;
  assert.deepEqual(after.map(tagsOf), [two, two]);
  assert.deepEqual(
    after.map((each) => ({ ...each, extra: {} })),
    versions.map((each) => ({ ...each, extra: {} })),
  );
});

test('an upload and notes of the change log of before are read as they were meant', () => {
  const upload =
    '3gACpGtpbmSkb3BlbqRpbmZv3gAFrWluaXRpYXRlZEF0TXPLQni8/laHsACobWV0YWRhdGHeAAKnaGVhZGVyc94AAKR1c2Vy3gAArHN0b3Jh' +
    'Z2VDbGFzc6hTVEFOREFSRLFjaGVja3N1bUFsZ29yaXRobdQAAKxjaGVja3N1bVR5cGXUAAA=';
  const { info } = decodeUpload(Buffer.from(upload, 'base64'));
  assert.deepEqual([info.tags, info.initiatedAtMs, info.metadata], [undefined, 1_700_000_000_123, empty]);
  const notes = ['lQDL', 'lQHL', 'lQLL', 'lQPL'].map((head) => `${head}Qni8/laHsAAFxBBdQUAqvEsqdrlxnZEQF8WSAA==`);
  const facts = notes.map((note) => decodeChange(Buffer.from(note, 'base64')));
  assert.deepEqual(
    facts.map(({ kind }) => kind),
    ['put', 'delete', 'delete-marker', 'delete-version'],
  );
  for (const [i, fact] of facts.entries()) {
    assert.deepEqual(fact, {
      ...{ kind: fact.kind, versionId: 'null', sizeBytes: 5, atMs: 1_700_000_000_123 },
      etag: '5d41402abc4b2a76b9719d911017c592',
    });
    assert.equal(Buffer.from(encodeChange(fact)).toString('base64'), notes[i]);
    for (const kind of ['tags', 'version-tags'] as const) {
      assert.deepEqual(decodeChange(encodeChange({ ...fact, kind })), { ...fact, kind });
    }
  }
});
