import { type Change, type WriteGuard } from '../consensus/registers.ts';
import { StorageError } from '../errors.ts';
import { type ErasureSet } from '../store/set.ts';
import { type IndexKey } from '../store/drive-api.ts';
import { tombstoneChange } from './buckets.ts';
import { checkParts, multipartEtag } from './multipart-etag.ts';
import {
  checkObjectKey,
  nameOf,
  namespace,
  parseUploadKey,
  partKey,
  partNumberOf,
  partsPrefix,
  spaceOf,
  uploadIdLength,
  uploadKey,
} from './keys.ts';
import { mergedEntries } from './listing.ts';
import { type ObjectLayer } from './layer.ts';
import {
  type Bucket,
  type Checksum,
  type CompleteInput,
  type CompleteResult,
  type Part,
  type PartInfo,
  type PartListPage,
  type Upload,
  type UploadInfo,
  type UploadListPage,
} from './model.ts';
import { commitVersion, type ObjectsDeps, placeOf, receive } from './objects.ts';
import { type SetScanner } from './set-scan.ts';
import { decodePartState, encodePartState, type PartState } from './state-codec.ts';
import { type CommitPlan, type CompletedUpload, decodeUpload, encodeUpload, type UploadState } from './upload-state.ts';
import { newVersionId, nullVersionId, shownVersionId } from './versions.ts';

/** Completed uploads are remembered this long, for clients that complete twice. */
const rememberMs = 24 * 60 * 60 * 1000;

export type Uploads = Pick<
  ObjectLayer,
  'createUpload' | 'putPart' | 'upload' | 'listParts' | 'listUploads' | 'completeUpload' | 'abortUpload'
> & {
  /** Ends what nobody will ask for any more: uploads older than `olderThanMs`, and remembered completions. */
  sweep(bucket: Bucket, olderThanMs: number): Promise<number>;
};

export interface UploadsDeps extends ObjectsDeps {
  scanner: SetScanner;
  /** Full-object checksum of parts in order, where it can be computed from theirs. */
  combineChecksums: (parts: readonly Part[], type: Checksum['type'] | undefined) => Checksum | undefined;
}

/** An upload's registers. */
interface At {
  bucket: Bucket;
  set: ErasureSet;
  key: IndexKey;
  name: string;
  uploadId: string;
}

const housekeeping: WriteGuard = { fromClient: false, bucketGeneration: Number.MAX_SAFE_INTEGER };

export function createUploads(deps: UploadsDeps): Uploads {
  return {
    createUpload: (input) =>
      deps.withBucket(input.bucket, async (bucket) => {
        const { metadata, checksumAlgorithm, checksumType } = input;
        const uploadId = Buffer.from(deps.env.randomBytes(uploadIdLength / 2)).toString('hex');
        const at = atOf(deps, bucket, input.key, uploadId);
        const initiatedAtMs = deps.env.clock.wallMs();
        const storageClass = input.storageClass ?? 'STANDARD';
        const info = { initiatedAtMs, metadata, storageClass, checksumAlgorithm, checksumType };
        await deps.registers.change(at.set, at.key, guardOf(bucket), () => uploadChange({ kind: 'open', info }));
        return { key: input.key, uploadId, ...info };
      }),
    putPart: (input) => putPart(deps, input),
    async upload(bucketName, key, uploadId) {
      const at = atOf(deps, await deps.bucket(bucketName), key, uploadId);
      const state = await readOpen(deps, at);
      return { key, uploadId, ...state.info };
    },
    async listParts(bucketName, key, uploadId, page) {
      const at = atOf(deps, await deps.bucket(bucketName), key, uploadId);
      const { info } = await readOpen(deps, at);
      const upload: UploadInfo = { key, uploadId, ...info };
      const result: PartListPage = { upload, parts: [], truncated: false, nextPartNumber: undefined };
      for (const [number, state] of await readParts(deps, at)) {
        if (number <= page.afterPart) continue;
        if (result.parts.length === page.maxParts) {
          result.truncated = true;
          break;
        }
        result.parts.push(partInfo(state));
        result.nextPartNumber = number;
      }
      return result;
    },
    listUploads: (bucketName, input) => listUploads(deps, bucketName, input),
    completeUpload: (input) => deps.withBucket(input.bucket, (bucket) => complete(deps, bucket, input)),
    abortUpload: (bucketName, key, uploadId) =>
      deps.withBucket(bucketName, async (bucket) => {
        const at = atOf(deps, bucket, key, uploadId);
        await changeUpload(deps, at, (state) => {
          if (state?.kind !== 'open') throw noSuchUpload();
          return tombstoneChange;
        });
        await dropParts(deps, at, []);
      }),
    sweep: (bucket, olderThanMs) => sweep(deps, bucket, olderThanMs),
  };
}

function atOf(deps: UploadsDeps, bucket: Bucket, name: string, uploadId: string): At {
  checkObjectKey(name);
  if (uploadId.length !== uploadIdLength || !/^[0-9a-f]+$/.test(uploadId)) throw noSuchUpload();
  const { set } = placeOf(deps.sets, bucket, name);
  return { bucket, set, name, uploadId, key: uploadKey(bucket.id, name, uploadId) };
}

function guardOf(bucket: Bucket): WriteGuard {
  return { fromClient: true, bucketGeneration: bucket.generation };
}

function noSuchUpload(): StorageError {
  return new StorageError('NoSuchUpload', 'the specified upload does not exist; it may have been aborted or completed');
}

function uploadChange(state: UploadState): Change {
  return { ...tombstoneChange, tombstone: false, state: encodeUpload(state) };
}

function changeUpload(
  deps: UploadsDeps,
  at: At,
  decide: (state: UploadState | undefined) => Change | 'unchanged',
): Promise<unknown> {
  return deps.registers.change(at.set, at.key, guardOf(at.bucket), ({ state, tombstone }) =>
    decide(tombstone || state.length === 0 ? undefined : decodeUpload(state)),
  );
}

async function readUpload(deps: UploadsDeps, at: At): Promise<UploadState | undefined> {
  const { state, tombstone } = await deps.registers.get(at.set, at.key);
  return tombstone || state.length === 0 ? undefined : decodeUpload(state);
}

async function readOpen(deps: UploadsDeps, at: At): Promise<UploadState> {
  const state = await readUpload(deps, at);
  if (state?.kind !== 'open') throw noSuchUpload();
  return state;
}

async function readParts(deps: UploadsDeps, at: At): Promise<Map<number, PartState>> {
  const parts = new Map<number, PartState>();
  const prefix = partsPrefix(at.bucket.id, at.uploadId);
  for await (const row of deps.scanner.rows(at.set, { prefix }))
    parts.set(partNumberOf(row.key), decodePartState(row.value));
  return parts;
}

function partInfo({ part, lastModifiedMs }: PartState): PartInfo {
  const { number, sizeBytes, md5, checksum } = part;
  return { number, sizeBytes, etag: md5, lastModifiedMs, checksum };
}

async function putPart(
  deps: UploadsDeps,
  input: Parameters<ObjectLayer['putPart']>[0],
): Promise<Upload<{ etag: string }>> {
  const bucket = await deps.bucket(input.bucket);
  const at = atOf(deps, bucket, input.key, input.uploadId);
  await readOpen(deps, at);
  const data = receive(deps, at, input.expectedBytes);
  let received: Awaited<ReturnType<typeof data.end>> | undefined;
  const upload: Upload<{ etag: string }> = {
    onDrain: undefined,
    write: (chunk) => data.write(chunk),
    async end() {
      received = await data.end();
      return { md5: received.md5, sizeBytes: received.sizeBytes };
    },
    async commit({ checksum }) {
      if (received === undefined) throw new Error('commit before end');
      const { puts, dataId, sizeBytes, small } = received;
      const md5 = Buffer.from(received.md5).toString('hex');
      const part: Part = { number: input.number, sizeBytes, md5, checksum, dataId, small };
      const state = encodePartState({ part, lastModifiedMs: deps.env.clock.wallMs(), older: [] });
      const key = partKey(bucket.id, input.uploadId, input.number);
      await deps.withBucket(input.bucket, async (fresh) => {
        await deps.registers.change(at.set, key, guardOf(fresh), () => ({
          ...tombstoneChange,
          tombstone: false,
          state,
          puts,
        }));
      });
      // The upload may have ended while the part was on its way.
      const now = await readUpload(deps, at);
      if (now?.kind !== 'open') {
        await dropPart(deps, at, { key, kept: keptBy(now) });
        throw noSuchUpload();
      }
      return { etag: md5 };
    },
    abort: () => data.abort(),
  };
  data.onDrain = () => upload.onDrain?.();
  return upload;
}

/** Data that a completing or completed upload's object refers to. */
function keptBy(state: UploadState | undefined): Uint8Array[] {
  return state === undefined || state.kind === 'open' ? [] : state.plan.parts.map(({ dataId }) => dataId);
}

async function dropPart(
  deps: UploadsDeps,
  at: At,
  part: { key: IndexKey; kept: readonly Uint8Array[] },
): Promise<void> {
  await deps.registers.change(at.set, part.key, housekeeping, ({ tombstone, state }) =>
    tombstone || state.length === 0 ? 'unchanged' : { ...tombstoneChange, keep: part.kept },
  );
}

/** Removes an upload's part registers; the data of those that became the object stays. */
async function dropParts(deps: UploadsDeps, at: At, kept: readonly Uint8Array[]): Promise<void> {
  const prefix = partsPrefix(at.bucket.id, at.uploadId);
  for await (const { key } of deps.scanner.rows(at.set, { prefix })) await dropPart(deps, at, { key, kept });
}

/** Fixes the parts, makes the object, remembers the result. Each step may be taken again by whoever comes next. */
async function complete(deps: UploadsDeps, bucket: Bucket, input: CompleteInput): Promise<CompleteResult> {
  const at = atOf(deps, bucket, input.key, input.uploadId);
  const before = await readUpload(deps, at);
  if (before?.kind === 'completed') return repeated(bucket, input, before.result);
  const parts = await readParts(deps, at);
  const plan = before?.kind === 'committing' ? before.plan : planOf(deps, { bucket, input, state: before, parts });
  let fixed: UploadState | undefined;
  await changeUpload(deps, at, (state) => {
    if (state === undefined) throw noSuchUpload();
    fixed = state.kind === 'open' ? { kind: 'committing', info: state.info, plan } : state;
    return state.kind === 'open' ? uploadChange(fixed) : 'unchanged';
  });
  if (fixed!.kind === 'completed') return repeated(bucket, input, fixed!.result);
  const result = await makeObject(deps, at, { state: fixed!, parts });
  return { ...result, versionId: shownVersionId(bucket, result.versionId), checksum: result.checksum };
}

function repeated(bucket: Bucket, input: CompleteInput, result: CompletedUpload): CompleteResult {
  const asked = multipartEtag(input.parts.map(({ etag }) => etag));
  if (asked !== result.etag) throw noSuchUpload();
  return { ...result, versionId: shownVersionId(bucket, result.versionId) };
}

function planOf(
  deps: UploadsDeps,
  from: { bucket: Bucket; input: CompleteInput; state: UploadState | undefined; parts: ReadonlyMap<number, PartState> },
): CommitPlan {
  const { bucket, input, state, parts } = from;
  if (state === undefined) throw noSuchUpload();
  checkParts(input.parts, new Map([...parts].map(([number, part]) => [number, partInfo(part)])));
  const chosen = input.parts.map(({ number }) => parts.get(number)!.part);
  const checksum = deps.combineChecksums(chosen, state.info.checksumType);
  if (input.checksum !== undefined && checksum !== undefined && input.checksum.value !== checksum.value) {
    throw new StorageError('BadDigest', `the ${checksum.algorithm} you specified did not match what was received`);
  }
  const { clock, randomBytes } = deps.env;
  return {
    parts: chosen.map(({ number, dataId }) => ({ number, dataId })),
    etag: multipartEtag(chosen.map(({ md5 }) => md5)),
    checksum,
    versionId: bucket.versioning === 'Enabled' ? newVersionId(clock, randomBytes) : nullVersionId,
    conditions: input.conditions,
  };
}

async function makeObject(
  deps: UploadsDeps,
  at: At,
  from: { state: UploadState; parts: ReadonlyMap<number, PartState> },
): Promise<CompletedUpload> {
  const { state, parts } = from;
  if (state.kind !== 'committing') throw noSuchUpload();
  const { plan, info } = state;
  const chosen = plan.parts.map(({ number, dataId }): Part => {
    const part = parts.get(number)?.part;
    if (part === undefined || Buffer.compare(part.dataId, dataId) !== 0) throw noSuchUpload();
    return part;
  });
  const draft = {
    metadata: info.metadata,
    storageClass: info.storageClass,
    etag: plan.etag,
    checksum: plan.checksum,
    parts: chosen.filter(({ sizeBytes }) => sizeBytes > 0),
    multipart: true,
  };
  const commit = { bucket: at.bucket.name, key: at.name, draft, puts: () => [], conditions: plan.conditions };
  const made = await commitVersion(deps, { ...commit, versionId: () => plan.versionId, once: at.uploadId }).catch(
    async (error: unknown) => {
      // Refused for good: the upload is open again for another try, as in S3.
      if (error instanceof StorageError && error.code === 'PreconditionFailed') {
        await changeUpload(deps, at, (now) =>
          now?.kind === 'committing' ? uploadChange({ kind: 'open', info }) : 'unchanged',
        );
      }
      throw error;
    },
  );
  const { sizeBytes, lastModifiedMs } = made;
  const result: CompletedUpload = {
    etag: plan.etag,
    versionId: plan.versionId,
    sizeBytes,
    lastModifiedMs,
    checksum: plan.checksum,
  };
  const atMs = deps.env.clock.wallMs();
  await changeUpload(deps, at, (now) =>
    now?.kind === 'committing' ? uploadChange({ kind: 'completed', info, plan, result, atMs }) : 'unchanged',
  );
  await dropParts(
    deps,
    at,
    plan.parts.map(({ dataId }) => dataId),
  ).catch(() => {});
  return result;
}

async function listUploads(
  deps: UploadsDeps,
  bucketName: string,
  input: Parameters<ObjectLayer['listUploads']>[1],
): Promise<UploadListPage> {
  const bucket = await deps.bucket(bucketName);
  const page: UploadListPage = {
    uploads: [],
    commonPrefixes: [],
    truncated: false,
    nextKeyMarker: undefined,
    nextUploadIdMarker: undefined,
  };
  const request = {
    prefix: Buffer.concat([spaceOf(bucket.id, namespace.upload), Buffer.from(input.prefix)]),
    ...(input.delimiter === '' ? {} : { delimiter: Buffer.from(input.delimiter) }),
    ...(input.keyMarker === '' ? {} : { after: markerOf(bucket, input) }),
  };
  for await (const entry of mergedEntries(deps, request)) {
    const state = entry.kind === 'row' ? decodeUpload(entry.row.value) : undefined;
    if (state !== undefined && state.kind !== 'open') continue;
    if (page.uploads.length + page.commonPrefixes.length === input.maxUploads) {
      page.truncated = true;
      return page;
    }
    if (state === undefined) {
      page.commonPrefixes.push(nameOf(entry.at));
      page.nextKeyMarker = nameOf(entry.at);
      page.nextUploadIdMarker = '';
    } else {
      const { key, uploadId } = parseUploadKey(entry.at);
      page.uploads.push({ key, uploadId, ...state.info });
      page.nextKeyMarker = key;
      page.nextUploadIdMarker = uploadId;
    }
  }
  page.nextKeyMarker = undefined;
  page.nextUploadIdMarker = undefined;
  return page;
}

/** Behind the marker's upload, or without one behind all uploads of the marker's key. */
function markerOf(bucket: Bucket, input: { keyMarker: string; uploadIdMarker: string }): IndexKey {
  return input.uploadIdMarker === ''
    ? Buffer.concat([spaceOf(bucket.id, namespace.upload), Buffer.from(input.keyMarker), Buffer.from([0, 0xff])])
    : uploadKey(bucket.id, input.keyMarker, input.uploadIdMarker);
}

async function sweep(deps: UploadsDeps, bucket: Bucket, olderThanMs: number): Promise<number> {
  let ended = 0;
  const nowMs = deps.env.clock.wallMs();
  for (const set of deps.sets) {
    for await (const row of deps.scanner.rows(set, { prefix: spaceOf(bucket.id, namespace.upload) })) {
      const state = decodeUpload(row.value);
      const isOld =
        state.kind === 'completed'
          ? nowMs - state.atMs > rememberMs
          : state.kind === 'open' && nowMs - state.info.initiatedAtMs > olderThanMs;
      if (!isOld) continue;
      const { key: name, uploadId } = parseUploadKey(row.key);
      const at: At = { bucket, set, key: row.key, name, uploadId };
      await deps.registers.change(set, row.key, housekeeping, (current) =>
        !current.tombstone && decodeUpload(current.state).kind === state.kind ? tombstoneChange : 'unchanged',
      );
      await dropParts(deps, at, keptBy(state));
      ended += 1;
    }
  }
  return ended;
}
