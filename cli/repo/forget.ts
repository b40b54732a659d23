import { parseSpan } from '../../activities/backup/repository/duration.ts';
import {
  decideRetention,
  type RetentionGroup,
  type RetentionPolicy,
} from '../../activities/backup/repository/retention.ts';
import type { Snapshot } from '../../activities/backup/repository/snapshot.ts';
import { exitCodes } from '../exit-codes.ts';
import { manySnapshots, type ChoiceOptions } from './choice.ts';
import { countOf, formatTable, printable } from '../format.ts';
import { invalid, parseGroupBy, parseKeep, parseMaxUnused, parseTagLists } from './parse.ts';
import { pruneOpen } from './prune.ts';
import type { Screen } from './screen.ts';
import type { Body, RepoOptions, Session } from './action.ts';
import { withRepository, type OpenRepository } from './session.ts';
import { rowOf, snapshotJson, tellDamaged } from './snapshots.ts';

export interface ForgetFlags extends RepoOptions, ChoiceOptions {
  keepLast?: string;
  keepHourly?: string;
  keepDaily?: string;
  keepWeekly?: string;
  keepMonthly?: string;
  keepYearly?: string;
  keepWithin?: string;
  keepWithinHourly?: string;
  keepWithinDaily?: string;
  keepWithinWeekly?: string;
  keepWithinMonthly?: string;
  keepWithinYearly?: string;
  keepTag?: string[];
  groupBy: string;
  dryRun?: boolean;
  prune?: boolean;
  maxUnused: string;
}

/** Removes snapshots by a policy, or those that were named. Their data goes with the next prune. */
export const forget: Body<ForgetFlags> = async (session, flags, [given = []]) => {
  const ids = given as readonly string[];
  const policy = policyOf(flags);
  const rules = Object.keys(policy).length;
  if (rules === 0 && ids.length === 0) throw invalid('say what to keep, e.g. --keep-daily 14, or name snapshots');
  if (rules > 0 && ids.length > 0) throw invalid('name snapshots or give a policy, not both');
  const [groupBy, maxUnusedPercent] = [parseGroupBy(flags.groupBy), parseMaxUnused(flags.maxUnused)];
  return withRepository(session, 'exclusive', async (open) => {
    const { snapshots, damaged } = await manySnapshots(open.repository, ids, flags);
    const groups = ids.length > 0 ? [] : decideRetention(snapshots, policy, { nowMs: Date.now(), groupBy });
    const going = ids.length > 0 ? snapshots : groups.flatMap(({ remove }) => remove);
    if (session.screen.json) session.screen.value(groups.map(groupJson));
    for (const group of groups) session.screen.say(`${groupText(group)}\n`);
    if (flags.dryRun !== true) await removeAll(session, open, going);
    tellRemoved(session.screen, going, flags);
    const exit = tellDamaged(session.screen, damaged);
    if (exit !== exitCodes.met || flags.prune !== true || going.length === 0 || flags.dryRun === true) return exit;
    return pruneOpen(session, open, { maxUnusedPercent, dryRun: false });
  });
};

/** @throws MusterError CONFIG_INVALID */
function policyOf(flags: ForgetFlags): RetentionPolicy {
  const counts = { last: flags.keepLast, hourly: flags.keepHourly, daily: flags.keepDaily } as const;
  const more = { weekly: flags.keepWeekly, monthly: flags.keepMonthly, yearly: flags.keepYearly } as const;
  const spans = {
    ...{ within: flags.keepWithin, withinHourly: flags.keepWithinHourly, withinDaily: flags.keepWithinDaily },
    ...{ withinWeekly: flags.keepWithinWeekly, withinMonthly: flags.keepWithinMonthly },
    withinYearly: flags.keepWithinYearly,
  };
  const kept = Object.entries({ ...counts, ...more }).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, parseKeep(`--keep-${name}`, text)] as const],
  );
  const within = Object.entries(spans).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, parseSpan(text)] as const],
  );
  const tags = flags.keepTag === undefined ? {} : { tags: parseTagLists(flags.keepTag) };
  // A count of nothing is no rule: by itself it would keep nothing, and looks like one that keeps something.
  const rules = kept.filter(([, count]) => count !== 0);
  return { ...Object.fromEntries(rules), ...Object.fromEntries(within), ...tags };
}

async function removeAll(
  session: Session,
  { repository, lock, signal }: OpenRepository,
  going: readonly Snapshot[],
): Promise<void> {
  session.whenStopped = 'some snapshots may be forgotten already; run the same command again to go on';
  await lock?.confirm();
  for (const { id } of going) {
    signal.throwIfAborted();
    await repository.store.remove('snapshot', id);
  }
}

function tellRemoved(screen: Screen, going: readonly Snapshot[], { dryRun, prune }: ForgetFlags): void {
  const what = countOf(going.length, 'snapshot');
  if (screen.json)
    screen.value({ message_type: 'summary', snapshots_removed: going.map(({ id }) => id), dry_run: dryRun === true });
  const then = prune === true || going.length === 0 ? '' : '; `muster repo prune` gives their space back';
  screen.remark(dryRun === true ? `would forget ${what}` : `forgot ${what}${then}`);
}

function groupText({ hostname, paths, tags, keep, remove }: RetentionGroup): string {
  const named = [hostname && `host ${hostname}`, paths.join(', '), tags.length > 0 && `tags ${tags.join(', ')}`];
  const rows = [
    ...keep.map(({ snapshot, reasons }) => ({ snapshot, verdict: 'keep', why: reasons.join('\n') })),
    ...remove.map((snapshot) => ({ snapshot, verdict: 'forget', why: '' })),
  ];
  const columns = [{ title: '' }, { title: 'ID' }, { title: 'Time' }, { title: 'Tags' }, { title: 'Why' }];
  const cells = rows.map(({ snapshot, verdict, why }) => {
    const [id = '', time = '', , tagText = ''] = rowOf(snapshot);
    return [verdict, id, time, tagText, why];
  });
  return `${printable(named.filter(Boolean).join(', ') || 'all snapshots')}\n${formatTable(columns, cells)}`;
}

/** As restic's `--json` has it. */
function groupJson({ hostname, paths, tags, keep, remove }: RetentionGroup): object {
  return {
    ...{ host: hostname, paths, tags: tags.length === 0 ? null : tags },
    keep: keep.map(({ snapshot }) => snapshotJson(snapshot)),
    remove: remove.map(snapshotJson),
    reasons: keep.map(({ snapshot, reasons }) => ({ snapshot: snapshotJson(snapshot), matches: reasons })),
  };
}
