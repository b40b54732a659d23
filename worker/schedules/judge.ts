import type { ScheduleFinding } from '../../workflows/scheduled.ts';
import type { ActualSchedule, DesiredSchedule } from './content.ts';
import type { LastRun } from './last-run.ts';
import { readFailoverNote } from './pause-note.ts';

/** A turn is overdue once it is so much later than jitter and catch-up allow, seconds. */
const graceSeconds = 300;

/**
 * What somebody should look at: turns that were missed or left out, a newest turn that failed without a word of its own,
 * one that does not come.
 * The same state gives the same findings, to the letter and the moment, so that each is kept once. Pure.
 * @param restedUntilMs until when it is known to have been paused; what has rested is not late at once
 */
export function judgeSchedule(
  schedule: ActualSchedule,
  last: LastRun,
  nowMs: number,
  restedUntilMs = 0,
): ScheduleFinding[] {
  const { id, subject, turns } = schedule;
  const found = (severity: ScheduleFinding['severity'], atMs: number, what: string): ScheduleFinding => ({
    service: subject.service,
    runId: `schedule/${id}`,
    stepId: null,
    severity,
    what: `${id}: ${what}`,
    atMs,
  });
  const countedAtMs = turns.last?.takenAtMs ?? turns.createdAtMs;
  const since = `since ${timeText(turns.createdAtMs)}`;
  const findings: ScheduleFinding[] = [];
  if (turns.missed > 0) {
    const what = `${count(turns.missed, 'turn was', 'turns were')} missed for good ${since}: nobody was there within the catch-up window`;
    findings.push(found('warning', countedAtMs, what));
  }
  if (turns.skipped > 0) {
    const what = `${count(turns.skipped, 'turn was', 'turns were')} left out ${since}, because the one before was still running`;
    findings.push(found('warning', countedAtMs, what));
  }
  if (last.kind === 'failed' && !last.isTold && turns.last !== null)
    findings.push(found('critical', last.endedAtMs, `the turn of ${timeText(turns.last.dueAtMs)} failed: ${last.why}`));
  return [
    ...findings,
    ...overdue(schedule, nowMs, restedUntilMs).map(({ atMs, what }) => found('critical', atMs, what)),
  ];
}

/** A schedule that the estate asks for and Temporal does not have. */
export function missingSchedule({ id, subject }: DesiredSchedule, nowMs: number): ScheduleFinding {
  const what = `${id}: the estate asks for it (${subject.every}) and Temporal does not have it: npx muster apply`;
  return { service: subject.service, runId: `schedule/${id}`, stepId: null, severity: 'warning', what, atMs: nowMs };
}

/** When a schedule's next turn should have been at the latest, Unix milliseconds. */
export function lateFromMs({ subject, content, turns }: ActualSchedule, restedUntilMs = 0): number {
  const since = Math.max(turns.last?.takenAtMs ?? 0, turns.createdAtMs, turns.updatedAtMs, restedUntilMs);
  const allowed = subject.gapSeconds + content.jitterSeconds + content.catchUpSeconds + graceSeconds;
  return since + allowed * 1_000;
}

function overdue(schedule: ActualSchedule, nowMs: number, restedUntilMs: number): { atMs: number; what: string }[] {
  const { turns, paused, note, subject } = schedule;
  const atMs = lateFromMs(schedule, paused ? 0 : restedUntilMs);
  // What a failover has paused is meant to rest; what runs is late by itself, and those after it are counted as left out.
  if (nowMs < atMs || turns.running.length > 0 || (paused && readFailoverNote(note) !== null)) return [];
  const never = turns.last === null;
  const when = never
    ? `has never run since ${timeText(turns.createdAtMs)}`
    : `has not run since ${timeText(turns.last?.takenAtMs ?? 0)}`;
  const why = paused ? `, it is paused${note === '' ? '' : ` (${note})`}` : '';
  return [{ atMs, what: `is overdue (${subject.every}): it ${when}${why}` }];
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}

function timeText(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
