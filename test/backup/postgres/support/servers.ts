/** Real servers for tests: small, each in its own directory, gone afterwards. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { findPostgres } from '../../../../activities/drivers/postgres/binaries.ts';
import { initServer } from '../../../../activities/drivers/postgres/init.ts';
import { asOwner, makeOwnedDir, usableDataHome } from '../../../../activities/drivers/postgres/owner.ts';
import { killServer, startServer } from '../../../../activities/drivers/postgres/server.ts';
import { configDir, writeOwned } from '../../../../activities/drivers/postgres/settings.ts';
import { withSql, type SqlClient } from '../../../../activities/drivers/postgres/sql.ts';
import { returnPort } from '../../../../sandbox/ports.ts';
import { anyPort } from '../../../support/ports.ts';
import { makeFromTemplate } from '../../../support/server-template.ts';

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
  /** Size of segments of a server to be made; default: PostgreSQL's 16. */
  walSegmentMegabytes?: number;
  /** Address of the server it follows. */
  upstream?: string;
}

const user = 'muster';
const password = 'test';

export async function testServer(home: TestHome, options: TestServerOptions = {}): Promise<TestServer> {
  const dataDir = home.path(options.name ?? 'primary');
  const { binDir = null, extra = {}, synchronousStandbyNames = '' } = options;
  const binaries = binDir === null ? {} : { binDir };
  const port = await anyPort();
  const url = `postgres://${user}:${password}@127.0.0.1:${port}/postgres`;
  if (options.exists !== true) await makeServer(dataDir, options);
  const upstream =
    options.upstream === undefined ? null : { url: options.upstream, slot: '', applicationName: 'standby' };
  const settings = {
    ...{ host: '127.0.0.1', port, sharedBuffersMb: 16, maxConnections: 30, synchronousStandbyNames, upstream },
    // No machine of a test loses its power.
    extra: { autovacuum: 'off', fsync: 'off', ...extra },
  };
  const start = async (): Promise<void> => void (await startServer({ dataDir, settings, ...binaries }));
  await start();
  return {
    ...{ dataDir, port, url, binDir, start },
    kill: () => killServer(dataDir),
    sql: (work) => withSql(url, { connectMs: 30_000, statementMs: 30_000, role: 'client' }, work),
    [Symbol.asyncDispose]: async () => {
      await killServer(dataDir);
      returnPort('127.0.0.1', port);
    },
  };
}

const initSource = path.join(import.meta.dirname, '../../../../activities/drivers/postgres/init.ts');

async function makeServer(dataDir: string, { binDir = null, walSegmentMegabytes }: TestServerOptions): Promise<void> {
  const { initdb } = await findPostgres(binDir ?? undefined);
  const variant = `segments of ${walSegmentMegabytes ?? 'usual'} MiB`;
  const recipe = { binDir: path.dirname(initdb), variant, sources: [initSource, import.meta.filename] };
  await makeOwnedDir(configDir(dataDir));
  await makeFromTemplate(recipe, dataDir, () =>
    walSegmentMegabytes === undefined
      ? initServer({ dataDir, superuser: user, password, ...(binDir !== null && { binDir }) })
      : initSmall(dataDir, walSegmentMegabytes, binDir),
  );
}

/** With small segments much happens at their ends, which are what most can go wrong at. */
async function initSmall(dataDir: string, segmentMegabytes: number, binDir: string | null): Promise<void> {
  const { initdb } = await findPostgres(binDir ?? undefined);
  const passwordFile = path.join(configDir(dataDir), 'password');
  await writeOwned(passwordFile, `${password}\n`);
  const options = ['--auth=scram-sha-256', '--locale=C', '--encoding=UTF8', '--data-checksums', '--no-sync'];
  await promisify(execFile)(
    initdb,
    [
      `--pgdata=${dataDir}`,
      `--username=${user}`,
      `--pwfile=${passwordFile}`,
      `--wal-segsize=${segmentMegabytes}`,
      ...options,
    ],
    { cwd: path.dirname(initdb), ...asOwner() },
  );
  const rules = ['host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256', ''];
  await writeOwned(path.join(dataDir, 'pg_hba.conf'), rules.join('\n'));
}
