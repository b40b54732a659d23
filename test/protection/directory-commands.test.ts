/** A directory by the real commands: the control plane orders, the agents of its sites read and write the files. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { NativeConnection, Worker } from '@temporalio/worker';
import { createActivities } from '../../worker/activities.ts';
import { createLog } from '../../worker/log.ts';
import { createMetrics } from '../../worker/metrics.ts';
import { siteProtection } from '../../worker/site-protection.ts';
import { madeVault, openWorld, type ProtectionWorld } from './support/world.ts';

let world: ProtectionWorld;
let env: NodeJS.ProcessEnv;
const agents = new AsyncDisposableStack();
const program = path.join(import.meta.dirname, '../../cli/main.ts');
const at = (...names: string[]): string => path.join(world.dir, ...names);

before(async () => {
  world = await openWorld();
  mkdirSync(at('uploads', 'letters'), { recursive: true });
  writeFileSync(at('uploads', 'letters', 'first'), 'all is well');
  symlinkSync('letters/first', at('uploads', 'newest'));
  await madeVault(world, 'vault');
  const connection = await NativeConnection.connect({ address: world.temporal.address });
  agents.defer(() => connection.close());
  for (const site of ['hangzhou', 'beijing']) agents.defer(await startAgent(connection, site));
  env = {
    ...process.env,
    MUSTER_ESTATE: writeEstate(),
    MUSTER_LEDGER_URL: world.ledgerUrl,
    TEMPORAL_ADDRESS: world.temporal.address,
    NO_COLOR: '1',
  };
});
after(async () => {
  await agents.disposeAsync();
  await world[Symbol.asyncDispose]();
});

async function startAgent(connection: NativeConnection, site: string): Promise<() => Promise<void>> {
  const log = createLog('test', 'error');
  const more = siteProtection({ home: at('sites', site), log });
  const activities = createActivities({ drivers: {}, log, metrics: createMetrics(site), more });
  const worker = await Worker.create({ connection, taskQueue: `site-${site}`, activities });
  const running = worker.run();
  return async () => {
    worker.shutdown();
    await running;
  };
}

function writeEstate(): string {
  const file = at('muster.yaml');
  writeFileSync(
    file,
    `version: 1
control: { url: env:MUSTER_CONTROL_URL, token: env:MUSTER_AGENT_TOKEN }
sites: { hangzhou: { agent: env:AGENT_A }, beijing: { agent: env:AGENT_B } }
vaults: { vault: { repository: ${at('vault')}, password: env:TEST_VAULT_PASSWORD } }
services:
  shop:
    primary: hangzhou
    standby: beijing
    objectives: { rpoSeconds: 30, rtoSeconds: 120 }
    resources:
      orders:
        driver: postgres
        tables: [orders]
        hangzhou: { url: env:TEST_ORDERS_URL, dataDir: /nowhere }
        beijing: { url: env:TEST_ORDERS_URL, dataDir: /nowhere }
      uploads:
        driver: directory
        exclude: ['*.tmp']
        hangzhou: { path: ${at('uploads')} }
        beijing: { path: ${at('beijing-uploads')} }
    backups:
      - resource: uploads
        every: daily
        keep: { last: 2 }
        to: vault
        restoreTest: { every: weekly, checks: { scanner: [grep, -r, well, '{directory}'] } }
`,
  );
  return file;
}

async function muster(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...args], { env, cwd: world.dir });
    return { code: 0, out: stdout, err: stderr };
  } catch (err) {
    const { code, stdout, stderr } = err as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

/** Where the activities of a workflow were sent. */
async function queuesOf(workflowId: string): Promise<Record<string, string>> {
  const { events } = await world.temporal.client.workflow.getHandle(workflowId).fetchHistory();
  const scheduled = (events ?? []).flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
  return Object.fromEntries(
    scheduled.map(({ activityType, taskQueue }) => [activityType?.name ?? '', taskQueue?.name ?? '']),
  );
}

test('the agent of the site saves it, the control plane proves it, and the agent of any site brings it back', async () => {
  const now = await muster('backups', 'now', 'shop/uploads');
  assert.equal(now.code, 0, now.out + now.err);
  assert.match(now.out, /^saved shop\/uploads as [0-9a-f]{8} in vault vault\n/);
  assert.equal((await queuesOf('backup/shop/uploads/vault'))['save backup'], 'site-hangzhou');

  const proven = await muster('backups', 'prove', 'shop/uploads');
  assert.equal(proven.code, 0, proven.out + proven.err);
  assert.match(proven.out, /✓ files uploads/);
  assert.match(proven.out, /✓ scanner grep/);
  const [point] = await world.ledger.recoveryPoints({ service: 'shop' });
  assert.deepEqual([point?.kind, point?.files, point?.site], ['directory', 1, 'hangzhou']);
  const proofs = await world.ledger.restoreProofs({ pointId: point!.id });
  assert.deepEqual(
    proofs.map(({ verdict }) => verdict),
    ['proven'],
  );

  const into = at('beijing-uploads');
  const restored = await muster('backups', 'restore', 'shop/uploads', '--site', 'beijing', '--into', into);
  assert.equal(restored.code, 0, restored.out + restored.err);
  assert.equal((await queuesOf('restore/shop/uploads'))['restore point'], 'site-beijing');
  assert.equal(readFileSync(path.join(into, 'newest'), 'utf8'), 'all is well');
  const nowhere = await muster('backups', 'restore', 'shop/uploads', '--site', 'paris', '--into', at('x'));
  assert.match(nowhere.err, /uploads has no site "paris"; it has: hangzhou, beijing/);
});
