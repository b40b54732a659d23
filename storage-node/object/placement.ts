import { type BallotClock, writeBallot } from '../consensus/ballot.ts';
import { type RandomBytes } from '../ports.ts';
import { type DataId, dataIdBytes } from '../store/drive-api.ts';

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
