import { compareKeys } from '../../objects/keys.ts';

/** One key, as each side has it; at least one of the two is there. */
export interface Joined<T extends { key: string }> {
  key: string;
  source?: T;
  target?: T;
}

/** Where sorted pages come from; undefined at the end. */
export interface Pages<T> {
  next(): Promise<T[] | undefined>;
}

/**
 * Merge-join of two streams that are sorted by the UTF-8 bytes of their keys, without doubles. Holds one page of each
 * side, however many keys there are. Yields the keys of about a page at a time; they may be used until the next is
 * asked for, and longer.
 */
export async function* joinSorted<T extends { key: string }>(
  source: Pages<T>,
  target: Pages<T>,
): AsyncGenerator<Joined<T>[]> {
  const from = cursorOver(source);
  const to = cursorOver(target);
  for (;;) {
    if (from.page !== undefined && from.at === from.page.length) await from.turn();
    if (to.page !== undefined && to.at === to.page.length) await to.turn();
    if (from.page === undefined && to.page === undefined) return;
    yield joinPages(from, to);
  }
}

interface Cursor<T> {
  /** Undefined when there are no more. */
  page: T[] | undefined;
  at: number;
  turn(): Promise<void>;
}

function cursorOver<T>(pages: Pages<T>): Cursor<T> {
  const cursor: Cursor<T> = {
    page: [],
    at: 0,
    async turn() {
      cursor.page = await pages.next();
      cursor.at = 0;
      if (cursor.page?.length === 0) await cursor.turn();
    },
  };
  return cursor;
}

/** Goes on until one side's page is used up; a side that has ended holds nobody up. */
function joinPages<T extends { key: string }>(from: Cursor<T>, to: Cursor<T>): Joined<T>[] {
  const joined: Joined<T>[] = [];
  const sources = from.page;
  const targets = to.page;
  for (;;) {
    const source = sources?.[from.at];
    const target = targets?.[to.at];
    if ((source === undefined && sources !== undefined) || (target === undefined && targets !== undefined)) break;
    if (source === undefined && target === undefined) break;
    const order = source === undefined ? 1 : target === undefined ? -1 : compareKeys(source.key, target.key);
    if (order <= 0) from.at += 1;
    if (order >= 0) to.at += 1;
    if (order < 0) joined.push({ key: source!.key, source: source! });
    else if (order > 0) joined.push({ key: target!.key, target: target! });
    else joined.push({ key: source!.key, source: source!, target: target! });
  }
  return joined;
}
