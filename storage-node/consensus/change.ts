import { StorageError } from '../errors.ts';
import { sleep } from '../ports.ts';
import {
  type AcceptReply,
  type AcceptRequest,
  type DataCheck,
  type DataId,
  type FenceReason,
  type HeldRegister,
  type IndexKey,
  type PreparedRegister,
  type PrepareReply,
  type Register,
  type ShardPut,
} from '../store/drive-api.ts';
import { type ErasureSet, readQuorum, writeQuorum } from '../store/set.ts';
import { type Ballot } from './ballot.ts';
import { type Answers, collect } from './collect.ts';
import { isBuiltOn, openEnvelope, operationIdBytes, sealEnvelope, valueOf } from './envelope.ts';
import { judge, type Judgement, layerAt } from './judge.ts';
import {
  type Change,
  type Changed,
  type Current,
  type Decision,
  type RegisterDeps,
  type WriteGuard,
} from './registers.ts';

interface Request {
  set: ErasureSet;
  key: IndexKey;
  guard: WriteGuard;
  decide: (current: Current) => Decision | Promise<Decision>;
}

/** One writer's attempt to change a key, over as many rounds as it takes. */
interface Attempt extends Request {
  settings: Required<RegisterDeps>;
  operation: string;
  /** Set once accepts went out: what they proposed, and the operation ids of the value they were built on. */
  proposed: { change: Change; current: Current; base: Ballot; baseOperations: string[] } | undefined;
}

type RoundEnd = { kind: 'done'; changed: Changed } | { kind: 'again' };

/** The rounds of one change: prepare, judge, accept; again with a higher ballot when another writer was quicker. */
export async function changeRegister(settings: Required<RegisterDeps>, request: Request): Promise<Changed> {
  const { clock } = settings.env;
  const attempt: Attempt = {
    ...request,
    settings,
    operation: Buffer.from(settings.env.randomBytes(operationIdBytes)).toString('hex'),
    proposed: undefined,
  };
  const endsAtMs = clock.monotonicMs() + settings.writeDeadlineMs;
  for (let round = 0; ; round++) {
    const end = await runRound(attempt);
    if (end.kind === 'done') return end.changed;
    if (clock.monotonicMs() >= endsAtMs) throw outcomeUnknown(attempt, 'other writers of the key were always quicker');
    await sleep(clock, pauseMs(round, settings));
  }
}

/** Grows with the rounds and differs between writers, so that two of them do not outbid each other for ever. */
function pauseMs(round: number, settings: Required<RegisterDeps>): number {
  const widestMs = Math.min(200, 2 ** Math.min(round, 7));
  return 1 + (settings.env.randomBytes(1)[0]! / 256) * widestMs;
}

async function runRound(attempt: Attempt): Promise<RoundEnd> {
  const { settings, set } = attempt;
  const ballot = settings.ballots.next();
  const promises = await prepare(attempt, ballot);
  for (const { value } of promises.answered) {
    settings.ballots.observe(value.kind === 'outbid' ? value.promised : value.register.ballot);
  }
  const promised = promises.answered.filter(({ value }) => value.kind === 'promised').length;
  if (promised < writeQuorum(set.drives.length)) {
    if (promises.answered.length >= writeQuorum(set.drives.length)) return { kind: 'again' };
    throw quorumLost(attempt, promises.answered.length);
  }
  const held = heldBy(promises);
  const judgement = await judgeWithData(attempt, held);
  if (judgement.kind === 'maybe') {
    // Nothing may be told of it or built on it before it is sure to stay.
    await confirm(attempt, ballot, judgement.register, held);
    return again;
  }
  const envelope = openEnvelope(judgement.register?.state ?? new Uint8Array(0));
  const current: Current = {
    ballot: judgement.ballot,
    tombstone: judgement.register?.tombstone ?? false,
    hidden: judgement.register?.hidden ?? false,
    state: envelope.value,
    heads: [],
  };
  const earlier = ownOutcome(attempt, current.ballot, envelope.operations);
  if (earlier === 'unknown') throw outcomeUnknown(attempt, 'too many other writes came between');
  if (earlier === 'applied') {
    return { kind: 'done', changed: { ballot: current.ballot, current: attempt.proposed!.current, changed: true } };
  }
  const decision = attempt.decide(current);
  const change = decision instanceof Promise ? await decision : decision;
  if (change === 'unchanged') return { kind: 'done', changed: { ballot: current.ballot, current, changed: false } };
  attempt.proposed = { change, current, base: current.ballot, baseOperations: envelope.operations };
  const state = sealEnvelope(attempt.operation, envelope.operations, change.state);
  const accepted = await accept(attempt, ballot, { change, state, held, base: current.ballot, from: current.ballot });
  return accepted ? { kind: 'done', changed: { ballot, current, changed: true } } : again;
}

const again: RoundEnd = { kind: 'again' };

/** Whether accepts of an earlier round of this very attempt took effect. */
function ownOutcome(
  attempt: Attempt,
  ballot: Ballot,
  operations: readonly string[],
): 'not-applied' | 'applied' | 'unknown' {
  const { proposed } = attempt;
  if (proposed === undefined || ballot === proposed.base) return 'not-applied';
  if (operations.includes(attempt.operation)) return 'applied';
  const base = proposed.baseOperations[0];
  return (base !== undefined && operations.includes(base)) || (base === undefined && operations.length < 8)
    ? 'not-applied'
    : 'unknown';
}

/**
 * Judges what drives promised. Of a value that too few drives still show, to be sure of its data, the data itself
 * tells: if it was ever chosen, N/2+1 drives have their shards, for nothing is freed before a newer value is decided.
 */
async function judgeWithData(attempt: Attempt, held: Held): Promise<Judgement> {
  const { settings, set } = attempt;
  const size = set.drives.length;
  const dropped = new Set<Ballot>();
  for (;;) {
    const judgement = judge([...held.values()], size, dropped);
    if (judgement.kind === 'value' || judgement.complete) return judgement;
    const ids = newDataOf(attempt, judgement.register, held);
    if (ids.length === 0) return judgement;
    const { holders, unheard } = await whoHas(settings, set, ids);
    if (holders.length >= readQuorum(size)) return judgement;
    if (holders.length + unheard >= writeQuorum(size)) throw quorumLost(attempt, held.size);
    dropped.add(judgement.ballot);
  }
}

/** Data that came with a value: what it refers to and the value before it does not. */
function newDataOf(attempt: Attempt, register: Register, held: Held): DataId[] {
  const { settings, key } = attempt;
  let under: Register | undefined;
  for (const layers of held.values()) {
    if (layerAt(layers, register.ballot) === undefined) continue;
    // One that was carried through a round of its own lies under itself.
    const next = layers.older.find(
      ({ ballot, state }) => ballot < register.ballot && Buffer.compare(state, register.state) !== 0,
    );
    if (next !== undefined && next.ballot > (under?.ballot ?? 0)) under = next;
  }
  const idsOf = (one: Register | undefined): readonly DataId[] =>
    one === undefined || one.tombstone ? [] : settings.dataIdsOf(key, valueOf(one.state));
  const known = new Set(idsOf(under).map(idText));
  return idsOf(register).filter((id) => !known.has(idText(id)));
}

/** The places of the drives that have all of this data and of those that lack some, and how many did not say. */
async function whoHas(
  settings: Required<RegisterDeps>,
  set: ErasureSet,
  ids: readonly DataId[],
): Promise<{ holders: number[]; lacking: number[]; unheard: number }> {
  const { answered } = await collect(set.drives, (drive) => drive.api.checkData(ids, false), {
    clock: settings.env.clock,
    deadlineMs: settings.readDeadlineMs,
    graceMs: 0,
    enough: () => false,
  });
  // What is staged counts: the accept that follows names it.
  const isWhole = (checks: readonly DataCheck[]): boolean =>
    checks.every((check) => check === 'ok' || check === 'staged');
  const positions = (whole: boolean): number[] =>
    answered.filter(({ value }) => isWhole(value) === whole).map(({ drive }) => drive.position);
  return { holders: positions(true), lacking: positions(false), unheard: set.drives.length - answered.length };
}

function prepare(attempt: Attempt, ballot: Ballot): Promise<Answers<PrepareReply>> {
  const { settings, set, key } = attempt;
  const quorum = writeQuorum(set.drives.length);
  return collect(set.drives, (drive) => drive.api.prepare({ key, ballot }, { deadlineMs: settings.writeDeadlineMs }), {
    clock: settings.env.clock,
    deadlineMs: settings.writeDeadlineMs,
    graceMs: Math.min(10, settings.graceMs),
    enough: ({ answered, failed }) =>
      answered.filter(({ value }) => value.kind === 'promised').length >= quorum ||
      failed.length > set.drives.length - quorum,
  });
}

/** What each drive said it has, by place in the set. */
type Held = ReadonlyMap<number, PreparedRegister>;

function heldBy(promises: Answers<PrepareReply>): Held {
  return new Map(
    promises.answered.map(({ drive, value }): [number, PreparedRegister] => [drive.position, value.register]),
  );
}

/**
 * Carries a value that may or may not have been chosen through a round of its own, as it is. Only drives that have its
 * data may count; where too few have, the shards are computed first. So what is chosen has its data on N/2+1 drives,
 * however it came to be chosen.
 */
async function confirm(attempt: Attempt, ballot: Ballot, register: Register, held: Held): Promise<void> {
  const own = [...held.values()].map((layers) => layerAt(layers, register.ballot)).find((one) => one !== undefined)!;
  const ids = newDataOf(attempt, register, held);
  const puts = await dataFor(attempt, own, ids);
  const change: Change = {
    tombstone: own.tombstone,
    hidden: own.hidden,
    state: valueOf(own.state),
    headData: own.headData,
    puts: (position) => puts.get(position) ?? ids.map((dataId) => ({ kind: 'staged', dataId })),
    note: own.note,
  };
  await accept(attempt, ballot, { change, state: own.state, held, base: 0, from: own.ballot });
}

/** Shards for drives that lack them, if they must have them. */
async function dataFor(
  attempt: Attempt,
  register: HeldRegister,
  ids: readonly DataId[],
): Promise<ReadonlyMap<number, readonly ShardPut[]>> {
  const { settings, set, key } = attempt;
  if (ids.length === 0) return new Map();
  const { holders, lacking } = await whoHas(settings, set, ids);
  if (holders.length >= writeQuorum(set.drives.length) || lacking.length === 0) return new Map();
  return settings.rebuild({ set, key, value: valueOf(register.state), dataIds: ids, positions: lacking });
}

interface Proposal {
  change: Change;
  /** The sealed envelope. */
  state: Uint8Array;
  held: Held;
  /** The ballot of the value this one was built on, which was chosen; 0 if none is known. */
  base: Ballot;
  /** Above this ballot nothing took effect. */
  from: Ballot;
}

/** @returns false when outbid: the value may be on a minority of the drives. */
async function accept(attempt: Attempt, ballot: Ballot, proposal: Proposal): Promise<boolean> {
  const { settings, set, key } = attempt;
  const quorum = writeQuorum(set.drives.length);
  const size = set.drives.length;
  const accepted = (replies: Answers<AcceptReply>): number =>
    replies.answered.filter(({ value }) => value.kind === 'accepted').length;
  const requests = acceptRequests(attempt, ballot, proposal);
  const replies = await collect(
    set.drives,
    (drive) => drive.api.accept(requests(drive.position), { deadlineMs: settings.writeDeadlineMs }),
    {
      clock: settings.env.clock,
      deadlineMs: settings.writeDeadlineMs,
      graceMs: settings.graceMs,
      enough: (now) => {
        const count = accepted(now);
        const refused = now.answered.length - count + now.failed.length;
        return count >= quorum || refused > size - quorum;
      },
      late: ({ drive, value }) => {
        if (value.kind === 'accepted') drive.api.decide([{ key, ballot }]);
      },
    },
  );
  if (accepted(replies) >= quorum) {
    for (const { drive, value } of replies.answered) {
      if (value.kind === 'accepted') drive.api.decide([{ key, ballot }]);
    }
    if (accepted(replies) < size) settings.lagging(set, key);
    return true;
  }
  refuse(attempt, replies);
  return false;
}

function acceptRequests(attempt: Attempt, ballot: Ballot, proposal: Proposal): (position: number) => AcceptRequest {
  const { change, state, held } = proposal;
  const { guard, settings, key } = attempt;
  const keeps = [...settings.dataIdsOf(key, change.state), ...(change.keep ?? [])];
  const kept = new Set(keeps.map(idText));
  // A value that was passed over may name data that lives on elsewhere.
  const lentBy = (own: HeldRegister): string[] =>
    own.decided || own.ballot === proposal.base || isBuiltOn(state, own.state)
      ? []
      : settings.lentDataOf(key, valueOf(own.state)).map(idText);
  const freedOf = (own: HeldRegister): DataId[] => {
    const old = own.tombstone ? [] : settings.dataIdsOf(key, valueOf(own.state));
    const lent = old.length === 0 ? [] : lentBy(own);
    return old.filter((id) => !kept.has(idText(id)) && !lent.includes(idText(id)));
  };
  // Of all values and for all drives alike: one may have data of a value it has not heard of, or not have said so.
  const frees = new Map<string, DataId>();
  for (const own of held.values()) for (const id of freedOf(own)) frees.set(idText(id), id);
  return (position) => {
    const puts = change.puts(position);
    const given = new Set(puts.map(({ dataId }) => idText(dataId)));
    const own = held.get(position);
    return {
      key,
      ballot,
      siteEpoch: guard.siteEpoch ?? settings.siteEpoch(),
      fromClient: guard.fromClient,
      bucketGeneration: guard.bucketGeneration,
      tombstone: change.tombstone,
      hidden: change.hidden,
      state,
      headData: change.headData,
      puts,
      frees: [...frees.values()],
      keeps: keeps.filter((id) => !given.has(idText(id))),
      cancels: own === undefined ? [] : ballotsAbove(own, proposal.from),
      base: proposal.base,
      change: change.note === undefined ? undefined : { note: change.note },
    };
  };
}

function ballotsAbove(layers: PreparedRegister, from: Ballot): Ballot[] {
  return [layers, ...layers.older].filter((one) => one.ballot > from && !one.decided).map((one) => one.ballot);
}

function idText(id: DataId): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1');
}

/** Throws when the drives' refusals are more than being outbid. */
function refuse(attempt: Attempt, replies: Answers<AcceptReply>): void {
  const find = <K extends AcceptReply['kind']>(kind: K): Extract<AcceptReply, { kind: K }> | undefined =>
    replies.answered
      .map(({ value }) => value)
      .find((value): value is Extract<AcceptReply, { kind: K }> => value.kind === kind);
  const fenced = find('fenced');
  if (fenced !== undefined) {
    if (fenced.why === 'old-epoch') attempt.settings.epochPassed();
    // A drive whose lease ran out while it wrote has the value all the same.
    const certain = replies.answered.every(({ value }) => value.kind === 'fenced' && value.why !== 'no-lease');
    throw new StorageError('Fenced', fenceMessages[fenced.why](fenced.siteEpoch), {
      details: { siteEpoch: String(fenced.siteEpoch), why: fenced.why, ...(certain ? {} : { unknown: '1' }) },
    });
  }
  const bucket = find('bucket-changed');
  if (bucket !== undefined) {
    throw new StorageError('Busy', 'the settings of the bucket have changed', { details: { bucketChanged: '1' } });
  }
  for (const { value } of replies.answered) {
    if (value.kind === 'outbid') attempt.settings.ballots.observe(value.promised);
  }
  if (find('outbid') !== undefined && mayGoOn(attempt, replies)) return;
  if (find('full') !== undefined) {
    throw new StorageError('OutOfSpace', 'the space reserve of too many drives is reached');
  }
  if (find('no-data') !== undefined) {
    throw new StorageError('WriteQuorumLost', 'too many drives have lost what was sent to them of this write');
  }
  const quorum = writeQuorum(attempt.set.drives.length);
  if (replies.answered.length < quorum) throw quorumLost(attempt, replies.answered.length);
}

/** Whether another round can be won. Of drives that were not waited for, since this one was lost, nothing is known. */
function mayGoOn({ set }: Attempt, { answered, failed }: Answers<AcceptReply>): boolean {
  const size = set.drives.length;
  const unable = answered.filter(({ value }) => value.kind === 'full' || value.kind === 'no-data').length;
  return failed.length + unable <= size - writeQuorum(size);
}

const fenceMessages: Record<FenceReason, (epoch: number) => string> = {
  fenced: (epoch) => `the site is fenced at epoch ${epoch}: it takes no writes of clients`,
  'old-epoch': (epoch) => `the site is at epoch ${epoch}, and this write was begun under an older one`,
  'no-lease': (epoch) =>
    `the site holds no lease of epoch ${epoch}: it takes no writes of clients until it is granted one`,
};

function quorumLost(attempt: Attempt, answered: number): StorageError {
  const size = attempt.set.drives.length;
  return new StorageError(
    'WriteQuorumLost',
    `${answered} of ${size} drives of set ${attempt.set.index} answered, a write needs ${writeQuorum(size)}`,
    { details: attempt.proposed === undefined ? {} : { unknown: '1' } },
  );
}

function outcomeUnknown(attempt: Attempt, why: string): StorageError {
  return new StorageError('WriteQuorumLost', `it is not known whether this write took effect: ${why}`, {
    details: attempt.proposed === undefined ? {} : { unknown: '1' },
  });
}
