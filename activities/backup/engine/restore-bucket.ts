import type { ObjectClient } from '../../objects/types.ts';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { Repository } from '../repository/attach.ts';
import { createBlobTable, type BlobTable } from '../repository/blob-table.ts';
import { loadIndex } from '../repository/index-load.ts';
import type { Snapshot } from '../repository/snapshot.ts';
import type { TreeNode } from '../repository/tree.ts';
import { savedObject } from '../source/bucket.ts';
import { shown } from '../source/raw-path.ts';
import type { RestoreCounts, RestoreProblem, RestoreResult } from './restore.ts';
import { createPackCache, type PackCache } from './pack-cache.ts';
import { readContent } from './read-content.ts';
import { openTrees } from './trees.ts';
import { nodeAt, walkSnapshot } from './walk-snapshot.ts';

export interface RestoreBucketOptions {
  repository: Repository;
  snapshot: Snapshot;
  /** The bucket that was saved: the directory of the snapshot to take. */
  bucket: string;
  /** Where the objects go. */
  target: ObjectClient;
  /** Before each key, in place of nothing. */
  prefix?: string;
  /** `never` leaves objects alone that are there already; by a condition, so that no newer one is lost in a race. */
  overwrite?: 'always' | 'never';
  signal?: AbortSignal;
  onProgress?: (progress: RestoreCounts) => void;
}

const atOnce = 8;
/** Larger objects go up in parts. */
const singlePutBytes = 64 * 2 ** 20;

/**
 * Writes the objects of a snapshot into a bucket, with their content headers, metadata and tags. Bytes are compared
 * with their hashes before they are sent, and with what the store answers after. The caller holds a lock.
 */
export async function restoreBucket(options: RestoreBucketOptions): Promise<RestoreResult> {
  const startedAt = performance.now();
  const table = createBlobTable();
  await loadIndex(options.repository, table);
  const trees = openTrees(options.repository, table);
  const top = await nodeAt(trees, options.snapshot.tree, options.bucket);
  if (top?.subtree === undefined) {
    throw new MusterError(
      'SNAPSHOT_UNKNOWN',
      `snapshot ${options.snapshot.id.slice(0, 8)} holds no bucket ${options.bucket}`,
    );
  }
  const counts: RestoreCounts = { files: 0, directories: 0, others: 0, bytes: 0, skipped: 0, problems: 0 };
  const problems: RestoreProblem[] = [];
  const content = { packs: createPackCache(options.repository, table), table };
  const entries = walkSnapshot(trees, top.subtree);
  const lane = async (): Promise<void> => {
    for (let next = await entries.next(); next.done !== true; next = await entries.next()) {
      options.signal?.throwIfAborted();
      const entry = next.value;
      const path = shown(entry.path).slice(1);
      if (entry.kind === 'damaged') problems.push({ path, why: entry.why });
      else if (entry.node.type === 'file')
        await restoreObject(options, { content, counts, problems }, path, entry.node);
      options.onProgress?.({ ...counts, problems: problems.length });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  counts.problems = problems.length;
  const kind = problems.length === 0 ? 'complete' : 'partial';
  return { kind, counts, problems, seconds: (performance.now() - startedAt) / 1000 };
}

interface Content {
  packs: PackCache;
  table: BlobTable;
}

interface Doing {
  content: Content;
  counts: RestoreCounts;
  problems: RestoreProblem[];
}

async function restoreObject(
  options: RestoreBucketOptions,
  { content, counts, problems }: Doing,
  path: string,
  node: TreeNode,
): Promise<void> {
  try {
    await put(options, content, path, node);
    counts.files += 1;
    counts.bytes += Number(node.sizeBytes ?? 0);
  } catch (err) {
    const { code, message } = toMusterError(err);
    if (code === 'OBJECT_CHANGED' && options.overwrite === 'never') counts.skipped += 1;
    else if (code === 'REPOSITORY_DAMAGED' || code === 'OBJECT_STORE_REFUSED') problems.push({ path, why: message });
    else throw err;
  }
}

async function put(options: RestoreBucketOptions, from: Content, path: string, node: TreeNode): Promise<void> {
  const { target, prefix = '', signal } = options;
  const { key, content, metadata, tags } = savedObject(path, node);
  const call = signal === undefined ? {} : { signal };
  const conditions = options.overwrite === 'never' ? { ifAbsent: true } : {};
  const put = { content, metadata, tags };
  const size = Number(node.sizeBytes ?? 0);
  const blobs = (): AsyncGenerator<Uint8Array> => readContent(from, path, node);
  if (size <= singlePutBytes) {
    await target.put(prefix + key, await joined(blobs(), size), { ...put, ...conditions }, call);
    return;
  }
  const upload = await target.createUpload(prefix + key, put, call);
  try {
    const parts = [];
    for await (const part of inParts(blobs(), partBytes(size, target))) {
      parts.push(await target.uploadPart({ ...upload, partNumber: parts.length + 1 }, part, {}, call));
    }
    await target.completeUpload(upload, parts, target.supports.completeConditions ? conditions : {}, call);
  } catch (err) {
    await target.abortUpload(upload).catch(() => undefined);
    throw err;
  }
}

/** Parts of 32 MiB, or as large as it takes to fit. */
function partBytes(size: number, { supports }: ObjectClient): number {
  return Math.max(32 * 2 ** 20, supports.minPartBytes, Math.ceil(size / supports.maxParts));
}

async function joined(blobs: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const whole = new Uint8Array(size);
  let at = 0;
  for await (const blob of blobs) {
    whole.set(blob, at);
    at += blob.length;
  }
  return whole;
}

async function* inParts(blobs: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let [pieces, gathered]: [Uint8Array[], number] = [[], 0];
  for await (const blob of blobs) {
    pieces.push(blob);
    gathered += blob.length;
    if (gathered < bytes) continue;
    yield Buffer.concat(pieces);
    [pieces, gathered] = [[], 0];
  }
  if (gathered > 0) yield Buffer.concat(pieces);
}
