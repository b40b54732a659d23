import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { initServer } from '../../activities/drivers/postgres/init.ts';
import { startServer, stopServer } from '../../activities/drivers/postgres/server.ts';
import { freePort } from '../../sandbox/ports.ts';
import { signalDatabase } from '../../sandbox/processes/database.ts';

/** A PostgreSQL server of its own for one test file. */
export async function startDatabase() {
  const root = mkdtempSync(join(tmpdir(), 'muster-database-'));
  chmodSync(root, 0o711);
  const dataDir = join(root, 'data');
  const host = '127.0.0.1';
  const port = await freePort(host, 0);
  const start = async () => void (await startServer({ dataDir, settings: { host, port, sharedBuffersMb: 16 } }));
  await initServer({ dataDir, superuser: 'muster', password: 'secret' });
  await start();
  const url = `postgres://muster:secret@${host}:${port}/postgres`;
  const admin = new pg.Pool({ connectionString: url, max: 2 });
  admin.on('error', () => {});
  const stop = async () => {
    signalDatabase(dataDir, 'SIGCONT');
    await admin.end();
    await stopServer(dataDir, { fastMs: 0 });
    rmSync(root, { recursive: true, force: true });
  };
  return { url, host, port, dataDir, admin, start, stop };
}
