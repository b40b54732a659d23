import { MusterError } from '../../../workflows/engine/errors.ts';
import { createHasher } from '../../objects/checksum/hasher.ts';
import { compareChecksums, crcKinds } from '../../objects/checksum/values.ts';
import type {
  ChecksumKind,
  Checksums,
  ListedObject,
  ObjectBody,
  ObjectClient,
  ObjectInfo,
} from '../../objects/types.ts';
import type { SourceProblem } from '../engine/backup-result.ts';
import type { StreamEntry } from '../engine/stream-entry.ts';
import { formatTime } from '../repository/go-time.ts';
import type { ExtendedAttribute, TreeNode } from '../repository/tree.ts';
import { createObjectPaths } from './object-paths.ts';

export interface BucketSourceOptions {
  client: ObjectClient;
  /** Only keys that begin with it. */
  prefix?: string;
  /**
   * Whether an object that is listed as it was before is asked for its tags and metadata all the same: a change of tags
   * leaves no trace in a listing. Default: none is.
   */
  isAskedAnew?: (key: string) => boolean;
  signal?: AbortSignal;
}

/** Attributes that hold what an object is besides its bytes. `user.` is what file systems let everybody set. */
const attribute = {
  key: 'user.muster.key',
  etag: 'user.muster.etag',
  version: 'user.muster.version-id',
  storageClass: 'user.muster.storage-class',
  content: 'user.muster.content',
  metadata: 'user.muster.metadata',
  tags: 'user.muster.tags',
  /** What its store knew of its bytes, `{}` where that was nothing: an ETag alone may be no MD5. */
  checksums: 'user.muster.checksums',
} as const;

/** Regular file, rw for the owner. */
const fileMode = 0o600;

/**
 * The newest versions of a bucket's objects as files under `/<bucket>`. Objects with the ETag, size and time that they
 * had in the snapshot before are not read. Those that are deleted meanwhile, or lie in an archive, become problems.
 */
export async function* bucketEntries({
  client,
  prefix = '',
  isAskedAnew = () => false,
  signal,
}: BucketSourceOptions): AsyncGenerator<StreamEntry> {
  const paths = createObjectPaths(`/${client.bucket}`);
  const call = signal === undefined ? {} : { signal };
  let continuation: string | undefined;
  do {
    const page = await client.list({ prefix, ...(continuation !== undefined && { continuation }) }, call);
    for (const object of page.objects) {
      const path = paths.pathOf(object.key);
      const refresh = (before: TreeNode): Promise<Attributes> => askedAnew(client, { object, path, before }, call);
      yield { ...entryOf(client, object, path, call), ...(isAskedAnew(object.key) && { refresh }) };
    }
    continuation = page.continuation;
  } while (continuation !== undefined);
}

function entryOf(
  client: ObjectClient,
  object: ListedObject,
  path: string,
  call: { signal?: AbortSignal },
): StreamEntry {
  const time = formatTime(BigInt(Math.round(object.lastModifiedMs)) * 1_000_000n);
  let info: ObjectInfo | null = null;
  let tags: Record<string, string> = {};
  return {
    path,
    node: { name: '', type: 'file', mode: fileMode, mtime: time, atime: time, ctime: time, uid: 0, gid: 0 },
    sameAs: (before) => isSame(before, object, time),
    async *open() {
      const body = await client.get(object.key, { ifMatch: object.etag }, call);
      ({ info } = body);
      // Both dialects say how many there are, and nothing where there are none.
      if ((info.tagCount ?? 0) > 0) tags = await client.getTags(object.key, versionOf(info), call);
      yield* checked(object.key, body);
    },
    after: () => ({
      extendedAttributes: attributesOf(object, path.slice(client.bucket.length + 2), { info: info!, tags }),
    }),
    whenFailed: (err) => problemOf(err, path),
  };
}

type Attributes = Required<Pick<TreeNode, 'extendedAttributes'>>;

/** What goes with bytes that were saved before. Of the bytes it says what it said when they were read. */
async function askedAnew(
  client: ObjectClient,
  { object, path, before }: { object: ListedObject; path: string; before: TreeNode },
  call: { signal?: AbortSignal },
): Promise<Attributes> {
  const info = await client.head(object.key, { ifMatch: object.etag }, call);
  const tags = await client.getTags(object.key, versionOf(info), call);
  const now = attributesOf(object, path.slice(client.bucket.length + 2), { info, tags });
  const kept = (before.extendedAttributes ?? []).filter(({ name }) => name === attribute.checksums);
  return { extendedAttributes: [...kept, ...now.filter(({ name }) => name !== attribute.checksums)] };
}

/**
 * A body as it comes, held against the CRCs that the store has of it: they cost next to nothing. The slower kinds are left
 * to whoever proves the backup.
 */
async function* checked(key: string, body: ObjectBody): AsyncGenerator<Uint8Array> {
  const { checksums } = body.info;
  const hasher = createHasher((Object.keys(checksums) as ChecksumKind[]).filter((kind) => kind in crcKinds));
  for await (const bytes of body) {
    hasher.update(bytes);
    yield bytes;
  }
  if (compareChecksums(checksums, hasher.digest()).kind === 'different') {
    throw new MusterError('CHECKSUM_MISMATCH', `${key}: its bytes are not those that its store has a checksum of`);
  }
}

const versionOf = ({ versionId }: ObjectInfo): { versionId?: string } => (versionId === undefined ? {} : { versionId });

function attributesOf(
  { key, etag, storageClass }: ListedObject,
  shownKey: string,
  { info, tags }: { info: ObjectInfo; tags: Record<string, string> },
): ExtendedAttribute[] {
  const texts: [string, string | undefined][] = [
    [attribute.checksums, JSON.stringify(info.checksums)],
    [attribute.content, jsonUnlessEmpty(info.content)],
    [attribute.etag, etag],
    [attribute.key, shownKey === key ? undefined : key],
    [attribute.metadata, jsonUnlessEmpty(info.metadata)],
    [attribute.storageClass, storageClass],
    [attribute.tags, jsonUnlessEmpty(tags)],
    [attribute.version, info.versionId],
  ];
  return texts.flatMap(([name, text]) => (text === undefined ? [] : [{ name, value: Buffer.from(text) }]));
}

function jsonUnlessEmpty(value: object): string | undefined {
  return Object.keys(value).length === 0 ? undefined : JSON.stringify(value);
}

function isSame(before: TreeNode, { etag, sizeBytes }: ListedObject, time: string): boolean {
  const known = textOf(before, attribute.etag);
  return known === etag && before.mtime === time && Number(before.sizeBytes ?? 0) === sizeBytes;
}

function textOf(node: Pick<TreeNode, 'extendedAttributes'>, name: string): string | undefined {
  const found = node.extendedAttributes?.find((one) => one.name === name);
  return found === undefined ? undefined : Buffer.from(found.value).toString();
}

/** What became of the object alone; a bucket that does not answer is no problem of one object. */
function problemOf({ code, message }: MusterError, path: string): SourceProblem | null {
  if (code === 'OBJECT_UNKNOWN') return { kind: 'vanished', path, why: 'was deleted after it was listed' };
  if (code === 'OBJECT_CHANGED') return { kind: 'changed', path, why: 'was replaced after it was listed' };
  if (code === 'OBJECT_ARCHIVED' || code === 'CHECKSUM_MISMATCH') return { kind: 'unreadable', path, why: message };
  return null;
}

/** What an object was, as its file in a snapshot says. */
export interface SavedObject {
  key: string;
  content: ObjectInfo['content'];
  metadata: Record<string, string>;
  tags: Record<string, string>;
  storageClass: string | undefined;
  /** What its store knew of its bytes; null in snapshots that were made when that was not kept. */
  checksums: Checksums | null;
}

/** @param path in the snapshot, below the directory of the bucket */
export function savedObject(path: string, node: TreeNode): SavedObject {
  const json = (name: string): Record<string, string> =>
    JSON.parse(textOf(node, name) ?? '{}') as Record<string, string>;
  return {
    key: textOf(node, attribute.key) ?? path,
    content: json(attribute.content),
    metadata: json(attribute.metadata),
    tags: json(attribute.tags),
    storageClass: textOf(node, attribute.storageClass),
    checksums: textOf(node, attribute.checksums) === undefined ? null : json(attribute.checksums),
  };
}
