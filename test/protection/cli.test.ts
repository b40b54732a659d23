import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { RecoveryPoint, RestoreProof } from '../../workflows/engine/protection.ts';
import type { FindingRow } from '../../worker/ledger/types.ts';
import { writeEstate } from './support/estate.ts';
import { madeVault, openWorld, type ProtectionWorld } from './support/world.ts';

let world: ProtectionWorld;
let env: NodeJS.ProcessEnv;
const program = path.join(import.meta.dirname, '../../cli/main.ts');

before(async () => {
  world = await openWorld();
  env = {
    ...process.env,
    MUSTER_ESTATE: writeEstate(world.dir),
    MUSTER_LEDGER_URL: world.ledgerUrl,
    TEMPORAL_ADDRESS: world.temporal.address,
    NO_COLOR: '1',
  };
});
after(async () => {
  await world[Symbol.asyncDispose]();
});

async function muster(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...args], { env, cwd: world.dir });
    return { code: 0, out: stdout, err: stderr };
  } catch (err) {
    const { code, stdout, stderr } = err as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

test('a vault without a repository is named with what makes one, and nothing is made by itself', async () => {
  const { code, err } = await muster('backups', 'now', 'shop/orders');
  assert.equal(code, 1);
  assert.match(err, /REPOSITORY_MISSING/);
  assert.match((await muster('backups', 'init')).out, /vault vault: made/);
  assert.match((await muster('backups', 'init')).out, /vault vault: is there/);
  // What follows opens it again and again.
  rmSync(world.vault('vault').repository, { recursive: true });
  await madeVault(world, 'vault');
});

test('from nothing to the last known good by the commands alone', async () => {
  const now = await muster('backups', 'now', 'shop/orders');
  assert.equal(now.code, 0, now.err);
  assert.match(now.out, /^saved shop\/orders as [0-9a-f]{8} in vault vault\n/);
  const unproven = await muster('backups', 'list');
  assert.equal(unproven.code, 3);
  assert.match(unproven.out, /nothing proven: muster backups prove shop\/orders/);
  const proven = await muster('backups', 'prove', 'shop/orders', '--by', 'Li');
  assert.equal(proven.code, 0, proven.out + proven.err);
  assert.match(proven.out, /^proven shop\/orders, point vault\/[0-9a-f]{8}\n/);
  assert.match(proven.out, /✓ rows orders/);
  const listed = await muster('backups', 'list', 'shop', '--json');
  assert.equal(listed.code, 0);
  const [orders] = JSON.parse(listed.out) as { points: RecoveryPoint[]; lastKnownGood: { pointId: string } }[];
  assert.equal(orders?.lastKnownGood.pointId, orders?.points[0]?.id);
  const [run] = await world.ledger.protectionRuns({ kind: 'restore-test' });
  assert.equal(run?.startedBy, 'Li');
});

test('a proof by a point of its own, a check of the vault, and a dry prune', async () => {
  await muster('backups', 'now');
  await muster('backups', 'now');
  const [newest, chosen] = await world.ledger.recoveryPoints();
  assert.ok(chosen !== undefined);
  const proof = await muster('backups', 'prove', '--point', chosen.snapshotId.slice(0, 10), '--json');
  assert.equal((JSON.parse(proof.out) as RestoreProof).pointId, chosen.id);
  assert.match((await muster('backups', 'verify')).out, /^intact vault vault\n/);
  const pruned = await muster('backups', 'prune', '--dry-run');
  assert.match(pruned.out, /^would remove 1 recovery point of vault vault, 2 stay\n/);
  const common = await muster('recovery-points', 'shop', '--consistent', '--json');
  const { point } = JSON.parse(common.out) as { point: { skewSeconds: number; parts: { point: RecoveryPoint }[] } };
  assert.equal(point.skewSeconds, 0);
  assert.equal(point.parts[0]?.point.id, newest?.id);
});

test('what is asked wrongly is named with what there is, and nothing is started', async () => {
  const before = (await world.ledger.protectionRuns()).length;
  const cases: [string[], RegExp][] = [
    [['backups', 'now', 'shop/receipts'], /nothing of that name is backed up; there is: shop\/orders/],
    [['backups', 'verify', 'attic'], /no vault is named "attic": vault/],
    [['backups', 'verify', '--percent', '0'], /--percent must be above 0/],
    [['backups', 'prove', '--point', 'ffffffffffffffff'], /no recovery point begins with/],
    [['backups', 'restore', '--into', '/tmp/x', '--to-time', 'yesterday'], /--to-time must be a moment with its zone/],
    [['backups', 'restore', '--into', '/tmp/x', '--to-lsn', '0/1', '--to-latest'], /give one of/],
  ];
  for (const [args, said] of cases) {
    const { code, err } = await muster(...args);
    assert.ok(code === 1 || code === 2, `${args.join(' ')}: ${code}`);
    assert.match(err, said);
  }
  assert.equal((await world.ledger.protectionRuns()).length, before);
});

test('what was found is one list by one command', async () => {
  const before = JSON.parse((await muster('findings', '--json')).out) as FindingRow[];
  assert.match(before.map(({ what }) => what).join('\n'), /REPOSITORY_MISSING/, 'of the first test');
  const finding = { service: 'shop', runId: 'schedule/backup/shop/orders/vault', stepId: null } as const;
  await world.ledger.addFinding({ ...finding, severity: 'critical', what: 'a turn failed', atMs: Date.now() });
  await world.ledger.addFinding({ ...finding, severity: 'note', what: 'long ago', atMs: Date.now() - 3 * 86_400_000 });
  const { out } = await muster('findings', 'shop', '--days', '2');
  assert.match(out, /^\S+ \S+Z {2}critical {2}shop: a turn failed$/m);
  assert.doesNotMatch(out, /long ago/);
  assert.equal((JSON.parse((await muster('findings', '--json')).out) as unknown[]).length, before.length + 2);
  assert.match((await muster('findings', '--days', 'many')).err, /--days must be above 0/);
});
