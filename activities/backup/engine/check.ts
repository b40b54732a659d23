import type { MusterError } from '../../../workflows/engine/errors.ts';
import type { Repository } from '../repository/attach.ts';
import { hexOf } from '../repository/blob.ts';
import { createBlobTable, type BlobTable } from '../repository/blob-table.ts';
import { loadIndex } from '../repository/index-load.ts';
import { sealingOverhead } from '../repository/sealing.ts';
import { listSnapshots, type Snapshot } from '../repository/snapshot.ts';
import { pathOf } from '../repository/store.ts';
import { startEngine, type Engine } from './engine.ts';
import { findHurtFiles, type HurtFile } from './hurt-files.ts';
import { contentsByPack, type PackContents } from './index-contents.ts';
import { markUsed } from './marks.ts';
import { choosePacks, type ReadChoice } from './read-choice.ts';
import { openTrees } from './trees.ts';
import { noteVerified, readVerified, verifiedAges, type VerifiedAges } from './verified-packs.ts';

export interface CheckOptions {
  repository: Repository;
  /** Which packs are read and compared with their hashes, besides the structure. Default: none. */
  read?: ReadChoice;
  threads?: number;
  signal?: AbortSignal;
  nowMs?: () => number;
  onProgress?: (progress: CheckProgress) => void;
}

export interface CheckProgress {
  packs: number;
  ofPacks: number;
  bytes: number;
  ofBytes: number;
}

/**
 * `damage`: something that snapshots need is lost or wrong, or a file of the repository is not what its name says;
 * `waste`: space that a prune gives back.
 */
export interface CheckProblem {
  severity: 'damage' | 'waste';
  /** The file of the repository, as `data/ab/ab…`; empty where it is about none. */
  file: string;
  why: string;
}

export interface CheckResult {
  kind: 'intact' | 'damaged';
  problems: CheckProblem[];
  /** Files of snapshots that cannot be restored whole because of it. */
  hurt: HurtFile[];
  snapshots: number;
  packs: { count: number; bytes: number; read: number; bytesRead: number };
  blobs: { count: number; used: number };
  /** When each pack was last read and found right. */
  verified: VerifiedAges;
  seconds: number;
}

const progressEveryMs = 200;

/**
 * Compares the repository with itself: every snapshot's trees and blobs are in the index, every pack of the index is
 * there and as long as it says; chosen packs are read whole. The caller holds a lock. Damage is a result, not an error.
 */
export async function check(options: CheckOptions): Promise<CheckResult> {
  const startedAt = performance.now();
  const nowMs = options.nowMs ?? Date.now;
  const { repository } = options;
  const table = createBlobTable();
  const problems: CheckProblem[] = [];
  const note = (err: MusterError): void => void problems.push({ severity: 'damage', file: '', why: err.message });
  const loaded = await loadIndex(repository, table, { onDamaged: note });
  const contents = [...contentsByPack(table, loaded).values()];
  const { sizes, written } = await storedPacks(repository);
  const lost = new Set<string>();
  comparePacks(contents, sizes, { problems, lost });
  const listed = await listSnapshots(repository);
  for (const err of listed.damaged) note(err);
  const hurt: HurtFile[] = [];
  const trees = openTrees(repository, table);
  await markUsed(trees, table, listed.snapshots, (piece) => hurt.push(piece));
  const verified = await readVerified(repository.store.side);
  const chosen = choosePacks(options.read ?? { kind: 'none' }, contents, { verified, written, nowMs: nowMs() });
  const present = chosen.filter(({ name }) => sizes.has(name));
  const read = await readPacks(options, table, present, { sizes, problems, lost });
  hurt.push(...(await hurtBy(listed.snapshots, trees, lost)));
  await noteVerified(repository.store.side, read.right, { nowMs: nowMs(), present: new Set(sizes.keys()) });
  const damage = problems.some(({ severity }) => severity === 'damage') || hurt.length > 0;
  return {
    kind: damage ? 'damaged' : 'intact',
    ...{ problems, hurt, snapshots: listed.snapshots.length },
    packs: { count: contents.length, bytes: sum(sizes.values()), read: present.length, bytesRead: read.bytes },
    blobs: { count: table.blobCount, used: countUsed(table) },
    verified: verifiedAges(await readVerified(repository.store.side), contents, nowMs()),
    seconds: (performance.now() - startedAt) / 1000,
  };
}

async function storedPacks({
  store,
}: Repository): Promise<{ sizes: Map<string, number>; written: Map<string, number> }> {
  const [sizes, written] = [new Map<string, number>(), new Map<string, number>()];
  for await (const { name, sizeBytes, writtenMs } of store.list('data')) {
    sizes.set(name, sizeBytes);
    written.set(name, writtenMs);
  }
  return { sizes, written };
}

interface Findings {
  problems: CheckProblem[];
  /** Ids of blobs that are lost, in hexadecimal. */
  lost: Set<string>;
}

function comparePacks(contents: readonly PackContents[], sizes: ReadonlyMap<string, number>, found: Findings): void {
  const known = new Set<string>();
  for (const { name, entries } of contents) {
    known.add(name);
    const size = sizes.get(name);
    const why = size === undefined ? 'is missing' : wrongSize(size, entries);
    if (why === null) continue;
    found.problems.push({ severity: 'damage', file: pathOf('data', name), why });
    for (const { id, offset, length } of entries) {
      if (size === undefined || offset + length > size) found.lost.add(hexOf(id));
    }
  }
  for (const name of sizes.keys()) {
    if (known.has(name)) continue;
    found.problems.push({ severity: 'waste', file: pathOf('data', name), why: 'stands in no index' });
  }
}

/** A pack is its blobs, a header that is sealed, with 37 or 41 bytes for each, and four bytes of length. */
function wrongSize(size: number, entries: PackContents['entries']): string | null {
  const header = entries.reduce((bytes, { uncompressedLength }) => bytes + (uncompressedLength === 0 ? 37 : 41), 0);
  const expected = entries.reduce((bytes, { length }) => bytes + length, 0) + header + sealingOverhead + 4;
  return size === expected ? null : `is ${size} bytes long, its index says ${expected}`;
}

async function readPacks(
  options: CheckOptions,
  table: BlobTable,
  packs: readonly PackContents[],
  { sizes, problems, lost }: Findings & { sizes: ReadonlyMap<string, number> },
): Promise<{ right: string[]; bytes: number }> {
  if (packs.length === 0) return { right: [], bytes: 0 };
  const progress = {
    packs: 0,
    ofPacks: packs.length,
    bytes: 0,
    ofBytes: sum(packs.map((p) => sizes.get(p.name) ?? 0)),
  };
  const engine = startEngine({ ...options, table });
  const ticking = setInterval(() => options.onProgress?.({ ...progress }), progressEveryMs);
  const right: string[] = [];
  try {
    await eachPack(engine, packs, options.signal, (verdict) => {
      progress.packs += 1;
      progress.bytes += verdict.bytes;
      if (verdict.problems.length === 0) right.push(verdict.pack);
      for (const { why, blobs } of verdict.problems) {
        problems.push({ severity: 'damage', file: pathOf('data', verdict.pack), why });
        for (const id of blobs) lost.add(id);
      }
    });
    return { right, bytes: progress.bytes };
  } finally {
    clearInterval(ticking);
    options.onProgress?.({ ...progress });
    await engine.end();
  }
}

type Verdict = Extract<Awaited<ReturnType<Engine['threads']['ask']>>, { kind: 'checked' }>['verdict'];

/** Two packs at a time for each thread: one is read while the other is opened. */
async function eachPack(
  engine: Engine,
  packs: readonly PackContents[],
  signal: AbortSignal | undefined,
  take: (verdict: Verdict) => void,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let pack = packs[next++]; pack !== undefined; pack = packs[next++]) {
      signal?.throwIfAborted();
      const answer = await engine.threads.ask({ kind: 'check', job: { pack: pack.name, entries: pack.entries } });
      if (answer.kind === 'checked') take(answer.verdict);
    }
  };
  await Promise.all(Array.from({ length: engine.threads.count * 2 }, lane));
}

async function hurtBy(
  snapshots: readonly Snapshot[],
  trees: ReturnType<typeof openTrees>,
  lost: ReadonlySet<string>,
): Promise<HurtFile[]> {
  return lost.size === 0 ? [] : findHurtFiles(trees, snapshots, lost);
}

function countUsed(table: BlobTable): number {
  let used = 0;
  table.forEach((slot) => void (used += table.isMarked(slot, 'used') ? 1 : 0));
  return used;
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
