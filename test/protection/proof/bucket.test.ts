/** Backups of buckets that look well and are not: of a real bucket, saved as the activity saves it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { saveBackup } from '../../../activities/protection/backup.ts';
import { openBucketAt } from '../../../activities/drivers/bucket/place.ts';
import type { TreeNode } from '../../../activities/backup/repository/tree.ts';
import type { PlanResource } from '../../../workflows/engine/plan.ts';
import type { RecoveryPoint, RestoreProof } from '../../../workflows/engine/protection.ts';
import { account, startCluster, type TestCluster } from '../../storage/support/dev-cluster.ts';
import { savedAgain, type SavedAgain } from './support/saved-again.ts';
import {
  assertCaught,
  assertProven,
  attempt,
  contextOf,
  copyOfVault,
  createWorld,
  filesBelow,
  service,
  site,
  type Attempt,
  type Caught,
  type World,
} from './support/world.ts';

let storage: TestCluster;
let world: World;
let resource: PlanResource;
let sound: RecoveryPoint;
let empty: RecoveryPoint;

const receipts = Array.from({ length: 20 }, (_, i) => `receipts/2026/${i}.txt`);

before(async () => {
  storage = await startCluster();
  world = await createWorld('bucket');
  process.env['PROOF_ACCESS_KEY'] = account.user;
  process.env['PROOF_SECRET_KEY'] = account.password;
  resource = bucketOf('receipts');
  empty = await filled(bucketOf('nothing'), () => Promise.resolve());
  sound = await filled(resource, async (put) => {
    for (const key of receipts) await put(key, Buffer.from(`receipt ${key} `.repeat(100)));
    await put('odd//name', Buffer.from('odd'));
    await put('photo', randomBytes(300_000));
  });
});
after(async () => {
  await world[Symbol.asyncDispose]();
  await storage[Symbol.asyncDispose]();
});

function bucketOf(bucket: string): PlanResource {
  return {
    ...{ name: 'receipts', driver: 'bucket', shared: { bucket, replication: 'none' } },
    sites: {
      [site]: {
        endpoints: storage.cluster.endpoints.join(','),
        ...{ accessKey: 'env:PROOF_ACCESS_KEY', secretKey: 'env:PROOF_SECRET_KEY' },
      },
    },
  };
}

type Put = (key: string, bytes: Buffer) => Promise<unknown>;

async function filled(of: PlanResource, fill: (put: Put) => Promise<unknown>): Promise<RecoveryPoint> {
  const s3 = storage.client(0);
  const { CreateBucketCommand } = await import('@aws-sdk/client-s3');
  await s3.send(new CreateBucketCommand({ Bucket: of.shared['bucket'] as string }));
  await using client = await openBucketAt(of, site);
  await fill((key, bytes) =>
    client.put(key, bytes, { metadata: { made: 'today' }, content: { contentType: 'text/plain' } }),
  );
  const order = { service, resource: of, site, vault: world.vault, startedBy: 'test' };
  return saveBackup(order, contextOf({ world }));
}

function tested(point: RecoveryPoint, more: Partial<Attempt> = {}): Promise<RestoreProof> {
  return attempt({ world, resource, point, ...more });
}

test('a sound backup of a bucket is proven: every object read back and compared, and laid down for a scanner', async () => {
  const scanner = [
    'sh',
    '-c',
    'test "$(find "$0" -type f | wc -l)" = 22 && cat "$0/receipts/2026/7.txt"',
    '{directory}',
  ];
  const proof = await tested(sound, { checks: { scanner }, before: sound });
  assertProven(proof);
  const details = new Map(proof.findings.map(({ check, detail }) => [check, detail]));
  assert.match(details.get('objects') ?? '', /^22 of 22 read back/);
  assert.match(details.get('checksums') ?? '', /^those of 22 objects are right$/);
  assert.match(details.get('scanner') ?? '', /receipt receipts\/2026\/7\.txt/);
});

const attributes: Record<string, { name: string; change: () => string | null }> = {
  etag: { name: 'user.muster.etag', change: () => 'f'.repeat(32) },
  checksums: { name: 'user.muster.checksums', change: () => null },
};
/** The attributes of a node, one of them changed; null takes it away. */
function withChanged({ name, change }: (typeof attributes)[string], node: TreeNode): Partial<TreeNode> {
  const all = (node.extendedAttributes ?? []).flatMap((one) => {
    if (one.name !== name) return [one];
    const text = change();
    return text === null ? [] : [{ name, value: Buffer.from(text) }];
  });
  return { extendedAttributes: all };
}

const stores: {
  name: string;
  edit: (path: string, node: TreeNode) => Partial<TreeNode>;
  check: string;
  says: RegExp;
}[] = [
  {
    name: 'of which some are encrypted with a customer’s keys is proven by its checksums, and raises no alarm',
    edit: (at, node) => (at.includes('/1') ? withChanged(attributes['etag']!, node) : {}),
    ...{ check: 'checksums', says: /^those of 22 objects are right$/ },
  },
  {
    name: 'whose store says nothing but the ETags of some is proven by the rest',
    edit: (at, node) =>
      at.includes('/1') ? withChanged({ name: 'user.muster.checksums', change: () => '{}' }, node) : {},
    ...{ check: 'checksums', says: /^those of 11 objects are right; of 11 none was known$/ },
  },
  {
    name: 'that was saved when only ETags were kept is proven by them',
    edit: (_, node) => withChanged(attributes['checksums']!, node),
    ...{ check: 'etags', says: /^the MD5s of 22 objects are right$/ },
  },
  {
    name: 'that was saved when only ETags were kept, none of them an MD5, is not judged by them',
    edit: (_, node) => withChanged(attributes['etag']!, { ...node, ...withChanged(attributes['checksums']!, node) }),
    ...{ check: 'etags', says: /^the ETags of this bucket are no MD5s$/ },
  },
];
for (const { name, edit, check, says } of stores) {
  test(`a bucket ${name}`, async () => {
    const proof = await tested(await savedAgain(world.repository, sound, { node: edit }));
    assertProven(proof);
    assert.match(proof.findings.find((one) => one.check === check)?.detail ?? '', says);
  });
}

test('without programs that want files, nothing is laid down', async () => {
  const proof = await tested(sound);
  assertProven(proof);
  assert.deepEqual([proof.restoreSeconds, proof.figures.restoredBytes], [null, null]);
});

test('a share of the objects is enough where only a share was asked for', async () => {
  const proof = await tested(sound, { checks: { samplePercent: 20 } });
  assertProven(proof);
  assert.match(
    proof.findings.find(({ check }) => check === 'objects')?.detail ?? '',
    /^([1-9]|1[0-5]) of 22 read back/,
  );
});

const path = '/receipts/receipts/2026/7.txt';
const onlyOf = (wanted: string, change: (node: TreeNode) => Partial<TreeNode>): NonNullable<SavedAgain['node']> => {
  return (at, node) => (at === wanted ? change(node) : {});
};
const withoutAttribute =
  (name: string) =>
  (node: TreeNode): Partial<TreeNode> => ({
    extendedAttributes: (node.extendedAttributes ?? []).filter((one) => one.name !== name),
  });

/** What was saved wrongly, and recorded as it was saved. */
const damages: (Caught & { name: string; given: SavedAgain; recorded?: boolean })[] = [
  {
    name: 'an object whose content is not that of its checksum',
    given: { edits: { [path]: (bytes) => Buffer.alloc(bytes.length, 'x') } },
    ...{
      code: 'PROOF_FAILED',
      says: /checksums receipts failed: 1 are not what their store had .*: receipts\/2026\/7\.txt/,
    },
  },
  {
    name: 'an object whose content is not that of its ETag, where nothing else was kept',
    given: {
      edits: { [path]: (bytes) => Buffer.alloc(bytes.length, 'x') },
      node: (_, node) => withoutAttribute('user.muster.checksums')(node),
    },
    ...{ code: 'PROOF_FAILED', says: /etags receipts failed: 1 are not what was stored there: receipts\/2026\/7\.txt/ },
  },
  {
    name: 'an object of no length where there was content',
    given: { edits: { [path]: () => Buffer.alloc(0) } },
    ...{ code: 'PROOF_FAILED', says: /checksums receipts failed: 1 are not what their store had/ },
  },
  {
    name: 'fewer objects than were recorded',
    given: { edits: { [path]: () => null } },
    ...{ code: 'PROOF_FAILED', says: /objects receipts failed: 21 objects are there, recorded are 22/ },
  },
  {
    name: 'an object whose metadata is lost',
    given: { node: onlyOf(path, () => ({ extendedAttributes: [] })) },
    ...{
      code: 'PROOF_FAILED',
      says: /metadata receipts failed: .*7\.txt: what it was besides its bytes was not saved/,
    },
  },
  {
    name: 'an object whose metadata cannot be read',
    given: {
      node: onlyOf(path, (node) => ({
        extendedAttributes: (node.extendedAttributes ?? []).map((one) =>
          one.name === 'user.muster.metadata' ? { ...one, value: Buffer.from('{"made') } : one,
        ),
      })),
    },
    ...{ code: 'PROOF_FAILED', says: /metadata receipts failed: .*7\.txt: its metadata cannot be read/ },
  },
  {
    name: 'an object whose key is lost',
    given: { node: onlyOf('/receipts/odd/%00/name', withoutAttribute('user.muster.key')) },
    ...{ code: 'PROOF_FAILED', says: /metadata receipts failed: odd\/%00\/name: its key was not saved/ },
  },
];

describe('what looks like a sound backup of a bucket is caught:', () => {
  for (const { name, given, ...caught } of damages) {
    test(name, async () => assertCaught(await tested(await savedAgain(world.repository, sound, given)), caught));
  }

  const packs: (Caught & { name: string; damage: (file: string) => void })[] = [
    {
      name: 'a flipped byte in a pack',
      damage: (file) =>
        writeFileSync(
          file,
          readFileSync(file).map((byte, at) => (at === 150_000 ? byte ^ 1 : byte)),
        ),
      ...{ code: 'REPOSITORY_DAMAGED', says: /1 objects cannot be read: photo: .*(wrong MAC|hash)/ },
    },
    {
      name: 'a truncated pack',
      damage: (file) => truncateSync(file, 1_000),
      ...{ code: 'REPOSITORY_DAMAGED', says: /\d+ objects cannot be read: .*photo: .*behind the end/ },
    },
    {
      name: 'a missing pack',
      damage: (file) => rmSync(file),
      ...{ code: 'REPOSITORY_DAMAGED', says: /22 objects cannot be read: .*missing/ },
    },
  ];
  for (const { name, damage, ...caught } of packs) {
    test(name, async () => {
      const copy = await copyOfVault(world, name.replaceAll(' ', '-'));
      const [largest = ''] = (await filesBelow(`${copy.repository}/data`)).toSorted(
        (a, b) => statSync(b).size - statSync(a).size,
      );
      chmodSync(largest, 0o600);
      damage(largest);
      assertCaught(await tested(sound, { vault: copy }), caught);
    });
  }

  test('the bucket of somebody else', async () => {
    const caught = { code: 'PROOF_FAILED', says: /objects receipts failed: .*does not hold the bucket/ };
    assertCaught(
      await tested(sound, { resource: { ...resource, shared: { bucket: 'invoices', replication: 'none' } } }),
      caught,
    );
  });

  test('an empty bucket, in which there was nothing to look at', async () => {
    const caught = { code: 'PROOF_FAILED', says: /objects nothing is unknown: there is no object/ };
    assertCaught(await tested(empty, { resource: bucketOf('nothing') }), caught);
  });

  test('objects that were encrypted before they were saved', async () => {
    const edits = Object.fromEntries(receipts.slice(0, 8).map((key) => [`/receipts/${key}`, () => randomBytes(2_000)]));
    const caught = { code: 'PROOF_FAILED', says: /entropy receipts failed: of 8 changed files .* 8 look encrypted/ };
    assertCaught(await tested(await savedAgain(world.repository, sound, { edits }), { before: sound }), caught);
  });
});
