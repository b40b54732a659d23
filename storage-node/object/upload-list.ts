import { type IndexKey } from '../store/drive-api.ts';
import { namespace, parseUploadKey, spaceOf, uploadKey } from './keys.ts';
import { type ObjectLayer } from './layer.ts';
import { mergedRows } from './merge.ts';
import { type Bucket, type PartListPage, type UploadInfo, type UploadListPage } from './model.ts';
import { partInfo } from './part-info.ts';
import { type At, readParts, type UploadRegisterDeps } from './upload-registers.ts';
import { decodeUpload, type UploadState } from './upload-state.ts';

type InProgress = Extract<UploadState, { kind: 'open' | 'committing' | 'refusing' }>;

/** Whether clients see an upload as one that goes on. */
export function isInProgress(state: UploadState | undefined): state is InProgress {
  return state?.kind === 'open' || state?.kind === 'committing' || state?.kind === 'refusing';
}

export async function listParts(
  deps: UploadRegisterDeps,
  at: At,
  page: { upload: UploadInfo; afterPart: number; maxParts: number },
): Promise<PartListPage> {
  const result: PartListPage = { upload: page.upload, parts: [], truncated: false, nextPartNumber: undefined };
  for (const [number, state] of await readParts(deps, at)) {
    if (number <= page.afterPart) continue;
    if (result.parts.length === page.maxParts) {
      result.truncated = true;
      return result;
    }
    result.parts.push(partInfo(state));
    result.nextPartNumber = number;
  }
  return result;
}

type UploadListInput = Parameters<ObjectLayer['listUploads']>[1];

/**
 * Uploads that go on, by key and then id. Rolled up here and not by the drives: these would find a delimiter in the
 * ids, too, and cannot tell an upload that goes on from one that is only remembered.
 */
export async function listUploads(
  deps: UploadRegisterDeps,
  bucket: Bucket,
  input: UploadListInput,
): Promise<UploadListPage> {
  const page: UploadListPage = {
    uploads: [],
    commonPrefixes: [],
    truncated: false,
    nextKeyMarker: undefined,
    nextUploadIdMarker: undefined,
  };
  if (input.maxUploads === 0) return page;
  const request = {
    prefix: Buffer.concat([spaceOf(bucket.id, namespace.upload), Buffer.from(input.prefix)]),
    ...(input.keyMarker === '' ? {} : { after: markerOf(bucket, input) }),
  };
  let last: { keyMarker: string; uploadIdMarker: string } | undefined;
  for await (const row of mergedRows(deps, request)) {
    const { key, uploadId } = parseUploadKey(row.key);
    const rollup = rollupOf(key, input);
    // A marker may be a roll-up, of which the rest was told with it.
    if (!key.startsWith(input.prefix) || (rollup !== undefined && isTold(rollup, input, page))) continue;
    const state = decodeUpload(row.value);
    if (!isInProgress(state)) continue;
    if (page.uploads.length + page.commonPrefixes.length === input.maxUploads) {
      page.truncated = true;
      page.nextKeyMarker = last?.keyMarker;
      page.nextUploadIdMarker = last?.uploadIdMarker;
      return page;
    }
    if (rollup === undefined) page.uploads.push({ key, uploadId, ...state.info });
    else page.commonPrefixes.push(rollup);
    last =
      rollup === undefined ? { keyMarker: key, uploadIdMarker: uploadId } : { keyMarker: rollup, uploadIdMarker: '' };
  }
  return page;
}

function isTold(rollup: string, input: UploadListInput, page: UploadListPage): boolean {
  return page.commonPrefixes.at(-1) === rollup || input.keyMarker.startsWith(rollup);
}

function rollupOf(key: string, { prefix, delimiter }: UploadListInput): string | undefined {
  const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

/** Behind the marker's upload, or without one behind all uploads of the marker's key. */
function markerOf(bucket: Bucket, input: { keyMarker: string; uploadIdMarker: string }): IndexKey {
  return input.uploadIdMarker === ''
    ? Buffer.concat([spaceOf(bucket.id, namespace.upload), Buffer.from(input.keyMarker), Buffer.from([0, 0xff])])
    : uploadKey(bucket.id, input.keyMarker, input.uploadIdMarker);
}
