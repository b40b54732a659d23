/** Long copies as workflows: piece by piece, on and on over kills and pauses, on a real cluster and a real Temporal. */
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Registry } from 'prom-client';
import { parse, stringify } from 'yaml';
import { openNodeLog } from '../../activities/mover/changes/node-log.ts';
import { parseLocation } from '../../activities/objects/location.ts';
import { openObjects } from '../../activities/objects/open.ts';
import type { ObjectClient } from '../../activities/objects/types.ts';
import type { EstateCopy } from '../../runbooks/copies-estate.ts';
import { copyLooks } from '../../worker/copy-watch.ts';
import { progressOf, startProtection, type StartedProtection } from '../../worker/protection-start.ts';
import type {
  CopyBeat,
  CopyFilter,
  CopyOrder,
  CopyResult,
  CopyRule,
  CopyView,
} from '../../workflows/engine/copying.ts';
import { account, startCluster, type TestCluster } from '../storage/support/dev-cluster.ts';
import { settles } from './support/bucket-pair.ts';
import { writeEstate } from './support/estate.ts';
import { openWorld, type ProtectionWorld } from './support/world.ts';

let world: ProtectionWorld;
let cluster: TestCluster;
let worker: ChildProcess;
const opened: ObjectClient[] = [];

before(async () => {
  process.env['COPIES_ACCESS_KEY_ID'] = account.user;
  process.env['COPIES_SECRET_ACCESS_KEY'] = account.password;
  [world, cluster] = await Promise.all([openWorld({ worker: 'none' }), startCluster()]);
  // The processes that use a reference resolve it.
  process.env['NAMED_TO'] = addressOf('named-to');
  worker = startWorkerProcess();
});
after(async () => {
  await killed(worker);
  await Promise.all(opened.map((client) => client[Symbol.asyncDispose]()));
  await cluster?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

function startWorkerProcess(): ChildProcess {
  const program = path.join(import.meta.dirname, 'support', 'worker-program.ts');
  const home = path.join(world.dir, 'home');
  return spawn(process.execPath, [program, world.temporal.address, world.ledgerUrl, home], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function killed(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

const addressOf = (bucket: string): string =>
  `s3://${bucket}?endpoint=${cluster.cluster.endpoints[0]}&credentials=COPIES`;

async function newBucket(name: string): Promise<ObjectClient> {
  const client = openObjects(parseLocation(addressOf(name), process.env));
  opened.push(client);
  await client.createBucket();
  return client;
}

/** A pair of buckets, the first with so many small objects. */
async function pairWith(name: string, objects: number): Promise<{ from: ObjectClient; to: ObjectClient }> {
  const [from, to] = [await newBucket(`${name}-from`), await newBucket(`${name}-to`)];
  await Promise.all(Array.from({ length: objects }, (_, i) => from.put(keyOf(i), Buffer.alloc(2_000, i))));
  return { from, to };
}
const keyOf = (i: number): string => `k${String(i).padStart(3, '0')}`;

const all: CopyFilter = {
  ...{ prefix: '', include: [], exclude: [], minSizeBytes: null, maxSizeBytes: null },
  ...{ minAgeSeconds: null, maxAgeSeconds: null, tags: {} },
};
const usualRule: CopyRule = {
  ...{ versions: false, deleteShare: null, verifyShare: 0, compareBy: 'content', properties: false, overwrite: 'ours' },
  ...{ storageClass: 'keep', bandwidth: null, requests: null, transfers: 8 },
};

/** Pieces of ten objects or so. */
function orderOf(name: string, rule: Partial<CopyRule> = {}, more: Partial<CopyOrder> = {}): CopyOrder {
  return {
    ...{ name, from: addressOf(`${name}-from`), to: addressOf(`${name}-to`), mode: 'do', measure: true },
    legs: [{ kind: 'copy', name: 'all', filter: all, removeSource: false }],
    rule: { ...usualRule, ...rule },
    shard: { bytes: 20_000, ms: 300_000, perRun: 3, pageKeys: 5 },
    ...{ startedBy: 'test', ...more },
  };
}

function start(order: CopyOrder): Promise<StartedProtection<CopyResult>> {
  const workflowId = `copy/${order.name}`;
  const about = { workflowType: 'copyObjects', workflowId, order, service: '', summary: workflowId };
  return startProtection<CopyResult>(world.temporal.client, about);
}

async function copied(order: CopyOrder): Promise<CopyResult> {
  return (await start(order)).result();
}

async function keysOf(client: ObjectClient): Promise<string[]> {
  return (await client.list()).objects.map(({ key }) => key);
}

/** Keys that were written more than once at a bucket, by its own change log. */
async function writtenTwice(client: ObjectClient): Promise<string[]> {
  const writes = new Map<string, number>();
  const keys = { accessKeyId: account.user, secretAccessKey: account.password };
  await using log = openNodeLog(client.place, () => Promise.resolve(keys));
  for (let position = 0, more = true; more;) {
    const answer = await log.read({ after: position });
    assert.equal(answer.kind, 'page');
    if (answer.kind !== 'page') break;
    for (const { key, kind } of answer.page.changes) if (kind === 'put') writes.set(key, (writes.get(key) ?? 0) + 1);
    ({ position, more } = answer.page);
  }
  assert.ok(writes.size > 0);
  return [...writes].filter(([, count]) => count > 1).map(([key]) => key);
}

const statusOf = (workflowId: string): Promise<CopyView> =>
  world.temporal.client.workflow.getHandle(workflowId).query<CopyView>('status');

test('a copy in many pieces goes on in new runs of its workflow, counts each object once, and is recorded', async () => {
  const { from, to } = await pairWith('many', 60);
  // What is begun when a piece is large enough is brought to its end: how many pieces there are, the machine decides.
  const perRun = 2;
  const started = await start(orderOf('many', {}, { shard: { ...orderOf('many').shard, perRun } }));
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
  const { runId } = await world.temporal.client.workflow.getHandle('copy/many').describe();
  assert.notEqual(runId, started.runId);
  assert.deepEqual(await keysOf(to), await keysOf(from));
  assert.deepEqual(await writtenTwice(to), []);
  await settles(async () => {
    const [run] = await world.ledger.protectionRuns({ kind: 'copy', resource: 'many' });
    assert.deepEqual([run?.outcome, run?.startedBy, run?.facts['copied']], ['done', 'test', 60]);
  }, 60_000);
  const again = await copied(orderOf('many'));
  assert.deepEqual([again.verdict, again.counts.copied, again.counts.same], ['done', 0, 60]);
});

test('a worker killed in the middle: the next one goes on from the cursor, and nothing is written twice', async () => {
  const { from, to } = await pairWith('killed', 180);
  const one = { bytes: 1_000_000_000, ms: 300_000, perRun: 3, pageKeys: 5 };
  const started = await start(orderOf('killed', { requests: '30', transfers: 4 }, { shard: one, measure: false }));
  await settles(async () => {
    const progress = await progressOf(world.temporal.client, started.workflowId);
    const { cursor, counts } = (progress?.detail ?? {}) as Partial<CopyBeat>;
    assert.ok(cursor !== undefined && counts !== undefined && counts.copied >= 8);
  }, 60_000);
  await killed(worker);
  const left = 180 - (await keysOf(to)).length;
  assert.ok(left > 0);
  worker = startWorkerProcess();
  const result = await started.result();
  assert.equal(result.verdict, 'done', JSON.stringify(result));
  assert.deepEqual([result.pieces, result.counts.failed, result.counts.kept], [1, 0, 0]);
  assert.ok(result.counts.copied > left, 'what the cursor knew is counted');
  assert.deepEqual(await keysOf(to), await keysOf(from));
  assert.deepEqual(await writtenTwice(to), []);
});

test('a pause ends what is under way and keeps its place; resumed it goes on to the end', async () => {
  const { to } = await pairWith('paused', 90);
  const slow = orderOf(
    'paused',
    { requests: '20', transfers: 4 },
    { shard: { ...orderOf('x').shard, bytes: 60_000, pageKeys: 2 } },
  );
  const started = await start(slow);
  const handle = world.temporal.client.workflow.getHandle(started.workflowId);
  await settles(async () => assert.ok((await keysOf(to)).length >= 5), 120_000);
  await handle.signal('pause');
  await settles(async () => {
    const { raw } = await handle.describe();
    assert.equal(raw.pendingActivities?.length ?? 0, 0);
    assert.equal((await statusOf(started.workflowId)).phase, 'paused');
  }, 60_000);
  const there = (await keysOf(to)).length;
  const paused = await statusOf(started.workflowId);
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
    ...{ estate: { copies: { [name]: {} as EstateCopy } }, registry, ledger: world.ledger },
    client: () => Promise.resolve(world.temporal.client),
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

test('a dry run names what would be done and does nothing; the guard stops deletes, and lets them pass when it is raised', async () => {
  const { to } = await pairWith('guarded', 20);
  assert.equal((await copied(orderOf('guarded'))).verdict, 'done');
  const { from } = { from: opened.at(-2)! };
  await Promise.all(Array.from({ length: 8 }, (_, i) => from.delete(keyOf(i))));
  await from.put('new', Buffer.from('new'));
  const half = { deleteShare: 0.5 };
  const dry = await copied(orderOf('guarded', half, { mode: 'plan' }));
  assert.deepEqual(dry.named.map(({ what, key }) => `${what} ${key}`).toSorted(), [
    'would-copy new',
    ...Array.from({ length: 8 }, (_, i) => `would-delete ${keyOf(i)}`),
  ]);
  assert.equal((await keysOf(to)).length, 20);
  const guarded = await copied(orderOf('guarded', { deleteShare: 0.1 }));
  assert.equal(guarded.verdict, 'guarded');
  assert.match(guarded.failure ?? '', /^DELETE_GUARD: 8 of 20 objects/);
  assert.equal((await keysOf(to)).length, 21);
  const passed = await copied(orderOf('guarded', half));
  assert.deepEqual([passed.verdict, passed.counts.deleted], ['done', 8]);
  assert.deepEqual(await keysOf(to), await keysOf(from));
  const compared = await copied(orderOf('guarded', {}, { mode: 'compare' }));
  assert.deepEqual([compared.verdict, compared.counts.different], ['done', 0]);
});

test('rules tier, migrate and keep or remove what they are about, by prefix, size and tag, and nothing else', async () => {
  const { from, to } = await pairWith('ruled', 3);
  await from.put('logs/old', Buffer.from('old'));
  await from.put('logs/kept', Buffer.from('kept'));
  await from.putTags('logs/old', { class: 'cold' });
  await from.put('large', Buffer.alloc(10_000, 1));
  const order = orderOf(
    'ruled',
    {},
    {
      legs: [
        { kind: 'tier', name: 'ia', filter: { ...all, minSizeBytes: 5_000 }, storageClass: 'STANDARD_IA' },
        {
          kind: 'copy',
          name: 'cold',
          filter: { ...all, prefix: 'logs/', tags: { class: 'cold' } },
          removeSource: true,
        },
        { kind: 'copy', name: 'small', filter: { ...all, include: ['/k*'], exclude: ['k002'] }, removeSource: false },
      ],
    },
  );
  const dry = await copied({ ...order, mode: 'plan' });
  assert.deepEqual(
    dry.named.map(({ what, key }) => `${what} ${key}`).toSorted(),
    // Tags are looked at when it is done.
    ['would-copy k000', 'would-copy k001', 'would-copy logs/kept', 'would-copy logs/old', 'would-tier large'],
  );
  assert.equal((await from.head('large')).storageClass, 'STANDARD');
  const result = await copied(order);
  assert.deepEqual(
    [result.verdict, result.counts.copied, result.counts.deleted],
    ['done', 4, 1],
    JSON.stringify(result),
  );
  assert.deepEqual(await keysOf(from), ['k000', 'k001', 'k002', 'large', 'logs/kept']);
  assert.deepEqual(await keysOf(to), ['k000', 'k001', 'logs/old']);
  assert.equal((await from.head('large')).storageClass, 'STANDARD_IA');
  const again = await copied(order);
  assert.deepEqual([again.verdict, again.counts.copied, again.counts.deleted], ['done', 0, 0]);
});

test('what is removed after its copy is removed piece by piece, on from the cursor when its worker is killed', async () => {
  const { from, to } = await pairWith('removed', 90);
  const [leg] = orderOf('removed').legs;
  assert.ok(leg?.kind === 'copy');
  const removal = { requests: '40', transfers: 4 };
  const shard = { ...orderOf('removed').shard, bytes: 20_000, pageKeys: 4 };
  const order = orderOf('removed', removal, { legs: [{ ...leg, removeSource: true }], shard, measure: false });
  const started = await start(order);
  // A piece of the removal has ended, and another is under way.
  await settles(async () => {
    const { phase, counts } = await statusOf(started.workflowId);
    assert.ok(phase === 'removing' && counts.deleted >= 10, `${phase} ${counts.deleted}`);
  }, 120_000);
  const before = await statusOf(started.workflowId);
  await killed(worker);
  const there = await keysOf(from);
  assert.ok(there.length > 0);
  worker = startWorkerProcess();
  const result = await started.result();
  assert.equal(result.verdict, 'done', JSON.stringify(result));
  assert.ok(result.counts.deleted >= before.counts.deleted + there.length && result.counts.deleted <= 90);
  assert.equal(result.counts.copied, 90);
  assert.deepEqual(await keysOf(from), []);
  assert.equal((await keysOf(to)).length, 90);
  assert.deepEqual(await writtenTwice(to), []);
});

test('versions are copied piece by piece, too: a page of theirs is no larger than one of objects', async () => {
  const [from, to] = [await newBucket('aged-from'), await newBucket('aged-to')];
  await Promise.all([from, to].map((client) => client.setVersioning('enabled')));
  for (let i = 0; i < 60; i++) await from.put(keyOf(i % 30), Buffer.alloc(2_000, i));
  const result = await copied(orderOf('aged', { versions: true }, { shard: { ...orderOf('aged').shard, perRun: 50 } }));
  assert.deepEqual([result.verdict, result.counts.copied], ['done', 60], JSON.stringify(result));
  // Uncut, all of them are one page of a listing: one piece to measure, one to copy.
  assert.ok(result.pieces > 3, `${result.pieces} pieces`);
  const { versions } = await to.listVersions();
  assert.equal(versions.length, 60);
});

test('of a pair what each side wrote or deleted goes to the other, and what both wrote is named and stays', async () => {
  const { from, to } = await pairWith('twoway', 12);
  await to.put('theirs', Buffer.from('theirs'));
  await Promise.all([from.put('both', Buffer.from('one')), to.put('both', Buffer.from('another'))]);
  const filter = all;
  const kept = orderOf(
    'twoway',
    { deleteShare: 0.5 },
    {
      legs: [{ kind: 'pair', name: 'all', filter, conflicts: 'keep' }],
      shard: { bytes: 5_000, ms: 300_000, perRun: 3, pageKeys: 3 },
    },
  );
  const first = await copied(kept);
  assert.equal(first.verdict, 'partial', JSON.stringify(first));
  assert.ok(first.pieces > 2);
  assert.deepEqual(
    first.named.map(({ what, key }) => `${what} ${key}`),
    ['conflict both'],
  );
  assert.deepEqual(await keysOf(to), await keysOf(from));
  assert.equal((await to.getBytes('both')).bytes.toString(), 'another');
  await Promise.all([from.delete('k000'), to.delete('theirs')]);
  const dry = await copied({ ...kept, mode: 'plan' });
  assert.deepEqual(dry.named.map(({ what, key }) => `${what} ${key}`).toSorted(), [
    ...['conflict both', 'would-delete k000', 'would-delete theirs'],
  ]);
  const second = await copied({ ...kept, legs: [{ kind: 'pair', name: 'all', filter, conflicts: 'from' }] });
  assert.deepEqual([second.verdict, second.counts.deleted], ['done', 2], JSON.stringify(second));
  assert.deepEqual(await keysOf(to), await keysOf(from));
  assert.equal((await to.getBytes('both')).bytes.toString(), 'one');
});

async function muster(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const program = path.join(import.meta.dirname, '../../cli/main.ts');
  const env = {
    ...process.env,
    MUSTER_ESTATE: path.join(world.dir, 'muster.yaml'),
    MUSTER_LEDGER_URL: world.ledgerUrl,
    TEMPORAL_ADDRESS: world.temporal.address,
    NO_COLOR: '1',
  };
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...args], { env, cwd: world.dir });
    return { code: 0, out: stdout, err: stderr };
  } catch (err) {
    const { code, stdout, stderr } = err as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

test('the commands plan, copy, watch, stop and schedule what the estate names', async () => {
  const { to } = await pairWith('named', 5);
  const copies = {
    named: { from: addressOf('named-from'), to: 'env:NAMED_TO', delete: true, at: '02:30' },
    slow: { from: addressOf('named-from'), to: `${addressOf('named-to')}&prefix=slow`, requests: '1', measure: false },
  };
  const file = parse(readFileSync(writeEstate(world.dir), 'utf8')) as object;
  writeFileSync(path.join(world.dir, 'muster.yaml'), stringify({ ...file, copies }));
  const planned = await muster('copies', 'plan', 'named');
  assert.equal(planned.code, 0, planned.out + planned.err);
  assert.match(planned.out, /done named in .*: 5 to copy or move \(9\.8 KiB\)/);
  assert.match(planned.out, /would-copy "k004"/);
  assert.deepEqual(await keysOf(to), []);
  const done = await muster('copies', 'start', 'named', '--by', 'Li', '--json');
  assert.equal(done.code, 0, done.err);
  assert.equal((JSON.parse(done.out) as CopyResult).counts.copied, 5);
  const slow = await muster('copies', 'start', 'slow', '--detach');
  assert.equal(slow.code, 0, slow.err);
  const status = await muster('copies', 'status');
  assert.match(status.out, /named {2}not under way; the last was done .* ago: 5 copied/);
  assert.match(status.out, /slow {2}(copying|under way)/);
  const stopped = await muster('copies', 'stop', 'slow');
  assert.equal(stopped.code, 0, stopped.err);
  const { status: ended } = await world.temporal.client.workflow.getHandle('copy/slow').describe();
  assert.equal(ended.name, 'CANCELLED');
  const applied = await muster('apply');
  assert.equal(applied.code, 0, applied.err);
  assert.match(applied.out, /\+ copy\/named {2}to create, daily/);
});
