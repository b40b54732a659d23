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
