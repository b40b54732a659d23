import type { ConflictRow, ConflictSet, ReportRunInput, TruthRow } from './input.ts';
import { objectLossOf } from './object-losses.ts';
import type { LossReport, LostRow } from './model.ts';

/**
 * What was lost, row by row: those that the old primary alone had (the conflict sets), those that clients count as
 * lost, and whether every one of these is among the first.
 */
export function lossOf(runs: readonly ReportRunInput[]): LossReport {
  const truths = runs.flatMap((run) => run.truth ?? []);
  const sets = runs.flatMap((run) => run.conflictSets.map((set) => ({ ...set, runId: run.run.runId })));
  const ofRows = sets.filter((set) => !isOfObjects(set));
  const listed = new Set(ofRows.flatMap((set) => set.rows.map(identity)));
  const counted = distinct(truths.flatMap((truth) => truth.lost));
  const after = distinct(truths.flatMap((truth) => truth.ackedByOldAfterPromotion));
  return {
    conflictSets: sets.map(({ runId, resource, of = 'rows', file, sha256, rows }) => ({
      ...{ runId, resource, of },
      file,
      sha256,
      rows: rows.map(fromConflict),
    })),
    listedRows: ofRows.length === 0 ? null : listed.size,
    countedRows: truths.length === 0 ? null : counted.length,
    acknowledgedRows: truths.length === 0 ? null : Math.max(...truths.map((truth) => truth.acknowledged)),
    notListed: distinct([...counted, ...after])
      .filter((row) => !listed.has(identity(row)))
      .map(fromTruth),
    afterPromotion: afterPromotion(runs, truths.length > 0, after),
    objects: objectLossOf(runs),
  };
}

/** Clients know it best; without them the rows' own times say it, where rows carry one. */
function afterPromotion(
  runs: readonly ReportRunInput[],
  haveTruth: boolean,
  counted: readonly TruthRow[],
): LossReport['afterPromotion'] {
  if (haveTruth) return { method: 'clients', rows: counted.map(fromTruth) };
  const promotedMs = runs.find((run) => run.run.final?.clocks.promoted !== undefined)?.run.final?.clocks.promoted;
  const rowSets = runs.flatMap((run) => run.conflictSets.filter((set) => !isOfObjects(set)));
  const rows = rowSets.flatMap((set) => set.rows);
  const timeless = rows.some((row) => row.whenMs === null);
  if (promotedMs === undefined || timeless || rowSets.length === 0) return null;
  return { method: 'conflict-set', rows: rows.filter((row) => (row.whenMs ?? 0) > promotedMs).map(fromConflict) };
}

export function isOfObjects({ of }: ConflictSet): boolean {
  return of === 'objects';
}

function identity({ table, key }: { table: string; key: string }): string {
  return `${table}\n${key}`;
}

function distinct<Row extends { table: string; key: string }>(rows: readonly Row[]): Row[] {
  return [...new Map(rows.map((row) => [identity(row), row])).values()];
}

function fromConflict({ table, key, whenMs }: ConflictRow): LostRow {
  return { table, key, atMs: whenMs, site: null };
}

function fromTruth({ table, key, ackedAtMs, site }: TruthRow): LostRow {
  return { table, key, atMs: ackedAtMs, site };
}
