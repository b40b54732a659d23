import { alignVersions, sameByEtag } from '../compare/align-versions.ts';
import { type Joined } from '../compare/join.ts';
import { judgeSameness } from '../compare/judge.ts';
import { type Entry } from '../compare/pages.ts';
import { type CopyTask } from '../copy/ports.ts';
import { type LedgerRow } from '../ledger/ledger.ts';
import { type Filter } from './filter.ts';
import { type PassRule } from './pass.ts';

/** What has to be done about one key. `chain`: versions that follow each other. */
export type Step =
  | { kind: 'copy'; task: CopyTask; why: 'absent' | 'different' | 'unsure' | 'properties' }
  | { kind: 'chain'; key: string; tasks: ChainTask[]; why: 'absent' | 'different' }
  | { kind: 'forked'; key: string; entry: Entry }
  | { kind: 'extra'; key: string; entry: Entry }
  | { kind: 'same'; key: string; entry: Entry; target: Entry; proved: boolean };
/** What there is to do about a batch. Keys that are the same and need no row are only counted. */
export interface BatchPlan {
  steps: Step[];
  same: number;
}
export type ChainTask = CopyTask & { deleteMarker: boolean };

/** Rows of the ledger for the keys of a batch (version ''), in its order. */
export type RowsOf = (joined: Joined<Entry>, index: number) => LedgerRow | undefined;

/** `adopts`: what is the same becomes a row of the ledger where it has none. */
export type PlanRule = Pick<PassRule, 'compareBy' | 'compareProperties' | 'versions'> & { adopts: boolean };

/** What to do about the keys of a batch, pure. What the filter leaves out is not mentioned. */
export function planBatch(
  batch: readonly Joined<Entry>[],
  rowOf: RowsOf,
  { rule, filter }: { rule: PlanRule; filter: Filter },
): BatchPlan {
  const plan: BatchPlan = { steps: [], same: 0 };
  batch.forEach((joined, i) => {
    if (!filter.named(joined.key)) return;
    const step = rule.versions ? planVersions(joined, filter) : planKey(joined, rowOf(joined, i), { rule, filter });
    if (step === undefined) return;
    if (step === 'same') plan.same += 1;
    else plan.steps.push(step);
  });
  return plan;
}

function planKey(
  { key, source, target }: Joined<Entry>,
  row: LedgerRow | undefined,
  { rule, filter }: { rule: PlanRule; filter: Filter },
): Step | 'same' | undefined {
  if (source === undefined) return filter.sized(target!) ? { kind: 'extra', key, entry: target! } : undefined;
  if (!filter.sized(source)) return undefined;
  if (target === undefined) {
    const task = taskOf(source, row, { kind: 'absent' });
    return { kind: 'copy', task, why: 'absent' };
  }
  const taskNow = (): CopyTask => taskOf(source, row, { kind: 'present', etag: target.etag });
  const recorded = row !== undefined && row.sourceEtag === source.etag && row.targetEtag === target.etag;
  // The same bytes, written anew: properties may have changed. Times of listings are cut off to the second.
  if (recorded && source.lastModifiedMs >= row.writtenAtMs + 1_000)
    return { kind: 'copy', task: taskNow(), why: 'properties' };
  if (recorded && row.state === 'verified' && !rule.compareProperties) return 'same';
  const said = judgeSameness(source, target, rule.compareBy);
  if (said.kind !== 'same') return { kind: 'copy', task: taskNow(), why: said.kind };
  if (rule.compareProperties) return { kind: 'copy', task: taskNow(), why: 'properties' };
  if (!rule.adopts) return 'same';
  const proved = said.by === 'etag' || said.by === 'checksum';
  return { kind: 'same', key, entry: source, target, proved };
}

function taskOf(entry: Entry, row: LedgerRow | undefined, seen: NonNullable<CopyTask['seen']>): CopyTask {
  const { key, sizeBytes, etag, lastModifiedMs } = entry;
  const task: CopyTask = { key, sizeBytes, etag, writtenAtMs: lastModifiedMs, seen };
  if (row !== undefined && row.targetEtag !== '') task.knownEtag = row.targetEtag;
  return task;
}

/** Versions that were removed for good at the source stay at the target: that is what versions are for. */
function planVersions({ key, source, target }: Joined<Entry>, filter: Filter): Step | 'same' | undefined {
  if (source === undefined || !filter.sized(source)) return undefined;
  const said = alignVersions(source.versions!, target?.versions ?? [], sameByEtag);
  if (said.kind === 'same') return 'same';
  if (said.kind === 'forked') return { kind: 'forked', key, entry: source };
  const tasks = said.missing.map((version, i): ChainTask => ({
    ...{ key, versionId: version.versionId, sizeBytes: version.sizeBytes, etag: version.etag },
    ...{ writtenAtMs: version.lastModifiedMs, deleteMarker: version.deleteMarker },
    ...(target === undefined && i === 0 ? { seen: { kind: 'absent' as const } } : { follows: true }),
  }));
  return { kind: 'chain', key, tasks, why: target === undefined ? 'absent' : 'different' };
}
