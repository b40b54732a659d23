/**
 * Everything a node can be asked over the wire. Numbers are the protocol: they may be added to, never changed or
 * given again. A number that is not here is answered with an error.
 */
export const methodIds = {
  read: 1,
  prepare: 2,
  accept: 3,
  decide: 4,
  learn: 5,
  stage: 6,
  readSmall: 7,
  readBlocks: 8,
  pin: 9,
  unpin: 10,
  checkData: 11,
  repair: 12,
  scan: 13,
  scanDigest: 14,
  log: 15,
  raiseFloor: 16,
  forget: 17,
  siteState: 18,
  setSiteState: 19,
  guardBucket: 20,
  stat: 21,
  scanPacked: 22,
  unstage: 23,
  /** A named call of the node itself, not of a drive. */
  control: 32,
} as const;

export type MethodName = keyof typeof methodIds;

/** Which of a peer's two connections a call takes, so that bulk in the system's buffers never delays a small call. */
export type Channel = 'calls' | 'bulk';
