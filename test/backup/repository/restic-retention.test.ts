import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseSpan } from '../../../activities/backup/repository/duration.ts';
import { formatTime } from '../../../activities/backup/repository/go-time.ts';
import {
  decideRetention,
  oldestReason,
  type GroupBy,
  type RetentionPolicy,
} from '../../../activities/backup/repository/retention.ts';
import { listSnapshots, saveSnapshot } from '../../../activities/backup/repository/snapshot.ts';
import { seeded, type Random } from '../../support/random.ts';
import { initCheaply, writeSnapshot } from './support/repositories.ts';
import { restic, scratch, skipWithoutRestic } from './support/restic.ts';

interface ForgetGroup {
  keep: { id: string }[] | null;
  remove: { id: string }[] | null;
}

const hour = 3_600_000;
const zonesMinutes = [0, 0, 480, -300, 345];

/** Times that crowd into few hours, or spread over years; all of them past, no two the same. */
function randomTimes(random: Random, count: number): string[] {
  const nowMs = Date.now();
  const spans = [2 * hour, 50 * hour, 40 * 24 * hour, 900 * 24 * hour, 4000 * 24 * hour];
  const ages = new Set<number>();
  while (ages.size < count) ages.add(1000 + Math.floor(random.next() * random.pick(spans)));
  return [...ages].map((age) => formatTime(BigInt(nowMs - age) * 1_000_000n, random.pick(zonesMinutes)));
}

const counts = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const spans = ['within', 'withinHourly', 'withinDaily', 'withinWeekly', 'withinMonthly', 'withinYearly'] as const;

/** A policy for us, and the same in restic's options. */
function randomPolicy(random: Random): { policy: RetentionPolicy; args: string[] } {
  const policy: Record<string, unknown> = {};
  const args: string[] = [];
  for (const kind of counts) {
    if (!random.chance(0.35)) continue;
    policy[kind] = random.between(1, 7);
    args.push(`--keep-${kind}`, String(policy[kind]));
  }
  for (const kind of spans) {
    if (!random.chance(0.2)) continue;
    const span = `${random.between(0, 2)}y${random.between(0, 11)}m${random.between(0, 40)}d${random.between(0, 30)}h`;
    policy[kind] = parseSpan(span);
    args.push(`--keep-${kind.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, span);
  }
  if (random.chance(0.2)) {
    policy['tags'] = [['gold'], ['silver', 'odd']];
    args.push('--keep-tag', 'gold', '--keep-tag', 'silver,odd');
  }
  if (args.length > 0) return { policy, args };
  return { policy: { last: 1 }, args: ['--keep-last', '1'] };
}

const groupings: { groupBy: GroupBy[]; args: string[] }[] = [
  { groupBy: ['host', 'paths'], args: [] },
  { groupBy: [], args: ['--group-by', ''] },
  { groupBy: ['tags', 'host'], args: ['--group-by', 'host,tags'] },
];

for (const seed of [1, 2, 3]) {
  const name = `of random snapshots the same are kept as restic forget keeps (seed ${seed})`;
  test(name, { skip: skipWithoutRestic, timeout: 120_000 }, async () => {
    await using at = scratch();
    const path = join(at.path, 'repository');
    const repository = await initCheaply(path);
    const random = seeded(seed);
    const { tree } = await writeSnapshot(repository, { a: Buffer.from('a') }, { time: '1999-12-31T23:59:59Z' });
    for (const time of randomTimes(random, 45)) {
      const tags = ['gold', 'silver', 'odd'].filter(() => random.chance(0.3));
      const hostname = random.pick(['one', 'one', 'two']);
      const paths = random.pick([['/srv'], ['/srv'], ['/home', '/etc'], ['/etc', '/home']]);
      await saveSnapshot(repository, { time, tree, paths, hostname, ...(tags.length > 0 && { tags }) });
    }
    const { snapshots } = await listSnapshots(repository);
    for (let run = 0; run < 12; run += 1) {
      const { policy, args } = randomPolicy(random);
      const { groupBy, args: grouping } = random.pick(groupings);
      const printed = await restic(path, ['forget', '--dry-run', '--json', ...args, ...grouping]);
      const theirs = JSON.parse(printed) as ForgetGroup[];
      const ours = decideRetention(snapshots, policy, { nowMs: Date.now(), groupBy, dropWholeGroups: true });
      const what = `${args.join(' ')} ${grouping.join(' ')}`;
      assert.equal(ours.length, theirs.length, what);
      const kept = (reasonsThatCount: (reason: string) => boolean): string[] =>
        ours.flatMap(({ keep }) =>
          keep.filter(({ reasons }) => reasons.some(reasonsThatCount)).map(({ snapshot }) => snapshot.id),
        );
      const expected = theirs.flatMap(({ keep }) => (keep ?? []).map(({ id }) => id)).toSorted();
      const today = kept(() => true).toSorted();
      // Older versions of restic do not keep the oldest snapshot for its age.
      const before = kept((reason) => reason !== oldestReason).toSorted();
      assert.deepEqual(expected.length === today.length ? today : before, expected, what);
    }
  });
}
