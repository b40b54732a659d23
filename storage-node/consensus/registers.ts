import { StorageError } from '../errors.ts';
import { type Env, sleep } from '../ports.ts';
import { type DataId, type IndexKey, type ShardPut, type SmallShard } from '../store/drive-api.ts';
import { type ErasureSet } from '../store/set.ts';
import { type Ballot, type BallotClock } from './ballot.ts';
import { changeRegister } from './change.ts';
import { valueOf } from './envelope.ts';
import { createHedgeBudget, type HedgeBudget } from './hedge.ts';
import { look, type Look } from './look.ts';

/** The newest value of a key. */
export interface Current {
  /** 0: never written. */
  ballot: Ballot;
  tombstone: boolean;
  hidden: boolean;
  /** Empty for most tombstones and for a key never written. */
  state: Uint8Array;
  /** With `withHead`: the small shards of the newest version, of those drives that hold this ballot. */
  heads: { position: number; shard: SmallShard }[];
}

/** A new value for a key, and what goes with it. */
export interface Change {
  tombstone: boolean;
  hidden: boolean;
  state: Uint8Array;
  headData: DataId | undefined;
  /** What the drive at this place of the set is given. */
  puts: (position: number) => readonly ShardPut[];
  /** Never freed by this change, though the old state names it and the new one does not. */
  keep?: readonly DataId[];
  /** For the bucket's change log. */
  note: Uint8Array | undefined;
}

/**
 * The value a key has already, to be written again: it changes nothing, but whatever a minority of the drives accepted
 * beside it will never count after that. A key never written gets a tombstone.
 */
export function sameValue({ ballot, tombstone, hidden, state }: Current, headData: DataId | undefined): Change {
  return {
    tombstone: tombstone || ballot === 0,
    ...{ hidden, state },
    headData: tombstone ? undefined : headData,
    puts: () => [],
    note: undefined,
  };
}

/** What a writer acted on; drives that know better refuse. */
export interface WriteGuard {
  fromClient: boolean;
  bucketGeneration: number;
  /** The site epoch when a long write was begun; that of the moment for the others. */
  siteEpoch?: number;
}

export interface Changed {
  ballot: Ballot;
  /** The value before, on which `decide` decided. */
  current: Current;
  changed: boolean;
}

/** What a writer answers to the newest value of a key. */
export type Decision = Change | 'unchanged';

/** Linearizable registers on the drives of erasure sets. */
export interface Registers {
  /** The site epoch that a write begun now belongs to. */
  siteEpoch(): number;
  /** @throws StorageError ReadQuorumLost, Undecided. */
  get(set: ErasureSet, key: IndexKey, options?: { withHead?: boolean }): Promise<Current>;
  /**
   * Reads, lets `decide` judge the newest value, and writes what it answers. `decide` may be called again when
   * another writer was quicker. What it throws is thrown on, and nothing is written. It may take its time to look at
   * other keys: what it answers is written only if no higher ballot was prepared for this key since it was called.
   * @throws StorageError WriteQuorumLost (the outcome may be unknown: `details.unknown`), Fenced, OutOfSpace,
   * Busy with `details.bucketChanged` when the bucket's settings are newer than `guard` says.
   */
  change(
    set: ErasureSet,
    key: IndexKey,
    guard: WriteGuard,
    decide: (current: Current) => Decision | Promise<Decision>,
  ): Promise<Changed>;
}

export interface LostShards {
  set: ErasureSet;
  key: IndexKey;
  /** Refers to the data. */
  value: Uint8Array;
  dataIds: readonly DataId[];
  positions: readonly number[];
}

export interface RegisterDeps {
  env: Env;
  ballots: BallotClock;
  /** Data a value of this key refers to; tells what each drive may free. */
  dataIdsOf: (key: IndexKey, value: Uint8Array) => readonly DataId[];
  /** Of these, what another register owns for as long as this value may not have taken effect: never freed with it. */
  lentDataOf?: (key: IndexKey, value: Uint8Array) => readonly DataId[];
  /**
   * Computes the shards of some data for the drives at these places, from those that others have. Large ones are staged
   * there when it resolves. Throws when too few shards can be read.
   */
  rebuild?: (lost: LostShards) => Promise<ReadonlyMap<number, readonly ShardPut[]>>;
  /** The site epoch this node knows. */
  siteEpoch: () => number;
  /** Told that drives know a newer site epoch. */
  epochPassed?: () => void;
  /** Told of keys that some drive of the set lacks or has an old value of. */
  lagging: (set: ErasureSet, key: IndexKey) => void;
  /** How long a read waits for drives at all, milliseconds. */
  readDeadlineMs?: number;
  /** How long a write waits for a quorum at all, milliseconds. */
  writeDeadlineMs?: number;
  /** How long a chosen write still waits for drives that are slow but not suspect, milliseconds. */
  graceMs?: number;
  /** Shared by all reads of a node. */
  hedges?: HedgeBudget;
}

export function createRegisters(deps: RegisterDeps): Registers {
  const readDeadlineMs = deps.readDeadlineMs ?? 5_000;
  const settings = {
    rebuild: () => Promise.resolve(new Map<number, readonly ShardPut[]>()),
    ...deps,
    readDeadlineMs,
    writeDeadlineMs: deps.writeDeadlineMs ?? 10_000,
    graceMs: deps.graceMs ?? 100,
    hedges: deps.hedges ?? createHedgeBudget(),
    lentDataOf: deps.lentDataOf ?? ((): DataId[] => []),
    epochPassed: deps.epochPassed ?? ((): void => {}),
  };
  return {
    siteEpoch: deps.siteEpoch,
    async get(set, key, options) {
      const request = { key, withHead: options?.withHead ?? false };
      // A value seen half-way is most often a write that is just being acknowledged: looking again costs less, and
      // disturbs less, than settling it.
      for (const pauseMs of [2, 8, 30, undefined]) {
        const found = await look(set, request, {
          clock: deps.env.clock,
          deadlineMs: readDeadlineMs,
          hedges: settings.hedges,
        });
        if (found.judgement === undefined) throw readQuorumLost(set, found);
        if (found.judgement.kind === 'value') return currentOf(found, set, key, deps);
        if (pauseMs !== undefined) await sleep(deps.env.clock, pauseMs);
      }
      return settle(set, key, settings);
    },
    change: (set, key, guard, decide) => changeRegister(settings, { set, key, guard, decide }),
  };
}

/** Completes or drops a value that no look can judge, by a round of its own. */
async function settle(set: ErasureSet, key: IndexKey, settings: Required<RegisterDeps>): Promise<Current> {
  try {
    const guard = { fromClient: false, bucketGeneration: Number.MAX_SAFE_INTEGER };
    const { current } = await changeRegister(settings, { set, key, guard, decide: () => 'unchanged' });
    return current;
  } catch (cause) {
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    throw new StorageError(
      'Undecided',
      `a write of this key is neither known to have happened nor known not to${why}`,
      { cause },
    );
  }
}

function currentOf(found: Look, set: ErasureSet, key: IndexKey, deps: RegisterDeps): Current {
  const judgement = found.judgement!;
  deps.ballots.observe(judgement.ballot);
  if (found.replies.some(({ value }) => value.ballot < judgement.ballot)) deps.lagging(set, key);
  const register = judgement.register;
  if (register === undefined)
    return { ballot: 0, tombstone: false, hidden: false, state: new Uint8Array(0), heads: [] };
  const heads: Current['heads'] = [];
  for (const { drive, value } of found.replies) {
    if (value.ballot === judgement.ballot && value.head !== undefined) {
      heads.push({ position: drive.position, shard: value.head });
    }
  }
  const { ballot, tombstone, hidden } = register;
  return { ballot, tombstone, hidden, state: valueOf(register.state), heads };
}

function readQuorumLost(set: ErasureSet, found: Look): StorageError {
  return new StorageError(
    'ReadQuorumLost',
    `${found.replies.length} of ${set.drives.length} drives of set ${set.index} answered, a read needs ${set.drives.length / 2}`,
  );
}
