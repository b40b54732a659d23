import { StorageError } from '../errors.ts';
import {
  type AcceptReply,
  type AcceptRequest,
  type DataId,
  type FenceReason,
  type HeldRegister,
  type PreparedRegister,
} from '../store/drive-api.ts';
import { type DriveHandle, readQuorum, writeQuorum } from '../store/set.ts';
import { type Attempt, type Held, idText, quorumLost, unknownOutcome } from './attempt.ts';
import { type Ballot } from './ballot.ts';
import { type Answers, collect } from './collect.ts';
import { isBuiltOn, valueOf } from './envelope.ts';
import { type Change } from './registers.ts';

export interface Proposal {
  change: Change;
  /** The sealed envelope. */
  state: Uint8Array;
  held: Held;
  /** The ballot of the value this one was built on, which was chosen; 0 if none is known. */
  base: Ballot;
  /** Above this ballot nothing took effect. */
  from: Ballot;
}

/** The drives' votes on one proposal. */
interface Vote {
  attempt: Attempt;
  ballot: Ballot;
  proposal: Proposal;
  taken: Set<DriveHandle>;
  chosen: boolean;
}

/**
 * Asks all drives to accept a value. Only those that have its data do; shards that were only staged are named by that,
 * and can be read from then on. Where too few have the data, but enough to compute it, the others are given it and asked
 * again, under the same ballot. So what is chosen has its data on N/2+1 drives, however it came to be chosen.
 * @returns false when outbid: the value may be on a minority of the drives.
 */
export async function accept(attempt: Attempt, ballot: Ballot, proposal: Proposal): Promise<boolean> {
  const { settings, set, key } = attempt;
  const size = set.drives.length;
  const vote: Vote = { attempt, ballot, proposal, taken: new Set(), chosen: false };
  const first = await askFirst(vote);
  const lost = lostBy(vote, first);
  const replies = lost.length === 0 ? first : await askAgain(vote, first, lost);
  if (vote.taken.size >= writeQuorum(size)) {
    vote.chosen = true;
    for (const drive of vote.taken) drive.api.decide([{ key, ballot }]);
    if (vote.taken.size < size) settings.lagging(set, key);
    return true;
  }
  if (replies !== undefined) refuse(vote, replies, lost.length > 0);
  return false;
}

interface Question {
  drives: readonly DriveHandle[];
  proposal: Proposal;
  enough: (now: Answers<AcceptReply>) => boolean;
}

function ask(vote: Vote, { drives, proposal, enough }: Question): Promise<Answers<AcceptReply>> {
  const { attempt, ballot, taken } = vote;
  const { settings, set, key } = attempt;
  const requests = acceptRequests(attempt, ballot, proposal);
  const askOne = async (drive: DriveHandle): Promise<AcceptReply> => {
    const reply = await drive.api.accept(requests(drive.position), { deadlineMs: settings.writeDeadlineMs });
    if (reply.kind === 'accepted') {
      taken.add(drive);
      // Late or not: of a round that was lost, no drive may be told that it was decided.
      if (vote.chosen) drive.api.decide([{ key, ballot }]);
    }
    return reply;
  };
  return collect(drives, askOne, {
    clock: settings.env.clock,
    deadlineMs: settings.writeDeadlineMs,
    graceMs: settings.graceMs,
    enough: (now) => taken.size >= writeQuorum(set.drives.length) || enough(now),
  });
}

function askFirst(vote: Vote): Promise<Answers<AcceptReply>> {
  const { drives } = vote.attempt.set;
  const size = drives.length;
  const enough = (now: Answers<AcceptReply>): boolean => {
    const taken = count(now, 'accepted');
    const without = count(now, 'no-data');
    const refused = now.answered.length - taken - without + now.failed.length;
    if (refused > size - writeQuorum(size) || refused + without > size - readQuorum(size)) return true;
    return without > 0 && taken >= readQuorum(size) && taken + without >= writeQuorum(size);
  };
  return ask(vote, { drives, proposal: vote.proposal, enough });
}

/** Gives drives that lack the data their shards, and asks them once more. Undefined: the shards cannot be computed. */
async function askAgain(
  vote: Vote,
  { answered, failed }: Answers<AcceptReply>,
  lost: readonly DriveHandle[],
): Promise<Answers<AcceptReply> | undefined> {
  const { attempt, proposal } = vote;
  const puts = await shardsFor(attempt, proposal, lost);
  if (puts === undefined) return undefined;
  const given = { ...proposal, change: { ...proposal.change, puts } };
  const second = await ask(vote, { drives: lost, proposal: given, enough: () => false });
  return {
    answered: [...answered.filter(({ drive }) => !lost.includes(drive)), ...second.answered],
    failed: [...failed, ...second.failed],
  };
}

/** The drives without the data, if it is for them alone that the value is not chosen, and can be computed for them. */
function lostBy({ attempt, taken }: Vote, replies: Answers<AcceptReply>): DriveHandle[] {
  const size = attempt.set.drives.length;
  const lost = replies.answered.filter(({ value }) => value.kind === 'no-data').map(({ drive }) => drive);
  const needed = taken.size < writeQuorum(size) && count(replies, 'outbid') === 0;
  const possible = taken.size >= readQuorum(size) && taken.size + lost.length >= writeQuorum(size);
  return needed && possible ? lost : [];
}

/** Their shards, computed from those of the drives that have accepted. Undefined: another round must tell why not. */
async function shardsFor(
  attempt: Attempt,
  { change, state }: Proposal,
  drives: readonly DriveHandle[],
): Promise<Change['puts'] | undefined> {
  const { settings, set, key } = attempt;
  const positions = drives.map(({ position }) => position);
  const dataIds = change.puts(positions[0]!).map(({ dataId }) => dataId);
  try {
    const made = await settings.rebuild({ set, key, value: change.state, dataIds, positions });
    return (position) => made.get(position) ?? change.puts(position);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    failOnce(attempt, state, `the data of a value that may have been written cannot be put together: ${why}`, cause);
    return undefined;
  }
}

/**
 * A quicker writer may have put another value in the place of this one, and its data be gone for that: the next round
 * tells. Throws when it met the same value again.
 */
function failOnce(attempt: Attempt, state: Uint8Array, why: string, cause?: unknown): void {
  if (attempt.unbuilt !== undefined && Buffer.compare(attempt.unbuilt, state) === 0) {
    throw new StorageError('WriteQuorumLost', why, { cause, details: unknownOutcome(attempt) });
  }
  attempt.unbuilt = state;
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

/**
 * Throws when the drives' refusals are more than being outbid.
 * @param askedAgain not all drives were waited for: what some had lost was given to them first
 */
function refuse({ attempt, proposal }: Vote, replies: Answers<AcceptReply>, askedAgain: boolean): void {
  const { state } = proposal;
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
    return failOnce(attempt, state, 'too many drives have lost what was sent to them of this write');
  }
  const quorum = writeQuorum(attempt.set.drives.length);
  if (replies.answered.length < quorum && !(askedAgain && mayGoOn(attempt, replies)))
    throw quorumLost(attempt, replies.answered.length);
}

/**
 * Whether another round can be won. Of drives that were not waited for, since this one was lost, nothing is known. What
 * some have lost can be made up for, as long as enough others may have theirs.
 */
function mayGoOn({ set }: Attempt, replies: Answers<AcceptReply>): boolean {
  const size = set.drives.length;
  const unable = replies.failed.length + count(replies, 'full');
  return unable <= size - writeQuorum(size) && unable + count(replies, 'no-data') <= size - readQuorum(size);
}

function count({ answered }: Answers<AcceptReply>, kind: AcceptReply['kind']): number {
  return answered.filter(({ value }) => value.kind === kind).length;
}

const fenceMessages: Record<FenceReason, (epoch: number) => string> = {
  fenced: (epoch) => `the site is fenced at epoch ${epoch}: it takes no writes of clients`,
  'old-epoch': (epoch) => `the site is at epoch ${epoch}, and this write was begun under an older one`,
  'no-lease': (epoch) =>
    `the site holds no lease of epoch ${epoch}: it takes no writes of clients until it is granted one`,
};
