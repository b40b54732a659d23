import { MusterError } from '../../../workflows/engine/errors.ts';
import { compareKeys } from '../../objects/keys.ts';
import { type ListedVersion, type VersionMarker } from '../../objects/types.ts';
import { fullKey, type Side, sideName } from '../side.ts';

/** What a listing says of one key. Relative key; in a versioned listing with all its versions. */
export interface Entry {
  key: string;
  sizeBytes: number;
  etag: string;
  lastModifiedMs: number;
  storageClass: string;
  /** Oldest first, delete markers among them; the other fields are those of the newest. */
  versions?: ListedVersion[];
}

/** Pages of one side in order; undefined at the end. One page is read ahead. */
export interface PageReader {
  next(): Promise<Entry[] | undefined>;
  /** No more pages are asked for. */
  close(): void;
}

export interface ReadPages {
  side: Side;
  /** Keys behind this one. */
  after: string;
  versions: boolean;
  pageKeys?: number;
  signal?: AbortSignal;
}

interface Page {
  entries: Entry[];
  more: boolean;
}

/**
 * Lists a side from a key on.
 * @throws OBJECT_STORE_REFUSED when the store lists out of order: a join of such listings would delete what is there
 */
export function readPages(input: ReadPages): PageReader {
  const page = input.versions ? versionPages(input) : objectPages(input);
  const ordered = inOrder(input.side);
  let closed = false;
  let ended = false;
  let ahead: Promise<Page> | undefined = page();
  ahead.catch(() => {});
  return {
    async next() {
      while (!ended && !closed && ahead !== undefined) {
        const { entries, more } = await ahead;
        ahead = more && !closed ? page() : undefined;
        ahead?.catch(() => {});
        ended = !more;
        ordered(entries);
        if (entries.length > 0) return entries;
      }
      return undefined;
    },
    close() {
      closed = true;
    },
  };
}

function inOrder(side: Side): (entries: readonly Entry[]) => void {
  let before: string | undefined;
  return (entries) => {
    for (const { key } of entries) {
      if (before !== undefined && compareKeys(before, key) >= 0) {
        const message = `${sideName(side)} lists ${JSON.stringify(key)} behind ${JSON.stringify(before)}, out of order`;
        throw new MusterError('OBJECT_STORE_REFUSED', message);
      }
      before = key;
    }
  };
}

/** Asks by the last key, not by the store's token: a token may lapse, and a range may be taken up much later. */
function objectPages({ side, after, pageKeys = 1_000, signal }: ReadPages): () => Promise<Page> {
  const { client, prefix } = side;
  const call = signal === undefined ? {} : { signal };
  let startAfter = after === '' ? undefined : fullKey(side, after);
  let continuation: string | undefined;
  return async () => {
    const listed = await client.list(
      {
        maxKeys: pageKeys,
        ...(prefix === '' ? {} : { prefix }),
        ...(continuation === undefined ? {} : { continuation }),
        ...(continuation === undefined && startAfter !== undefined ? { startAfter } : {}),
      },
      call,
    );
    const lastKey = listed.objects.at(-1)?.key;
    continuation = lastKey === undefined ? listed.continuation : undefined;
    startAfter = lastKey ?? startAfter;
    const entries = prefix === '' ? listed.objects : listed.objects.map((object) => relative(object, prefix.length));
    return { entries, more: listed.continuation !== undefined };
  };
}

function relative<T extends { key: string }>(object: T, prefixLength: number): T {
  return { ...object, key: object.key.slice(prefixLength) };
}

/** A key whose versions go on in the next page waits for them. */
function versionPages({ side, after, pageKeys = 1_000, signal }: ReadPages): () => Promise<Page> {
  const { client, prefix } = side;
  const call = signal === undefined ? {} : { signal };
  let marker: VersionMarker | undefined = after === '' ? undefined : { key: fullKey(side, after) };
  let open: ListedVersion[] = [];
  return async () => {
    const request = { maxKeys: pageKeys, ...(prefix === '' ? {} : { prefix }) };
    const listed = await client.listVersions(marker === undefined ? request : { ...request, marker }, call);
    marker = listed.next;
    const entries: Entry[] = [];
    for (const version of listed.versions) {
      if (open.length > 0 && open[0]!.key !== version.key) {
        entries.push(versionEntry(open, prefix.length));
        open = [];
      }
      open.push(version);
    }
    if (marker === undefined && open.length > 0) entries.push(versionEntry(open, prefix.length));
    return { entries, more: marker !== undefined };
  };
}

function versionEntry(newestFirst: readonly ListedVersion[], prefixLength: number): Entry {
  const versions = newestFirst.map((version) => relative(version, prefixLength)).toReversed();
  const { key, sizeBytes, etag, lastModifiedMs, storageClass } = versions.at(-1)!;
  return { key, sizeBytes, etag, lastModifiedMs, storageClass, versions };
}
