import type { JsonObject } from '../../workflows/engine/plan.ts';
import type { ObjectsTruth, ReportRunInput, TruthRow } from './input.ts';
import type { LossReport } from './model.ts';

type ObjectLoss = LossReport['objects'][number];

/**
 * What was lost of each replicated bucket: what its ledger named when the move froze it, what the old site was found to
 * have alone when it was back, and what clients count as lost.
 */
export function objectLossOf(runs: readonly ReportRunInput[]): ObjectLoss[] {
  const resources = new Set([...runs.flatMap(frozenOf).map(({ resource }) => resource), ...runs.flatMap(countedOf)]);
  return [...resources].map((resource) => lossOfResource(runs, resource));
}

function countedOf({ truth }: ReportRunInput): string[] {
  return truth?.objects === undefined ? [] : [truth.objects.resource];
}

function lossOfResource(runs: readonly ReportRunInput[], resource: string): ObjectLoss {
  const frozen = runs.flatMap(frozenOf).filter((one) => one.resource === resource);
  const sets = runs
    .flatMap((run) => run.conflictSets)
    .filter((set) => set.of === 'objects' && set.resource === resource);
  const truths = runs.flatMap(({ truth }) => (truth?.objects?.resource === resource ? [truth.objects] : []));
  const counted = distinct(truths.flatMap(({ lost }) => lost));
  const found = sets.flatMap(({ rows }) => rows.map(({ key }) => key));
  const listed = new Set([...frozen.flatMap(({ keys }) => keys), ...found]);
  return {
    resource,
    namedAtFreeze: frozen.length === 0 ? null : frozen.reduce((sum, one) => sum + one.lostObjects, 0),
    unseenAtFreeze: frozen.length === 0 ? null : frozen.some(({ complete }) => !complete),
    keys: [...listed].toSorted(),
    listed: sets.length === 0 ? null : new Set(found).size,
    counted: truths.length === 0 ? null : counted.length,
    countedSeconds: countedSeconds(truths),
    confirmed: truths.length === 0 ? null : truths.reduce((sum, { confirmed }) => sum + confirmed, 0),
    notListed: counted
      .filter(({ key }) => !listed.has(key))
      .map(({ table, key, ackedAtMs, site }) => ({ table, key, atMs: ackedAtMs, site })),
  };
}

/** How far back the loss goes, by those who were told that their objects are kept. */
function countedSeconds(truths: readonly ObjectsTruth[]): number | null {
  const spans = truths.flatMap(({ lost, struckAtMs }) => {
    if (struckAtMs === null) return [];
    return [
      lost.length === 0 ? 0 : Math.max(0, struckAtMs - Math.min(...lost.map(({ ackedAtMs }) => ackedAtMs))) / 1_000,
    ];
  });
  return spans.length === 0 ? null : Math.max(...spans);
}

interface Frozen {
  resource: string;
  complete: boolean;
  lostObjects: number;
  keys: string[];
}

/** The figures of steps that froze a replication. */
function frozenOf({ run, lostKeys = {} }: ReportRunInput): Frozen[] {
  return run.plan.steps.flatMap((step) => {
    const evidence = run.final?.steps[step.id]?.evidence ?? null;
    const lostObjects = evidence?.['lostObjects'];
    if (step.verb !== 'observe' || evidence === null || typeof lostObjects !== 'number') return [];
    const { resource } = step;
    // A run whose ledger has only what the run itself carries names the first hundred.
    const keys = [...(lostKeys[resource] ?? keysOf(evidence))];
    return [{ resource, complete: evidence['complete'] === true, lostObjects, keys }];
  });
}

function keysOf(evidence: JsonObject): string[] {
  const listed = evidence['lostKeys'];
  if (!Array.isArray(listed)) return [];
  return listed.flatMap((one) => {
    const key = one !== null && typeof one === 'object' && !Array.isArray(one) ? one['key'] : null;
    return typeof key === 'string' ? [key] : [];
  });
}

function distinct(rows: readonly TruthRow[]): TruthRow[] {
  return [...new Map(rows.map((row) => [row.key, row])).values()];
}
