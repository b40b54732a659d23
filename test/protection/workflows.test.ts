import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync, chmodSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { stopServer, startServer } from '../../activities/drivers/postgres/server.ts';
import type { MirrorDone } from '../../activities/protection/mirror.ts';
import type { PruneDone } from '../../activities/protection/prune.ts';
import { listPoints } from '../../activities/protection/list-points.ts';
import type { VerifyDone } from '../../activities/protection/verify.ts';
import type {
  BackupOrder,
  MirrorOrder,
  ProtectionBatch,
  PruneOrder,
  RecoveryPoint,
  RestoreDone,
  RestoreOrder,
  RestoreProof,
  RestoreTestOrder,
  Vault,
  VerifyOrder,
} from '../../workflows/engine/protection.ts';
import { lastKnownGood } from '../../workflows/engine/recovery-choice.ts';
import { parseEstate, type Estate } from '../../runbooks/estate.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { estateText } from '../support/estates.ts';
import { anyPort } from '../support/ports.ts';
import { withClient } from '../support/ledger-postgres.ts';
import { madeVault as madeVaultIn, openWorld, samplePassword, type ProtectionWorld } from './support/world.ts';

let world: ProtectionWorld;
let writer: string | null = null;

/** Service `shop` at hangzhou, whose vault `own` is copied to `second`. */
function estateWithCopy(dir: string): Estate {
  const place = (name: string): object => ({ repository: path.join(dir, name), password: 'env:TEST_VAULT_PASSWORD' });
  const vaults = { own: { ...place('own'), copyTo: 'second' }, second: place('second') };
  return parseEstate(estateText({}, vaults), 'muster.yaml', testCatalogue);
}

before(async () => {
  world = await openWorld({ aim: (dir) => ({ estate: estateWithCopy(dir), writerOf: () => writer }) });
});
after(async () => {
  await world[Symbol.asyncDispose]();
});

const madeVault = (name: string): Promise<Vault> => madeVaultIn(world, name);
const backUp = (order: BackupOrder): Promise<RecoveryPoint> =>
  world.run<RecoveryPoint>('backup', `backup/shop/orders/${order.vault.name}`, order);

async function addOrders(from: number, to: number): Promise<void> {
  await withClient(world.ordersUrl, (client) =>
    client.query('INSERT INTO orders SELECT i, md5(i::text) FROM generate_series($1::int, $2::int) i', [from, to]),
  );
}

test('a backup is a recovery point in the vault and in the ledger, and the next one adds what changed', async () => {
  const order = { ...world.order, vault: await madeVault('first') };
  const first = await backUp(order);
  assert.equal(first.status, 'complete');
  assert.equal(first.facts['postgresMajor'], 18);
  await addOrders(20_001, 20_010);
  const second = await backUp(order);
  assert.ok(second.addedBytes < first.addedBytes / 2, `${second.addedBytes} of ${first.addedBytes}`);
  const kept = await world.ledger.recoveryPoints({ vault: 'first' });
  assert.deepEqual(kept, [second, first]);
  assert.deepEqual(await listPoints(order), [first, second]);
  const runs = await world.ledger.protectionRuns({ vault: 'first' });
  assert.deepEqual(
    runs.map(({ kind, outcome, startedBy }) => [kind, outcome, startedBy]),
    [
      ['backup', 'done', 'test'],
      ['backup', 'done', 'test'],
    ],
  );
});

test('a restored database holds the rows of its moment, and nothing that is there is written over', async () => {
  const order = { ...world.order, vault: await madeVault('restored') };
  const point = await backUp(order);
  const { service, resource, site, vault } = order;
  const into = path.join(world.dir, 'came-back');
  const wanted: RestoreOrder = {
    ...{
      service,
      resource,
      site,
      vault,
      point: { kind: 'newest' },
      target: { kind: 'point' },
      into,
      startedBy: 'test',
    },
  };
  const done = await world.run<RestoreDone>('restore', 'restore/shop/orders', wanted);
  assert.equal(done.pointId, point.id);
  assert.match(done.note, /pg_ctl -D/);
  const port = await anyPort();
  await startServer({ dataDir: into, settings: { host: '127.0.0.1', port } });
  try {
    const database = new URL(world.ordersUrl).pathname;
    const url = `postgres://muster:${samplePassword}@127.0.0.1:${port}${database}`;
    const { rows } = await withClient(url, (client) =>
      client.query<{ rows: number }>('SELECT count(*)::int AS rows FROM orders'),
    );
    assert.ok(rows[0]!.rows >= 20_000);
  } finally {
    await stopServer(into);
  }
  mkdirSync(path.join(world.dir, 'taken'));
  writeFileSync(path.join(world.dir, 'taken', 'letter'), 'mine');
  await assert.rejects(
    world.run('restore', 'restore/shop/orders', { ...wanted, into: path.join(world.dir, 'taken') }),
    (err: Error) => /CONFIG_INVALID|taken/.test(`${'code' in err ? String(err.code) : ''} ${err.message}`),
  );
  assert.equal(readFileSync(path.join(world.dir, 'taken', 'letter'), 'utf8'), 'mine');
});

test('a prune keeps what the rules keep, never drops the last point of a resource, and the ledger knows', async () => {
  const order = { ...world.order, vault: await madeVault('pruned') };
  const points = [await backUp(order), await backUp(order), await backUp(order)];
  const prune: PruneOrder = {
    ...{ vault: order.vault, dryRun: true, startedBy: 'test' },
    keep: [{ service: 'shop', resource: 'orders', keep: { last: 1 } }],
  };
  const planned = await world.run<PruneDone>('prune', 'prune/pruned', prune);
  assert.deepEqual(
    planned.removed.toSorted(),
    points
      .slice(0, 2)
      .map(({ id }) => id)
      .toSorted(),
  );
  assert.equal((await listPoints(order)).length, 3);
  await world.run<PruneDone>('prune', 'prune/pruned', { ...prune, dryRun: false });
  assert.deepEqual(await listPoints(order), [points[2]]);
  assert.deepEqual(await world.ledger.recoveryPoints({ vault: 'pruned' }), [points[2]]);
  const others = { ...prune, dryRun: false, keep: [{ service: 'other', resource: 'orders', keep: { last: 1 } }] };
  assert.deepEqual((await world.run<PruneDone>('prune', 'prune/pruned', others)).removed, []);

  // The last known good stays until a younger one is.
  const younger = await backUp(order);
  const proofOf = (point: RecoveryPoint): ProtectionBatch => ({
    run: {
      ...{ id: `proof-${point.snapshotId}`, kind: 'restore-test', service: 'shop', resource: 'orders' },
      ...{ vault: 'pruned', startedAtMs: 1, endedAtMs: point.endedAtMs, outcome: 'done', failure: null, facts: {} },
      startedBy: 'test',
    },
    proof: {
      ...{ id: `proof-${point.snapshotId}`, pointId: point.id, service: 'shop', resource: 'orders' },
      ...{ verdict: 'proven', startedAtMs: 1, endedAtMs: point.endedAtMs, restoredToMs: null, restoreSeconds: null },
      figures: { restoredBytes: null, layDownSeconds: null, walBytes: null, replaySeconds: null, verifySeconds: null },
      ...{ findings: [], failure: null, startedBy: 'test' },
    },
    ...{ point: null, removed: [], findings: [] },
  });
  const pruned = async (): Promise<string[]> =>
    (await world.run<PruneDone>('prune', 'prune/pruned', { ...prune, dryRun: false })).removed;
  await world.ledger.addProtection(proofOf(points[2]!));
  assert.deepEqual(await pruned(), []);
  await world.ledger.addProtection(proofOf(younger));
  assert.deepEqual(await pruned(), [points[2]?.id]);
});

test('a check names the files of backups that a flipped byte hurts, and leaves a finding', async () => {
  const order = { ...world.order, vault: await madeVault('flipped') };
  const point = await backUp(order);
  const check: VerifyOrder = { vault: order.vault, percent: 100, startedBy: 'test' };
  const sound = await world.run<VerifyDone>('verifyVault', 'verify/flipped', check);
  assert.equal(sound.kind, 'intact');
  assert.equal(sound.verified.never, 0);
  flipByteOfLargestPack(order.vault.repository);
  const hurt = await world.run<VerifyDone>('verifyVault', 'verify/flipped', check);
  assert.equal(hurt.kind, 'damaged');
  assert.ok(
    hurt.hurt.some((text) => text.startsWith(point.snapshotId.slice(0, 8))),
    hurt.hurt.join('\n'),
  );
  const [run] = await world.ledger.protectionRuns({ vault: 'flipped', kind: 'verify' });
  assert.equal(run?.outcome, 'failed');
  assert.match(run?.failure ?? '', /^REPOSITORY_DAMAGED/);
  const [finding] = await world.ledger.findingsOf(run!.id);
  assert.equal(finding?.severity, 'critical');
});

function flipByteOfLargestPack(repository: string): void {
  const data = path.join(repository, 'data');
  const packs = readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const [largest] = packs.toSorted((a, b) => readFileSync(b).length - readFileSync(a).length);
  const bytes = readFileSync(largest!);
  bytes[1_000]! ^= 1;
  chmodSync(largest!, 0o600);
  writeFileSync(largest!, bytes);
}

test('a copy of a vault at another place holds the same points, and survives what empties the vault', async () => {
  const order = { ...world.order, vault: await madeVault('near') };
  const far = world.vault('far');
  const point = await backUp(order);
  const copy: MirrorOrder = { from: order.vault, to: far, startedBy: 'test' };
  await world.run<MirrorDone>('mirrorVault', 'mirror/near', copy);
  const there = await listPoints({ ...order, vault: far });
  assert.deepEqual(
    there.map(({ snapshotId }) => snapshotId),
    [point.snapshotId],
  );
  for (const name of readdirSync(path.join(order.vault.repository, 'snapshots'))) {
    const file = path.join(order.vault.repository, 'snapshots', name);
    const { rmSync } = await import('node:fs');
    rmSync(file);
  }
  const again = await world.run<MirrorDone>('mirrorVault', 'mirror/near', copy);
  assert.equal(again.heldBack, 1);
  assert.equal((await listPoints({ ...order, vault: far })).length, 1);
});

test('away from home the writer is backed up, into the copy of a vault that is gone; back home, all of it is in the vault', async () => {
  const order = { ...world.order, vault: await madeVault('own') };
  const [vault, second] = [order.vault, world.vault('second')];
  const copy: MirrorOrder = { from: vault, to: second, startedBy: 'test' };
  const mirror = (): Promise<MirrorDone> => world.run<MirrorDone>('mirrorVault', 'mirror/own', copy);
  const ids = async (of: Vault): Promise<string[]> =>
    (await listPoints({ ...order, vault: of })).map(({ snapshotId }) => snapshotId);
  const before = await backUp(order);
  await mirror();
  writer = 'beijing';
  renameSync(vault.repository, `${vault.repository}-lost`);
  const away = await backUp(order);
  assert.deepEqual([away.site, away.vault], ['beijing', 'second']);
  assert.deepEqual(await world.ledger.recoveryPoints({ vault: 'second' }), [away]);
  renameSync(second.repository, `${second.repository}-lost`);
  await assert.rejects(backUp(order), { code: 'OBJECT_STORE_UNREACHABLE' });
  const [run] = await world.ledger.protectionRuns({ vault: 'own', kind: 'backup' });
  const [finding] = await world.ledger.findingsOf(run!.id);
  assert.equal(finding?.severity, 'critical');
  assert.match(finding?.what ?? '', /service shop writes at beijing, and no vault of its backups answers/);
  for (const { repository } of [vault, second]) renameSync(`${repository}-lost`, repository);
  writer = 'hangzhou';
  const home = await backUp(order);
  assert.deepEqual([home.site, home.vault], ['hangzhou', 'own']);
  await mirror();
  const all = [before, away, home].map(({ snapshotId }) => snapshotId);
  assert.deepEqual([await ids(vault), await ids(second)], [all, all]);
  // From then on the copy is a copy again: what is pruned goes from both.
  const keep = [{ service: 'shop', resource: 'orders', keep: { last: 1 } }];
  await world.run<PruneDone>('prune', 'prune/own', { vault, keep, dryRun: false, startedBy: 'test' });
  await mirror();
  assert.deepEqual([await ids(vault), await ids(second)], [[home.snapshotId], [home.snapshotId]]);
});

test('a vault that cannot be opened fails the backup at once, by its code, and leaves a finding', async () => {
  const vault = await madeVault('locked-away');
  process.env['TEST_WRONG_PASSWORD'] = 'not the password';
  const order = { ...world.order, vault: { ...vault, password: 'env:TEST_WRONG_PASSWORD' } };
  await assert.rejects(backUp(order), { code: 'REPOSITORY_KEY_WRONG' });
  const [run] = await world.ledger.protectionRuns({ vault: 'locked-away' });
  assert.equal(run?.outcome, 'failed');
  assert.doesNotMatch(JSON.stringify(run), /not the password/);
});

test('a restore test proves a point, and the proof makes it the last known good', async () => {
  const order = { ...world.order, vault: await madeVault('proven') };
  const point = await backUp(order);
  const younger = await backUp(order);
  const { service, resource, site, vault } = order;
  const proving: RestoreTestOrder = {
    ...{ service, resource, site, vault, point: { kind: 'id', id: point.id }, target: { kind: 'point' } },
    checks: { rows: [{ database: new URL(world.ordersUrl).pathname.slice(1), table: 'orders', min: 20_000 }] },
    startedBy: 'test',
  };
  const proof = await world.run<RestoreProof>('restoreTest', 'restore-test/shop/orders', proving);
  assert.deepEqual([proof.verdict, proof.failure, proof.pointId], ['proven', null, point.id]);
  assert.ok(proof.findings.some(({ check, verdict }) => check === 'rows' && verdict === 'passed'));
  assert.deepEqual(await world.ledger.restoreProofs({ pointId: point.id }), [proof]);
  const good = lastKnownGood([younger, point], await world.ledger.restoreProofs({ service: 'shop' }));
  assert.equal(good?.point.id, point.id);
  const lacking = { ...proving, checks: { rows: [{ ...proving.checks.rows![0]!, min: 1_000_000 }] } };
  const against = await world.run<RestoreProof>('restoreTest', 'restore-test/shop/orders', lacking);
  assert.equal(against.verdict, 'failed');
  const [run] = await world.ledger.protectionRuns({ vault: 'proven', kind: 'restore-test' });
  assert.equal(run?.outcome, 'failed');
  assert.match(run?.failure ?? '', /^PROOF_FAILED: rows/);
});
