import { Gauge, type Registry } from 'prom-client';
import type { ActualSchedule } from './content.ts';
import type { LastRun } from './last-run.ts';

/** What `/metrics` says of schedules. A figure that is not known is absent, never 0. */
export interface ScheduleMetrics {
  /** Replaces everything that was said before. */
  show(schedules: readonly { schedule: ActualSchedule; last: LastRun }[], missing: number): void;
}

export function createScheduleMetrics(registry: Registry): ScheduleMetrics {
  const gauge = (name: string, help: string): Gauge =>
    new Gauge({ name: `dr_schedule_${name}`, help, labelNames: ['schedule'], registers: [registry] });
  const paused = gauge('paused', '1 while a schedule is paused');
  const missed = gauge('missed_turns', 'Turns that came too late to be made up for, since the schedule was made');
  const skipped = gauge('skipped_turns', 'Turns left out because the one before was running, since it was made');
  const failed = gauge('last_turn_failed', '1 when the newest turn that ended has failed');
  const lastStart = gauge('last_start_timestamp_seconds', 'When the newest turn was started');
  const next = gauge('next_start_timestamp_seconds', 'When the next turn is due');
  const absent = new Gauge({
    name: 'dr_schedules_missing',
    help: 'Schedules that the estate asks for and Temporal does not have',
    registers: [registry],
  });
  const all = [paused, missed, skipped, failed, lastStart, next];
  return {
    show: (schedules, missing) => {
      absent.set(missing);
      for (const one of all) one.reset();
      for (const { schedule, last } of schedules) {
        const { id, turns } = schedule;
        const of = { schedule: id };
        paused.set(of, schedule.paused ? 1 : 0);
        missed.set(of, turns.missed);
        skipped.set(of, turns.skipped);
        if (last.kind === 'ended' || last.kind === 'failed') failed.set(of, last.kind === 'failed' ? 1 : 0);
        if (turns.last !== null) lastStart.set(of, turns.last.takenAtMs / 1_000);
        if (turns.nextAtMs !== null && !schedule.paused) next.set(of, turns.nextAtMs / 1_000);
      }
    },
  };
}
