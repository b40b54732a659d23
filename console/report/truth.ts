import type { ObjectsTruth, ReportRunInput, RunTruth } from './input.ts';
import { count, formatMs, formatSeconds } from './format.ts';
import type { LossReport, RunReport, TruthReport } from './model.ts';

type Check = TruthReport['checks'][number];

/** Holds the report's figures against what the clients counted. Null when nobody counted. */
export function truthOf(
  runs: readonly RunReport[],
  inputs: readonly ReportRunInput[],
  loss: LossReport,
): TruthReport | null {
  const checks = runs.flatMap((run, at) => {
    const truth = inputs[at]?.truth ?? null;
    return truth === null ? [] : checksOf(run, truth);
  });
  if (checks.length === 0) return null;
  checks.push(everyLossListed(loss), ...loss.objects.flatMap(everyObjectListed));
  return { agrees: checks.every((check) => check.agrees), checks };
}

function checksOf(run: RunReport, truth: RunTruth): Check[] {
  const checks = [oneWriter(run, truth)];
  if (run.rpo !== null) checks.unshift(lossInside(run, truth));
  if (run.plannedMode === 'graceful' && run.mode === 'graceful' && run.rpo !== null)
    checks.push(plannedLosesNothing(run, truth));
  if (truth.objects !== undefined) checks.push(objectsKept(run, truth.objects));
  const served = servedInTime(run);
  return served === null ? checks : [...checks, served];
}

/** Loss by the clients' count: from the fault (or the fence) back to the first acknowledged write that is gone. */
function lossInside(run: RunReport, truth: RunTruth): Check {
  const id = `${run.runId}/rpo`;
  const reported = run.rpo?.seconds ?? null;
  if (truth.lost.length === 0)
    return {
      id,
      agrees: true,
      sentence: `${title(run)}: no acknowledged write is missing, ${reportedText(reported)}.`,
    };
  const clock = (name: string) => run.clocks.find((c) => c.name === name)?.atMs ?? null;
  const faultMs = clock('fault') ?? clock('fenced');
  const oldestMs = Math.min(...truth.lost.map((row) => row.ackedAtMs));
  const counted = faultMs === null ? null : Math.max(0, faultMs - oldestMs) / 1000;
  const agrees = reported !== null && counted !== null && reported >= counted;
  const countedText = counted === null ? 'a span nobody can tell' : formatSeconds(counted);
  const sentence = `${title(run)}: ${count(truth.lost.length, 'acknowledged write')} missing, going back ${countedText}; ${reportedText(reported)}.`;
  return { id, agrees, sentence };
}

function reportedText(seconds: number | null): string {
  return seconds === null ? 'the loss was reported as unknown' : `at most ${formatSeconds(seconds)} was reported`;
}

/** What was lost of objects: none of those that were confirmed, or no more than was reported. */
function objectsKept(run: RunReport, { resource, confirmed, lost, struckAtMs }: ObjectsTruth): Check {
  const id = `${run.runId}/objects`;
  const of = count(confirmed, 'confirmed object');
  const reported = run.rpo?.resources.find((one) => one.resource === resource)?.seconds ?? null;
  if (lost.length === 0) {
    const said = run.rpo === null ? '' : `, ${reportedText(reported)}`;
    return { id, agrees: true, sentence: `${title(run)}: none of ${of} was lost${said}.` };
  }
  const oldestMs = Math.min(...lost.map((row) => row.ackedAtMs));
  const counted = struckAtMs === null ? null : Math.max(0, struckAtMs - oldestMs) / 1000;
  const agrees = reported !== null && counted !== null && reported >= counted;
  const countedText = counted === null ? 'a span nobody can tell' : formatSeconds(counted);
  const sentence = `${title(run)}: ${lost.length} of ${of} lost, going back ${countedText}; ${reportedText(reported)}.`;
  return { id, agrees, sentence };
}

function oneWriter(run: RunReport, truth: RunTruth): Check {
  const agrees = truth.twoWritersMs === 0;
  const said = agrees
    ? 'at no moment could clients reach two writers'
    : `clients could reach two writers for ${formatMs(truth.twoWritersMs)}`;
  return { id: `${run.runId}/one-writer`, agrees, sentence: `${title(run)}: ${said}.` };
}

function plannedLosesNothing(run: RunReport, truth: RunTruth): Check {
  const lost = truth.lost.length;
  const said = lost === 0 ? 'a planned move lost no write' : `a planned move lost ${count(lost, 'write')}`;
  return { id: `${run.runId}/planned`, agrees: lost === 0, sentence: `${title(run)}: ${said}.` };
}

/** Clients must really have been served by the moment that the report calls verified. */
function servedInTime(run: RunReport): Check | null {
  const verifiedMs = run.clocks.find((c) => c.name === 'verified')?.atMs ?? null;
  if (verifiedMs === null || run.writeGap === null) return null;
  const firstMs = run.writeGap.firstAckAfterMs;
  const agrees = firstMs !== null && firstMs <= verifiedMs;
  const said =
    firstMs === null
      ? 'no write was acknowledged after the switch'
      : `the first write was acknowledged ${formatMs(Math.abs(verifiedMs - firstMs))} ${agrees ? 'before' : 'after'} t7`;
  return { id: `${run.runId}/rto`, agrees, sentence: `${title(run)}: ${said}.` };
}

function everyLossListed({ notListed, countedRows, listedRows }: LossReport): Check {
  const agrees = notListed.length === 0;
  const missing = notListed
    .slice(0, 5)
    .map((row) => `${row.table} ${row.key}`)
    .join(', ');
  const more = notListed.length > 5 ? ` and ${notListed.length - 5} more` : '';
  const said = agrees
    ? countedRows === 0
      ? 'No write is missing that would have to be listed.'
      : `Every missing write is in the conflict set (${count(listedRows ?? 0, 'row')}).`
    : `${count(notListed.length, 'missing write is', 'missing writes are')} in no conflict set: ${missing}${more}.`;
  return { id: 'listed', agrees, sentence: said };
}

/** Before the old site is back nobody knows what it alone has. */
function everyObjectListed({ resource, counted, listed, notListed }: LossReport['objects'][number]): Check[] {
  if (counted === null || counted === 0 || (listed === null && notListed.length > 0)) return [];
  const agrees = notListed.length === 0;
  const missing = notListed
    .slice(0, 5)
    .map(({ key }) => key)
    .join(', ');
  const sentence = agrees
    ? `Every missing object of ${resource} is named (${count(counted, 'object')}).`
    : `${count(notListed.length, 'missing object')} of ${resource} named nowhere: ${missing}.`;
  return [{ id: `listed/${resource}`, agrees, sentence }];
}

function title(run: RunReport): string {
  return run.kind[0]?.toUpperCase() + run.kind.slice(1);
}
