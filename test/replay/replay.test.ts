import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { workflowBundle } from '../../worker/bundle.ts';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const dir = path.join(import.meta.dirname, 'histories');
const files = readdirSync(dir).filter((name) => name.endsWith('.json'));
const codePath = await workflowBundle(path.join(import.meta.dirname, '..', '..', '.muster', 'cache'));

interface JsonEvent {
  activityTaskScheduledEventAttributes?: { activityType: { name: string } };
}

/** How the present workflows take a history: undefined when they repeat it. */
async function replay(name: string, change: (events: JsonEvent[]) => void = () => {}): Promise<Error | undefined> {
  const json = JSON.parse(readFileSync(path.join(dir, name), 'utf8')) as { events: JsonEvent[] };
  change(json.events);
  const histories = [{ workflowId: 'service/shop', history: historyFromJSON(json) }];
  for await (const result of Worker.runReplayHistories({ workflowBundle: { codePath } }, histories))
    return result.error;
  throw new Error('nothing was replayed');
}

test('there are histories to replay, of every kind of run and of protection', () => {
  const runs = ['failover', 'failback', 'reprotect', 'drill', 'scheduled'];
  const once = ['backup', 'restore', 'restore-test', 'prune', 'verify-vault', 'mirror-vault', 'renew-locks'];
  for (const kind of [...runs, ...once, 'replicate', 'archive-wal'])
    assert.ok(
      files.some((name) => name.startsWith(`${kind}-`)),
      kind,
    );
});

for (const file of files) {
  test(`${file}: the present workflows take every decision again`, async () => {
    assert.equal(await replay(file), undefined);
  });
}

test('there are histories of work that looked first who writes, and of what followed a service that moved', () => {
  for (const name of ['backup', 'restore-test', 'archive-wal', 'settle-schedules'])
    assert.ok(files.includes(`${name}-follows-writer.json`), name);
});

test('a history in which another step was ordered is refused, so that this test can fail', async () => {
  const error = await replay('failover-unprotected.json', (events) => {
    const scheduled = events.find((event) =>
      event.activityTaskScheduledEventAttributes?.activityType.name.startsWith('fence'),
    );
    assert.ok(scheduled?.activityTaskScheduledEventAttributes);
    scheduled.activityTaskScheduledEventAttributes.activityType.name = 'unfence orders';
  });
  assert.match(String(error?.message), /nondeterminism|TMPRL1100/i);
});
