import { type IndexKey } from '../store/drive-api.ts';
import { type ErasureSet } from '../store/set.ts';
import { bucketIdBytes } from '../store/drive-api.ts';
import { EntryCursor } from '../store/packed-entries.ts';
import { type LiveRow, type SetScanner, type SetScanRequest } from './set-scan.ts';

export interface MergeDeps {
  sets: readonly ErasureSet[];
  scanner: SetScanner;
}

/** An entry of some set, with its name as text whose order is that of the bytes (one character a byte). */
export interface MergedEntry {
  name: string;
  /** Stands at the entry until the next one is taken. */
  at: EntryCursor;
}

interface Source {
  set: ErasureSet;
  entries: EntryCursor;
  /** Where the next page begins; undefined after the last. */
  after: IndexKey | undefined;
  started: boolean;
  /** Of the entry at hand. */
  name: string | undefined;
}

const nameAt = bucketIdBytes + 1;
const nothing = new EntryCursor(new Uint8Array(0));

/** The entries of all sets in one order. */
export interface Merge {
  /** The next entry; 'more' when `fill` must be awaited first; undefined at the end. */
  next(): MergedEntry | 'more' | undefined;
  fill(): Promise<void>;
}

/**
 * Merges the sets page by page, with no promise for each entry. A roll-up that several sets have comes once.
 *
 * @param wanted how many entries are likely to be taken; each set is asked for its share
 */
export function mergeSets(deps: MergeDeps, request: SetScanRequest, wanted: number): Merge {
  const pageRows = shareOf(wanted, deps.sets.length);
  const sources = deps.sets.map((set): Source => ({
    set,
    entries: nothing,
    after: request.after,
    started: false,
    name: undefined,
  }));
  let lastRollup: string | undefined;
  let shown: Source | undefined;
  const isEmpty = (source: Source): boolean => !source.entries.valid && (!source.started || source.after !== undefined);

  const fillOne = async (source: Source): Promise<void> => {
    const asked = source.after === undefined ? request : { ...request, after: source.after };
    const page = await deps.scanner.page(source.set, { ...asked, pageRows });
    source.entries = new EntryCursor(page.entries);
    source.after = page.next;
    source.started = true;
    source.name = nameOf(source.entries);
  };
  const take = (): MergedEntry | 'more' | undefined => {
    if (shown !== undefined) {
      shown.entries.next();
      shown.name = nameOf(shown.entries);
      shown = undefined;
    }
    let least: Source | undefined;
    for (const source of sources) {
      if (source.name === undefined) {
        if (isEmpty(source)) return 'more';
      } else if (least === undefined || source.name < least.name!) least = source;
    }
    if (least === undefined) return undefined;
    shown = least;
    return { name: least.name!, at: least.entries };
  };
  return {
    fill: async () => void (await Promise.all(sources.filter(isEmpty).map(fillOne))),
    next() {
      for (;;) {
        const entry = take();
        if (entry === undefined || entry === 'more' || entry.at.isRow) return entry;
        if (entry.name === lastRollup) continue;
        lastRollup = entry.name;
        return entry;
      }
    },
  };
}

function nameOf(entries: EntryCursor): string | undefined {
  return entries.valid ? entries.bytes.toString('latin1', entries.keyStart + nameAt, entries.keyEnd) : undefined;
}

/** A set's share of some entries, and what chance may add to it. */
function shareOf(wanted: number, sets: number): number {
  const share = wanted / sets;
  return sets === 1 ? wanted : Math.ceil(share + 3 * Math.sqrt(share)) + 1;
}

/** Text of one character a byte as the UTF-8 it stands for. */
export function textOfName(name: string): string {
  return /[\x80-\xff]/.test(name) ? Buffer.from(name, 'latin1').toString('utf8') : name;
}

/** All rows of all sets in order. */
export async function* mergedRows(
  deps: MergeDeps,
  request: Omit<SetScanRequest, 'delimiter'>,
): AsyncGenerator<LiveRow> {
  const merge = mergeSets(deps, request, 1_000);
  for (;;) {
    const entry = merge.next();
    if (entry === 'more') await merge.fill();
    else if (entry === undefined) return;
    else if (entry.at.isRow) {
      const { key, value, hidden } = entry.at;
      yield { key, value, hidden };
    }
  }
}
