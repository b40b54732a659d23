import { count, formatSeconds } from './format.ts';
import type { LossReport, Report, RunReport } from './model.ts';

/** `passed` needs every objective met, every chain whole and, where clients counted, their count in accord. */
export function verdictOf({
  runs,
  objectives,
  truth,
}: Pick<Report, 'runs' | 'objectives' | 'truth'>): Report['verdict'] {
  const broken = runs.some((run) => !run.chain.ok);
  const stopped = runs.some((run) => run.outcome === 'failed' || run.outcome === 'aborted');
  const missed = objectives.some((objective) => objective.verdict === 'missed');
  if (broken || stopped || missed || truth?.agrees === false) return 'failed';
  if (runs.some((run) => run.outcome === null)) return 'running';
  const unknown = objectives.some((objective) => objective.verdict === 'unknown');
  return unknown || runs.length === 0 ? 'unproven' : 'passed';
}

/** Whether replication runs again, as the last run that touched it left it. */
export function protectionOf(runs: readonly RunReport[]): Report['protection'] {
  const last = runs.findLast((run) => run.outcome === 'protected' || run.outcome === 'unprotected');
  return last?.outcome === 'protected' ? 'protected' : last === undefined ? 'unknown' : 'unprotected';
}

type Told = Pick<Report, 'runs' | 'objectives' | 'service' | 'verdict'> & { loss: LossReport };

/** What happened, in one sentence that stands alone. */
export function headlineOf({ runs, objectives, service, verdict, loss }: Told): string {
  const first = runs.find((run) => run.rto !== null) ?? runs[0];
  if (first === undefined) return `Nothing has run for ${service}.`;
  const broken = runs.find((run) => !run.chain.ok);
  if (broken !== undefined)
    return `The record of ${broken.runId} was changed at event ${broken.chain.firstBadSeq ?? 0}: none of its figures can be relied on.`;
  const stopped = runs.find((run) => run.outcome === 'aborted' || run.outcome === 'failed');
  if (stopped !== undefined)
    return `The ${stopped.kind} of ${service} ${stopped.outcome === 'failed' ? 'failed' : 'was aborted'}: ${stopped.reason ?? 'no reason was given'}.`;
  const parts = [
    movedPart(first, service),
    lostPart(first, loss),
    homePart(runs),
    verdict === 'running' ? 'It is still running' : null,
  ];
  const told = parts.filter((part) => part !== null);
  if (objectives.length === 0 && told.length === 0) return `${service}: ${first.kind} ${first.outcome ?? 'running'}.`;
  return `${told.join('. ')}.`;
}

function movedPart(run: RunReport, service: string): string {
  if (run.kind === 'reprotect')
    return run.outcome === 'protected'
      ? `${service} is protected again: ${run.to} follows ${run.from}`
      : `${service} is being protected again`;
  if (run.rto === null) return `${service}: ${run.kind} ${run.outcome ?? 'running'}`;
  const { seconds } = run.rto[run.rto.basis];
  if (seconds === null) return `How long ${service} was away is not known`;
  const text = formatSeconds(seconds);
  if (run.kind === 'drill') return `A copy of ${service} answered at ${run.to} ${text} after the drill began`;
  if (run.rto.basis === 'business') return `Clients of ${service} were served by ${run.to} ${text} after the fault`;
  return `Clients of ${service} were served by ${run.to} ${text} after the ${run.kind} began`;
}

function lostPart(run: RunReport, loss: LossReport): string | null {
  if (run.rpo === null) return null;
  const apart = run.rpo.unmeasured;
  if (apart.length > 0)
    return `${lostOfMeasured(run.rpo, loss)}; ${apart.join(', ')} stayed at ${run.from}, copied nowhere`;
  if (loss.countedRows !== null) return countedPart(loss.countedRows, loss);
  return run.rpo.seconds === null
    ? 'What was lost is not known'
    : `At most ${formatSeconds(run.rpo.seconds)} of writes were lost`;
}

/** Rows and objects in one breath: a service has lost what any of its parts has. */
function countedPart(rows: number, loss: LossReport): string {
  const objects = loss.objects.reduce((sum, { counted }) => sum + (counted ?? 0), 0);
  if (rows + objects === 0) return 'No acknowledged write was lost';
  const notListed = loss.notListed.length + loss.objects.reduce((sum, one) => sum + one.notListed.length, 0);
  const parts = [
    ...(rows > 0 ? [count(rows, 'acknowledged write')] : []),
    ...(objects > 0 ? [count(objects, 'confirmed object')] : []),
  ];
  const listed = notListed === 0 ? 'every one of them listed' : `${notListed} of them not listed`;
  return `${parts.join(' and ')} ${rows + objects === 1 ? 'was' : 'were'} lost, ${listed}`;
}

function lostOfMeasured(rpo: NonNullable<RunReport['rpo']>, loss: LossReport): string {
  const names = rpo.resources.map((r) => r.resource).join(', ');
  if (loss.countedRows === 0) return `No acknowledged write of ${names} was lost`;
  if (loss.countedRows !== null) return `${count(loss.countedRows, 'acknowledged write')} of ${names} lost`;
  return rpo.seconds === null
    ? `What was lost of ${names} is not known`
    : `At most ${formatSeconds(rpo.seconds)} of writes of ${names} were lost`;
}

function homePart(runs: readonly RunReport[]): string | null {
  const home = runs.find((run) => run.kind === 'failback' && run.outcome !== null);
  if (home === undefined) return null;
  const gap = home.writeGap?.seconds ?? null;
  return gap === null
    ? `It is home at ${home.to} again`
    : `The way home to ${home.to} cost clients ${formatSeconds(gap)}`;
}
