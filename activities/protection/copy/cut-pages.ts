import type { CopyShard } from '../../../workflows/engine/copying.ts';
import type { Side } from '../../mover/side.ts';
import type { CallOptions, ListedObject, ListPage, ListRequest, ObjectClient } from '../../objects/types.ts';

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

/**
 * The same client whose listings give pages of at most so many bytes of objects (one at least) and so many keys. A piece
 * of a copy ends between pages: with a thousand large objects in one it would not end for a day. The store is asked no
 * more often for it: what is left of its page is given to who asks on.
 */
export function cutPages(
  client: ObjectClient,
  { bytes, keys = Infinity }: { bytes: number; keys?: number },
): ObjectClient {
  const rests = new Map<string, ListPage>();
  const list = async (request: ListRequest = {}, call?: CallOptions): Promise<ListPage> => {
    const { startAfter, prefix = '' } = request;
    // One key is no page: a range is being cut by its keys.
    if (request.maxKeys === 1 || request.delimiter !== undefined) return client.list(request, call);
    const id = JSON.stringify([prefix, startAfter ?? '']);
    const page = rests.get(id) ?? (await client.list(request, call));
    rests.delete(id);
    const at = cutAt(page.objects, bytes, keys);
    const last = page.objects[at - 1];
    if (last === undefined || at === page.objects.length) return page;
    rests.set(JSON.stringify([prefix, last.key]), { ...page, objects: page.objects.slice(at) });
    const [oldest] = rests.keys();
    if (rests.size > mostRests && oldest !== undefined) rests.delete(oldest);
    // The next page is asked for by the last key; this only says that there is one.
    return { ...page, objects: page.objects.slice(0, at), continuation: last.key };
  };
  return new Proxy(client, {
    get: (target, name) => (name === 'list' ? list : (Reflect.get(target, name) as unknown)),
  });
}

function cutAt(objects: readonly ListedObject[], bytes: number, keys: number): number {
  let sum = 0;
  for (const [i, { sizeBytes }] of objects.entries()) {
    sum += sizeBytes;
    if (i > 0 && (sum > bytes || i >= keys)) return i;
  }
  return objects.length;
}
