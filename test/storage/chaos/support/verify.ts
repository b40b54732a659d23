import assert from 'node:assert/strict';
import {
  GetObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { type Deed, type Knowledge, mayShow, type OpenUpload, type Shown, sumOf } from './journal.ts';
import { buckets, completionOf } from './load.ts';

/** Proves that a cluster has everything that is known to have been acknowledged, and that it goes on. */
export async function verify(clients: readonly S3Client[], known: Knowledge): Promise<void> {
  await verifyReads(clients, known);
  // Those that write come last: what they leave is nobody's loss.
  for (const upload of known.uploads) await verifyUpload(clients[0]!, upload);
  await verifyWrites(clients);
}

/** Proves that everything acknowledged is there, whole, and nothing else. */
export async function verifyReads(clients: readonly S3Client[], { deeds }: Knowledge): Promise<void> {
  const next = turns(clients);
  await verifyPlain(next, deeds.get(buckets.plain) ?? new Map<string, Deed[]>());
  await verifyVersions(next, deeds.get(buckets.versions) ?? new Map<string, Deed[]>());
}

async function verifyPlain(next: () => S3Client, keys: ReadonlyMap<string, Deed[]>): Promise<void> {
  const listed = new Set(await listKeys(next(), buckets.plain));
  for (const key of listed) assert.ok(keys.has(key), `${key} is listed and was never written`);
  await atOnce([...keys], async ([key, deeds]) => {
    const may = mayShow(deeds);
    const shown = await read(next(), { bucket: buckets.plain, key });
    assert.ok(may.has(shown), `${key} shows ${shown}, not one of ${[...may].join(', ')}`);
    if (may.size === 1) assert.equal(listed.has(key), shown !== undefined, `${key} in the listing`);
  });
}

/** What the listing of versions shows of a key; the client tells versions and delete markers in lists of their own. */
interface Listed {
  versions: string[];
  markers: string[];
  latest: string[];
}

async function verifyVersions(next: () => S3Client, keys: ReadonlyMap<string, Deed[]>): Promise<void> {
  const listed = await listVersions(next());
  for (const key of listed.keys()) assert.ok(keys.has(key), `${key} has versions and was never written`);
  const nothing = { versions: [], markers: [], latest: [] };
  await atOnce([...keys], ([key, deeds]) => verifyKey(next, { key, deeds, there: listed.get(key) ?? nothing }));
}

/** Newest first: what nobody heard of, if anything, then all that was acknowledged and not removed. */
async function verifyKey(
  next: () => S3Client,
  { key, deeds, there }: { key: string; deeds: readonly Deed[]; there: Listed },
): Promise<void> {
  const expected = expectedVersions(deeds, there);
  const idsOf = (marker: boolean): string[] =>
    expected.filter(({ kind }) => (kind === 'delete') === marker).map(({ versionId }) => versionId!);
  const newest = expected.slice(0, 1).map(({ versionId }) => versionId!);
  assert.deepEqual(there, { versions: idsOf(false), markers: idsOf(true), latest: newest }, key);
  for (const { kind, sum, versionId } of expected) {
    if (kind === 'delete') continue;
    const shown = await read(next(), { bucket: buckets.versions, key, versionId: versionId! });
    assert.equal(shown, sum, `${key} version ${versionId}`);
  }
  assert.equal(await read(next(), { bucket: buckets.versions, key }), expected[0]?.sum, `${key} now`);
}

function expectedVersions(deeds: readonly Deed[], there: Listed): Deed[] {
  const ids = new Set([...there.versions, ...there.markers]);
  const made = deeds.filter(({ kind }) => kind !== 'delete-version').reverse();
  // What was asked last and not answered is there under a name that nobody knows yet, or not at all.
  const known = new Set(made.map(({ versionId }) => versionId));
  const named = [...ids].find((id) => !known.has(id));
  const removals = deeds.filter(({ kind }) => kind === 'delete-version');
  const gone = new Set(removals.filter(({ acknowledged }) => acknowledged).map(({ versionId }) => versionId));
  const mayBeGone = new Set(removals.filter(({ acknowledged }) => !acknowledged).map(({ versionId }) => versionId));
  return made
    .map((deed) => (deed.acknowledged ? deed : { ...deed, versionId: named }))
    .filter(({ versionId }) => versionId !== undefined && !gone.has(versionId))
    .filter(({ versionId }) => !mayBeGone.has(versionId) || ids.has(versionId!));
}

/** What was uploaded so far is there, and completing it gives those bytes. */
async function verifyUpload(client: S3Client, upload: OpenUpload): Promise<void> {
  const { bucket: Bucket, key: Key, uploadId: UploadId, parts } = upload;
  const listed = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
  const there = new Map((listed.Parts ?? []).map(({ PartNumber, ETag }) => [PartNumber, ETag]));
  for (const { PartNumber, ETag } of parts) assert.equal(there.get(PartNumber), ETag, `${Key} part ${PartNumber}`);
  if (parts.length === 0) return;
  await client.send(completionOf(upload));
  assert.equal(await read(client, { bucket: Bucket, key: Key }), upload.sum, `${Key} uploaded`);
}

async function verifyWrites(clients: readonly S3Client[]): Promise<void> {
  for (const [i, client] of clients.entries()) {
    const Body = Buffer.from(`after ${i}`);
    await client.send(new PutObjectCommand({ Bucket: buckets.plain, Key: 'afterwards', Body }));
    const reader = clients[(i + 1) % clients.length]!;
    assert.equal(await read(reader, { bucket: buckets.plain, key: 'afterwards' }), sumOf(Body));
  }
}

export async function read(
  client: S3Client,
  { bucket: Bucket, key: Key, versionId }: { bucket: string; key: string; versionId?: string },
): Promise<Shown> {
  const which = versionId === undefined ? {} : { VersionId: versionId };
  try {
    const answer = await client.send(new GetObjectCommand({ Bucket, Key, ...which }));
    return sumOf(await answer.Body!.transformToByteArray());
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchKey') return undefined;
    throw new Error(`${Bucket}/${Key} ${versionId ?? ''}: ${String(error)}`, { cause: error });
  }
}

export async function listKeys(client: S3Client, Bucket: string): Promise<string[]> {
  const keys: string[] = [];
  let ContinuationToken: string | undefined;
  do {
    const from = ContinuationToken === undefined ? {} : { ContinuationToken };
    const page = await client.send(new ListObjectsV2Command({ Bucket, ...from }));
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key!));
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  return keys;
}

/** By key, each list newest first. */
async function listVersions(client: S3Client): Promise<Map<string, Listed>> {
  const byKey = new Map<string, Listed>();
  const of = (key: string): Listed => {
    const known = byKey.get(key) ?? { versions: [], markers: [], latest: [] };
    byKey.set(key, known);
    return known;
  };
  let from = {};
  for (let more = true; more;) {
    const page = await client.send(new ListObjectVersionsCommand({ Bucket: buckets.versions, ...from }));
    const { Versions = [], DeleteMarkers = [] } = page;
    for (const { Key, VersionId } of Versions) of(Key!).versions.push(VersionId!);
    for (const { Key, VersionId } of DeleteMarkers) of(Key!).markers.push(VersionId!);
    for (const { Key, VersionId, IsLatest } of [...Versions, ...DeleteMarkers]) {
      if (IsLatest === true) of(Key!).latest.push(VersionId!);
    }
    more = page.IsTruncated === true;
    from = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
  }
  return byKey;
}

function turns<T>(all: readonly T[]): () => T {
  let i = 0;
  return () => all[i++ % all.length]!;
}

/** Runs for every one of many, a few at a time. */
export async function atOnce<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const rest = all.values();
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      for (const one of rest) await run(one);
    }),
  );
}
