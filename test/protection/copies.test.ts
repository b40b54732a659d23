/** Long copies as workflows: piece by piece, on and on over kills and pauses. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Registry } from 'prom-client';
import type { EstateCopy } from '../../runbooks/copies-estate.ts';
import { copyLooks } from '../../worker/copy-watch.ts';
import { progressOf } from '../../worker/protection-start.ts';
import type { CopyBeat } from '../../workflows/engine/copying.ts';
import { settles } from './support/bucket-pair.ts';
import { keysOf, openCopies, type CopiesWorld, writtenTwice } from './support/copies.ts';

let copies: CopiesWorld;
before(async () => {
  copies = await openCopies();
});
after(() => copies?.[Symbol.asyncDispose]());

test('a copy in many pieces goes on in new runs of its workflow, counts each object once, and is recorded', async () => {
  const { from, to } = await copies.pairWith('many', 60);
  // What is begun when a piece is large enough is brought to its end: how many pieces there are, the machine decides.
  const perRun = 2;
  const started = await copies.start(
    copies.orderOf('many', {}, { shard: { ...copies.orderOf('many').shard, perRun } }),
  );
  const result = await started.result();
  assert.equal(result.verdict, 'done', JSON.stringify(result));
  const { sourceObjects, copied: objects, copiedBytes, failed, kept } = result.counts;
  assert.deepEqual(
    { sourceObjects, objects, copiedBytes, failed, kept },
    {
      ...{ sourceObjects: 60, objects: 60, copiedBytes: 120_000, failed: 0, kept: 0 },
    },
  );
  assert.ok(result.pieces > perRun, `${result.pieces} pieces`);
  const { runId } = await copies.world.temporal.client.workflow.getHandle('copy/many').describe();
  assert.notEqual(runId, started.runId);
  assert.deepEqual(await keysOf(to), await keysOf(from));
  assert.deepEqual(await writtenTwice(to), []);
  await settles(async () => {
    const [run] = await copies.world.ledger.protectionRuns({ kind: 'copy', resource: 'many' });
    assert.deepEqual([run?.outcome, run?.startedBy, run?.facts['copied']], ['done', 'test', 60]);
  }, 60_000);
  const again = await copies.copied(copies.orderOf('many'));
  assert.deepEqual([again.verdict, again.counts.copied, again.counts.same], ['done', 0, 60]);
});

test('a worker killed in the middle: the next one goes on from the cursor, and nothing is written twice', async () => {
  const { from, to } = await copies.pairWith('killed', 180);
  const one = { bytes: 1_000_000_000, ms: 300_000, perRun: 3, pageKeys: 5 };
  const started = await copies.start(
    copies.orderOf('killed', { requests: '30', transfers: 4 }, { shard: one, measure: false }),
  );
  await settles(async () => {
    const progress = await progressOf(copies.world.temporal.client, started.workflowId);
    const { cursor, counts } = (progress?.detail ?? {}) as Partial<CopyBeat>;
    assert.ok(cursor !== undefined && counts !== undefined && counts.copied >= 8);
  }, 60_000);
  await copies.killWorker();
  const left = 180 - (await keysOf(to)).length;
  assert.ok(left > 0);
  copies.startWorker();
  const result = await started.result();
  assert.equal(result.verdict, 'done', JSON.stringify(result));
  assert.deepEqual([result.pieces, result.counts.failed, result.counts.kept], [1, 0, 0]);
  assert.ok(result.counts.copied > left, 'what the cursor knew is counted');
  assert.deepEqual(await keysOf(to), await keysOf(from));
  assert.deepEqual(await writtenTwice(to), []);
});

test('a pause ends what is under way and keeps its place; resumed it goes on to the end', async () => {
  const { to } = await copies.pairWith('paused', 90);
  const slow = copies.orderOf(
    'paused',
    { requests: '20', transfers: 4 },
    { shard: { ...copies.orderOf('x').shard, bytes: 60_000, pageKeys: 2 } },
  );
  const started = await copies.start(slow);
  const handle = copies.world.temporal.client.workflow.getHandle(started.workflowId);
  await settles(async () => assert.ok((await keysOf(to)).length >= 5), 120_000);
  await handle.signal('pause');
  await settles(async () => {
    const { raw } = await handle.describe();
    assert.equal(raw.pendingActivities?.length ?? 0, 0);
    assert.equal((await copies.statusOf(started.workflowId)).phase, 'paused');
  }, 60_000);
  const there = (await keysOf(to)).length;
  const paused = await copies.statusOf(started.workflowId);
  assert.equal(paused.counts.copied, there);
  assert.deepEqual(paused.toDo, { objects: 90, bytes: 180_000 });
  assert.ok(there < 90);
  const exported = exportOf('paused');
  assert.deepEqual(await exported(), {
    ...{ running: 1, paused: 1, done_objects: there, done_bytes: there * 2_000, failed_objects: 0, left_objects: 0 },
    ...{ total_objects: 90, total_bytes: 180_000 },
  });
  await handle.signal('resume');
  const result = await started.result();
  assert.deepEqual([result.verdict, result.counts.copied, result.counts.sourceObjects], ['done', 90, 90]);
  assert.deepEqual(await writtenTwice(to), []);
  const seconds = result.endedAtMs / 1_000;
  await settles(async () =>
    assert.deepEqual(await exported(), {
      ...{ running: 0, paused: 0, last_failed_objects: 0, last_left_objects: 0, last_incomplete: 0 },
      ...{ last_success_timestamp_seconds: seconds, last_end_timestamp_seconds: seconds },
    }),
  );
});

/** What `/metrics` says of a copy, without what is absent. */
function exportOf(name: string): () => Promise<Record<string, number>> {
  const registry = new Registry();
  const looks = copyLooks({
    ...{ estate: { copies: { [name]: {} as EstateCopy } }, registry, ledger: copies.world.ledger },
    client: () => Promise.resolve(copies.world.temporal.client),
  });
  return async () => {
    await Promise.all([looks.now(), looks.ended()]);
    const all = await registry.getMetricsAsJSON();
    return Object.fromEntries(
      all.flatMap(({ name: figure, values }) => {
        const value = values.find(({ labels }) => labels['copy'] === name)?.value;
        return value === undefined ? [] : [[figure.replace('dr_copy_', ''), value]];
      }),
    );
  };
}
