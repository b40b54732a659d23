/**
 * `node scripts/run.mjs bench/clone.ts [--megabytes N] [--runs N]`: copies a server over the replication protocol and
 * prints MB/s and CPU seconds per GB of the copying process (median of the runs), as a table and as JSON.
 */
import { rmSync, chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { cloneServer } from '../activities/drivers/postgres/clone.ts';
import { initServer } from '../activities/drivers/postgres/init.ts';
import { makeOwnedDir, usableDataHome } from '../activities/drivers/postgres/owner.ts';
import { killServer, startServer } from '../activities/drivers/postgres/server.ts';
import { withSql } from '../activities/drivers/postgres/sql.ts';
import { freePort } from '../sandbox/ports.ts';

const { values: args } = parseArgs({
  options: { megabytes: { type: 'string', default: '900' }, runs: { type: 'string', default: '5' } },
});

const root = mkdtempSync(path.join(usableDataHome(tmpdir()), 'muster-clone-'));
chmodSync(root, 0o711);
const source = path.join(root, 'sites', 'source');
try {
  const url = await startSource(Number(args.megabytes));
  const runs = [];
  for (let run = 0; run < Number(args.runs); run++) runs.push(await cloneOnce(url));
  print(runs);
} finally {
  await killServer(source);
  rmSync(root, { recursive: true, force: true });
}

async function startSource(megabytes: number): Promise<string> {
  const port = await freePort('127.0.0.1', 27_000);
  await makeOwnedDir(path.dirname(source));
  await initServer({ dataDir: source, superuser: 'muster', password: 'bench' });
  await startServer({ dataDir: source, settings: { host: '127.0.0.1', port, extra: { max_wal_size: '4GB' } } });
  const url = `postgres://muster:bench@127.0.0.1:${port}/postgres`;
  await withSql(url, { statementMs: 600_000 }, async (client) => {
    // About 1 KB a row.
    await client.query(
      'CREATE TABLE filler AS SELECT i, repeat(md5(i::text), 30) AS x FROM generate_series(1, $1::int * 990) i'.replace(
        '$1',
        String(megabytes),
      ),
    );
    await client.query('CHECKPOINT');
  });
  return url;
}

async function cloneOnce(
  url: string,
): Promise<{ megabytesPerSecond: number; cpuSecondsPerGigabyte: number; megabytes: number }> {
  const target = path.join(root, 'sites', 'copy');
  const before = process.cpuUsage();
  const { bytes, seconds } = await cloneServer({ url, dataDir: target, as: 'standby' });
  const { user, system } = process.cpuUsage(before);
  rmSync(target, { recursive: true });
  return {
    megabytes: bytes / 1e6,
    megabytesPerSecond: bytes / 1e6 / seconds,
    cpuSecondsPerGigabyte: (user + system) / 1e6 / (bytes / 1e9),
  };
}

function print(runs: Awaited<ReturnType<typeof cloneOnce>>[]): void {
  const median = (pick: (run: (typeof runs)[number]) => number): number => {
    const sorted = runs.map(pick).sort((a, b) => a - b);
    return Math.round((sorted[Math.floor(sorted.length / 2)] ?? 0) * 100) / 100;
  };
  const figures = {
    megabytes: median((run) => run.megabytes),
    megabytesPerSecond: median((run) => run.megabytesPerSecond),
    cpuSecondsPerGigabyte: median((run) => run.cpuSecondsPerGigabyte),
    runs: runs.length,
  };
  console.table(figures);
  console.log(JSON.stringify({ clone: figures }));
}
