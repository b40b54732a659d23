import { judge } from '../consensus/judge.ts';
import { isBuiltOn, valueOf } from '../consensus/envelope.ts';
import { sameValue } from '../consensus/registers.ts';
import { type Answered, collect } from '../consensus/collect.ts';
import { bucketIdBytes, type IndexKey, type LearnRequest, type ReadReply, type ShardPut } from '../store/drive-api.ts';
import { type DriveHandle, type ErasureSet } from '../store/set.ts';
import { lentDataOf } from '../object/state-codec.ts';
import { type StoredData } from '../object/stripe-reader.ts';
import { rebuildShards } from './rebuild.ts';
import { type HealDeps, type HealTarget, type KeyHealth } from './types.ts';

/** What the drives of a set have of a key, against what they should have. */
interface Survey {
  target: HealTarget;
  replies: Answered<ReadReply>[];
  /** The value all should have, as the newest holder has it. */
  wanted: ReadReply;
  data: StoredData[];
}

/**
 * Brings every drive of the set that answers to the newest value of a key, with every shard it should have. Damage is
 * only looked for where `verify` is set (all blocks are read then); missing shards always.
 */
export async function healKey(deps: HealDeps, target: HealTarget, verify: boolean): Promise<KeyHealth> {
  let survey = await surveyKey(deps, target);
  if (survey === 'leftover') {
    await dropLeftover(deps, target).catch(() => {});
    survey = await surveyKey(deps, target);
  }
  if (survey === 'absent') return whole;
  if (typeof survey === 'string') return { ...whole, kind: 'short', reason: survey };
  const { lacking, staged } = await shardsOf(deps, survey, verify);
  const lagging = survey.replies.filter(({ value }) => value.ballot < survey.wanted.ballot).map(({ drive }) => drive);
  const result: KeyHealth = {
    ...whole,
    shardsLacking: [...lacking.values()].reduce((sum, list) => sum + list.length, 0),
  };
  if (result.shardsLacking === 0 && lagging.length === 0 && staged.size === 0) {
    markDecided(survey);
    return absentees(survey, result);
  }
  try {
    // Once they are named, those that drives lack can be computed from them.
    const ready = new Map(lacking.size === 0 ? [] : [...staged].filter(([drive]) => !lacking.has(drive)));
    if (ready.size > 0) {
      const own = lagging.filter((drive) => ready.has(drive));
      await install(deps, survey, own, ready);
    }
    const puts = await rebuildAll(deps, survey, lacking, result);
    for (const [drive, own] of staged) if (!ready.has(drive)) puts.set(drive, [...own, ...(puts.get(drive) ?? [])]);
    const others = lagging.filter((drive) => !ready.has(drive));
    await install(deps, survey, others, puts);
    return absentees(survey, { ...result, kind: 'healed' });
  } catch (error) {
    return { ...result, kind: 'short', reason: error instanceof Error ? error.message : String(error) };
  }
}

const whole: KeyHealth = { kind: 'whole', shardsLacking: 0, shardsWritten: 0, bytesWritten: 0, reason: undefined };

/** A drive that did not answer cannot be said to have its shards. */
function absentees(survey: Survey, result: KeyHealth): KeyHealth {
  const missing = survey.target.set.drives.length - survey.replies.length;
  return missing === 0 ? result : { ...result, kind: 'short', reason: `${missing} drives of the set did not answer` };
}

/**
 * What a few drives accepted and was never chosen stays with them until the key is written: so it is, with the value it
 * has.
 */
async function dropLeftover(deps: HealDeps, { set, key }: HealTarget): Promise<void> {
  const guard = { fromClient: false, bucketGeneration: Number.MAX_SAFE_INTEGER };
  await deps.registers.change(set, key, guard, (current) =>
    sameValue(current, current.tombstone ? undefined : deps.values.headOf(key, current.state)),
  );
}

async function surveyKey(deps: HealDeps, target: HealTarget): Promise<Survey | string> {
  const { set, key } = target;
  const current = await deps.registers.get(set, key).catch((error: unknown) => error);
  if (current instanceof Error) return current.message;
  const { answered } = await collect(
    set.drives,
    (drive) => drive.api.read({ key, withHead: false }, { deadlineMs: deps.deadlineMs }),
    { clock: deps.env.clock, enough: () => false, graceMs: 0, deadlineMs: deps.deadlineMs },
  );
  if (answered.length < set.drives.length / 2) return 'too few drives of the set answered';
  const judgement = judge(
    answered.map(({ value }) => value),
    set.drives.length,
  );
  if (judgement.kind === 'maybe') return 'a write of this key is under way';
  if (answered.some(({ value }) => value.ballot > judgement.ballot)) return 'leftover';
  if (judgement.ballot === 0) return 'absent';
  const wanted = answered.map(({ value }) => value).find(({ ballot }) => ballot === judgement.ballot)!;
  const data = wanted.tombstone ? [] : deps.values.dataOf(key, valueOf(wanted.state));
  return { target, replies: answered, wanted, data: data.map((one) => ({ ...one, key, set })) };
}

interface ShardsHeld {
  /** By drive: the data it should have shards of and does not. */
  lacking: Map<DriveHandle, StoredData[]>;
  /** By drive: shards it took when the value was written, though it did not take the value; it needs only name them. */
  staged: Map<DriveHandle, ShardPut[]>;
}

async function shardsOf(deps: HealDeps, survey: Survey, verify: boolean): Promise<ShardsHeld> {
  const held: ShardsHeld = { lacking: new Map(), staged: new Map() };
  if (survey.data.length === 0) return held;
  const ids = survey.data.map(({ dataId }) => dataId);
  const { answered } = await collect(
    survey.replies.map(({ drive }) => drive),
    (drive) => drive.api.checkData(ids, verify, { deadlineMs: deps.deadlineMs }),
    { clock: deps.env.clock, enough: () => false, graceMs: 0, deadlineMs: deps.deadlineMs },
  );
  for (const { drive, value } of answered) {
    const bad = survey.data.filter((_, i) => value[i] === 'missing' || value[i] === 'damaged');
    if (bad.length > 0) held.lacking.set(drive, bad);
    const only = survey.data.filter((_, i) => value[i] === 'staged');
    if (only.length > 0)
      held.staged.set(
        drive,
        only.map(({ dataId }) => ({ kind: 'staged', dataId })),
      );
  }
  return held;
}

async function rebuildAll(
  deps: HealDeps,
  survey: Survey,
  lacking: ReadonlyMap<DriveHandle, readonly StoredData[]>,
  result: KeyHealth,
): Promise<Map<DriveHandle, ShardPut[]>> {
  const puts = new Map<DriveHandle, ShardPut[]>();
  for (const data of survey.data) {
    const drives = [...lacking].filter(([, list]) => list.includes(data)).map(([drive]) => drive);
    if (drives.length === 0) continue;
    const rebuilt = await rebuildShards(deps, data, drives);
    for (const [drive, put] of rebuilt.puts) puts.set(drive, [...(puts.get(drive) ?? []), put]);
    result.shardsWritten += rebuilt.puts.size;
    result.bytesWritten += rebuilt.bytes;
  }
  return puts;
}

/** Tells each drive: those that lag learn the value together with its shards, the others are given the shards. */
async function install(
  deps: HealDeps,
  survey: Survey,
  lagging: readonly DriveHandle[],
  puts: ReadonlyMap<DriveHandle, readonly ShardPut[]>,
): Promise<void> {
  const { key } = survey.target;
  const { ballot } = survey.wanted;
  const note = lagging.length === 0 ? undefined : await noteOf(deps, survey);
  for (const { drive, value } of survey.replies) {
    const own = puts.get(drive) ?? [];
    if (lagging.includes(drive)) {
      const reply = await drive.api.learn(learnRequest(deps, survey, value, { puts: own, note }));
      if (reply.kind !== 'learned') throw new Error(`${drive.name} did not take the value: ${reply.kind}`);
    } else if (own.length > 0) {
      const taken = await drive.api.repair({ key, ballot, puts: own }, { deadlineMs: deps.deadlineMs });
      if (!taken) throw new Error(`the key was changed while ${drive.name} was healed`);
    }
  }
  markDecided(survey);
}

function learnRequest(
  deps: HealDeps,
  survey: Survey,
  had: ReadReply,
  given: { puts: readonly ShardPut[]; note: Uint8Array | undefined },
): LearnRequest {
  const { key } = survey.target;
  const { wanted } = survey;
  // A tombstone, too, may name data: such as lives on under another key.
  const keeps = deps.values.dataOf(key, valueOf(wanted.state)).map(({ dataId }) => dataId);
  const kept = new Set(keeps.map(text));
  const old = had.tombstone || had.ballot === 0 ? [] : deps.values.dataOf(key, valueOf(had.state));
  const passedOver = !had.decided && !isBuiltOn(wanted.state, had.state);
  if (passedOver) for (const id of lentDataOf(key, valueOf(had.state))) kept.add(text(id));
  const given_ = new Set(given.puts.map(({ dataId }) => text(dataId)));
  return {
    key,
    ballot: wanted.ballot,
    tombstone: wanted.tombstone,
    hidden: wanted.hidden,
    state: wanted.state,
    headData: wanted.tombstone ? undefined : deps.values.headOf(key, valueOf(wanted.state)),
    puts: given.puts,
    frees: old.map(({ dataId }) => dataId).filter((id) => !kept.has(text(id))),
    keeps: keeps.filter((id) => !given_.has(text(id))),
    // An older value that this drive does not know to be decided may have been all the same.
    cancels: [],
    change: given.note === undefined ? undefined : { note: given.note },
  };
}

function text(id: Uint8Array): string {
  return Buffer.from(id).toString('latin1');
}

/** The change log's row of the wanted ballot, from a drive that has it. */
async function noteOf(deps: HealDeps, survey: Survey): Promise<Uint8Array | undefined> {
  const { key } = survey.target;
  const { ballot } = survey.wanted;
  const bucketId = key.subarray(0, bucketIdBytes);
  for (const { drive, value } of survey.replies) {
    if (value.ballot !== ballot) continue;
    const rows = await drive.api
      .log({ bucketId, after: ballot - 1, upTo: ballot, limit: 1 }, { deadlineMs: deps.deadlineMs })
      .catch(() => []);
    if (rows[0] !== undefined) return rows[0].note;
  }
  return undefined;
}

function markDecided(survey: Survey): void {
  const { key } = survey.target;
  const { ballot } = survey.wanted;
  for (const { drive, value } of survey.replies) {
    if (value.ballot === ballot && !value.decided) drive.api.decide([{ key, ballot }]);
  }
}

/** Whether every drive of the set has this tombstone, so that it may go. */
export async function forgetTombstone(
  deps: HealDeps,
  set: ErasureSet,
  tombstone: { key: IndexKey; ballot: number },
): Promise<boolean> {
  const { answered } = await collect(
    set.drives,
    (drive) => drive.api.read({ key: tombstone.key, withHead: false }, { deadlineMs: deps.deadlineMs }),
    { clock: deps.env.clock, enough: () => false, graceMs: 0, deadlineMs: deps.deadlineMs },
  );
  const agreed = answered.filter(({ value }) => value.ballot === tombstone.ballot && value.tombstone).length;
  if (agreed < set.drives.length) return false;
  await Promise.all(set.drives.map((drive) => drive.api.forget(tombstone, { deadlineMs: deps.deadlineMs })));
  return true;
}
