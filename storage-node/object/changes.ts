import { type Ballot, ballotAt, type BallotClock } from '../consensus/ballot.ts';
import { type Answered, collect } from '../consensus/collect.ts';
import { type Registers } from '../consensus/registers.ts';
import { StorageError } from '../errors.ts';
import { type Env, sleep } from '../ports.ts';
import { type LogRow } from '../store/drive-api.ts';
import { type ErasureSet, readQuorum, writeQuorum } from '../store/set.ts';
import { decodeChange } from './change-codec.ts';
import { nameOf } from './keys.ts';
import { type Bucket, type Change, type ChangePage } from './model.ts';

/** The feed stays this far behind the present, so that raising the floor outbids hardly any write, milliseconds. */
const behindMs = 50;
const pollMs = 50;

export interface ChangesDeps {
  env: Env;
  sets: readonly ErasureSet[];
  registers: Registers;
  ballots: BallotClock;
  deadlineMs: number;
}

/**
 * Committed writes of a bucket behind a position, in order and without gaps.
 *
 * First the floor is raised on N/2 drives of each set: they accept nothing any more at or below it, and every write
 * quorum has one of them, so what their logs do not hold by then will never be. What is not known to be decided is
 * settled before it is told or left out.
 */
export async function readChanges(
  deps: ChangesDeps,
  bucket: Bucket,
  input: { after: Ballot; limit: number; waitMs: number },
): Promise<ChangePage> {
  const { clock } = deps.env;
  const endsAtMs = clock.monotonicMs() + input.waitMs;
  for (;;) {
    const page = await readOnce(deps, bucket, input);
    if (page.changes.length > 0 || clock.monotonicMs() + pollMs > endsAtMs) return page;
    await sleep(clock, pollMs);
  }
}

interface Stretch {
  changes: Change[];
  /** Everything up to here is in it. */
  upTo: Ballot;
}

async function readOnce(
  deps: ChangesDeps,
  bucket: Bucket,
  input: { after: Ballot; limit: number },
): Promise<ChangePage> {
  const present = Math.max(ballotAt(deps.env.clock.wallMs() - behindMs), deps.ballots.latest() - ballotAt(behindMs));
  if (present <= input.after) return { changes: [], position: input.after, more: false };
  const stretches = await Promise.all(
    deps.sets.map((set) => readSet(deps, { set, bucket, after: input.after, upTo: present, limit: input.limit + 1 })),
  );
  const upTo = Math.min(...stretches.map((stretch) => stretch.upTo));
  const all = stretches
    .flatMap(({ changes }) => changes)
    .filter(({ position }) => position <= upTo)
    .sort((a, b) => a.position - b.position);
  const changes = all.slice(0, input.limit);
  const cut = all.length > input.limit;
  return { changes, position: cut ? changes.at(-1)!.position : upTo, more: cut || upTo < present };
}

interface SetRead {
  set: ErasureSet;
  bucket: Bucket;
  after: Ballot;
  upTo: Ballot;
  limit: number;
}

/** How long the logs of further drives are waited for, milliseconds: as a rule, and where theirs tell what others cannot. */
const graceMs = { usual: 20, inDoubt: 1_000 };

async function readSet(deps: ChangesDeps, read: SetRead): Promise<Stretch> {
  const stretch = await readLogs(deps, read, graceMs.usual);
  return stretch.inDoubt ? readLogs(deps, read, graceMs.inDoubt) : stretch;
}

async function readLogs(
  deps: ChangesDeps,
  { set, bucket, after, upTo: wanted, limit }: SetRead,
  patienceMs: number,
): Promise<Stretch & { inDoubt: boolean }> {
  const quorum = readQuorum(set.drives.length);
  const options = { deadlineMs: deps.deadlineMs };
  const bucketId = Buffer.from(bucket.id, 'hex');
  const { answered } = await collect(
    set.drives,
    async (drive) => {
      await drive.api.raiseFloor(wanted, options);
      return drive.api.log({ bucketId, after, upTo: wanted, limit }, options);
    },
    {
      clock: deps.env.clock,
      deadlineMs: deps.deadlineMs,
      graceMs: patienceMs,
      enough: (now) => now.answered.length >= quorum || now.failed.length > set.drives.length - quorum,
    },
  );
  if (answered.length < quorum) {
    const message = `${answered.length} of ${set.drives.length} drives of set ${set.index} answered, the change log needs ${quorum}`;
    throw new StorageError('ReadQuorumLost', message);
  }
  // A drive that filled its page knows nothing of what lies behind it.
  const upTo = Math.min(
    wanted,
    ...answered.flatMap(({ value }) => (value.length === limit ? [value.at(-1)!.ballot] : [])),
  );
  const changes: Change[] = [];
  let inDoubt = false;
  for (const rows of byBallot(answered, upTo)) {
    const fate = await fateOf(deps, { set, rows, silent: set.drives.length - answered.length });
    if (fate === 'in doubt') inDoubt = true;
    if (fate !== 'lost') changes.push(changeOf(rows.find(({ decided }) => decided) ?? rows[0]!));
  }
  return { changes, upTo, inDoubt };
}

/** The rows of each ballot up to a position, ballots in order. */
function byBallot(answered: readonly Answered<LogRow[]>[], upTo: Ballot): LogRow[][] {
  const found = new Map<Ballot, LogRow[]>();
  for (const { value } of answered) {
    for (const row of value) {
      if (row.ballot > upTo) break;
      const rows = found.get(row.ballot);
      if (rows === undefined) found.set(row.ballot, [row]);
      else rows.push(row);
    }
  }
  return [...found.entries()].sort(([a], [b]) => a - b).map(([, rows]) => rows);
}

/**
 * Whether a logged write took effect. One that nobody knows to is settled by a round of its own, for good. In doubt is one
 * that is not the key's value, superseded or deleted and forgotten, and that drives which have not answered may have made
 * chosen: it is told, for then somebody may have seen it.
 */
async function fateOf(
  deps: ChangesDeps,
  { set, rows, silent }: { set: ErasureSet; rows: readonly LogRow[]; silent: number },
): Promise<'committed' | 'lost' | 'in doubt'> {
  const quorum = writeQuorum(set.drives.length);
  if (rows.some(({ decided }) => decided) || rows.length >= quorum) return 'committed';
  const { key, ballot } = rows[0]!;
  const guard = { fromClient: false, bucketGeneration: Number.MAX_SAFE_INTEGER };
  const { current } = await deps.registers.change(set, key, guard, () => 'unchanged');
  if (current.ballot === ballot) return 'committed';
  return rows.length + silent >= quorum ? 'in doubt' : 'lost';
}

function changeOf(row: LogRow): Change {
  return { position: row.ballot, key: nameOf(row.key), ...decodeChange(row.note) };
}
