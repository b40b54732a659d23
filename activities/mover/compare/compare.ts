import { compareKeys } from '../../objects/keys.ts';
import { type Side, fullKey } from '../side.ts';
import { joinSorted, type Joined } from './join.ts';
import { type Entry, type PageReader, readPages } from './pages.ts';
import { cutRange, findBoundaries, type KeyRange, type NextKey, wholeRange } from './ranges.ts';

export interface CompareInput {
  source: Side;
  target: Side;
  /** All versions instead of the newest alone. */
  versions?: boolean;
  /** Ranges listed at once; each lists both sides. Default 8. */
  parallel?: number;
  /** Where to go on, as `remaining` gave it; default: everything. */
  ranges?: readonly KeyRange[];
  pageKeys?: number;
  /** Also visits stretches of keys at the end of a range, where neither side has any: with an empty batch. */
  emptySpans?: boolean;
  signal?: AbortSignal;
}

/**
 * Keys of one range in order, of about one page. Awaited before the range goes on: that is the brake. `done` of the
 * batch is called when nothing of it has to be looked at again after a stop. `span`: in it neither side has more keys
 * than these.
 */
export type Visit = (batch: readonly Joined<Entry>[], done: () => void, span: KeyRange) => Promise<void> | void;

export interface Comparing {
  /** Resolves when every range was visited. Rejects with the first failure of a listing or a visit. */
  finished: Promise<void>;
  /** Ranges whose keys are not all done: what a later comparison has to look at, first keys first. */
  remaining(): KeyRange[];
}

/** A range that shares less than this with its reader's page ahead is not worth the probes of a split. */
const splitAfterPages = 2;
const mostBoundaries = 256;

interface Live {
  range: KeyRange;
  /** All keys up to here were given to `visit`. */
  visitedUpTo: string;
  /** Batches given out and not done, oldest first: the first key not done lies in the first of them. */
  open: { after: string; done: boolean }[];
  pages: number;
  splitting: boolean;
  solid: boolean;
  ended: boolean;
}

/**
 * Lists two sides at once and joins them, several ranges of the key space in parallel. A range is cut where it has most
 * left to do, whenever a lister has nothing to do; so a flat bucket of millions is listed by all of them. Memory: a few
 * pages a range. Order holds within a batch and a range, not among ranges.
 */
export function compareSides(input: CompareInput, visit: Visit): Comparing {
  const parallel = input.parallel ?? 8;
  const queue: KeyRange[] = [...(input.ranges ?? [wholeRange])];
  const lives = new Set<Live>();
  const stop = new AbortController();
  const signal = input.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, input.signal]);
  const bell = createBell();

  async function lister(): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const range = queue.shift();
      if (range !== undefined) {
        const live = startLive(range, lives);
        await visitRange({ ...input, signal }, live, { visit, progressed: bell.ring });
        live.ended = true;
        if (live.open.length === 0) lives.delete(live);
        bell.ring();
        continue;
      }
      const victim = mostToDo(lives);
      if (victim !== undefined) {
        queue.push(...(await split({ ...input, signal }, victim, parallel)));
        bell.ring();
      } else if ([...lives].every(({ ended }) => ended)) return;
      else await bell.rung();
    }
  }

  const listers = Array.from({ length: parallel }, () =>
    lister().catch((err: unknown) => {
      stop.abort(err);
      bell.ring();
      throw err;
    }),
  );
  return {
    finished: Promise.allSettled(listers).then((ends) => {
      const failed = ends.filter((end): end is PromiseRejectedResult => end.status === 'rejected');
      if (failed.length > 0) throw stop.signal.reason ?? failed[0]!.reason;
    }),
    remaining: () => [...[...lives].flatMap(restOf), ...queue],
  };
}

function startLive(range: KeyRange, lives: Set<Live>): Live {
  const live: Live = {
    range: { ...range },
    visitedUpTo: range.after,
    open: [],
    ...{ pages: 0, splitting: false, solid: false, ended: false },
  };
  lives.add(live);
  return live;
}

function restOf(live: Live): KeyRange[] {
  const after = live.open[0]?.after ?? live.visitedUpTo;
  if (!live.ended) return [{ ...live.range, after }];
  return live.open.length === 0 ? [] : [{ after, upTo: live.visitedUpTo }];
}

async function visitRange(
  input: CompareInput & { signal: AbortSignal },
  live: Live,
  { visit, progressed }: { visit: Visit; progressed: () => void },
): Promise<void> {
  const read = (side: Side): PageReader =>
    readPages({
      side,
      after: live.range.after,
      versions: input.versions === true,
      signal: input.signal,
      ...(input.pageKeys === undefined ? {} : { pageKeys: input.pageKeys }),
    });
  const readers = [read(input.source), read(input.target)] as const;
  try {
    for await (const joined of joinSorted(...readers)) {
      input.signal.throwIfAborted();
      const batch = upTo(joined, live.range.upTo);
      if (batch.length > 0) await giveOut(live, batch, visit);
      live.pages += 1;
      if (live.pages === splitAfterPages) progressed();
      if (batch.length < joined.length) break;
    }
    if (input.emptySpans === true) await visitRest(live, visit);
  } finally {
    for (const reader of readers) reader.close();
  }
}

async function giveOut(live: Live, batch: readonly Joined<Entry>[], visit: Visit): Promise<void> {
  const mark = { after: live.visitedUpTo, done: false };
  live.open.push(mark);
  live.visitedUpTo = batch.at(-1)!.key;
  const closed = (): void => {
    mark.done = true;
    while (live.open[0]?.done === true) live.open.shift();
  };
  await visit(batch, closed, { after: mark.after, upTo: live.visitedUpTo });
}

async function visitRest(live: Live, visit: Visit): Promise<void> {
  // What is left is no other lister's any more.
  live.solid = true;
  await visit([], () => {}, { ...live.range, after: live.visitedUpTo });
}

function upTo(joined: Joined<Entry>[], last: string | undefined): Joined<Entry>[] {
  if (last === undefined || joined.length === 0 || compareKeys(joined.at(-1)!.key, last) <= 0) return joined;
  return joined.slice(
    0,
    joined.findIndex(({ key }) => compareKeys(key, last) > 0),
  );
}

/** The range that has been read longest without an end in sight. */
function mostToDo(lives: ReadonlySet<Live>): Live | undefined {
  let most: Live | undefined;
  for (const live of lives) {
    if (live.ended || live.splitting || live.solid || live.pages < splitAfterPages) continue;
    if (most === undefined || live.pages > most.pages) most = live;
  }
  return most;
}

/** Cuts what is left of a range and gives back all pieces but the first, which its lister keeps. */
async function split(input: CompareInput, live: Live, parallel: number): Promise<KeyRange[]> {
  live.splitting = true;
  try {
    const rest = { ...live.range, after: live.visitedUpTo };
    let boundaries = await findBoundaries(rest, nextOf(input.source, input.signal), mostBoundaries);
    if (boundaries.length === 0)
      boundaries = await findBoundaries(rest, nextOf(input.target, input.signal), mostBoundaries);
    if (live.ended) return [];
    const ahead = boundaries.filter((boundary) => compareKeys(boundary, live.visitedUpTo) > 0);
    live.solid = ahead.length === 0;
    live.pages = 0;
    const [kept, ...given] = cutRange({ ...live.range, after: live.visitedUpTo }, evenly(ahead, parallel - 1));
    if (given.length > 0) live.range = { ...live.range, ...(kept!.upTo === undefined ? {} : { upTo: kept!.upTo }) };
    return given;
  } finally {
    live.splitting = false;
  }
}

/** At most so many of them, spread evenly. */
export function evenly<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from({ length: most }, (_, i) => all[Math.floor(((i + 1) * all.length) / (most + 1))]!);
}

function nextOf(side: Side, signal: AbortSignal | undefined): NextKey {
  return async (after) => {
    const prefix = side.prefix === '' ? {} : { prefix: side.prefix };
    const start = after === '' ? {} : { startAfter: fullKey(side, after) };
    const page = await side.client.list({ ...prefix, ...start, maxKeys: 1 }, signal === undefined ? {} : { signal });
    return page.objects[0]?.key.slice(side.prefix.length);
  };
}

function createBell(): { ring: () => void; rung: () => Promise<void> } {
  let waiting: (() => void)[] = [];
  return {
    ring() {
      const all = waiting;
      waiting = [];
      for (const wake of all) wake();
    },
    rung: () => new Promise((resolve) => waiting.push(resolve)),
  };
}
