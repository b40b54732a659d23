import { StorageError } from '../errors.ts';
import { type DataId, type IndexKey, type PreparedRegister, type PrepareReply } from '../store/drive-api.ts';
import { type ErasureSet, writeQuorum } from '../store/set.ts';
import { type Ballot } from './ballot.ts';
import { type Answered } from './collect.ts';
import { type Change, type Current, type Decision, type RegisterDeps, type WriteGuard } from './registers.ts';

export interface ChangeRequest {
  set: ErasureSet;
  key: IndexKey;
  guard: WriteGuard;
  decide: (current: Current) => Decision | Promise<Decision>;
}

/** One writer's attempt to change a key, over as many rounds as it takes. */
export interface Attempt extends ChangeRequest {
  settings: Required<RegisterDeps>;
  operation: string;
  /** Set once accepts went out: what they proposed, and the operation ids of the value they were built on. */
  proposed: { change: Change; current: Current; base: Ballot; baseOperations: string[] } | undefined;
  /** The sealed value whose data could not be put together last. */
  unbuilt: Uint8Array | undefined;
  /** The next round waits for the promise of every drive. */
  patient: boolean;
}

/** What each drive said it has, by place in the set. */
export type Held = ReadonlyMap<number, PreparedRegister>;

export function heldBy(promises: readonly Answered<PrepareReply>[]): Held {
  return new Map(promises.map(({ drive, value }): [number, PreparedRegister] => [drive.position, value.register]));
}

/** As a key of maps. */
export function idText(id: DataId): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1');
}

/** Accepts of this attempt went out: nobody can say that it had no effect. */
export function unknownOutcome(attempt: Attempt): Record<string, string> {
  return attempt.proposed === undefined ? {} : { unknown: '1' };
}

export function quorumLost(attempt: Attempt, answered: number): StorageError {
  const size = attempt.set.drives.length;
  return new StorageError(
    'WriteQuorumLost',
    `${answered} of ${size} drives of set ${attempt.set.index} answered, a write needs ${writeQuorum(size)}`,
    { details: unknownOutcome(attempt) },
  );
}

export function outcomeUnknown(attempt: Attempt, why: string): StorageError {
  return new StorageError('WriteQuorumLost', `it is not known whether this write took effect: ${why}`, {
    details: unknownOutcome(attempt),
  });
}
