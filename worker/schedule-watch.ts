import type { Client } from '@temporalio/client';
import type { Estate } from '../runbooks/estate.ts';
import { compileProtection } from '../runbooks/protection.ts';
import type { ScheduleFinding } from '../workflows/scheduled.ts';
import { every, type Repeating } from './every.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Log } from './log.ts';
import type { ActualSchedule } from './schedules/content.ts';
import { desiredSchedules, estateMark } from './schedules/desired.ts';
import { judgeSchedule, missingSchedule } from './schedules/judge.ts';
import { lastRunOf } from './schedules/last-run.ts';
import type { ScheduleMetrics } from './schedules/metrics.ts';
import { inTurns, readSchedules } from './schedules/read.ts';

const everyMs = 60_000;
/** A schedule of the estate that Temporal does not have is told of after so long. */
const applyWithinMs = 10 * 60_000;

export interface ScheduleWatchOptions {
  estate: Estate;
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
  const wanted = desiredSchedules(compileProtection(estate));
  const told = new Set<string>();
  const restedUntilMs = new Map<string, number>();
  const missingSinceMs = new Map<string, number>();
  return async (nowMs) => {
    const temporal = await client();
    const { ours } = await readSchedules(
      temporal,
      wanted.map(({ id }) => id),
    );
    const seen = await inTurns(
      ours.filter((schedule) => isOf(estate, schedule)),
      async (schedule) => ({ schedule, last: await lastRunOf(temporal, schedule) }),
    );
    const missing = wanted.filter(({ id }) => !ours.some((schedule) => schedule.id === id));
    metrics.show(seen, missing.length);
    for (const { schedule, last } of seen) {
      if (schedule.paused) restedUntilMs.set(schedule.id, nowMs);
      await tell(options, told, judgeSchedule(schedule, last, nowMs, restedUntilMs.get(schedule.id)));
    }
    for (const { id } of wanted) if (!missing.some((one) => one.id === id)) missingSinceMs.delete(id);
    for (const one of missing) {
      const sinceMs = missingSinceMs.get(one.id) ?? nowMs;
      missingSinceMs.set(one.id, sinceMs);
      if (nowMs - sinceMs >= applyWithinMs) await tell(options, told, [missingSchedule(one, nowMs)]);
    }
  };
}

/** Applied from this file, or about what it speaks of: a file that was renamed is no reason not to look. */
function isOf(estate: Estate, { estate: from, id, subject }: ActualSchedule): boolean {
  if (from === estateMark(estate)) return true;
  if (subject.service !== '') return Object.hasOwn(estate.services, subject.service);
  return Object.hasOwn(estate.vaults, id.split('/')[1] ?? '');
}

async function tell(
  { ledger, log }: ScheduleWatchOptions,
  told: Set<string>,
  findings: readonly ScheduleFinding[],
): Promise<void> {
  const [first] = findings.filter(({ what }) => !told.has(what));
  if (first === undefined) return;
  for (const { what } of await ledger.findingsOf(first.runId)) told.add(what);
  for (const finding of findings) {
    if (told.has(finding.what)) continue;
    await ledger.addFinding(finding);
    told.add(finding.what);
    log.warn({ service: finding.service, severity: finding.severity }, finding.what);
  }
}
