import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ScheduleDescription, ScheduleOptions } from '@temporalio/client';
import { decodeScheduleSpec, encodeScheduleSpec } from '@temporalio/client/lib/schedule-helpers.js';
import * as fc from 'fast-check';
import { parseEstate, type Estate } from '../../runbooks/estate.ts';
import { compileProtection } from '../../runbooks/protection.ts';
import type { ActualSchedule, DesiredSchedule } from '../../worker/schedules/content.ts';
import { desiredSchedules, estateMark } from '../../worker/schedules/desired.ts';
import { diffSchedules, hasDrift, type ScheduleStep } from '../../worker/schedules/diff.ts';
import { failoverNote, readFailoverNote } from '../../worker/schedules/pause-note.ts';
import { fromDescription, toOptions } from '../../worker/schedules/translate.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { estateText } from '../support/estates.ts';

const mark = 'muster.yaml';

function estateOf(backup: Record<string, unknown> = {}, drills: unknown[] = []): Estate {
  const backups = [{ resource: 'orders', every: '6h', to: 'vault', keep: { daily: 7 }, ...backup }];
  const vaults = { vault: { repository: '/backup/vault', password: 'env:P', verifyWithin: '30d' } };
  return parseEstate(estateText({ backups, drills }, vaults), mark, testCatalogue);
}

function desiredOf(backup?: Record<string, unknown>, drills?: unknown[]): DesiredSchedule[] {
  return desiredSchedules(compileProtection(estateOf(backup, drills)));
}

/** What Temporal would describe after it was told so: the SDK's own encoding, there and back. */
function described({ scheduleId, spec, action, policies, memo }: ScheduleOptions): ScheduleDescription {
  return {
    scheduleId,
    spec: decodeScheduleSpec(encodeScheduleSpec(spec)),
    action: JSON.parse(JSON.stringify(action)) as ScheduleDescription['action'],
    policies: { overlap: 'SKIP', pauseOnFailure: false, ...policies } as ScheduleDescription['policies'],
    memo: { ...memo },
    state: { paused: false },
    info: {
      recentActions: [],
      nextActionTimes: [],
      numActionsTaken: 0,
      numActionsMissedCatchupWindow: 0,
      numActionsSkippedOverlap: 0,
      createdAt: new Date(0),
      lastUpdatedAt: undefined,
      runningActions: [],
    },
  } as unknown as ScheduleDescription;
}

function appliedFrom(desired: readonly DesiredSchedule[], estate = mark): ActualSchedule[] {
  return desired.map((one) => {
    const actual = fromDescription(described(toOptions(one, estate)));
    assert.ok(actual !== null);
    return actual;
  });
}

const kindsOf = (steps: readonly ScheduleStep[]): string[] => steps.map(({ kind, id }) => `${kind} ${id}`);

test('whatever the interval, what was applied and read back is the same: applying again does nothing', () => {
  const every = fc.oneof(
    fc.constantFrom('hourly', 'daily', 'weekly', 'monthly', 'quarterly', 'yearly'),
    fc.tuple(fc.integer({ min: 1, max: 90 }), fc.constantFrom('m', 'h', 'd', 'w')).map(([n, unit]) => `${n}${unit}`),
  );
  fc.assert(
    fc.property(every, every, every, (backup, proof, drill) => {
      const desired = desiredOf({ every: backup, restoreTest: { every: proof, point: 'random' } }, [
        { every: drill, kind: 'isolated' },
      ]);
      const actual = appliedFrom(desired);
      for (const [index, one] of actual.entries()) {
        assert.deepEqual(one.content, desired[index]?.content);
        assert.equal(one.hash, one.appliedHash);
      }
      assert.ok(!hasDrift(diffSchedules(desired, actual, mark)));
    }),
    { numRuns: 60 },
  );
});

test('nothing there: everything is created; nothing asked for: everything of this estate is removed', () => {
  const desired = desiredOf();
  assert.deepEqual(kindsOf(diffSchedules(desired, [], mark)), [
    'create backup/shop/orders/vault',
    'create verify/vault',
    'create prune/vault',
  ]);
  assert.deepEqual(kindsOf(diffSchedules([], appliedFrom(desired), mark)), [
    'remove backup/shop/orders/vault',
    'remove verify/vault',
    'remove prune/vault',
  ]);
});

test('what another estate has made is never removed, and its names are not taken', () => {
  const desired = desiredOf();
  assert.deepEqual(diffSchedules([], appliedFrom(desired, 'other.yaml'), mark), []);
  assert.deepEqual(
    diffSchedules(desired, appliedFrom(desired, 'other.yaml'), mark).map((step) => [
      step.kind,
      step.kind === 'foreign' ? step.owner : '',
    ]),
    desired.map(() => ['foreign', 'other.yaml']),
  );
  const [backup] = diffSchedules(desired, [], mark, ['backup/shop/orders/vault']);
  assert.equal(backup?.kind, 'foreign');
});

const edits: { name: string; edit: Record<string, unknown>; fields: Record<string, [unknown, unknown]> }[] = [
  {
    name: 'another interval',
    edit: { every: '12h' },
    fields: { every: ['6h', '12h'], 'when.everySeconds': [21_600, 43_200], catchUpSeconds: [5_400, 10_800] },
  },
  { name: 'a longer catch-up window', edit: { catchUp: '2h' }, fields: { catchUpSeconds: [5_400, 7_200] } },
  {
    name: 'a time of day',
    edit: { every: 'daily', at: '02:30' },
    fields: { 'when.kind': ['interval', 'calendar'], 'when.hour': [null, 2] },
  },
];

for (const { name, edit, fields } of edits)
  test(`the estate asks for ${name}: a change that names the fields`, () => {
    const [step] = diffSchedules(desiredOf(edit), appliedFrom(desiredOf()), mark);
    assert.equal(step?.kind, 'change');
    const changes = new Map(
      step.kind === 'change' ? step.changes.map(({ field, from, to }) => [field, [from, to]]) : [],
    );
    for (const [field, values] of Object.entries(fields)) assert.deepEqual(changes.get(field), values, field);
  });

test('another policy to keep changes the prune, by the field of its order', () => {
  const steps = diffSchedules(desiredOf({ keep: { daily: 14 } }), appliedFrom(desiredOf()), mark);
  assert.deepEqual(kindsOf(steps), ['same backup/shop/orders/vault', 'same verify/vault', 'change prune/vault']);
  const prune = steps.at(-1);
  assert.deepEqual(prune?.kind === 'change' ? prune.changes : null, [
    { field: 'order.keep[0].keep.daily', from: 7, to: 14 },
  ]);
});

test('what was changed in Temporal is drift, not a change of the estate', () => {
  const desired = desiredOf();
  const [backup, ...rest] = desired;
  assert.ok(backup !== undefined);
  const options = toOptions(backup, mark);
  const byHand = fromDescription(described({ ...options, spec: { ...options.spec, intervals: [{ every: 60_000 }] } }));
  assert.ok(byHand !== null);
  const [step] = diffSchedules(desired, [byHand, ...appliedFrom(rest)], mark);
  assert.equal(step?.kind, 'drifted');
  assert.deepEqual(step.kind === 'drifted' ? step.changes : null, [
    { field: 'when.everySeconds', from: 60, to: 21_600 },
  ]);
});

const foreignTimes: { name: string; spec: ScheduleOptions['spec'] }[] = [
  { name: 'two intervals', spec: { intervals: [{ every: '1h' }, { every: '3h' }] } },
  { name: 'an interval and a day', spec: { intervals: [{ every: '1h' }], calendars: [{ hour: 2 }] } },
  { name: 'working days', spec: { calendars: [{ hour: 2, dayOfWeek: { start: 'MONDAY', end: 'FRIDAY' } }] } },
  { name: 'every minute of an hour', spec: { calendars: [{ hour: 2, minute: '*' }] } },
  { name: 'one year', spec: { calendars: [{ hour: 2, year: 2030 }] } },
  { name: 'days that are left out', spec: { calendars: [{ hour: 2 }], skip: [{ dayOfMonth: 1 }] } },
  { name: 'an end', spec: { calendars: [{ hour: 2 }], endAt: new Date(0) } },
  { name: 'no time at all', spec: {} },
];

for (const { name, spec } of foreignTimes)
  test(`a time that no estate can say (${name}) is seen as drift, and as what it is`, () => {
    const [backup] = desiredOf();
    assert.ok(backup !== undefined);
    const byHand = fromDescription(described({ ...toOptions(backup, mark), spec }));
    assert.ok(byHand !== null);
    assert.equal(byHand.content.when.kind, 'other');
    assert.equal(diffSchedules([backup], [byHand], mark)[0]?.kind, 'drifted');
  });

const pauses: { name: string; note: string; kind: string }[] = [
  { name: 'a failover', note: failoverNote({ runId: 'failover-shop-1', service: 'shop' }, 'x'), kind: 'same' },
  { name: 'a person', note: 'the disk is being changed', kind: 'drifted' },
  { name: 'a person without a word', note: '', kind: 'drifted' },
];

for (const { name, note, kind } of pauses)
  test(`paused by ${name} is ${kind}`, () => {
    const desired = desiredOf();
    const actual = appliedFrom(desired).map((one) => ({ ...one, paused: true, note }));
    const [step] = diffSchedules(desired, actual, mark);
    assert.equal(step?.kind, kind);
    if (step.kind === 'drifted') assert.deepEqual(step.changes, [{ field: 'paused', from: note, to: null }]);
    if (step.kind === 'same') assert.equal(step.pausedBy, note);
  });

test('a schedule without our mark is not ours', () => {
  const [backup] = desiredOf();
  assert.ok(backup !== undefined);
  const { memo: _memo, ...unmarked } = toOptions(backup, mark);
  assert.equal(fromDescription(described(unmarked)), null);
});

test('the note of a failover is read back, and nobody else’s is taken for one', () => {
  const pause = { runId: 'failover-shop-20261120-081500-4f2a', service: 'shop' };
  assert.deepEqual(readFailoverNote(failoverNote(pause, 'hangzhou is left')), pause);
  for (const note of ['', 'paused', 'paused by failover', 'was paused by failover a of b: c'])
    assert.equal(readFailoverNote(note), null);
});

test('no schedule carries a secret, only references to it', () => {
  const text = JSON.stringify(desiredOf({ restoreTest: 'weekly' }, [{ every: 'monthly', kind: 'live' }]));
  assert.match(text, /"password":"env:P"/);
  assert.equal(estateMark(estateOf()), mark);
});
