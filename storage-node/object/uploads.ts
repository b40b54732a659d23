import { type Change } from '../consensus/registers.ts';
import { StorageError } from '../errors.ts';
import { tombstoneChange } from './buckets.ts';
import { checkObjectKey, namespace, parseUploadKey, partKey, spaceOf, uploadIdLength } from './keys.ts';
import { type ObjectLayer } from './layer.ts';
import { type Bucket, type Part, type Upload } from './model.ts';
import { receive } from './objects.ts';
import { decodePartState, encodePartState } from './state-codec.ts';
import { completeUpload, type CompleteDeps, takeBack } from './upload-complete.ts';
import { type ReceivedData } from './upload-data.ts';
import { isInProgress, listParts, listUploads } from './upload-list.ts';
import {
  type At,
  atOf,
  changeUpload,
  dropPart,
  dropParts,
  guardOf,
  housekeeping,
  idText,
  noSuchUpload,
  readUpload,
  uploadChange,
} from './upload-registers.ts';
import { decodeUpload, type UploadState } from './upload-state.ts';

/** Completed uploads are remembered this long, for clients that complete twice. */
const rememberMs = 24 * 60 * 60 * 1000;
/** What was sent under one part number before is kept until the upload ends; so it may not be sent for ever. */
const maxOlderParts = 100;

export type Uploads = Pick<
  ObjectLayer,
  'createUpload' | 'putPart' | 'upload' | 'listParts' | 'listUploads' | 'completeUpload' | 'abortUpload'
> & {
  /** Ends what nobody will ask for any more: uploads older than `olderThanMs`, and remembered completions. */
  sweep(bucket: Bucket, olderThanMs: number): Promise<number>;
};

export type UploadsDeps = CompleteDeps;

export function createUploads(deps: UploadsDeps): Uploads {
  const find = async (bucketName: string, key: string, uploadId: string): Promise<{ at: At; state: UploadState }> => {
    const at = atOf(deps, await deps.bucket(bucketName), key, uploadId);
    const state = await readUpload(deps, at);
    if (!isInProgress(state)) throw noSuchUpload();
    return { at, state };
  };
  return {
    createUpload: (input) =>
      deps.withBucket(input.bucket, async (bucket) => {
        checkObjectKey(input.key);
        const { metadata, tags, checksumAlgorithm, checksumType } = input;
        const uploadId = Buffer.from(deps.env.randomBytes(uploadIdLength / 2)).toString('hex');
        const at = atOf(deps, bucket, input.key, uploadId);
        const initiatedAtMs = deps.env.clock.wallMs();
        const storageClass = input.storageClass ?? 'STANDARD';
        const described = tags === undefined ? { metadata } : { metadata, tags };
        const info = { initiatedAtMs, ...described, storageClass, checksumAlgorithm, checksumType };
        await deps.registers.change(at.set, at.key, guardOf(bucket), () => uploadChange({ kind: 'open', info }));
        return { key: input.key, uploadId, ...info };
      }),
    putPart: (input) => putPart(deps, input),
    async upload(bucketName, key, uploadId) {
      const { state } = await find(bucketName, key, uploadId);
      return { key, uploadId, ...state.info };
    },
    async listParts(bucketName, key, uploadId, page) {
      const { at, state } = await find(bucketName, key, uploadId);
      return listParts(deps, at, { upload: { key, uploadId, ...state.info }, ...page });
    },
    listUploads: async (bucketName, input) => listUploads(deps, await deps.bucket(bucketName), input),
    completeUpload: (input) => deps.withBucket(input.bucket, (bucket) => completeUpload(deps, bucket, input)),
    abortUpload: (bucketName, key, uploadId) =>
      deps.withBucket(bucketName, async (bucket) => {
        const at = atOf(deps, bucket, key, uploadId);
        if (!(await end(deps, { at, guard: guardOf(bucket) }))) throw noSuchUpload();
      }),
    sweep: (bucket, olderThanMs) => sweep(deps, bucket, olderThanMs),
  };
}

/** Writes what was received as a part, if the upload is open in the round that writes it. */
async function writePart(deps: UploadsDeps, at: At, written: { part: Part; puts: Change['puts'] }): Promise<void> {
  const { part, puts } = written;
  const key = partKey(at.bucket.id, at.uploadId, part.number);
  await deps.registers.change(at.set, key, guardOf(at.bucket), async ({ state, tombstone }) => {
    const upload = await readUpload(deps, at);
    if (upload?.kind === 'committing' || upload?.kind === 'refusing') {
      throw new StorageError('Busy', 'the upload is being completed');
    }
    if (upload?.kind !== 'open') throw noSuchUpload();
    const before = tombstone || state.length === 0 ? undefined : decodePartState(state);
    const older = before === undefined ? [] : [before.part, ...before.older];
    if (older.length > maxOlderParts) {
      throw new StorageError('InvalidArgument', `part ${part.number} was sent ${older.length} times; abort the upload`);
    }
    return {
      ...tombstoneChange,
      tombstone: false,
      state: encodePartState({
        part,
        lastModifiedMs: deps.env.clock.wallMs(),
        older: older.filter(({ sizeBytes, dataId }) => sizeBytes > 0 && idText(dataId) !== idText(part.dataId)),
      }),
      puts,
    };
  });
  // The upload may have ended at the same time, and its parts been looked for before this one was there.
  const now = await readUpload(deps, at);
  if (isInProgress(now)) return;
  const kept = now?.kind === 'completed' ? now.plan.parts.map(({ dataId }) => idText(dataId)) : [];
  await dropPart(deps, { set: at.set, key }, new Set(kept));
  if (!kept.includes(idText(part.dataId))) throw noSuchUpload();
}

async function putPart(
  deps: UploadsDeps,
  input: Parameters<ObjectLayer['putPart']>[0],
): Promise<Upload<{ etag: string }>> {
  const at = atOf(deps, await deps.bucket(input.bucket), input.key, input.uploadId);
  if (!isInProgress(await readUpload(deps, at))) throw noSuchUpload();
  const data = receive(deps, at, input.expectedBytes);
  let received: ReceivedData | undefined;
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
      await deps.withBucket(input.bucket, (bucket) => writePart(deps, { ...at, bucket }, { part, puts }));
      return { etag: md5 };
    },
    abort: () => data.abort(),
  };
  data.onDrain = () => upload.onDrain?.();
  return upload;
}

/** Gives an upload up, its parts first. @returns false when there is none to give up, or it was completed. */
async function end(deps: UploadsDeps, target: { at: At; guard: typeof housekeeping }): Promise<boolean> {
  const { at } = target;
  for (let state = await readUpload(deps, at); ;) {
    if (state === undefined || state.kind === 'completed') return false;
    if (state.kind === 'ending') break;
    if (state.kind !== 'open') state = await takeBack(deps, at, state);
    else {
      state = await changeUpload(deps, target, (now) =>
        now?.kind === 'open' ? { kind: 'ending', info: now.info } : 'unchanged',
      );
    }
  }
  await dropParts(deps, at, []);
  await changeUpload(deps, { at, guard: housekeeping }, (now) => (now?.kind === 'ending' ? 'gone' : 'unchanged'));
  return true;
}

async function sweep(deps: UploadsDeps, bucket: Bucket, olderThanMs: number): Promise<number> {
  let ended = 0;
  const nowMs = deps.env.clock.wallMs();
  for (const set of deps.sets) {
    for await (const row of deps.scanner.rows(set, { prefix: spaceOf(bucket.id, namespace.upload) })) {
      const state = decodeUpload(row.value);
      const { key: name, uploadId } = parseUploadKey(row.key);
      const at = atOf(deps, bucket, name, uploadId);
      if (state.kind === 'completed') {
        if (nowMs - state.atMs <= rememberMs) continue;
        await dropParts(deps, at, state.plan.parts);
        await changeUpload(deps, { at, guard: housekeeping }, (now) =>
          now?.kind === 'completed' ? 'gone' : 'unchanged',
        );
      } else {
        if (state.kind !== 'ending' && nowMs - state.info.initiatedAtMs <= olderThanMs) continue;
        if (!(await end(deps, { at, guard: housekeeping }))) continue;
      }
      ended += 1;
    }
  }
  return ended;
}
