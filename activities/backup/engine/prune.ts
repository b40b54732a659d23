import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Repository } from '../repository/attach.ts';
import { createBlobTable, type BlobTable } from '../repository/blob-table.ts';
import { loadIndex, type LoadedIndex } from '../repository/index-load.ts';
import { createIndexWriter } from '../repository/index-write.ts';
import type { RepositoryLock } from '../repository/kept-lock.ts';
import { listSnapshots } from '../repository/snapshot.ts';
import { damaged, type ObjectLocks, type RemovedForGood, type RepositoryStore } from '../repository/store.ts';
import { startEngine } from './engine.ts';
import { contentsByPack, type PackContents } from './index-contents.ts';
import { markUsed } from './marks.ts';
import { planPrune, type PackUse, type PrunePlan } from './prune-plan.ts';
import { openTrees } from './trees.ts';

export interface PruneOptions {
  repository: Repository;
  /** Exclusive: nobody else may write or read meanwhile. */
  lock: RepositoryLock;
  /** So much of what is kept may be of no use, percent; 0 repacks everything that holds waste. Default 5, as restic. */
  maxUnusedPercent?: number;
  /** Say what would be done, change nothing. */
  dryRun?: boolean;
  threads?: number;
  signal?: AbortSignal;
  onProgress?: (progress: PruneProgress) => void;
}

export interface PruneProgress {
  stage: 'marking' | 'repacking' | 'removing';
  done: number;
  of: number;
}

export interface PruneResult {
  kind: 'pruned' | 'planned';
  snapshots: number;
  /** Packs by what became of them; `orphans` stood in no index: a killed backup left them. */
  packs: { kept: number; repacked: number; removed: number; orphans: number };
  /**
   * Packs among them that a lock of the store still holds: they stay, in no index, and a later prune removes them.
   * `untilMs`: when the last of the locks ends, Unix milliseconds; null where nobody knows.
   */
  held: HeldPacks;
  /** Of sealed blobs: needed, of no use before, and of no use afterwards. */
  bytes: { used: number; unusedBefore: number; unusedAfter: number; orphans: number };
  seconds: number;
}

export interface HeldPacks {
  count: number;
  bytes: number;
  untilMs: number | null;
}

const removalsAtOnce = 8;

/**
 * Gives back the space of what no snapshot needs. Order: blobs that move are written and indexed, a new index without
 * the packs that go is written, the old index is removed, then the packs; whatever ends it early, every snapshot stays
 * whole. Nothing is removed from a repository that lacks something a snapshot needs.
 * @throws MusterError REPOSITORY_DAMAGED, REPOSITORY_LOCKED when the lock was lost, CONFIG_INVALID
 */
export async function prune(options: PruneOptions): Promise<PruneResult> {
  const startedAt = performance.now();
  const { repository, lock, maxUnusedPercent = 5 } = options;
  if (!lock.exclusive) throw new MusterError('INTERNAL', 'a prune needs the repository for itself');
  if (!(maxUnusedPercent >= 0 && maxUnusedPercent <= 100)) {
    throw new MusterError('CONFIG_INVALID', `the unused share must be 0 to 100 percent, not ${maxUnusedPercent}`);
  }
  const table = createBlobTable();
  const loaded = await loadIndex(repository, table);
  const snapshots = await markSnapshots(options, table);
  const contents = contentsByPack(table, loaded);
  const sizes = await packSizes(repository);
  const uses = [...contents].map(([pack, one]) => useOf(table, pack, one));
  mustBeThere(repository, uses, sizes);
  const plan = planPrune(uses, maxUnusedPercent);
  const orphans = [...sizes.keys()].filter((name) => !loaded.packs.has(name));
  const held: HeldPacks = { count: 0, bytes: 0, untilMs: null };
  const result = (kind: PruneResult['kind']): PruneResult => ({
    ...{ kind, snapshots, held },
    packs: {
      kept: plan.keep.length,
      repacked: plan.repack.length,
      removed: plan.remove.length,
      orphans: orphans.length,
    },
    bytes: {
      used: sum(uses.map(({ usedBytes }) => usedBytes)),
      unusedBefore: sum(uses.map(({ unusedBytes }) => unusedBytes)),
      unusedAfter: plan.unusedAfterBytes,
      orphans: sum(orphans.map((name) => sizes.get(name)!)),
    },
    seconds: (performance.now() - startedAt) / 1000,
  });
  if (options.dryRun === true) return result('planned');
  for (const { sizeBytes, untilMs } of await carryOut(options, plan, { table, loaded, contents, orphans, sizes })) {
    held.count += 1;
    held.bytes += sizeBytes;
    if (untilMs !== null) held.untilMs = Math.max(held.untilMs ?? 0, untilMs);
  }
  return result('pruned');
}

async function markSnapshots({ repository, onProgress }: PruneOptions, table: BlobTable): Promise<number> {
  const { snapshots, damaged: broken } = await listSnapshots(repository);
  if (broken[0] !== undefined) throw broken[0];
  const trees = openTrees(repository, table);
  for (const [i, snapshot] of snapshots.entries()) {
    onProgress?.({ stage: 'marking', done: i, of: snapshots.length });
    await markUsed(trees, table, [snapshot], ({ path, why }) => {
      const what = `snapshot ${snapshot.id.slice(0, 8)} cannot be restored whole: ${path}: ${why}; nothing was removed`;
      throw new MusterError('REPOSITORY_DAMAGED', `${what} (repository ${repository.store.place})`);
    });
  }
  return snapshots.length;
}

async function packSizes({ store }: Repository): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { name, sizeBytes } of store.list('data')) sizes.set(name, sizeBytes);
  return sizes;
}

/** The second copy of a blob is of no use: the table knows where the first is. */
const isUsedAt = (table: BlobTable, pack: number, slot: number): boolean =>
  table.isMarked(slot, 'used') && table.location(slot)?.pack === pack;

function useOf(table: BlobTable, pack: number, { name, entries }: PackContents): PackUse {
  const use: PackUse = { name, type: entries[0]!.type, usedBytes: 0, unusedBytes: 0 };
  for (const { type, slot, length } of entries) {
    if (type !== use.type) use.type = 'mixed';
    use[isUsedAt(table, pack, slot) ? 'usedBytes' : 'unusedBytes'] += length;
  }
  return use;
}

function mustBeThere({ store }: Repository, uses: readonly PackUse[], sizes: ReadonlyMap<string, number>): void {
  const missing = uses.find(({ name, usedBytes }) => usedBytes > 0 && !sizes.has(name));
  if (missing === undefined) return;
  throw damaged(store, 'data', missing.name, 'is missing, and snapshots need it; nothing was removed');
}

interface Known {
  table: BlobTable;
  loaded: LoadedIndex;
  contents: ReadonlyMap<number, PackContents>;
  orphans: readonly string[];
  sizes: ReadonlyMap<string, number>;
}

interface HeldPack {
  sizeBytes: number;
  untilMs: number | null;
}

async function carryOut(options: PruneOptions, plan: PrunePlan, known: Known): Promise<HeldPack[]> {
  const { repository, lock } = options;
  const { loaded, orphans } = known;
  const old = [...loaded.files, ...loaded.superseded];
  const going = [...plan.remove, ...plan.repack];
  if (going.length > 0 || loaded.superseded.length > 0) {
    await repackAll(options, new Set(plan.repack), known);
    const index = createIndexWriter(repository, old);
    const kept = new Set(plan.keep);
    for (const { name, entries } of known.contents.values()) if (kept.has(name)) await index.add({ name, entries });
    await index.finish();
    await lock.confirm();
    await eachOf(options, old, (name) => repository.store.remove('index', name));
  }
  await lock.confirm();
  const held = await removePacks(options, [...going, ...orphans], known.sizes);
  await repository.store.removeLeftovers(0);
  return held;
}

/** What the store does not let go yet is no failure: it stays, and is told of. */
async function removePacks(
  options: PruneOptions,
  names: readonly string[],
  sizes: ReadonlyMap<string, number>,
): Promise<HeldPack[]> {
  const { store } = options.repository;
  const locks = names.length === 0 ? null : await locksOf(store);
  const held: HeldPack[] = [];
  await eachOf(options, names, async (name) => {
    const outcome = await (locks === null ? removeOrHeld(store, name) : locks.removeForGood('data', name));
    if (outcome.kind === 'held') held.push({ sizeBytes: sizes.get(name) ?? 0, untilMs: outcome.untilMs });
  });
  return held;
}

/** Keys that may remove objects need not be allowed to ask how the bucket locks them. */
async function locksOf(store: RepositoryStore): Promise<ObjectLocks | null> {
  try {
    return await store.objectLocks();
  } catch (err) {
    if (err instanceof MusterError && err.code === 'CREDENTIALS_REFUSED') return null;
    throw err;
  }
}

/** A bucket may be locked as a whole. */
async function removeOrHeld(store: RepositoryStore, name: string): Promise<RemovedForGood> {
  try {
    await store.remove('data', name);
    return { kind: 'removed' };
  } catch (err) {
    if (err instanceof MusterError && err.code === 'OBJECT_LOCKED') return { kind: 'held', untilMs: null };
    throw err;
  }
}

async function repackAll(
  options: PruneOptions,
  wanted: ReadonlySet<string>,
  { table, contents }: Known,
): Promise<void> {
  const jobs = [...contents].filter(([, { name }]) => wanted.has(name));
  if (jobs.length === 0) return;
  const engine = startEngine({ ...options, table });
  let [next, done] = [0, 0];
  const lane = async (): Promise<void> => {
    for (let job = jobs[next++]; job !== undefined; job = jobs[next++]) {
      throwIfStopped(options);
      const [pack, { name, entries }] = job;
      const used = entries.filter(({ slot }) => isUsedAt(table, pack, slot));
      await engine.threads.ask({ kind: 'repack', job: { pack: name, entries: used } });
      options.onProgress?.({ stage: 'repacking', done: ++done, of: jobs.length });
    }
  };
  try {
    await Promise.all(Array.from({ length: engine.threads.count * 2 }, lane));
    await engine.flush();
  } finally {
    await engine.end();
  }
}

async function eachOf(
  options: PruneOptions,
  names: readonly string[],
  remove: (name: string) => Promise<void>,
): Promise<void> {
  let [next, done] = [0, 0];
  const lane = async (): Promise<void> => {
    for (let name = names[next++]; name !== undefined; name = names[next++]) {
      throwIfStopped(options);
      await remove(name);
      options.onProgress?.({ stage: 'removing', done: ++done, of: names.length });
    }
  };
  await Promise.all(Array.from({ length: removalsAtOnce }, lane));
}

function throwIfStopped({ signal, lock }: PruneOptions): void {
  signal?.throwIfAborted();
  lock.signal.throwIfAborted();
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
