import { namespace, objectKey, spaceOf } from './keys.ts';
import { type MergeDeps, mergeSets, textOfName } from './merge.ts';
import {
  type Bucket,
  type ListInput,
  type ListPage,
  type ObjectInfo,
  type VersionListInput,
  type VersionListPage,
} from './model.ts';
import { listedState } from './listed-state.ts';
import { type SetScanRequest } from './set-scan.ts';
import { decodeState } from './state-codec.ts';
import { objectInfo } from './versions.ts';

function requestOf(
  bucket: Bucket,
  input: { prefix: string; delimiter: string },
  after: Uint8Array | undefined,
): SetScanRequest {
  return {
    prefix: Buffer.concat([spaceOf(bucket.id, namespace.object), Buffer.from(input.prefix)]),
    ...(after === undefined ? {} : { after }),
    ...(input.delimiter === '' ? {} : { delimiter: Buffer.from(input.delimiter) }),
  };
}

/** Current objects of a bucket in UTF-8 byte order. */
export async function listObjects(deps: MergeDeps, bucket: Bucket, input: ListInput): Promise<ListPage> {
  const page: ListPage = { objects: [], commonPrefixes: [], truncated: false, next: undefined };
  if (input.maxKeys === 0) return page;
  const after = input.after === '' ? undefined : objectKey(bucket.id, input.after);
  const merge = mergeSets(deps, { ...requestOf(bucket, input, after), skipHidden: true }, input.maxKeys + 1);
  let last: string | undefined;
  for (let count = 0; ;) {
    const entry = merge.next();
    if (entry === 'more') {
      await merge.fill();
      continue;
    }
    if (entry === undefined) return page;
    if (count === input.maxKeys) {
      page.truncated = true;
      page.next = last;
      return page;
    }
    count += 1;
    last = textOfName(entry.name);
    const { at } = entry;
    if (at.isRow) page.objects.push({ key: last, ...listedState(at.bytes, at.valueStart, at.valueEnd) });
    else page.commonPrefixes.push(last);
  }
}

/** All versions and delete markers, newest first within a key. */
export async function listVersions(deps: MergeDeps, bucket: Bucket, input: VersionListInput): Promise<VersionListPage> {
  const page: VersionListPage = {
    versions: [],
    commonPrefixes: [],
    truncated: false,
    nextKeyMarker: undefined,
    nextVersionIdMarker: undefined,
  };
  if (input.maxKeys === 0) return page;
  const merge = mergeSets(deps, requestOf(bucket, input, afterMarker(bucket, input)), input.maxKeys + 1);
  let last: { key: string; versionId: string | undefined } | undefined;
  for (let count = 0; ;) {
    const entry = merge.next();
    if (entry === 'more') {
      await merge.fill();
      continue;
    }
    if (entry === undefined) return page;
    const key = textOfName(entry.name);
    const found = entry.at.isRow ? versionsFrom(bucket, key, entry.at.value, input) : [undefined];
    for (const version of found) {
      if (count === input.maxKeys) {
        page.truncated = true;
        page.nextKeyMarker = last?.key;
        page.nextVersionIdMarker = last?.versionId;
        return page;
      }
      count += 1;
      if (version === undefined) page.commonPrefixes.push(key);
      else page.versions.push(version);
      last = { key, versionId: version?.versionId };
    }
  }
}

/** With a version marker the listing goes on inside the key of the marker. */
function afterMarker(bucket: Bucket, { keyMarker, versionIdMarker }: VersionListInput): Uint8Array | undefined {
  if (keyMarker === '') return undefined;
  const key = objectKey(bucket.id, keyMarker);
  return versionIdMarker === '' ? key : justBefore(key);
}

function versionsFrom(bucket: Bucket, key: string, value: Uint8Array, input: VersionListInput): ObjectInfo[] {
  const all = decodeState(value).versions.map((version, i) => objectInfo(bucket, key, version, i === 0));
  const { keyMarker, versionIdMarker } = input;
  if (versionIdMarker === '' || key !== keyMarker) return all;
  const at = all.findIndex(({ versionId }) => versionId === versionIdMarker);
  if (at >= 0) return all.slice(at + 1);
  // The marker's version was removed meanwhile: ids grow with time, so the older ones are known by them.
  return all.filter(
    ({ versionId }) => versionId === 'null' || versionIdMarker === 'null' || versionId < versionIdMarker,
  );
}

/** The greatest key that sorts before this one among keys of text: the key itself comes next. */
function justBefore(key: Uint8Array): Uint8Array {
  const before = Buffer.concat([key, Buffer.from([0xff])]);
  const last = before.length - 2;
  if (before[last] === 0) return before.subarray(0, last);
  before[last]! -= 1;
  return before;
}
