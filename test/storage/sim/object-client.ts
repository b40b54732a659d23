import { StorageError } from '../../../storage-node/errors.ts';
import { type ObjectLayer } from '../../../storage-node/object/layer.ts';
import {
  type ByteTarget,
  type Conditions,
  type ListedObject,
  type ObjectInfo,
} from '../../../storage-node/object/model.ts';
import { tagsOf } from '../../../storage-node/object/tags.ts';
import { deleteMarker, type Action, type Condition } from '../linearizability/history.ts';
import { contentOf, etagsOf, noteEtags, valueOfEtag } from './content.ts';
import { type Answer, NoAnswer, NoServer, outcomeOfError } from './recorder.ts';

/** Bytes that are not those of the value they were written as. Nothing excuses it. */
export class WrongBytes extends Error {
  override readonly name = 'WrongBytes';
}

const chunkBytes = 200_000;

export interface Target {
  bucket: string;
  key: string;
  /** Sends one request to some node. */
  request: <T>(run: (layer: ObjectLayer) => Promise<T>) => Promise<T>;
}

/** Does what an operation of a history asks for. @throws StorageError as the layer does; WrongBytes. */
export async function perform(target: Target, action: Action, inParts: boolean): Promise<Answer> {
  if (action.kind === 'get') return target.request((layer) => get(target, layer, action.versionId));
  if (action.kind === 'tag') return target.request((layer) => tag(target, layer, action));
  const conditions = action.condition === undefined ? {} : conditionsOf(action.condition);
  if (action.kind === 'put') {
    noteEtags(action.value);
    const versionId = inParts
      ? await putInParts(target, action.value, conditions)
      : await target.request((layer) => putWhole(target, layer, { value: action.value, conditions }));
    return { kind: 'ok', versionId };
  }
  const { bucket, key } = target;
  const versionId = action.versionId === undefined ? {} : { versionId: action.versionId };
  const removed = await target.request((layer) => layer.remove({ bucket, key, conditions, ...versionId }));
  return { kind: 'ok', versionId: removed.versionId };
}

/** Where there is nothing to put a tag on, it is refused in one way, whatever was there instead. */
async function tag(
  { bucket, key }: Target,
  layer: ObjectLayer,
  { tag: text, versionId }: Extract<Action, { kind: 'tag' }>,
): Promise<Answer> {
  const named = versionId === undefined ? {} : { versionId };
  try {
    await layer.setTags({ bucket, key, ...named, tags: [['tag', text]] });
    return { kind: 'ok' };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    const { code } = error;
    if (code !== 'NoSuchVersion' && code !== 'MethodNotAllowedOnDeleteMarker') throw error;
    throw new StorageError('NoSuchKey', 'there is nothing to put a tag on', { cause: error });
  }
}

function conditionsOf(condition: Condition): Conditions {
  const etagsFor = (value: string): string[] => (value === '*' ? ['*'] : Object.values(etagsOf(value)));
  if ('ifMatch' in condition) return { ifMatch: etagsFor(condition.ifMatch) };
  return { ifNoneMatch: etagsFor(condition.ifNoneMatch) };
}

const metadataOf = (value: string): ObjectInfo['metadata'] => ({ headers: {}, user: { value } });

async function putWhole(
  { bucket, key }: Target,
  layer: ObjectLayer,
  { value, conditions }: { value: string; conditions: Conditions },
): Promise<string | undefined> {
  const bytes = contentOf(value);
  const upload = await layer.put({ bucket, key, metadata: metadataOf(value), expectedBytes: bytes.length });
  await give(upload, bytes);
  const { etag, versionId } = await upload.commit({ conditions, checksum: undefined });
  if (etag !== etagsOf(value).whole) throw new WrongBytes(`${value} was written as ${etag}`);
  return versionId;
}

async function give(
  upload: {
    write(chunk: Uint8Array): boolean;
    onDrain: (() => void) | undefined;
    end(): Promise<unknown>;
    abort(): void;
  },
  bytes: Uint8Array,
): Promise<void> {
  try {
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      if (upload.write(bytes.subarray(at, at + chunkBytes))) continue;
      await new Promise<void>((resolve) => {
        upload.onDrain = resolve;
      });
    }
    await upload.end();
  } catch (error) {
    upload.abort();
    throw error;
  }
}

/** Each step is a request of its own, mostly to different nodes. */
async function putInParts(target: Target, value: string, conditions: Conditions): Promise<string | undefined> {
  const { bucket, key, request } = target;
  const bytes = contentOf(value);
  const settings = { metadata: metadataOf(value), checksumAlgorithm: undefined, checksumType: undefined };
  const { uploadId } = await neverHappened(request((layer) => layer.createUpload({ bucket, key, ...settings })));
  const { etag } = await neverHappened(
    request(async (layer) => {
      const part = await layer.putPart({ bucket, key, uploadId, number: 1, expectedBytes: bytes.length });
      await give(part, bytes);
      return part.commit({ conditions: {}, checksum: undefined });
    }),
  );
  const complete = { bucket, key, uploadId, parts: [{ number: 1, etag }], conditions, checksum: undefined };
  let mayHaveHappened = false;
  for (let tries = 0; ; tries++) {
    try {
      return (await request((layer) => layer.completeUpload(complete))).versionId;
    } catch (error) {
      if (!mayHaveHappened && error instanceof StorageError && isRefusal(error)) throw error;
      // As clients do: the same request again, until it is known what became of it.
      mayHaveHappened ||= !(error instanceof NoServer);
      if (tries < 3) continue;
      throw mayHaveHappened
        ? new NoAnswer('it is not known whether the upload was completed', { cause: error })
        : error;
    }
  }
}

/** What fails before an upload is completed leaves the object as it was. */
function neverHappened<T>(step: Promise<T>): Promise<T> {
  return step.catch((error: unknown) => {
    outcomeOfError(error);
    throw new NoServer('the upload did not come about', { cause: error });
  });
}

function isRefusal({ code }: StorageError): boolean {
  return ['PreconditionFailed', 'NoSuchKey'].includes(code);
}

async function get({ bucket, key }: Target, layer: ObjectLayer, versionId: string | undefined): Promise<Answer> {
  try {
    const opened = await layer.open(bucket, key, versionId === undefined ? {} : { versionId });
    try {
      const { info } = opened;
      const chunks: Uint8Array[] = [];
      await opened.send(0, info.sizeBytes - 1, collector(chunks));
      const [kept] = tagsOf(info);
      const value = verified(info, Buffer.concat(chunks));
      return { kind: 'ok', value, versionId: info.shownVersionId, tag: kept?.[1] };
    } finally {
      opened.close();
    }
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    if (error.code === 'MethodNotAllowedOnDeleteMarker') return { kind: 'ok', value: deleteMarker };
    if (error.code === 'NoSuchKey' || error.code === 'NoSuchVersion') return { kind: 'ok', value: undefined };
    throw error;
  }
}

function collector(chunks: Uint8Array[]): ByteTarget {
  return {
    closed: false,
    drained: () => Promise.resolve(),
    write(chunk, release) {
      chunks.push(Uint8Array.from(chunk));
      release();
      return true;
    },
  };
}

function verified(info: ObjectInfo, bytes: Uint8Array): string {
  const value = valueOfInfo(info);
  if (Buffer.compare(bytes, contentOf(value)) !== 0) throw new WrongBytes(`${value} was read as something else`);
  return value;
}

/** A listing shows of each object the ETag and the size of one value. */
export function checkListed({ key, etag, sizeBytes }: ListedObject): void {
  const value = valueOfEtag(etag);
  if (value === undefined) throw new WrongBytes(`${key} is listed with the ETag ${etag}`);
  if (sizeBytes !== contentOf(value).length) throw new WrongBytes(`${value} is listed with ${sizeBytes} bytes`);
}

/** The value an object says it is, if its ETag and size say the same. */
export function valueOfInfo(info: ObjectInfo): string {
  const value = info.metadata.user['value'] ?? '';
  const { whole, inParts } = etagsOf(value);
  if (info.etag !== (info.multipart ? inParts : whole)) throw new WrongBytes(`${value} has the ETag ${info.etag}`);
  return value;
}
