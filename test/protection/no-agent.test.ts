/** Work that only a site's agent can do is not waited for without end; what comes of it is in test/replay/histories. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { NativeConnection, Worker } from '@temporalio/worker';
import { workflowBundle } from '../../worker/bundle.ts';
import { controlQueue } from '../../worker/run-start.ts';
import type { Aim, Vault } from '../../workflows/engine/protection.ts';
import { eventually } from '../support/eventually.ts';
import { startTemporal } from '../support/temporal.ts';

const root = path.join(import.meta.dirname, '..', '..');
const vault: Vault = {
  ...{ name: 'vault', repository: '/backup/vault', password: 'env:P', site: null },
  ...{ verifyWithinSeconds: null, lockSeconds: null },
};
const resource = { name: 'uploads', driver: 'directory', shared: {}, sites: { hangzhou: {}, beijing: {} } };
const activities = {
  'aim at writer': async (): Promise<Aim> => ({ kind: 'aimed', site: 'beijing', vault, insteadOf: null }),
  'record protection': async (): Promise<void> => undefined,
};

test('a directory is saved by the agent of the site that writes, which has ten minutes to take it up', async () => {
  await using temporal = await startTemporal();
  const connection = await NativeConnection.connect({ address: temporal.address });
  const codePath = await workflowBundle(path.join(root, '.muster', 'cache'));
  const worker = await Worker.create({ connection, taskQueue: controlQueue, activities, workflowBundle: { codePath } });
  const running = worker.run();
  const handle = await temporal.client.workflow.start('backup', {
    ...{ taskQueue: controlQueue, workflowId: 'backup/shop/uploads/vault' },
    args: [{ service: 'shop', resource, site: 'hangzhou', vault, startedBy: 'test' }],
  });
  const ordered = async () => {
    const events = (await handle.fetchHistory()).events ?? [];
    return events
      .map(({ activityTaskScheduledEventAttributes: scheduled }) => scheduled)
      .find((scheduled) => scheduled?.activityType?.name === 'save backup');
  };
  await eventually('it is ordered', async () => (await ordered()) !== undefined);
  const order = await ordered();
  assert.deepEqual([order?.taskQueue?.name, Number(order?.scheduleToStartTimeout?.seconds)], ['site-beijing', 600]);
  await handle.cancel();
  await assert.rejects(handle.result());
  worker.shutdown();
  await running;
  await connection.close();
});

interface Kept {
  eventTime: string;
  activityTaskScheduledEventAttributes?: { activityType: { name: string } };
  activityTaskTimedOutEventAttributes?: {
    failure: { cause?: { timeoutFailureInfo: object }; timeoutFailureInfo?: object };
  };
  workflowExecutionFailedEventAttributes?: { failure: { message: string } };
}

test('of a run whose agent never came it is kept that it failed after ten minutes, and why', () => {
  const file = path.join(root, 'test', 'replay', 'histories', 'backup-without-agent.json');
  const { events } = JSON.parse(readFileSync(file, 'utf8')) as { events: Kept[] };
  const ordered = events.find(
    ({ activityTaskScheduledEventAttributes: one }) => one?.activityType.name === 'save backup',
  );
  const given = events.find((event) => event.activityTaskTimedOutEventAttributes !== undefined);
  const waitedMs = Date.parse(given?.eventTime ?? '') - Date.parse(ordered?.eventTime ?? '');
  assert.ok(waitedMs >= 600_000 && waitedMs < 660_000, `${waitedMs} ms`);
  const failed = events.at(-1)?.workflowExecutionFailedEventAttributes;
  assert.equal(failed?.failure.message, 'no agent of the site took it up within 10 min');
});
