import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { Client } from '@temporalio/client';
import { parseEstate } from '../../runbooks/estate.ts';
import { compileProtection } from '../../runbooks/protection.ts';
import { controlQueue } from '../../worker/run-start.ts';
import { applySchedules, compareSchedules } from '../../worker/schedules/apply.ts';
import { desiredSchedules } from '../../worker/schedules/desired.ts';
import { hasDrift } from '../../worker/schedules/diff.ts';
import { pauseSchedulesOf, resumeSchedulesOf, setPaused } from '../../worker/schedules/pause.ts';
import { readSchedule } from '../../worker/schedules/read.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { estateText } from '../support/estates.ts';
import { apply, backing, backupId, estateOf, listed, removeAll } from '../support/schedules.ts';
import { startTemporal, type TestTemporal } from '../support/temporal.ts';

let temporal: TestTemporal;
let client: Client;
before(async () => {
  temporal = await startTemporal();
  client = temporal.client;
});
beforeEach(() => removeAll(client));
after(() => temporal[Symbol.asyncDispose]());

test('what an estate asks for is created, is then the same, and applying it again does nothing', async () => {
  const estate = estateOf({
    backups: [
      { resource: 'orders', every: 'daily', at: '02:30', to: 'vault', keep: { daily: 7 }, restoreTest: 'monthly' },
    ],
    drills: [
      { every: 'quarterly', kind: 'isolated' },
      { every: '2w', kind: 'live' },
    ],
  });
  const ids = desiredSchedules(compileProtection(estate)).map(({ id }) => id);
  assert.equal(ids.length, 6);
  assert.deepEqual(await apply(client, estate), ids);
  const steps = await compareSchedules(client, estate);
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ids.map(() => 'same'),
    JSON.stringify(steps),
  );
  assert.deepEqual(await apply(client, estate), []);
  const { content, turns, paused } = await readSchedule(client, backupId);
  assert.deepEqual(
    { overlap: content.overlap, timezone: content.timezone, catchUp: content.catchUpSeconds, paused },
    { overlap: 'SKIP', timezone: 'UTC', catchUp: 21_600, paused: false },
  );
  const next = new Date(turns.nextAtMs ?? 0);
  const jittered = next.getUTCHours() * 60 + next.getUTCMinutes() - (2 * 60 + 30);
  assert.ok(jittered >= 0 && jittered <= 5, next.toISOString());
});

test('every kind of interval comes back from Temporal as it was given', async () => {
  for (const every of ['30s', '90m', 'hourly', '1d', 'weekly', '3w', '400d', 'yearly']) {
    const at = ['30s', '90m', 'hourly'].includes(every) ? {} : { at: '23:59' };
    const estate = backing({ every, ...at });
    assert.ok((await apply(client, estate)).includes(backupId), every);
    assert.ok(!hasDrift(await compareSchedules(client, estate)), every);
  }
});

test('a changed estate changes, creates and removes what it must, and no more', async () => {
  await apply(client, backing());
  await listed(client, 3);
  const changed = backing({ every: '12h', keep: { daily: 7 }, restoreTest: undefined });
  const steps = await compareSchedules(client, changed);
  assert.deepEqual(
    steps.map(({ kind, id }) => `${kind} ${id}`),
    [`change ${backupId}`, 'same verify/vault', 'create prune/vault', 'remove restore-test/shop/orders/vault'],
  );
  assert.equal((await applySchedules(client, steps, changed)).length, 3);
  assert.ok(!hasDrift(await compareSchedules(client, changed)));
  assert.equal((await readSchedule(client, backupId)).subject.every, '12h');
  await assert.rejects(
    readSchedule(client, 'restore-test/shop/orders/vault'),
    (err) => err instanceof MusterError && err.code === 'SCHEDULE_UNKNOWN',
  );
});

test('schedules that are not this estate’s are left alone, and a name that is taken is refused before anything is done', async () => {
  const action = { type: 'startWorkflow', workflowType: 'selfCheck', taskQueue: controlQueue } as const;
  const spec = { intervals: [{ every: 86_400_000 }] };
  await client.schedule.create({ scheduleId: 'somebody-elses', spec, action });
  await client.schedule.create({ scheduleId: 'verify/vault', spec, action });
  const other = estateText({ drills: [{ every: 'monthly', kind: 'live' }] });
  await apply(client, parseEstate(other, 'other.yaml', testCatalogue));
  await listed(client, 1);
  await assert.rejects(apply(client, backing()), (err) => {
    assert.ok(err instanceof MusterError && err.code === 'CONFIG_INVALID');
    assert.match(err.message, /verify\/vault \(not made by Muster\)/);
    return true;
  });
  await assert.rejects(readSchedule(client, backupId), /SCHEDULE_UNKNOWN|no schedule/);
  await client.schedule.getHandle('verify/vault').delete();
  await apply(client, backing());
  await listed(client, 4);
  const nothing = parseEstate(estateText({}), 'muster.yaml', testCatalogue);
  assert.equal((await apply(client, nothing)).length, 3);
  await listed(client, 1);
  assert.equal((await client.schedule.getHandle('somebody-elses').describe()).scheduleId, 'somebody-elses');
  assert.equal((await readSchedule(client, 'drill/shop/live')).estate, 'other.yaml');
});

test('what is changed by hand is seen as drift and put right; a pause is seen, and left', async () => {
  await apply(client, backing());
  const handle = client.schedule.getHandle(backupId);
  await handle.update((found) => ({
    ...found,
    spec: { intervals: [{ every: '1h' }] },
    policies: { overlap: 'ALLOW_ALL' },
  }));
  await setPaused(client, backupId, true, 'the disk is being changed');
  const [step] = await compareSchedules(client, backing());
  assert.ok(step?.kind === 'drifted');
  const fields = step.changes.map(({ field }) => field);
  for (const field of ['when.everySeconds', 'jitterSeconds', 'catchUpSeconds', 'overlap', 'paused'])
    assert.ok(fields.includes(field), `${field} of ${fields.join()}`);
  assert.deepEqual(await apply(client, backing()), [backupId]);
  const { content, paused, note } = await readSchedule(client, backupId);
  assert.deepEqual(
    [content.overlap, content.when, paused, note],
    ['SKIP', { kind: 'interval', everySeconds: 21_600, offsetSeconds: 0 }, true, 'the disk is being changed'],
  );
  assert.deepEqual(await apply(client, backing()), []);
});

const drillId = 'drill/shop/isolated';

test('a failover’s pause outlasts applying; its failback takes up exactly what it had paused', async () => {
  const drills = [
    { every: 'monthly', kind: 'live' },
    { every: 'weekly', kind: 'isolated' },
  ];
  await apply(
    client,
    estateOf({
      backups: [{ resource: 'orders', every: '6h', to: 'vault' }],
      drills,
    }),
  );
  await listed(client, 4);
  await setPaused(client, 'drill/shop/live', true, 'not this month');
  const by = { runId: 'failover-shop-20261120-081500-4f2a', service: 'shop' };
  const choice = { service: 'shop', site: 'hangzhou', wholeSite: true };
  // A backup goes on where its service writes.
  assert.deepEqual(await pauseSchedulesOf(client, choice, by, 'hangzhou is left'), [drillId]);
  assert.deepEqual(await pauseSchedulesOf(client, choice, by, 'hangzhou is left'), []);
  assert.match(
    (await readSchedule(client, drillId)).note,
    /^paused by failover failover-shop-\S+ of shop: hangzhou is left/,
  );
  const changed = estateOf({
    backups: [{ resource: 'orders', every: '6h', to: 'vault' }],
    drills: drills.map((drill) => ({ ...drill, every: 'monthly' })),
  });
  assert.deepEqual(await apply(client, changed), [drillId]);
  const { paused, note } = await readSchedule(client, drillId);
  assert.ok(paused && note.startsWith('paused by failover '));
  assert.deepEqual(await resumeSchedulesOf(client, { service: 'mail', site: 'hangzhou' }, 'home'), []);
  assert.deepEqual(await resumeSchedulesOf(client, { service: 'shop', site: 'hangzhou' }, 'home'), [drillId]);
  assert.deepEqual(await resumeSchedulesOf(client, { service: 'shop', site: 'hangzhou' }, 'home'), []);
  assert.equal((await readSchedule(client, drillId)).paused, false);
  assert.equal((await readSchedule(client, 'drill/shop/live')).note, 'not this month');
});

test('a site that is lost takes its vaults’ schedules along; one that is only left does not', async () => {
  await apply(client, backing());
  await listed(client, 3);
  const by = { runId: 'failover-shop-20261120-081500-4f2a', service: 'shop' };
  const beijing = { service: 'shop', site: 'beijing' };
  assert.deepEqual(await pauseSchedulesOf(client, { ...beijing, wholeSite: false }, by, 'beijing is left'), []);
  assert.deepEqual(await pauseSchedulesOf(client, { ...beijing, wholeSite: true }, by, 'beijing is lost'), [
    'verify/vault',
  ]);
  assert.deepEqual(await resumeSchedulesOf(client, { ...beijing, runId: 'failover-of-somebody-else' }, 'home'), []);
  assert.equal((await resumeSchedulesOf(client, { ...beijing, runId: by.runId }, 'home')).length, 1);
});

test('an estate that names another site takes up what a failover had paused for the sake of the old one', async () => {
  const drills = [{ every: 'monthly', kind: 'isolated' }];
  await apply(client, estateOf({ drills }));
  await listed(client, 2);
  const by = { runId: 'failover-shop-20261120-081500-4f2a', service: 'shop' };
  await pauseSchedulesOf(client, { service: 'shop', site: 'hangzhou', wholeSite: false }, by, 'hangzhou is left');
  assert.ok((await apply(client, estateOf({ primary: 'beijing', standby: 'hangzhou', drills }))).includes(drillId));
  const { paused, note, subject } = await readSchedule(client, drillId);
  assert.deepEqual([paused, note, subject.site], [false, 'taken up: the estate names beijing for it', 'beijing']);
});
