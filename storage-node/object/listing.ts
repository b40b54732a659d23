import {
  type Bucket,
  type ListInput,
  type ListPage,
  type ObjectInfo,
  type VersionListInput,
  type VersionListPage,
} from './model.ts';
import { type ErasureSet } from '../store/set.ts';
import { nameOf, namespace, objectKey, spaceOf } from './keys.ts';
import { type ScanEntry, type SetScanner, type SetScanRequest } from './set-scan.ts';
import { decodeState } from './state-codec.ts';
import { objectInfo } from './versions.ts';

export interface ListingDeps {
  sets: readonly ErasureSet[];
  scanner: SetScanner;
}

/** The entries of all sets in one order; a roll-up that several sets have comes once. */
export async function* mergedEntries(deps: ListingDeps, request: SetScanRequest): AsyncGenerator<ScanEntry> {
  if (deps.sets.length === 1) {
    yield* deps.scanner.entries(deps.sets[0]!, request);
    return;
  }
  const sources = deps.sets.map((set) => deps.scanner.entries(set, request));
  const heads = await Promise.all(sources.map((source) => source.next()));
  let last: Buffer | undefined;
  for (;;) {
    let least = -1;
    heads.forEach((head, i) => {
      if (head.done === true) return;
      if (least < 0 || Buffer.compare(head.value.at, (heads[least] as IteratorYieldResult<ScanEntry>).value.at) < 0)
        least = i;
    });
    if (least < 0) return;
    const entry = (heads[least] as IteratorYieldResult<ScanEntry>).value;
    if (entry.kind === 'row' || last?.equals(entry.at) !== true) yield entry;
    if (entry.kind === 'rollup') last = Buffer.from(entry.at);
    heads[least] = await sources[least]!.next();
  }
}

function requestOf(
  bucket: Bucket,
  space: number,
  input: { prefix: string; delimiter: string; after: Uint8Array | undefined },
): SetScanRequest {
  return {
    prefix: Buffer.concat([spaceOf(bucket.id, space), Buffer.from(input.prefix)]),
    ...(input.after === undefined ? {} : { after: input.after }),
    ...(input.delimiter === '' ? {} : { delimiter: Buffer.from(input.delimiter) }),
  };
}

/** Current objects of a bucket in UTF-8 byte order. */
export async function listObjects(deps: ListingDeps, bucket: Bucket, input: ListInput): Promise<ListPage> {
  const page: ListPage = { objects: [], commonPrefixes: [], truncated: false, next: undefined };
  if (input.maxKeys === 0) return page;
  const after = input.after === '' ? undefined : objectKey(bucket.id, input.after);
  const request = {
    ...requestOf(bucket, namespace.object, { ...input, after }),
    skipHidden: true,
    pageRows: input.maxKeys + 1,
  };
  for await (const entry of mergedEntries(deps, request)) {
    if (page.objects.length + page.commonPrefixes.length === input.maxKeys) {
      page.truncated = true;
      break;
    }
    const name = nameOf(entry.at);
    if (entry.kind === 'rollup') page.commonPrefixes.push(name);
    else page.objects.push(objectInfo(bucket, name, decodeState(entry.row.value).versions[0]!, true));
    page.next = name;
  }
  if (!page.truncated) page.next = undefined;
  return page;
}

/** All versions and delete markers, newest first within a key. */
export async function listVersions(
  deps: ListingDeps,
  bucket: Bucket,
  input: VersionListInput,
): Promise<VersionListPage> {
  const page: VersionListPage = {
    versions: [],
    commonPrefixes: [],
    truncated: false,
    nextKeyMarker: undefined,
    nextVersionIdMarker: undefined,
  };
  if (input.maxKeys === 0) return page;
  // With a version marker the listing goes on inside the key of the marker.
  const inside = input.versionIdMarker !== '' && input.keyMarker !== '';
  const after =
    input.keyMarker === ''
      ? undefined
      : inside
        ? justBefore(objectKey(bucket.id, input.keyMarker))
        : objectKey(bucket.id, input.keyMarker);
  const request = {
    ...requestOf(bucket, namespace.object, { ...input, after }),
    pageRows: Math.min(1_000, input.maxKeys + 1),
  };
  for await (const entry of mergedEntries(deps, request)) {
    const name = nameOf(entry.at);
    const found =
      entry.kind === 'rollup'
        ? [undefined]
        : versionsFrom(
            bucket,
            name,
            entry.row.value,
            inside && name === input.keyMarker ? input.versionIdMarker : undefined,
          );
    for (const version of found) {
      if (page.versions.length + page.commonPrefixes.length === input.maxKeys) {
        page.truncated = true;
        return page;
      }
      if (version === undefined) page.commonPrefixes.push(name);
      else page.versions.push(version);
      page.nextKeyMarker = name;
      page.nextVersionIdMarker = version?.versionId;
    }
  }
  page.nextKeyMarker = undefined;
  page.nextVersionIdMarker = undefined;
  return page;
}

function versionsFrom(bucket: Bucket, key: string, value: Uint8Array, behind: string | undefined): ObjectInfo[] {
  const all = decodeState(value).versions.map((version, i) => objectInfo(bucket, key, version, i === 0));
  if (behind === undefined) return all;
  const at = all.findIndex(({ versionId }) => versionId === behind);
  return all.slice(at + 1);
}

/** The greatest key that sorts before this one among keys of text: the key itself comes next. */
function justBefore(key: Uint8Array): Uint8Array {
  const before = Buffer.concat([key, Buffer.from([0xff])]);
  const last = before.length - 2;
  if (before[last] === 0) return before.subarray(0, last);
  before[last]! -= 1;
  return before;
}
