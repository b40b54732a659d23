/** Real servers for tests: small, each in its own directory, gone afterwards. */
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { initServer } from '../../../../activities/drivers/postgres/init.ts';
import { makeOwnedDir, usableDataHome } from '../../../../activities/drivers/postgres/owner.ts';
import { killServer, startServer } from '../../../../activities/drivers/postgres/server.ts';
import { withSql, type SqlClient } from '../../../../activities/drivers/postgres/sql.ts';
import { freePort, returnPort } from '../../../../sandbox/ports.ts';

/** PostgreSQL's own programs of another version, where this machine has them. */
export const debianBinDir = '/usr/lib/postgresql/15/bin';
export const hasDebian = existsSync(path.join(debianBinDir, 'postgres'));

/** The versions to test with: the bundled one, and 15 where it is installed. */
export const versions: { name: string; binDir: string | null }[] = [
  { name: 'the bundled PostgreSQL', binDir: null },
  { name: 'PostgreSQL 15', binDir: debianBinDir },
];

export interface TestHome extends AsyncDisposable {
  /** Passable for the user of the servers, who owns `sites`. */
  dir: string;
  path(...names: string[]): string;
}

export async function testHome(name: string): Promise<TestHome> {
  const dir = await mkdtemp(path.join(usableDataHome(tmpdir()), `muster-${name}-`));
  await chmod(dir, 0o711);
  await makeOwnedDir(path.join(dir, 'sites'));
  return {
    dir,
    path: (...names) => path.join(dir, 'sites', ...names),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

export interface TestServer extends AsyncDisposable {
  dataDir: string;
  port: number;
  url: string;
  binDir: string | null;
  start(): Promise<void>;
  kill(): Promise<void>;
  sql<T>(work: (client: SqlClient) => Promise<T>): Promise<T>;
}

export interface TestServerOptions {
  name?: string;
  binDir?: string | null;
  extra?: Record<string, string>;
  synchronousStandbyNames?: string;
  /** The data directory is there already. */
  exists?: boolean;
}

const user = 'muster';
const password = 'test';

export async function testServer(home: TestHome, options: TestServerOptions = {}): Promise<TestServer> {
  const dataDir = home.path(options.name ?? 'primary');
  const { binDir = null, extra = {}, synchronousStandbyNames = '' } = options;
  const binaries = binDir === null ? {} : { binDir };
  const port = await freePort('127.0.0.1', 24_000 + Math.floor(Math.random() * 4_000));
  const url = `postgres://${user}:${password}@127.0.0.1:${port}/postgres`;
  if (options.exists !== true) await initServer({ dataDir, superuser: user, password, ...binaries });
  const settings = {
    ...{ host: '127.0.0.1', port, sharedBuffersMb: 16, maxConnections: 30, synchronousStandbyNames },
    extra: { autovacuum: 'off', ...extra },
  };
  const start = async (): Promise<void> => void (await startServer({ dataDir, settings, ...binaries }));
  await start();
  return {
    ...{ dataDir, port, url, binDir, start },
    kill: () => killServer(dataDir),
    sql: (work) => withSql(url, { statementMs: 30_000, role: 'client' }, work),
    [Symbol.asyncDispose]: async () => {
      await killServer(dataDir);
      returnPort('127.0.0.1', port);
    },
  };
}
