import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEstate } from '../../runbooks/estate.ts';
import { compileProtection } from '../../runbooks/protection.ts';
import type { ActualSchedule } from '../../worker/schedules/content.ts';
import { desiredSchedules } from '../../worker/schedules/desired.ts';
import { judgeSchedule, lateFromMs } from '../../worker/schedules/judge.ts';
import type { LastRun } from '../../worker/schedules/last-run.ts';
import { failoverNote } from '../../worker/schedules/pause-note.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { estateText } from '../support/estates.ts';

const hourMs = 3_600_000;
const madeAtMs = Date.parse('2026-11-01T00:00:00Z');
const lastAtMs = madeAtMs + 24 * hourMs;

/** Every 6 hours, made a day before it last ran. */
function schedule(more: Partial<ActualSchedule> = {}, turns: Partial<ActualSchedule['turns']> = {}): ActualSchedule {
  const backups = [{ resource: 'orders', every: '6h', to: 'vault' }];
  const text = estateText({ backups }, { vault: { repository: '/v', password: 'env:P' } });
  const [desired] = desiredSchedules(compileProtection(parseEstate(text, 'muster.yaml', testCatalogue)));
  assert.ok(desired !== undefined);
  return {
    ...desired,
    estate: 'muster.yaml',
    appliedHash: desired.hash,
    paused: false,
    note: '',
    turns: {
      createdAtMs: madeAtMs,
      updatedAtMs: madeAtMs,
      nextAtMs: lastAtMs + 6 * hourMs,
      taken: 4,
      missed: 0,
      skipped: 0,
      last: { workflowId: 'w', runId: 'r', dueAtMs: lastAtMs, takenAtMs: lastAtMs },
      running: [],
      ...turns,
    },
    ...more,
  };
}

const done: LastRun = { kind: 'ended', end: 'done: complete', endedAtMs: lastAtMs + 60_000 };
const failed: LastRun = {
  ...{ kind: 'failed', why: 'the vault does not answer', isTold: false, endedAtMs: lastAtMs + 60_000 },
};
const failover = failoverNote({ runId: 'failover-shop-1', service: 'shop' }, 'hangzhou is left');
const soon = lastAtMs + hourMs;
const late = lastAtMs + 9 * hourMs;

const cases: {
  name: string;
  it: ActualSchedule;
  last?: LastRun;
  nowMs?: number;
  restedUntilMs?: number;
  says: RegExp[];
}[] = [
  { name: 'all is well', it: schedule(), says: [] },
  {
    name: 'one turn was missed',
    it: schedule({}, { missed: 1 }),
    says: [/^warning backup\/shop\/orders\/vault: 1 turn was missed for good since 2026-11-01T00:00:00Z/],
  },
  {
    name: 'turns were missed and left out',
    it: schedule({}, { missed: 2, skipped: 3 }),
    says: [/2 turns were missed/, /3 turns were left out .* still running/],
  },
  {
    name: 'the newest turn failed',
    it: schedule(),
    last: failed,
    says: [/^critical .*: the turn of 2026-11-02T00:00:00Z failed: the vault does not answer/],
  },
  {
    name: 'the newest turn failed, and the work has told of it',
    it: schedule(),
    last: { ...failed, isTold: true },
    says: [],
  },
  { name: 'the newest turn still runs', it: schedule(), last: { kind: 'running', sinceMs: lastAtMs }, says: [] },
  {
    name: 'Temporal has forgotten the newest turn',
    it: schedule(),
    last: { kind: 'forgotten', takenAtMs: lastAtMs },
    says: [],
  },
  { name: 'a turn is a little late', it: schedule(), nowMs: lastAtMs + 7 * hourMs, says: [] },
  {
    name: 'no turn comes',
    it: schedule(),
    nowMs: late,
    says: [/^critical .*: is overdue \(6h\): it has not run since 2026-11-02T00:00:00Z$/],
  },
  {
    name: 'it has never run',
    it: schedule({}, { last: null, taken: 0 }),
    last: { kind: 'none' },
    nowMs: madeAtMs + 9 * hourMs,
    says: [/has never run since 2026-11-01T00:00:00Z/],
  },
  { name: 'no turn comes because one runs', it: schedule({}, { running: ['w'] }), nowMs: late, says: [] },
  {
    name: 'somebody has paused it and forgotten it',
    it: schedule({ paused: true, note: 'the disk is being changed' }),
    nowMs: late,
    says: [/is overdue .*, it is paused \(the disk is being changed\)$/],
  },
  { name: 'a failover has paused it', it: schedule({ paused: true, note: failover }), nowMs: late, says: [] },
  { name: 'it was taken up just now', it: schedule(), nowMs: late, restedUntilMs: late - 1, says: [] },
  { name: 'it was changed just now', it: schedule({}, { updatedAtMs: late - 1 }), nowMs: late, says: [] },
  {
    name: 'it was taken up, and still no turn comes',
    it: schedule(),
    nowMs: late + 9 * hourMs,
    restedUntilMs: late,
    says: [/is overdue/],
  },
];

for (const { name, it, last = done, nowMs = soon, restedUntilMs, says } of cases)
  test(`${name}: ${says.length === 0 ? 'nothing to say' : `${says.length} to look at`}`, () => {
    const findings = judgeSchedule(it, last, nowMs, restedUntilMs);
    assert.equal(findings.length, says.length, JSON.stringify(findings));
    for (const [index, pattern] of says.entries()) {
      const found = findings[index];
      assert.match(`${found?.severity} ${found?.what}`, pattern);
      assert.deepEqual([found?.service, found?.runId], ['shop', 'schedule/backup/shop/orders/vault']);
    }
  });

test('looked at again later, the same state is the same finding, to the letter and the moment', () => {
  const it = schedule({}, { missed: 1, skipped: 1 });
  assert.deepEqual(judgeSchedule(it, failed, late), judgeSchedule(it, failed, late + 50 * hourMs));
});

test('it is late after the interval, the jitter, the catch-up window and five minutes', () => {
  assert.equal(lateFromMs(schedule()) - lastAtMs, 6 * hourMs + 300_000 + 1.5 * hourMs + 300_000);
});
