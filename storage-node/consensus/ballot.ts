import { type Clock } from '../ports.ts';

/**
 * A ballot: one number that orders every write of a cluster, and the position of a write in the change log.
 *
 * A hybrid logical clock in 53 bits, so that it is an exact JavaScript number: Unix milliseconds × 8 (a counter of
 * eighths), × 256 (the node's index in the topology). No two nodes ever issue the same one, and one node never issues
 * one twice while its drives remember their floor. 0 means "none".
 */
export type Ballot = number;

const nodesPerTick = 256;
const ticksPerMs = 8;

/** The largest ballot: the year 2109. A larger one is refused as nonsense. */
export const maxBallot: Ballot = Number.MAX_SAFE_INTEGER;

/** The wall-clock moment a ballot was taken at, Unix milliseconds, as its issuer saw it (never earlier). */
export function ballotTimeMs(ballot: Ballot): number {
  return Math.floor(ballot / (nodesPerTick * ticksPerMs));
}

/** The smallest ballot of a moment. */
export function ballotAt(unixMs: number): Ballot {
  return Math.max(0, Math.floor(unixMs)) * ticksPerMs * nodesPerTick;
}

/** Issues ballots that only grow, above everything this node has issued or seen. */
export interface BallotClock {
  next(): Ballot;
  /** Tells of a ballot met elsewhere; the next one will be above it. */
  observe(ballot: Ballot): void;
  /** The newest issued or seen. */
  latest(): Ballot;
}

export function createBallotClock(nodeIndex: number, clock: Pick<Clock, 'wallMs'>): BallotClock {
  if (!Number.isInteger(nodeIndex) || nodeIndex < 0 || nodeIndex >= nodesPerTick) {
    throw new RangeError(`node index ${nodeIndex} is not one of 0..${nodesPerTick - 1}`);
  }
  let lastTick = 0;
  return {
    next() {
      lastTick = Math.max(lastTick + 1, Math.floor(clock.wallMs()) * ticksPerMs);
      return lastTick * nodesPerTick + nodeIndex;
    },
    observe(ballot) {
      lastTick = Math.max(lastTick, Math.floor(ballot / nodesPerTick));
    },
    latest() {
      return lastTick * nodesPerTick + nodeIndex;
    },
  };
}

/** Eight bytes that sort as the ballots do: big-endian, so that an index can be read in ballot order. */
export function writeBallot(target: Uint8Array, offset: number, ballot: Ballot): void {
  // By hand: scans write one for each row, and a view takes longer than all of this.
  const high = Math.floor(ballot / 0x1_0000_0000);
  const low = ballot >>> 0;
  target[offset] = high >>> 24;
  target[offset + 1] = high >>> 16;
  target[offset + 2] = high >>> 8;
  target[offset + 3] = high;
  target[offset + 4] = low >>> 24;
  target[offset + 5] = low >>> 16;
  target[offset + 6] = low >>> 8;
  target[offset + 7] = low;
}

export function readBallot(source: Uint8Array, offset: number): Ballot {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  return view.getUint32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4);
}
