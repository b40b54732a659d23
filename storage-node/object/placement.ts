import { type BallotClock, writeBallot } from '../consensus/ballot.ts';
import { type RandomBytes } from '../ports.ts';
import { type DataId, dataIdBytes, type IndexKey } from '../store/drive-api.ts';
import { type ErasureSet } from '../store/set.ts';
import { checkObjectKey, objectKey, setIndexOf } from './keys.ts';
import { type Bucket } from './model.ts';

/** Where a key lives. */
export interface Place {
  set: ErasureSet;
  key: IndexKey;
}

/** @throws StorageError KeyTooLong, InvalidArgument for an empty key. */
export function placeOf(sets: readonly ErasureSet[], bucket: Pick<Bucket, 'id'>, name: string): Place {
  const key = objectKey(bucket.id, checkObjectKey(name));
  return { set: sets[setIndexOf(key, sets.length)]!, key };
}

/** A fresh data id: time first, so that rows of new data lie together in a drive's index; then chance. */
export function newDataId(ballots: BallotClock, randomBytes: RandomBytes): DataId {
  const id = Buffer.alloc(dataIdBytes);
  writeBallot(id, 0, ballots.next());
  id.set(randomBytes(dataIdBytes - 8), 8);
  return id;
}

/**
 * Which shard of some data the drive at a place of the set holds. Turned by the last, random byte of the data id, so
 * that data and parity of many objects spread evenly over the drives; whoever knows the data id knows it.
 */
export function shardAt(dataId: DataId, position: number, setSize: number): number {
  return (position + dataId[dataIdBytes - 1]!) % setSize;
}
