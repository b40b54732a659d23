/** The workflow that keeps WAL streaming: paused, resumed, handed from worker to worker, cancelled, refused. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import { archiveWal } from '../../activities/protection/archive-wal.ts';
import { openRepositoryWalArchive } from '../../activities/backup/postgres/repository-wal-archive.ts';
import { readWalMap } from '../../activities/backup/postgres/recovery-plan.ts';
import { walRanges } from '../../activities/backup/postgres/wal-gaps.ts';
import type { Repository } from '../../activities/backup/repository/attach.ts';
import { walLines } from '../../cli/backups/wal-text.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { toApplicationFailure } from '../../worker/failures.ts';
import { controlQueue } from '../../worker/run-start.ts';
import { readWalArchive, type WalArchive } from '../../worker/wal-archives.ts';
import type { ArchiveWalStatus } from '../../workflows/archive-wal.ts';
import type { ArchiveWalOrder } from '../../workflows/engine/protection.ts';
import { testHome, testServer, type TestHome, type TestServer } from '../backup/postgres/support/servers.ts';
import { initCheaply, password } from '../backup/repository/support/repositories.ts';
import { eventually } from '../support/eventually.ts';
import { startTemporal, type TestTemporal } from '../support/temporal.ts';

const root = mkdtempSync(path.join(tmpdir(), 'muster-archive-workflow-'));
let home: TestHome;
let server: TestServer;
let temporal: TestTemporal;
let repository: Repository;
let endWorker: () => Promise<void>;
/** Site that the archive is to read. */
let writer = 'hangzhou';
const asked: string[] = [];
const findings: { severity: string; what: string }[] = [];

before(async () => {
  home = await testHome('archive-workflow');
  [server, temporal, repository] = await Promise.all([
    testServer(home, { walSegmentMegabytes: 1 }),
    startTemporal(),
    initCheaply(path.join(root, 'vault')),
  ]);
  process.env['TEST_WAL_FLOW_URL'] = server.url;
  process.env['TEST_WAL_FLOW_VAULT'] = password;
  endWorker = await startWorker();
});
after(async () => {
  await endWorker();
  await repository.close();
  await temporal[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const order: ArchiveWalOrder = {
  ...{ service: 'shop', site: 'hangzhou', synchronous: false, startedBy: 'test' },
  resource: {
    ...{ name: 'orders', driver: 'postgres', shared: { tables: '*' } },
    sites: {
      hangzhou: { url: 'env:TEST_WAL_FLOW_URL', dataDir: '/nowhere' },
      beijing: { url: 'env:TEST_WAL_FLOW_OTHER', dataDir: '/nowhere' },
    },
  },
  vault: {
    ...{ name: 'vault', repository: path.join(root, 'vault'), password: 'env:TEST_WAL_FLOW_VAULT' },
    ...{ site: null, verifyWithinSeconds: null, lockSeconds: null },
  },
};

async function startWorker(): Promise<() => Promise<void>> {
  const connection = await NativeConnection.connect({ address: temporal.address });
  const worker = await Worker.create({
    connection,
    workflowBundle: { codePath: await workflowBundle(path.join(import.meta.dirname, '../../.muster/cache')) },
    taskQueue: controlQueue,
    activities: {
      'archive wal': async (given: ArchiveWalOrder) => {
        asked.push(given.site);
        const activity = Context.current();
        try {
          return await archiveWal(given, {
            signal: activity.cancellationSignal,
            ...{ runId: activity.info.workflowExecution?.runId ?? '', before: undefined },
            ...{ scratchDir: path.join(root, 'scratch'), stateDir: path.join(root, 'state') },
            heartbeat: (progress) => activity.heartbeat(progress),
            log: () => undefined,
          });
        } catch (err) {
          throw toApplicationFailure(err, 'change');
        }
      },
      'aim at writer': async ({ vault }: ArchiveWalOrder) => ({ kind: 'aimed', site: writer, vault, insteadOf: null }),
      'record finding': async (finding: { severity: string; what: string }) => void findings.push(finding),
    },
  });
  const running = worker.run();
  return async () => {
    worker.shutdown();
    await running;
    await connection.close();
  };
}

const start = (workflowId: string, given: ArchiveWalOrder): Promise<WorkflowHandle> =>
  temporal.client.workflow.start('archiveWal', { workflowId, taskQueue: controlQueue, args: [given] });

async function streams(): Promise<boolean> {
  return server.sql(async (client) => {
    const { rows } = await client.query(
      "SELECT 1 FROM pg_stat_replication WHERE application_name = 'muster_wal_vault' AND state = 'streaming'",
    );
    return rows.length === 1;
  });
}

const writeWal = (): Promise<unknown> =>
  server.sql((client) =>
    client.query(
      "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 900), true) FROM generate_series(1, 2500)",
    ),
  );

const seen = (workflowId = 'archive-wal/shop/orders/vault'): Promise<WalArchive> =>
  readWalArchive(temporal.client, { workflowId, order }, Date.now());
/** As `muster backups list` shows it, on a terminal without colours. */
const shown = async (): Promise<string> => walLines(await seen()).join('\n');

test('an archive is paused, resumed and handed to another worker without a hole, and cancelled when all is in the vault', async () => {
  const handle = await start('archive-wal/shop/orders/vault', order);
  const phase = async (): Promise<string> => (await handle.query<ArchiveWalStatus>('status')).phase;
  await eventually('it streams', streams);
  assert.equal(await phase(), 'archiving');
  await writeWal();
  await eventually('people see how far it is', async () =>
    /^WAL streaming, timeline 1, in the vault up to \w+\/\w+, .* not received$/.test(await shown()),
  );

  await handle.signal('pause');
  await eventually('it is paused', async () => (await phase()) === 'paused' && !(await streams()));
  await eventually('people see it', async () => (await shown()).startsWith('WAL paused'));
  await writeWal();
  await handle.signal('resume');
  await eventually('it streams again', streams);
  assert.equal(await phase(), 'archiving');
  await writeWal();

  // The other site is the same server by another name: what counts is where the archive reads.
  process.env['TEST_WAL_FLOW_OTHER'] = `${server.url}?application_name=elsewhere`;
  writer = 'beijing';
  await handle.signal('follow');
  await eventually('it reads the other site', async () => asked.at(-1) === 'beijing' && (await streams()));
  await writeWal();

  await endWorker();
  await eventually('the server sees that it is gone', async () => !(await streams()));
  await writeWal();
  endWorker = await startWorker();
  await eventually('the other worker streams', streams);
  const lsn = await server.sql(async (client) => {
    const { rows } = await client.query<{ name: string }>('SELECT pg_walfile_name(pg_current_wal_lsn()) AS name');
    return rows[0]?.name ?? '';
  });

  await handle.cancel();
  await assert.rejects(handle.result(), WorkflowFailedError);
  assert.equal((await handle.describe()).status.name, 'CANCELLED');
  assert.deepEqual(await seen(), {
    ...{ service: 'shop', resource: 'orders', vault: 'vault', synchronous: false },
    ...{ phase: 'not running', now: null, lastFailure: null },
  });
  const systemId = await server.sql(async (client) => {
    const { rows } = await client.query<{ id: string }>(
      'SELECT system_identifier::text AS id FROM pg_control_system()',
    );
    return rows[0]?.id ?? '';
  });
  const archive = openRepositoryWalArchive(repository, { service: 'shop', resource: 'orders', systemId });
  const ranges = walRanges(await readWalMap(archive, 1 << 20));
  assert.deepEqual(
    ranges.map(({ kind }) => kind),
    ['found', 'partial'],
  );
  assert.equal(ranges.at(-1)?.toName, lsn);
  assert.deepEqual(findings, []);
});

test('what waiting does not mend ends it with its code, and is a finding', async () => {
  const given = { ...order, vault: { ...order.vault, name: 'closed', password: 'env:TEST_NO_SUCH_PASSWORD' } };
  const handle = await start('archive-wal/shop/orders/closed', given);
  await assert.rejects(handle.result(), (err) => {
    assert.ok(err instanceof WorkflowFailedError && err.cause instanceof ApplicationFailure);
    assert.equal(err.cause.type, 'SECRET_MISSING');
    return true;
  });
  assert.deepEqual(
    findings.map(({ severity }) => severity),
    ['critical'],
  );
  assert.match(
    findings[0]?.what ?? '',
    /shop\/orders into closed is archived no more: SECRET_MISSING: env:TEST_NO_SUCH/,
  );
});
