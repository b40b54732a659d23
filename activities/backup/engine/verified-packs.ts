import type { Repository } from '../repository/attach.ts';
import { readRawIndex } from '../repository/index-file.ts';
import type { SideStore } from '../repository/store.ts';
import type { PackContents } from './index-contents.ts';

/** The verify ledger of a repository: when each pack was last read and found right. */
const objectName = 'verified/packs.json';

export interface VerifiedAges {
  /** Packs that were never read since they were written. */
  never: number;
  /** Of the pack whose last verification is longest ago, seconds; null while some were never verified, or there is none. */
  oldestAgeSeconds: number | null;
}

/** Unix milliseconds by name of the pack. What cannot be read counts as never verified. */
export async function readVerified(side: SideStore): Promise<Map<string, number>> {
  const bytes = await side.get(objectName);
  if (bytes === null) return new Map();
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes).toString());
    if (parsed === null || typeof parsed !== 'object') return new Map();
    return new Map(Object.entries(parsed).filter((one): one is [string, number] => typeof one[1] === 'number'));
  } catch {
    return new Map();
  }
}

/** Adds what was found right now, and drops packs that are gone. */
export async function noteVerified(
  side: SideStore,
  packs: readonly string[],
  { nowMs, present }: { nowMs: number; present: ReadonlySet<string> },
): Promise<void> {
  if (packs.length === 0) return;
  const all = await readVerified(side);
  for (const name of packs) all.set(name, nowMs);
  const kept = [...all].filter(([name]) => present.has(name)).toSorted(([a], [b]) => (a < b ? -1 : 1));
  await side.put(objectName, Buffer.from(JSON.stringify(Object.fromEntries(kept))));
}

export function verifiedAges(
  verified: ReadonlyMap<string, number>,
  packs: readonly PackContents[],
  nowMs: number,
): VerifiedAges {
  const times = packs.map(({ name }) => verified.get(name));
  const never = times.filter((time) => time === undefined).length;
  const known = times.filter((time): time is number => time !== undefined);
  const oldest = known.reduce((min, time) => Math.min(min, time), Number.POSITIVE_INFINITY);
  return { never, oldestAgeSeconds: never > 0 || known.length === 0 ? null : Math.max(0, (nowMs - oldest) / 1000) };
}

export interface Unverified {
  /**
   * Of the pack that nobody has seen right for longest, seconds: since it was last read, or written where it never was.
   * null where there is no pack.
   */
  ageSeconds: number | null;
  packs: number;
  /** Packs that were never read since they were written. */
  unverified: number;
}

/**
 * How long ago the packs of a repository were last seen right; for a metric. Packs in no index do not count.
 * @throws MusterError REPOSITORY_DAMAGED for a damaged index
 */
export async function oldestUnverified(repository: Repository, nowMs = Date.now()): Promise<Unverified> {
  const { store } = repository;
  const indexed = new Set<string>();
  for await (const { name } of store.list('index')) {
    for (const { id } of (await readRawIndex(repository, name)).packs) indexed.add(id);
  }
  const verified = await readVerified(store.side);
  const found: Unverified = { ageSeconds: null, packs: 0, unverified: 0 };
  for await (const { name, writtenMs } of store.list('data')) {
    if (!indexed.has(name)) continue;
    const readMs = verified.get(name);
    found.packs += 1;
    if (readMs === undefined) found.unverified += 1;
    // A reading of the future is of a clock that was wrong.
    const seenMs = readMs === undefined || readMs > nowMs ? writtenMs : readMs;
    found.ageSeconds = Math.max(found.ageSeconds ?? 0, (nowMs - seenMs) / 1000);
  }
  return found;
}
