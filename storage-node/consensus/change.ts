import { sleep } from '../ports.ts';
import { type PrepareReply } from '../store/drive-api.ts';
import { writeQuorum } from '../store/set.ts';
import { accept } from './accept.ts';
import { type Attempt, type ChangeRequest, outcomeUnknown, quorumLost } from './attempt.ts';
import { type Ballot } from './ballot.ts';
import { confirm, judgeWithData } from './carry.ts';
import { type Answered, type Answers, collect } from './collect.ts';
import { openEnvelope, operationIdBytes, sealEnvelope } from './envelope.ts';
import { type Changed, type Current, type RegisterDeps } from './registers.ts';

type RoundEnd = { kind: 'done'; changed: Changed } | { kind: 'again' };

/** The rounds of one change: prepare, judge, accept; again with a higher ballot when another writer was quicker. */
export async function changeRegister(settings: Required<RegisterDeps>, request: ChangeRequest): Promise<Changed> {
  const { clock } = settings.env;
  const attempt: Attempt = {
    ...request,
    settings,
    operation: Buffer.from(settings.env.randomBytes(operationIdBytes)).toString('hex'),
    proposed: undefined,
    unbuilt: undefined,
    patient: false,
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
  const judged = await judgeWithData(attempt, promises.answered);
  if (judged === undefined) return again;
  const { judgement, held } = judged;
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

/** The answers when there were enough; what comes later joins them. */
async function prepare(attempt: Attempt, ballot: Ballot): Promise<Answers<PrepareReply>> {
  const { settings, set, key, patient } = attempt;
  const quorum = writeQuorum(set.drives.length);
  let late: Answered<PrepareReply>[] = [];
  const answers = await collect(
    set.drives,
    (drive) => drive.api.prepare({ key, ballot }, { deadlineMs: settings.writeDeadlineMs }),
    {
      clock: settings.env.clock,
      deadlineMs: settings.writeDeadlineMs,
      graceMs: patient ? settings.readDeadlineMs : Math.min(10, settings.graceMs),
      enough: ({ answered, failed }) =>
        answered.filter(({ value }) => value.kind === 'promised').length >= quorum ||
        failed.length > set.drives.length - quorum,
      late: (one) => void late.push(one),
    },
  );
  answers.answered.push(...late);
  late = answers.answered;
  return answers;
}
