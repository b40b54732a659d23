import { type IndexKey } from '../store/drive-api.ts';
import { type ErasureSet } from '../store/set.ts';
import { bucketIdBytes } from '../store/drive-api.ts';
import { type LiveRow, type ScanEntry, type SetScanner, type SetScanRequest } from './set-scan.ts';

export interface MergeDeps {
  sets: readonly ErasureSet[];
  scanner: SetScanner;
}

/** An entry of some set, with its name as text whose order is that of the bytes (one character a byte). */
export interface MergedEntry {
  name: string;
  row: LiveRow | undefined;
}

interface Source {
  set: ErasureSet;
  entries: readonly ScanEntry[];
  at: number;
  /** Where the next page begins; undefined after the last. */
  after: IndexKey | undefined;
  started: boolean;
  /** Of the entry at `at`. */
  name: string | undefined;
}

const nameAt = bucketIdBytes + 1;

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
    entries: [],
    at: 0,
    after: request.after,
    started: false,
    name: undefined,
  }));
  let lastRollup: string | undefined;
  const isEmpty = (source: Source): boolean =>
    source.at >= source.entries.length && (!source.started || source.after !== undefined);

  const fillOne = async (source: Source): Promise<void> => {
    const asked = source.after === undefined ? request : { ...request, after: source.after };
    const page = await deps.scanner.page(source.set, { ...asked, pageRows });
    source.entries = page.entries;
    source.after = page.next;
    source.started = true;
    source.at = 0;
    source.name = nameOfEntry(source);
  };
  const take = (): MergedEntry | 'more' | undefined => {
    let least: Source | undefined;
    for (const source of sources) {
      if (source.name === undefined) {
        if (isEmpty(source)) return 'more';
      } else if (least === undefined || source.name < least.name!) least = source;
    }
    if (least === undefined) return undefined;
    const entry = { name: least.name!, row: least.entries[least.at]!.row };
    least.at += 1;
    least.name = nameOfEntry(least);
    return entry;
  };
  return {
    fill: async () => void (await Promise.all(sources.filter(isEmpty).map(fillOne))),
    next() {
      for (;;) {
        const entry = take();
        if (entry === undefined || entry === 'more' || entry.row !== undefined) return entry;
        if (entry.name === lastRollup) continue;
        lastRollup = entry.name;
        return entry;
      }
    },
  };
}

function nameOfEntry({ entries, at }: Source): string | undefined {
  const entry = entries[at];
  if (entry === undefined) return undefined;
  const { buffer, byteOffset, length } = entry.at;
  return Buffer.from(buffer, byteOffset + nameAt, length - nameAt).toString('latin1');
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
    else if (entry.row !== undefined) yield entry.row;
  }
}
