import { type BallotClock } from '../consensus/ballot.ts';
import { type HedgeBudget } from '../consensus/hedge.ts';
import { type Registers } from '../consensus/registers.ts';
import { type Kernels } from '../erasure/types.ts';
import { type StoredData } from '../object/stripe-reader.ts';
import { type Env } from '../ports.ts';
import { type DataId, type IndexKey } from '../store/drive-api.ts';
import { type ErasureSet } from '../store/set.ts';

/** What healing must know of the values it heals; everything else is bytes to it. */
export interface ValueReader {
  /** Data that a value of this key refers to and that must lie on every drive of the set. */
  dataOf(key: IndexKey, value: Uint8Array): readonly Pick<StoredData, 'dataId' | 'sizeBytes' | 'small'>[];
  headOf(key: IndexKey, value: Uint8Array): DataId | undefined;
}

export interface HealDeps {
  env: Env;
  kernels: Kernels;
  ballots: BallotClock;
  registers: Registers;
  values: ValueReader;
  deadlineMs: number;
  hedges?: HedgeBudget;
  /** Waits until this many more bytes may be read and written. */
  throttle: (bytes: number) => Promise<void>;
}

/** What came of looking after one key. */
export interface KeyHealth {
  /** `whole`: nothing was wrong. `healed`: something was, and is not any more. `short`: something still is. */
  kind: 'whole' | 'healed' | 'short';
  /** Shards that were missing or damaged, and of those the ones written anew. */
  shardsLacking: number;
  shardsWritten: number;
  bytesWritten: number;
  /** Why it is still short. */
  reason: string | undefined;
}

export type HealTarget = { set: ErasureSet; key: IndexKey };
