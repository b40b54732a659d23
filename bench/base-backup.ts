/**
 * `node scripts/run.mjs bench/base-backup.ts [--megabytes N] [--runs N] [--bin-dir DIR]`: takes base backups of one server
 * into a plain directory, in turn with ours and with pg_basebackup (same options: TCP, WAL fetched, fast checkpoint, CRC-32C
 * manifest, synced unless `--no-sync`; who is first changes from run to run), and prints MB/s and CPU seconds per GB of each
 * client (median of the runs), as a table and as JSON; before that the seconds that a server without data takes, which every
 * backup costs. Our runs are in one process: all but the first find compiled code. Without pg_basebackup in DIR only ours is
 * measured.
 */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { saveBackup } from '../activities/backup/postgres/backup-directory.ts';
import { openBaseBackup } from '../activities/backup/postgres/base-backup.ts';
import { initServer } from '../activities/drivers/postgres/init.ts';
import { makeOwnedDir, usableDataHome } from '../activities/drivers/postgres/owner.ts';
import { killServer, startServer } from '../activities/drivers/postgres/server.ts';
import { withSql } from '../activities/drivers/postgres/sql.ts';
import { freePort } from '../sandbox/ports.ts';

const { values: args } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '900' },
    runs: { type: 'string', default: '5' },
    'bin-dir': { type: 'string', default: '/usr/lib/postgresql/15/bin' },
    'no-sync': { type: 'boolean', default: false },
  },
});

interface Run {
  seconds: number;
  megabytesPerSecond: number;
  cpuSecondsPerGigabyte: number;
  bytes: number;
}

const peer = path.join(args['bin-dir'], 'pg_basebackup');
const hasPeer = existsSync(peer);
const binaries = hasPeer ? { binDir: args['bin-dir'] } : {};
const root = mkdtempSync(path.join(usableDataHome(tmpdir()), 'muster-base-backup-'));
chmodSync(root, 0o711);
const source = path.join(root, 'sites', 'source');
let discarded = 0;
try {
  const port = await freePort('127.0.0.1', 27_100);
  await startSource(port);
  const empty = await inTurn(port);
  await fill(port, Number(args.megabytes));
  print(empty, await inTurn(port));
} finally {
  await killServer(source);
  rmSync(root, { recursive: true, force: true });
}

async function startSource(port: number): Promise<void> {
  await makeOwnedDir(path.dirname(source));
  await initServer({ dataDir: source, superuser: 'muster', password: 'bench', ...binaries });
  const settings = { host: '127.0.0.1', port, extra: { max_wal_size: '4GB' } };
  await startServer({ dataDir: source, settings, ...binaries });
}

async function fill(port: number, megabytes: number): Promise<void> {
  await withSql(urlOf(port), { connectMs: 30_000, statementMs: 600_000 }, async (client) => {
    // About 1 KB a row.
    const rows = Math.round(megabytes * 990);
    await client.query(
      `CREATE TABLE filler AS SELECT i, repeat(md5(i::text), 30) AS x FROM generate_series(1, ${rows}) i`,
    );
    await client.query('CHECKPOINT');
  });
}

function urlOf(port: number): string {
  return `postgres://muster:bench@127.0.0.1:${port}/postgres`;
}

interface Runs {
  ours: Run[];
  theirs: Run[];
}

async function inTurn(port: number): Promise<Runs> {
  const [ours, theirs]: [Run[], Run[]] = [[], []];
  for (let run = 0; run < Number(args.runs); run++) {
    if (run % 2 === 0) ours.push(await backUp(port));
    if (hasPeer) theirs.push(await peerBackUp(port, ours[0]?.bytes ?? 0));
    if (run % 2 === 1) ours.push(await backUp(port));
  }
  return { ours, theirs };
}

async function backUp(port: number): Promise<Run> {
  const target = path.join(root, 'ours');
  const [before, startedAt] = [process.cpuUsage(), performance.now()];
  await using backup = await openBaseBackup({ url: urlOf(port), wal: 'included' });
  const { bytes } = await saveBackup(backup, target, { sync: !args['no-sync'] });
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(before);
  discard(target);
  return figuresOf(bytes, seconds, (user + system) / 1e6);
}

async function peerBackUp(port: number, bytes: number): Promise<Run> {
  const target = path.join(root, 'theirs');
  mkdirSync(target, { mode: 0o700 });
  const options = ['-X', 'fetch', '-c', 'fast', '--manifest-checksums=CRC32C', ...(args['no-sync'] ? ['-N'] : [])];
  const startedAt = performance.now();
  const cpuBefore = childCpuSeconds();
  const child = spawn(peer, ['-D', target, '-h', '127.0.0.1', '-p', String(port), '-U', 'muster', ...options], {
    stdio: 'inherit',
    env: { ...process.env, PGPASSWORD: 'bench' },
  });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`pg_basebackup ended with ${String(code)}`);
  const seconds = (performance.now() - startedAt) / 1000;
  discard(target);
  return figuresOf(bytes, seconds, childCpuSeconds() - cpuBefore);
}

/**
 * Empties a backup's files and keeps them until the end: ext4 does not use the numbers of files just removed, and looks
 * past them, one by one, for each file of the next backup.
 */
function discard(target: string): void {
  for (const entry of readdirSync(target, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) truncateSync(path.join(entry.parentPath, entry.name));
  }
  renameSync(target, path.join(root, `done-${++discarded}`));
}

/** CPU time of the children that have ended (fields 16 and 17 of /proc/self/stat, in hundredths); 0 elsewhere. */
function childCpuSeconds(): number {
  if (!existsSync('/proc/self/stat')) return 0;
  const fields = (readFileSync('/proc/self/stat', 'utf8').split(') ')[1] ?? '').split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

function figuresOf(bytes: number, seconds: number, cpuSeconds: number): Run {
  return {
    bytes,
    seconds,
    megabytesPerSecond: bytes / 1e6 / seconds,
    cpuSecondsPerGigabyte: cpuSeconds / (bytes / 1e9),
  };
}

function print(empty: Runs, { ours, theirs }: Runs): void {
  const median = (runs: Run[], pick: (run: Run) => number): number | null => {
    const sorted = runs.map(pick).toSorted((a, b) => a - b);
    const middle = sorted[Math.floor(sorted.length / 2)];
    return middle === undefined ? null : Math.round(middle * 100) / 100;
  };
  const row = (runs: Run[], withoutData: Run[]) => ({
    firstSecondsWithoutData: median(withoutData.slice(0, 1), (run) => run.seconds),
    secondsWithoutData: median(withoutData, (run) => run.seconds),
    megabytesPerSecond: median(runs, (run) => run.megabytesPerSecond),
    cpuSecondsPerGigabyte: median(runs, (run) => run.cpuSecondsPerGigabyte),
  });
  const [muster, pgBasebackup] = [row(ours, empty.ours), row(theirs, empty.theirs)];
  const ratio =
    muster.megabytesPerSecond === null || pgBasebackup.megabytesPerSecond === null
      ? null
      : Math.round((muster.megabytesPerSecond / pgBasebackup.megabytesPerSecond) * 100) / 100;
  console.table({ muster, pg_basebackup: pgBasebackup });
  console.log(
    JSON.stringify({ baseBackup: { megabytes: median(ours, (run) => run.bytes / 1e6), muster, pgBasebackup, ratio } }),
  );
}
