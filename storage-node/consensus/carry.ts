import { type DataCheck, type DataId, type PrepareReply, type Register } from '../store/drive-api.ts';
import { readQuorum } from '../store/set.ts';
import { accept } from './accept.ts';
import { type Attempt, type Held, heldBy, idText, quorumLost } from './attempt.ts';
import { type Ballot } from './ballot.ts';
import { type Answered, collect } from './collect.ts';
import { valueOf } from './envelope.ts';
import { judge, type Judgement, layerAt } from './judge.ts';
import { type Change } from './registers.ts';

/**
 * Judges what drives promised. A value that may have been chosen, but is shown by too few drives to be sure of its data,
 * is carried on only where enough of them have that, named or staged. It is never passed over for want of data: a drive
 * that has not promised anything yet may still accept it.
 * @param promises grows while answers come late
 * @returns undefined when drives that are there have not promised yet, and may tell
 */
export async function judgeWithData(
  attempt: Attempt,
  promises: readonly Answered<PrepareReply>[],
): Promise<{ judgement: Judgement; held: Held } | undefined> {
  const { set } = attempt;
  const size = set.drives.length;
  for (;;) {
    const held = heldBy(promises);
    const judgement = judge([...held.values()], size);
    if (judgement.kind === 'value' || judgement.complete) return { judgement, held };
    const ids = newDataOf(attempt, judgement.register, held);
    if (ids.length === 0) return { judgement, held };
    const { holders, heard } = await whoHas(attempt, ids);
    if (holders >= readQuorum(size)) return { judgement, held };
    if (promises.length > held.size) continue;
    if (heard <= held.size || attempt.patient) throw quorumLost(attempt, held.size);
    attempt.patient = true;
    return undefined;
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

/** How many drives have all of this data, and how many said what they have. */
async function whoHas({ settings, set }: Attempt, ids: readonly DataId[]): Promise<{ holders: number; heard: number }> {
  // What is staged counts: the accept that follows names it.
  const isWhole = (checks: readonly DataCheck[]): boolean =>
    checks.every((check) => check === 'ok' || check === 'staged');
  const whole = (answered: readonly Answered<DataCheck[]>[]): number =>
    answered.filter(({ value }) => isWhole(value)).length;
  const { answered } = await collect(set.drives, (drive) => drive.api.checkData(ids, false), {
    clock: settings.env.clock,
    deadlineMs: settings.readDeadlineMs,
    graceMs: 0,
    enough: (now) => whole(now.answered) >= readQuorum(set.drives.length),
  });
  return { holders: whole(answered), heard: answered.length };
}

/** Carries a value that may or may not have been chosen through a round of its own, as it is. */
export async function confirm(attempt: Attempt, ballot: Ballot, register: Register, held: Held): Promise<void> {
  const own = [...held.values()].map((layers) => layerAt(layers, register.ballot)).find((one) => one !== undefined)!;
  const puts = newDataOf(attempt, register, held).map((dataId) => ({ kind: 'staged' as const, dataId }));
  const change: Change = {
    tombstone: own.tombstone,
    hidden: own.hidden,
    state: valueOf(own.state),
    headData: own.headData,
    // A drive that lacks any of it says so.
    puts: () => puts,
    note: own.note,
  };
  await accept(attempt, ballot, { change, state: own.state, held, base: 0, from: own.ballot });
}
