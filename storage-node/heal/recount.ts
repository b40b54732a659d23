import { valueOf } from '../consensus/envelope.ts';
import { ballotTimeMs } from '../consensus/ballot.ts';
import { collect } from '../consensus/collect.ts';
import { type DataId, type IndexKey, type ScanRow } from '../store/drive-api.ts';
import { type DriveHandle, type ErasureSet } from '../store/set.ts';
import { forgetTombstone, healKey } from './heal-key.ts';
import { type HealDeps, type KeyHealth } from './types.ts';

/** Rows looked at together. */
const pageRows = 500;
const keysAtOnce = 8;
/** Tombstones stay at least this long: slow messages of older writes are surely gone by then. */
const tombstoneKeepMs = 60 * 60 * 1000;

/** What a pass over a set counted. `short` 0 is the proof that every value has all its shards. */
export interface Recount {
  keys: number;
  tombstones: number;
  /** Shards that values refer to: N for each. */
  shardsExpected: number;
  shardsLacking: number;
  shardsWritten: number;
  bytesWritten: number;
  bytesChecked: number;
  /** Keys that were not whole when looked at. */
  unwhole: number;
  /** Keys that are not whole now. */
  short: number;
  /** Some of the reasons. */
  reasons: string[];
  tombstonesForgotten: number;
  /** The pass reached the end with all drives of the set answering. */
  complete: boolean;
}

export interface RecountOptions {
  /** Read and verify every block, too. */
  verify: boolean;
  /** Heal what is found. Without it the pass only counts. */
  heal: boolean;
  onProgress?: (soFar: Recount) => void;
  stopped?: () => boolean;
}

/** Walks over everything a set has, on all its drives, compares, and heals what differs. */
export async function recountSet(deps: HealDeps, set: ErasureSet, options: RecountOptions): Promise<Recount> {
  const count: Recount = {
    keys: 0,
    tombstones: 0,
    shardsExpected: 0,
    shardsLacking: 0,
    shardsWritten: 0,
    bytesWritten: 0,
    bytesChecked: 0,
    unwhole: 0,
    short: 0,
    reasons: [],
    tombstonesForgotten: 0,
    complete: false,
  };
  let after: IndexKey | undefined;
  let allAnswered = true;
  while (options.stopped?.() !== true) {
    const page = await readPage(deps, set, after);
    if (page.answered < set.drives.length) allAnswered = false;
    if (page.answered === 0) {
      note(count, 'no drive of the set answered');
      return count;
    }
    await lookAfterPage(deps, set, page.keys, { options, count });
    options.onProgress?.(count);
    if (page.next === undefined) {
      count.complete = allAnswered;
      return count;
    }
    after = page.next;
  }
  return count;
}

interface Page {
  /** Every key any drive has in this stretch, with the row of each drive that has it. */
  keys: Map<string, Map<DriveHandle, ScanRow>>;
  answered: number;
  next: IndexKey | undefined;
}

/** The same stretch of keys from all drives: as far as the drive that got least far. */
async function readPage(deps: HealDeps, set: ErasureSet, after: IndexKey | undefined): Promise<Page> {
  const request = {
    prefix: new Uint8Array(0),
    after,
    delimiter: undefined,
    limit: pageRows,
    skipTombstones: false,
    skipHidden: false,
  };
  const { answered } = await collect(set.drives, (drive) => drive.api.scan(request, { deadlineMs: deps.deadlineMs }), {
    clock: deps.env.clock,
    enough: () => false,
    graceMs: 0,
    deadlineMs: deps.deadlineMs,
  });
  const ends = answered.flatMap(({ value }) => (value.next === undefined ? [] : [Buffer.from(value.next)]));
  const next = ends.sort(Buffer.compare)[0];
  const keys: Page['keys'] = new Map();
  for (const { drive, value } of answered) {
    for (const row of value.rows) {
      if (next !== undefined && Buffer.compare(row.key, next) > 0) break;
      const text = Buffer.from(row.key).toString('latin1');
      const rows = keys.get(text) ?? new Map<DriveHandle, ScanRow>();
      rows.set(drive, row);
      keys.set(text, rows);
    }
  }
  return { keys, answered: answered.length, next };
}

async function lookAfterPage(
  deps: HealDeps,
  set: ErasureSet,
  keys: Page['keys'],
  pass: { options: RecountOptions; count: Recount },
): Promise<void> {
  const { options, count } = pass;
  const alike: ScanRow[] = [];
  const unwhole: IndexKey[] = [];
  for (const rows of keys.values()) {
    const [row] = rows.values();
    count.keys += 1;
    if (row!.tombstone) count.tombstones += 1;
    if (agree(rows, set)) alike.push(row!);
    else unwhole.push(row!.key);
  }
  unwhole.push(...(await incomplete(deps, set, alike, pass)));
  const healOne = async (key: IndexKey): Promise<void> => {
    count.unwhole += 1;
    // A key that cannot be read must not keep the others from being looked after.
    const health: KeyHealth = options.heal
      ? await healKey(deps, { set, key }, options.verify).catch((error: unknown) => shortFor(messageOf(error)))
      : shortFor('not healed, only counted');
    count.shardsLacking += health.shardsLacking;
    count.shardsWritten += health.shardsWritten;
    count.bytesWritten += health.bytesWritten;
    if (health.kind === 'short') {
      count.short += 1;
      note(count, health.reason ?? 'unknown');
    }
  };
  // Of small objects healing is mostly waiting: for answers and for syncs that several can share.
  const left = unwhole.values();
  const healer = async (): Promise<void> => {
    for (const key of left) await healOne(key);
  };
  await Promise.all(Array.from({ length: keysAtOnce }, healer));
  if (options.heal) await forgetOld(deps, set, alike, count);
}

function shortFor(reason: string): KeyHealth {
  return { kind: 'short', shardsLacking: 0, shardsWritten: 0, bytesWritten: 0, reason };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function agree(rows: ReadonlyMap<DriveHandle, ScanRow>, set: ErasureSet): boolean {
  if (rows.size < set.drives.length) return false;
  const [first] = rows.values();
  for (const row of rows.values()) if (row.ballot !== first!.ballot || !row.decided) return false;
  return true;
}

/** Keys all drives agree on, of which some drive lacks a shard, or nobody can say. */
async function incomplete(
  deps: HealDeps,
  set: ErasureSet,
  rows: readonly ScanRow[],
  pass: { options: RecountOptions; count: Recount },
): Promise<IndexKey[]> {
  const owners: IndexKey[] = [];
  const unreadable: IndexKey[] = [];
  const ids: DataId[] = [];
  let bytes = 0;
  for (const row of rows) {
    if (row.tombstone) continue;
    const stored = dataOfRow(deps, row);
    if (stored === undefined) unreadable.push(row.key);
    for (const data of stored ?? []) {
      owners.push(row.key);
      ids.push(data.dataId);
      bytes += data.sizeBytes * 2;
    }
  }
  pass.count.shardsExpected += ids.length * set.drives.length;
  if (ids.length === 0) return unreadable;
  if (pass.options.verify) {
    pass.count.bytesChecked += bytes;
    await deps.throttle(bytes);
  }
  const { answered } = await collect(
    set.drives,
    (drive) => drive.api.checkData(ids, pass.options.verify, { deadlineMs: deps.deadlineMs * 10 }),
    { clock: deps.env.clock, enough: () => false, graceMs: 0, deadlineMs: deps.deadlineMs * 10 },
  );
  const bad = new Map<string, IndexKey>();
  const add = (key: IndexKey): unknown => bad.set(Buffer.from(key).toString('latin1'), key);
  for (const { value } of answered) value.forEach((check, i) => check !== 'ok' && add(owners[i]!));
  if (answered.length < set.drives.length) owners.forEach(add);
  return [...unreadable, ...bad.values()];
}

/** What a row's value refers to; undefined when the value cannot be read. */
function dataOfRow(deps: HealDeps, row: ScanRow): ReturnType<HealDeps['values']['dataOf']> | undefined {
  try {
    return deps.values.dataOf(row.key, valueOf(row.state));
  } catch {
    return undefined;
  }
}

/** Tombstones that all drives have, and that are old enough, need not out-vote anything any more. */
async function forgetOld(deps: HealDeps, set: ErasureSet, rows: readonly ScanRow[], count: Recount): Promise<void> {
  const oldest = deps.env.clock.wallMs() - tombstoneKeepMs;
  for (const row of rows) {
    if (!row.tombstone || ballotTimeMs(row.ballot) > oldest) continue;
    if (await forgetTombstone(deps, set, row).catch(() => false)) count.tombstonesForgotten += 1;
  }
}

function note(count: Recount, reason: string): void {
  if (count.reasons.length < 10 && !count.reasons.includes(reason)) count.reasons.push(reason);
}
