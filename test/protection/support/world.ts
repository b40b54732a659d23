import { mkdtempSync, rmSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { usableDataHome } from '../../../activities/drivers/postgres/owner.ts';
import type { AimDeps } from '../../../worker/aim.ts';
import { openLedger, type Ledger } from '../../../worker/ledger/ledger.ts';
import { followProtection, startProtection } from '../../../worker/protection-start.ts';
import { initRepository } from '../../../activities/backup/repository/repository.ts';
import type { BackupOrder, Vault } from '../../../workflows/engine/protection.ts';
import { startLedgerPostgres, withClient, type LedgerPostgres } from '../../support/ledger-postgres.ts';
import { startProtectionWorker } from './worker.ts';
import { startTemporal, type TestTemporal } from '../../support/temporal.ts';

/** Of the superuser of the sample. */
export const samplePassword = 'of-the-sample';

/** Temporal, a control plane's worker with the activities of protection, its ledger, and a database to protect. */
export interface ProtectionWorld extends AsyncDisposable {
  temporal: TestTemporal;
  ledger: Ledger;
  ledgerUrl: string;
  /** A directory of its own, which the server's owner may use. */
  dir: string;
  /** Database of the sample; its superuser is `muster`. */
  ordersUrl: string;
  order: BackupOrder;
  /** Makes and names a vault; its repository is made by the caller. */
  vault(name: string): Vault;
  /** Starts a workflow and waits for its answer. */
  run<Answer>(workflowType: string, workflowId: string, order: unknown): Promise<Answer>;
}

export interface WorldOptions {
  /** `none`: the test starts its own, as a process (`worker-program.ts`). Default: `here`. */
  worker?: 'here' | 'none';
  /** Who writes, and the estate with the vaults of a directory; without it orders are carried out where they say. */
  aim?: (dir: string) => AimDeps;
}

export async function openWorld({ worker = 'here', aim }: WorldOptions = {}): Promise<ProtectionWorld> {
  const stack = new AsyncDisposableStack();
  const dir = mkdtempSync(path.join(usableDataHome(tmpdir()), 'muster-protection-'));
  chmodSync(dir, 0o711);
  stack.defer(() => rmSync(dir, { recursive: true, force: true }));
  const [postgres, temporal] = await Promise.all([startLedgerPostgres(), startTemporal()]);
  stack.defer(() => postgres.stop());
  stack.use(temporal);
  const ledgerUrl = await postgres.newDatabase();
  const ledger = openLedger(ledgerUrl);
  await ledger.migrate();
  stack.defer(() => ledger.close());
  const ordersUrl = await sampleDatabase(postgres);
  process.env['TEST_ORDERS_URL'] = ordersUrl;
  process.env['TEST_VAULT_PASSWORD'] = 'a password of the vault';
  const home = path.join(dir, 'home');
  if (worker === 'here') stack.defer(await startProtectionWorker(temporal.address, ledger, home, aim?.(dir)));
  const vault = (name: string): Vault => ({
    ...{ name, repository: path.join(dir, name), password: 'env:TEST_VAULT_PASSWORD' },
    ...{ site: null, verifyWithinSeconds: null, lockSeconds: null },
  });
  const resource = {
    ...{ name: 'orders', driver: 'postgres', shared: { tables: ['orders'] } },
    sites: {
      hangzhou: { url: 'env:TEST_ORDERS_URL', dataDir: '/nowhere' },
      beijing: { url: 'env:TEST_ORDERS_URL', dataDir: '/nowhere' },
    },
  };
  return {
    ...{ temporal, ledger, ledgerUrl, dir, ordersUrl, vault },
    order: { service: 'shop', resource, site: 'hangzhou', vault: vault('vault'), startedBy: 'test' },
    run: async <Answer>(workflowType: string, workflowId: string, order: unknown) => {
      const start = { workflowType, workflowId, order, service: 'shop', summary: workflowId };
      const started = await startProtection<Answer>(temporal.client, start);
      return followProtection(temporal.client, started, () => undefined);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A vault to write to. Deriving a key as slowly as it is done for real is not what these tests are about. */
export async function madeVault(world: ProtectionWorld, name: string): Promise<Vault> {
  const vault = world.vault(name);
  const repository = await initRepository({
    ...{ address: { kind: 'directory', path: vault.repository }, scrypt: { N: 1024, r: 8, p: 1 } },
    password: process.env['TEST_VAULT_PASSWORD']!,
  });
  await repository.close();
  return vault;
}

async function sampleDatabase(postgres: LedgerPostgres): Promise<string> {
  const url = await postgres.newDatabase();
  await withClient(url, async (client) => {
    // Half of the files that every backup would save, and every restore would lay down.
    for (const template of ['template0', 'template1']) {
      await client.query(`ALTER DATABASE ${template} IS_TEMPLATE false`);
      await client.query(`DROP DATABASE ${template}`);
    }
    await client.query('CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS what FROM generate_series(1, 20000) i');
    await client.query('ALTER TABLE orders ADD PRIMARY KEY (id)');
    // The sample's server trusts everybody; a restored copy asks for the password.
    await client.query(`ALTER ROLE muster PASSWORD '${samplePassword}'`);
    await client.query('CHECKPOINT');
  });
  return url;
}
