/** Made-up requests and answers of every method of a drive, for round trips over the wire. */
import fc from 'fast-check';
import {
  type AcceptReply,
  type AcceptRequest,
  fenceReasons,
  type HeldRegister,
  type LearnReply,
  type LearnRequest,
  type PreparedRegister,
  type PrepareReply,
  type ScanRequest,
  type ShardPut,
  type SmallShard,
} from '../../../storage-node/store/drive-api.ts';

const ballot = fc.maxSafeNat();
const count = fc.oneof(fc.nat(1000), fc.maxSafeNat());
const bytes = fc.uint8Array({ maxLength: 40 });
const key = fc.uint8Array({ minLength: 9, maxLength: 1200, size: 'small' });
const dataId = fc.uint8Array({ minLength: 16, maxLength: 16 });
const dataIds = fc.array(dataId, { maxLength: 5 });
const maybe = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(values, { nil: undefined });
const checksum = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
/** Now and then as large as a small shard may be, so that it leaves the scratch. */
const payload = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 100 }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 40_000, max: 131_072 }).map((size) => new Uint8Array(size).fill(size % 251)),
  },
);

const register = { ballot, decided: fc.boolean(), tombstone: fc.boolean(), hidden: fc.boolean(), state: bytes };
const heldRegister: fc.Arbitrary<HeldRegister> = fc.record({
  ...register,
  headData: maybe(dataId),
  note: maybe(bytes),
});
const older = fc.array(heldRegister, { maxLength: 3 });
const preparedRegister: fc.Arbitrary<PreparedRegister> = fc
  .tuple(heldRegister, older)
  .map(([held, under]) => ({ ...held, older: under }));
const smallShard: fc.Arbitrary<SmallShard> = fc.oneof(
  fc.record({ kind: fc.constant('shard' as const), dataId, shard: fc.nat(15), payload, checksum }),
  fc.record({ kind: fc.constantFrom('missing' as const, 'damaged' as const), dataId }),
);
const put: fc.Arbitrary<ShardPut> = fc.oneof(
  fc.record({ kind: fc.constant('staged' as const), dataId }),
  fc.record({ kind: fc.constant('small' as const), dataId, shard: fc.nat(15), payload, checksum }),
);
const puts = fc.array(put, { maxLength: 3 });

const value = {
  key,
  ballot,
  tombstone: fc.boolean(),
  hidden: fc.boolean(),
  state: bytes,
  headData: maybe(dataId),
  puts,
  frees: dataIds,
  keeps: dataIds,
  cancels: fc.array(ballot, { maxLength: 4 }),
  change: maybe(fc.record({ note: bytes })),
};
const acceptRequest: fc.Arbitrary<AcceptRequest> = fc.record({
  ...value,
  siteEpoch: count,
  fromClient: fc.boolean(),
  bucketGeneration: count,
  base: ballot,
});
const learnRequest: fc.Arbitrary<LearnRequest> = fc.record(value);
const acceptReply: fc.Arbitrary<AcceptReply> = fc.oneof(
  fc.record({ kind: fc.constantFrom('accepted' as const, 'no-data' as const, 'full' as const) }),
  fc.record({ kind: fc.constant('outbid' as const), promised: ballot }),
  fc.record({
    ...{ kind: fc.constant('fenced' as const), siteEpoch: count, fenced: fc.boolean() },
    why: fc.constantFrom(...fenceReasons),
  }),
  fc.record({ kind: fc.constant('bucket-changed' as const), generation: count, sealed: fc.boolean() }),
);
const learnReply: fc.Arbitrary<LearnReply> = fc.oneof(
  fc.record({ kind: fc.constantFrom('learned' as const, 'no-data' as const, 'full' as const) }),
  fc.record({ kind: fc.constant('newer' as const), ballot }),
);
const prepareReply: fc.Arbitrary<PrepareReply> = fc.oneof(
  fc.record({ kind: fc.constant('promised' as const), register: preparedRegister }),
  fc.record({ kind: fc.constant('outbid' as const), promised: ballot, register: preparedRegister }),
);

const scanRequest: fc.Arbitrary<ScanRequest> = fc.record({
  prefix: bytes,
  after: maybe(bytes),
  delimiter: maybe(bytes),
  limit: fc.nat(1000),
  skipTombstones: fc.boolean(),
  skipHidden: fc.boolean(),
});
const siteState = fc.record({ epoch: count, fenced: fc.boolean(), leased: fc.boolean() });
const guard = fc.record({
  bucketId: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  generation: count,
  sealed: fc.boolean(),
});
const keyBallot = fc.record({ key, ballot });

/** Arguments of a call, and what the drive answers. */
export const driveCalls = {
  read: {
    args: fc.tuple(fc.record({ key, withHead: fc.boolean() })),
    reply: fc.record({ ...register, older, head: maybe(smallShard) }),
  },
  prepare: { args: fc.tuple(keyBallot), reply: prepareReply },
  accept: { args: fc.tuple(acceptRequest), reply: acceptReply },
  learn: { args: fc.tuple(learnRequest), reply: learnReply },
  unstage: { args: fc.tuple(dataId), reply: fc.constant(undefined) },
  readSmall: { args: fc.tuple(dataIds), reply: fc.array(smallShard, { maxLength: 5 }) },
  checkData: {
    args: fc.tuple(dataIds, fc.boolean()),
    reply: fc.array(fc.constantFrom('ok' as const, 'staged' as const, 'missing' as const, 'damaged' as const)),
  },
  repair: { args: fc.tuple(fc.record({ key, ballot, puts })), reply: fc.boolean() },
  scan: {
    args: fc.tuple(scanRequest),
    reply: fc.record({
      rows: fc.array(fc.record({ key, ...register }), { maxLength: 20 }),
      rollups: fc.array(bytes, { maxLength: 5 }),
      next: maybe(bytes),
    }),
  },
  scanDigest: {
    args: fc.tuple(scanRequest),
    reply: fc.record({ digest: bytes, rows: count, next: maybe(bytes), undecided: fc.boolean() }),
  },
  scanPacked: {
    args: fc.tuple(scanRequest),
    reply: fc.record({ digest: bytes, rows: count, next: maybe(bytes), undecided: fc.boolean(), entries: bytes }),
  },
  log: {
    args: fc.tuple(fc.record({ bucketId: bytes, after: ballot, upTo: ballot, limit: fc.nat(1000) })),
    reply: fc.array(fc.record({ key, ballot, note: bytes, decided: fc.boolean() }), { maxLength: 10 }),
  },
  raiseFloor: { args: fc.tuple(ballot), reply: ballot },
  forget: { args: fc.tuple(keyBallot), reply: fc.boolean() },
  siteState: { args: fc.tuple(), reply: siteState },
  setSiteState: { args: fc.tuple(siteState), reply: siteState },
  guardBucket: { args: fc.tuple(guard), reply: guard },
  stat: {
    args: fc.tuple(),
    reply: fc.record({
      driveId: fc.string(),
      state: fc.constantFrom('ok' as const, 'full' as const, 'stopped' as const),
      reason: maybe(fc.string()),
      totalBytes: count,
      freeBytes: count,
      indexBytes: count,
      segmentBytes: count,
      liveBytes: count,
      registers: count,
      quarantined: count,
      undecided: count,
    }),
  },
} as const;

export const decideRequests = fc.array(keyBallot, { minLength: 1, maxLength: 5 });
export const pinned = dataIds;
