import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { listPoints } from '../../activities/protection/list-points.ts';
import { Links } from '../../sandbox/links.ts';
import { progressOf, startProtection } from '../../worker/protection-start.ts';
import type { BackupOrder, RecoveryPoint } from '../../workflows/engine/protection.ts';
import { restic, skipWithoutRestic } from '../backup/repository/support/restic.ts';
import { eventually } from '../support/eventually.ts';
import { withClient } from '../support/ledger-postgres.ts';
import { madeVault, openWorld, samplePassword, type ProtectionWorld } from './support/world.ts';

function startWorkerProcess(world: ProtectionWorld): ChildProcess {
  const program = path.join(import.meta.dirname, 'support', 'worker-program.ts');
  const home = path.join(world.dir, 'home');
  return spawn(process.execPath, [program, world.temporal.address, world.ledgerUrl, home], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

/** Files of the vault that hold content. */
function packsIn(repository: string): string[] {
  const data = path.join(repository, 'data');
  const all = existsSync(data) ? readdirSync(data, { recursive: true, withFileTypes: true }) : [];
  return all.filter((entry) => entry.isFile() && /^[0-9a-f]{64}$/.test(entry.name)).map(({ name }) => name);
}

test('a worker killed in the middle of a backup: the next one takes it up, and nothing is stored twice', async () => {
  await using world = await openWorld({ worker: 'none' });
  await using stack = new AsyncDisposableStack();
  await withClient(world.ordersUrl, async (client) => {
    // Text that does not compress: several packs.
    await client.query(
      `CREATE TABLE letters AS SELECT i, (SELECT string_agg(md5(random()::text || i || j), '') FROM generate_series(1, 30) j) AS t
       FROM generate_series(1, 70000) i`,
    );
    await client.query('CHECKPOINT');
  });
  // Slow enough that the backup can be met in its middle.
  const links = new Links([{ name: 'slow', ends: ['vault', 'orders'] }]);
  stack.defer(() => links.close());
  const { hostname: host, port, pathname } = new URL(world.ordersUrl);
  const near = await links.relay({
    ...{ from: 'vault', to: 'orders', listen: { host: '127.0.0.1', port: 0 } },
    target: { host, port: Number(port) },
  });
  process.env['TEST_ORDERS_URL'] = `postgres://muster:${samplePassword}@127.0.0.1:${near.port}${pathname}`;
  links.set('slow', { kind: 'bandwidth', bytesPerSecond: 25_000_000 });
  const vault = await madeVault(world, 'vault');
  const password = process.env['TEST_VAULT_PASSWORD']!;
  const order: BackupOrder = { ...world.order, vault };

  const workflowId = 'backup/shop/orders/vault';
  const start = { workflowType: 'backup', workflowId, order, service: 'shop', summary: workflowId };
  const startOne = (): ChildProcess => stack.adopt(startWorkerProcess(world), kill);
  const first = startOne();
  const started = await startProtection<RecoveryPoint>(world.temporal.client, start);
  const isSaving = async (): Promise<boolean> => {
    const progress = await progressOf(world.temporal.client, workflowId);
    return progress?.detail['phase'] === 'saving' && packsIn(vault.repository).length >= 2;
  };
  await eventually('it has stored some packs', isSaving, 120_000);
  await kill(first);
  const before = packsIn(vault.repository);
  links.clear('slow');
  startOne();
  const point = await started.result();
  assert.equal(point.status, 'complete');
  assert.deepEqual(
    (await listPoints(order)).map(({ id }) => id),
    [point.id],
  );
  const after = packsIn(vault.repository);
  assert.ok(
    before.every((name) => after.includes(name)),
    'what the first attempt stored is used',
  );
  if (skipWithoutRestic === false) {
    const said = await restic(vault.repository, ['check', '--read-data'], { password });
    assert.match(said, /no errors were found/);
    const raw = JSON.parse(await restic(vault.repository, ['stats', '--mode', 'raw-data', '--json'], { password })) as {
      total_blob_count: number;
    };
    const listed = await restic(vault.repository, ['list', 'blobs'], { password });
    const blobs = listed.trim().split('\n');
    assert.equal(new Set(blobs).size, blobs.length, 'no blob is stored twice');
    // The database lives on between two attempts: a few pages and some WAL are others in the second.
    const surplus = blobs.length - raw.total_blob_count;
    assert.ok(surplus <= 40, `${surplus} of ${blobs.length} blobs are of no use`);
  }
});
