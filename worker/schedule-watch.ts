import type { Client } from '@temporalio/client';
import type { Estate } from '../runbooks/estate.ts';
import type { ScheduleFinding } from '../workflows/scheduled.ts';
import { every, type Repeating } from './every.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Log } from './log.ts';
import type { ActualSchedule } from './schedules/content.ts';
import { estateMark } from './schedules/desired.ts';
import { judgeSchedule } from './schedules/judge.ts';
import { lastRunOf, type LastRun } from './schedules/last-run.ts';
import type { ScheduleMetrics } from './schedules/metrics.ts';
import { inTurns, readSchedules } from './schedules/read.ts';

const everyMs = 60_000;

export interface ScheduleWatchOptions {
  estate: Pick<Estate, 'fileName'>;
  ledger: Pick<Ledger, 'addFinding' | 'findingsOf'>;
  client: () => Promise<Client>;
  metrics: ScheduleMetrics;
  log: Pick<Log, 'warn'>;
}

/** Looks at this estate's schedules every minute: what was missed, left out, failed or does not come is a finding, once. */
export function startScheduleWatch(options: ScheduleWatchOptions): Repeating {
  const look = scheduleWatch(options);
  return every(
    everyMs,
    () => look(Date.now()),
    (err) => options.log.warn({ err: err instanceof Error ? err.message : String(err) }, 'schedules are not seen'),
  );
}

/** One look. What was told is remembered, and read back from the ledger after a restart. */
export function scheduleWatch(options: ScheduleWatchOptions): (nowMs: number) => Promise<void> {
  const { estate, client, metrics } = options;
  const told = new Set<string>();
  return async (nowMs) => {
    const temporal = await client();
    const { ours } = await readSchedules(temporal);
    const seen = await inTurns(
      ours.filter((schedule) => schedule.estate === estateMark(estate)),
      async (schedule): Promise<{ schedule: ActualSchedule; last: LastRun }> => ({
        schedule,
        last: await lastRunOf(temporal, schedule),
      }),
    );
    metrics.show(seen);
    for (const { schedule, last } of seen) {
      const findings = judgeSchedule(schedule, last, nowMs).filter(({ what }) => !told.has(what));
      if (findings.length > 0) await tell(options, told, findings);
    }
  };
}

async function tell(
  { ledger, log }: ScheduleWatchOptions,
  told: Set<string>,
  findings: readonly ScheduleFinding[],
): Promise<void> {
  const [first] = findings;
  for (const { what } of await ledger.findingsOf(first?.runId ?? '')) told.add(what);
  for (const finding of findings) {
    if (told.has(finding.what)) continue;
    await ledger.addFinding(finding);
    told.add(finding.what);
    log.warn({ service: finding.service, severity: finding.severity }, finding.what);
  }
}
