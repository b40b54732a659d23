import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { findPostgres } from './binaries.ts';
import type { SiteServer } from './config.ts';
import { addressOf } from './conninfo.ts';
import { asOwner } from './owner.ts';
import { withSql } from './sql.ts';
import { configDir, renderSettings } from './settings.ts';

const run = promisify(execFile);

/**
 * Rewinds a cleanly stopped server to where its history parted from that of its upstream. Returns false when there is no
 * pg_rewind of this version. A rewind that fails leaves the directory unusable: throws REJOIN_FAILED, and it is cloned.
 */
export async function rewind(server: SiteServer, signal: AbortSignal): Promise<boolean> {
  const { pgRewind } = await findPostgres(server.binDir);
  const { upstream } = server.settings;
  if (pgRewind === null || !upstream) return false;
  const { host, port, user } = addressOf(upstream.url);
  // Until its first checkpoint a promoted server's control file shows the old timeline, and pg_rewind (before 16) would
  // find nothing to do.
  await withSql(upstream.url, { statementMs: 60_000, signal }, (client) => client.query('CHECKPOINT'));
  const configFile = await renderSettings(server.dataDir, server.settings);
  const source = `host='${host}' port='${port}' user='${user}' dbname='postgres' connect_timeout='3'`;
  try {
    await run(
      pgRewind,
      [`--target-pgdata=${server.dataDir}`, `--source-server=${source}`, `--config-file=${configFile}`],
      {
        cwd: path.dirname(server.dataDir),
        env: { ...process.env, PGPASSFILE: path.join(configDir(server.dataDir), 'pgpass') },
        signal,
        ...asOwner(),
      },
    );
    return true;
  } catch (err) {
    const said = err instanceof Error && 'stderr' in err ? String(err.stderr).trim().split('\n').at(-1) : String(err);
    throw new MusterError('REJOIN_FAILED', `pg_rewind in ${server.dataDir}: ${said}`);
  }
}
