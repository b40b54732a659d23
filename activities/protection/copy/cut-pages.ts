import type { CopyShard } from '../../../workflows/engine/copying.ts';
import type { Side } from '../../mover/side.ts';
import type {
  CallOptions,
  ListedObject,
  ListPage,
  ListRequest,
  ListVersionsRequest,
  ObjectClient,
  VersionPage,
} from '../../objects/types.ts';

/** What is begun when a piece is large enough is brought to its end: of so many pages at most, one for each lister. */
const pagesOfPiece = 16;

/** A side whose pages are small against a piece. */
export function inPieces(side: Side, { bytes, pageKeys }: Pick<CopyShard, 'bytes' | 'pageKeys'>): Side {
  const limits = {
    bytes: Math.max(1, Math.floor(bytes / pagesOfPiece)),
    ...(pageKeys !== undefined && { keys: pageKeys }),
  };
  return { ...side, client: cutPages(side.client, limits) };
}

/** Rests of pages that nobody has asked for yet: a page for each range that is listed, and some more. */
const mostRests = 64;

interface Limits {
  /** Of objects; delete markers have none. */
  bytes: number;
  keys: number;
}

/**
 * The same client whose listings, of objects and of versions, give pages of at most so many bytes of objects (one at
 * least) and so many keys. A piece of a copy ends between pages: with a thousand large objects in one it would not end
 * for a day. The store is asked no more often for it: what is left of its page is given to who asks on.
 */
export function cutPages(
  client: ObjectClient,
  { bytes, keys = Infinity }: { bytes: number; keys?: number },
): ObjectClient {
  const list = cutObjects(client, { bytes, keys });
  const listVersions = cutVersions(client, { bytes, keys });
  return new Proxy(client, {
    get(target, name) {
      if (name === 'list') return list;
      return name === 'listVersions' ? listVersions : (Reflect.get(target, name) as unknown);
    },
  });
}

function cutObjects(client: ObjectClient, limits: Limits): ObjectClient['list'] {
  const rests = createRests<ListPage>();
  return async (request: ListRequest = {}, call?: CallOptions): Promise<ListPage> => {
    const { startAfter, prefix = '' } = request;
    // One key is no page: a range is being cut by its keys.
    if (request.maxKeys === 1 || request.delimiter !== undefined) return client.list(request, call);
    const page = rests.take([prefix, startAfter ?? '']) ?? (await client.list(request, call));
    const at = cutAt(page.objects, limits);
    const last = page.objects[at - 1];
    if (last === undefined || at === page.objects.length) return page;
    rests.keep([prefix, last.key], { ...page, objects: page.objects.slice(at) });
    // The next page is asked for by the last key; this only says that there is one.
    return { ...page, objects: page.objects.slice(0, at), continuation: last.key };
  };
}

/** The store takes the place of any version to go on from, also of one in the middle of its key. */
function cutVersions(client: ObjectClient, limits: Limits): ObjectClient['listVersions'] {
  const rests = createRests<VersionPage>();
  return async (request: ListVersionsRequest = {}, call?: CallOptions): Promise<VersionPage> => {
    const { marker, prefix = '' } = request;
    if (request.delimiter !== undefined) return client.listVersions(request, call);
    const kept = rests.take([prefix, marker?.key ?? '', marker?.versionId ?? '']);
    const page = kept ?? (await client.listVersions(request, call));
    const at = cutAt(page.versions, limits);
    const last = page.versions[at - 1];
    if (last === undefined || at === page.versions.length) return page;
    const next = { key: last.key, versionId: last.versionId };
    rests.keep([prefix, next.key, next.versionId], { ...page, versions: page.versions.slice(at) });
    return { ...page, versions: page.versions.slice(0, at), next };
  };
}

/** What is left of pages, by where it goes on; the oldest is forgotten first, and asked for again. */
function createRests<Page>(): { take(at: string[]): Page | undefined; keep(at: string[], rest: Page): void } {
  const rests = new Map<string, Page>();
  return {
    take(at) {
      const id = JSON.stringify(at);
      const rest = rests.get(id);
      rests.delete(id);
      return rest;
    },
    keep(at, rest) {
      rests.set(JSON.stringify(at), rest);
      const [oldest] = rests.keys();
      if (rests.size > mostRests && oldest !== undefined) rests.delete(oldest);
    },
  };
}

function cutAt(objects: readonly ListedObject[], { bytes, keys }: Limits): number {
  let sum = 0;
  for (const [i, { sizeBytes }] of objects.entries()) {
    sum += sizeBytes;
    if (i > 0 && (sum > bytes || i >= keys)) return i;
  }
  return objects.length;
}
