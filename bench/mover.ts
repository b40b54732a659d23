/**
 * The mover beside rclone, in one run, against one MinIO: small objects and large ones per second of the mover's own CPU,
 * and memory while a million keys are compared. `node scripts/run.mjs bench/mover.ts [small|large|memory]...`
 *
 * Needs rclone and MinIO (MUSTER_RCLONE, MUSTER_MINIO, else on PATH or ~/go/bin). Both movers stream through themselves:
 * rclone copies inside a server only between remotes of one name.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLmdbLedger } from '../activities/mover/ledger/lmdb-ledger.ts';
import { type PassRule, usualPassRule } from '../activities/mover/run/pass.ts';
import { keepHeapLean } from '../activities/mover/run/lean-heap.ts';
import { runPass } from '../activities/mover/run/run-pass.ts';
import { openObjects } from '../activities/objects/open.ts';
import { type ObjectPlace } from '../activities/objects/place.ts';
import { type ObjectClient } from '../activities/objects/types.ts';

const account = { accessKeyId: 'benchuser', secretAccessKey: 'benchsecret123' };
const smallObjects = Number(process.env['BENCH_SMALL'] ?? 20_000);
const smallBytes = 10 * 1024;
const largeObjects = 2;
const largeBytes = 1_000_000_000;
const listedKeys = 1_000_000;

interface Orders {
  source: ObjectPlace;
  target: ObjectPlace;
  rule: Partial<PassRule>;
  state?: string;
}

function placeAt(endpoint: string, bucket: string): ObjectPlace {
  return {
    ...{ dialect: 's3', bucket, prefix: '', region: 'us-east-1', endpoint, addressing: 'path' },
    credentials: { kind: 'fixed', credentials: account },
  };
}

/** The mover in a process of its own; tells its counts and its largest memory. */
async function move(orders: Orders): Promise<void> {
  keepHeapLean();
  const [source, target] = [openObjects(orders.source), openObjects(orders.target)];
  const ledger = orders.state === undefined ? undefined : openLmdbLedger(orders.state);
  const result = await runPass({
    ...{ source: { client: source, prefix: '' }, target: { client: target, prefix: '' } },
    rule: { ...usualPassRule, ...orders.rule },
    ...(ledger === undefined ? {} : { ledger }),
  }).finished;
  await Promise.all([source[Symbol.asyncDispose](), target[Symbol.asyncDispose](), ledger?.[Symbol.asyncDispose]()]);
  process.stdout.write(`${JSON.stringify({ ...result, maxRssMiB: process.resourceUsage().maxRSS / 1024 })}\n`);
  const { wanted, copied } = result.counts;
  if (result.kind !== 'complete' || copied !== (orders.rule.mode === 'compare' ? 0 : wanted)) process.exitCode = 1;
}

interface Measured {
  cpuSeconds: number;
  wallSeconds: number;
  maxRssMiB: number;
  stdout: string;
}

/** Runs a command; the CPU is that of its process alone, as bash counts it. */
async function measure(command: readonly string[], env: Record<string, string> = {}): Promise<Measured> {
  const child = spawn('bash', ['-c', 'TIMEFORMAT="cpu %U %S"; time "$@"', 'bash', ...command], {
    env: { ...without(process.env, 'AWS_CA_BUNDLE'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const begunAtMs = performance.now();
  let maxRssKiB = 0;
  const watching = setInterval(() => (maxRssKiB = Math.max(maxRssKiB, peakOf(child))), 50);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearInterval(watching);
  const [, user, system] = /cpu ([\d.]+) ([\d.]+)/.exec(stderr) ?? [];
  if (code !== 0 || user === undefined) throw new Error(`${command[0]} ended with ${code}: ${stderr}${stdout}`);
  return {
    cpuSeconds: Number(user) + Number(system),
    wallSeconds: (performance.now() - begunAtMs) / 1_000,
    ...{ maxRssMiB: maxRssKiB / 1024, stdout },
  };
}

/** Largest resident memory of the shell's child so far, KiB; 0 where /proc does not tell. */
function peakOf({ pid }: ChildProcess): number {
  try {
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** rclone's client refuses an authority of its own beside its transport. */
function without(env: NodeJS.ProcessEnv, name: string): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([one]) => one !== name));
}

function mover(orders: Orders): Promise<Measured> {
  return measure([process.execPath, ...process.execArgv, import.meta.filename, 'move', JSON.stringify(orders)]);
}

function rclone(args: readonly string[], endpoint: string | readonly [string, string]): Promise<Measured> {
  const [from, to] = typeof endpoint === 'string' ? [endpoint, endpoint] : endpoint;
  const remote = (name: string, at: string): Record<string, string> => ({
    [`RCLONE_CONFIG_${name}_TYPE`]: 's3',
    [`RCLONE_CONFIG_${name}_PROVIDER`]: 'Minio',
    [`RCLONE_CONFIG_${name}_ENDPOINT`]: at,
    [`RCLONE_CONFIG_${name}_ACCESS_KEY_ID`]: account.accessKeyId,
    [`RCLONE_CONFIG_${name}_SECRET_ACCESS_KEY`]: account.secretAccessKey,
    [`RCLONE_CONFIG_${name}_REGION`]: 'us-east-1',
  });
  const command = [toolAt('MUSTER_RCLONE', 'rclone')!, ...args, '--s3-no-check-bucket', '--config', '/dev/null'];
  return measure(command, { ...remote('SRC', from), ...remote('DST', to) });
}

function toolAt(variable: string, name: string): string | undefined {
  const known = process.env[variable];
  if (known !== undefined) return known;
  const inGo = path.join(os.homedir(), 'go', 'bin', name);
  if (existsSync(inGo)) return inGo;
  try {
    return execFileSync('which', [name], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

async function startMinio(dir: string): Promise<{ endpoint: string; stop: () => Promise<void> }> {
  const port = await freePort();
  const child = spawn(
    toolAt('MUSTER_MINIO', 'minio')!,
    ['server', dir, '--address', `127.0.0.1:${port}`, '--console-address', `127.0.0.1:${await freePort()}`, '--quiet'],
    {
      env: { ...process.env, MINIO_ROOT_USER: account.accessKeyId, MINIO_ROOT_PASSWORD: account.secretAccessKey },
      stdio: 'ignore',
    },
  );
  const endpoint = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 200; tries++) {
    const answer = await fetch(`${endpoint}/minio/health/ready`).catch(() => undefined);
    if (answer?.status === 200) break;
    await sleep(50);
  }
  const stop = async (): Promise<void> => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
  };
  return { endpoint, stop };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function fill(client: ObjectClient, count: number, sizeBytes: number): Promise<void> {
  await client.createBucket();
  let next = 0;
  const writer = async (): Promise<void> => {
    const bytes = randomBytes(sizeBytes);
    for (let i = next++; i < count; i = next++) {
      bytes.writeUInt32BE(i);
      await client.put(`object-${String(i).padStart(8, '0')}`, bytes);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, 16) }, writer));
}

function say(
  name: string,
  { cpuSeconds, wallSeconds, maxRssMiB }: Measured,
  per: { amount: number; unit: string },
): number {
  const rate = per.amount / cpuSeconds;
  const figures = `${rate.toFixed(0)} ${per.unit} per CPU-second, ${cpuSeconds.toFixed(2)} CPU-s, ${wallSeconds.toFixed(1)} s wall`;
  process.stdout.write(`  ${name.padEnd(22)} ${figures}, ${maxRssMiB.toFixed(0)} MiB\n`);
  return rate;
}

function verdict(times: number, bound: number, aim: number): void {
  const word = times >= aim ? 'aim met' : times >= bound ? 'bound met' : 'MISSED';
  process.stdout.write(`  ${times.toFixed(2)} x rclone: ${word} (bound ${bound}, aim ${aim})\n`);
}

async function copies(what: 'small' | 'large'): Promise<void> {
  const [count, sizeBytes] = what === 'small' ? [smallObjects, smallBytes] : [largeObjects, largeBytes];
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-bench-'));
  const minio = await startMinio(dir);
  const endpoint = minio.endpoint;
  try {
    process.stdout.write(`${what}: ${count} objects of ${sizeBytes} bytes, MinIO to MinIO\n`);
    const per =
      what === 'small' ? { amount: count, unit: 'objects' } : { amount: (count * sizeBytes) / 1e6, unit: 'MB' };
    const source = openObjects(placeAt(endpoint, 'source'));
    await (what === 'small' ? fill(source, count, sizeBytes) : fillLarge(source));
    await source[Symbol.asyncDispose]();
    const target = async (name: string): Promise<ObjectPlace> => {
      await using client = openObjects(placeAt(endpoint, name));
      await client.createBucket();
      return client.place;
    };
    const orders = (to: ObjectPlace): Orders => ({ source: placeAt(endpoint, 'source'), target: to, rule: {} });
    const ours = say('muster copy', await mover(orders(await target('by-muster'))), per);
    await empty(endpoint, 'by-muster');
    if (what === 'small') {
      const state = path.join(dir, '..', `${path.basename(dir)}-state`);
      say('muster copy --state', await mover({ ...orders(await target('by-state')), state }), per);
      rmSync(state, { recursive: true, force: true });
    }
    await target('by-rclone');
    const wide = what === 'small' ? ['--transfers', '32', '--checkers', '16'] : [];
    const theirs = say('rclone sync', await rclone(['sync', 'SRC:source', 'DST:by-rclone', ...wide], endpoint), per);
    verdict(ours / theirs, what === 'small' ? 3 : 1.2, what === 'small' ? 6 : 2);
  } finally {
    await minio.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Large sources are written as rclone would have: in parts. */
async function fillLarge(client: ObjectClient): Promise<void> {
  await client.createBucket();
  const part = randomBytes(50_000_000);
  for (let i = 0; i < largeObjects; i++) {
    const upload = await client.createUpload(`large-${i}`);
    const parts = [];
    for (let number = 1; number <= largeBytes / part.length; number++)
      parts.push(await client.uploadPart({ ...upload, partNumber: number }, part));
    await client.completeUpload(upload, parts);
  }
}

async function empty(endpoint: string, bucket: string): Promise<void> {
  await using client = openObjects(placeAt(endpoint, bucket));
  for (;;) {
    const { objects } = await client.list();
    if (objects.length === 0) return;
    await client.deleteMany(objects.map(({ key }) => ({ key })));
  }
}

/** Lists keys that nobody stored: every hundredth is missing at the target, every thousandth has another size. */
async function listingServer(): Promise<{ endpoint: string; stop: () => Promise<void> }> {
  const keyAt = (i: number): string => `photos/2026/object-${String(i).padStart(10, '0')}.jpeg`;
  const when = new Date(Date.UTC(2026, 0, 1)).toISOString();
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://x');
    const bucket = url.pathname.split('/')[1]!;
    const after = url.searchParams.get('start-after') ?? url.searchParams.get('continuation-token') ?? '';
    const most = Number(url.searchParams.get('max-keys') ?? 1_000);
    if (url.searchParams.has('versioning')) {
      response.end('<VersioningConfiguration/>');
      return;
    }
    const rows: string[] = [];
    let i = firstBehind(keyAt, after);
    let last = '';
    for (; rows.length < most && i < listedKeys; i++) {
      if (bucket === 'target' && i % 100 === 0) continue;
      last = keyAt(i);
      const sizeBytes = bucket === 'target' && i % 1_000 === 1 ? 7 : 1_000 + (i % 50);
      const etag = String(i).padStart(32, '0');
      rows.push(
        `<Contents><Key>${last}</Key><LastModified>${when}</LastModified><ETag>&quot;${etag}&quot;</ETag><Size>${sizeBytes}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
      );
    }
    const more = i < listedKeys;
    const next = more ? `<NextContinuationToken>${last}</NextContinuationToken>` : '';
    response.setHeader('content-type', 'application/xml');
    response.end(
      `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>${bucket}</Name><Prefix></Prefix><KeyCount>${rows.length}</KeyCount><MaxKeys>${most}</MaxKeys><IsTruncated>${more}</IsTruncated>${rows.join('')}${next}</ListBucketResult>`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function firstBehind(keyAt: (i: number) => string, after: string): number {
  let low = 0;
  let high = listedKeys;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(Buffer.from(keyAt(middle)), Buffer.from(after)) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function memory(): Promise<void> {
  process.stdout.write(`memory: ${listedKeys} keys compared\n`);
  const server = await listingServer();
  const [source, target] = [placeAt(server.endpoint, 'source'), placeAt(server.endpoint, 'target')];
  const rule: Partial<PassRule> = { mode: 'compare', compareBy: 'size' };
  const ours = await mover({ source, target, rule });
  const { counts, maxRssMiB } = JSON.parse(ours.stdout) as { counts: Record<string, number>; maxRssMiB: number };
  const wrong = counts['onlySource'] !== listedKeys / 100 || counts['different'] !== listedKeys / 1_000;
  if (wrong) throw new Error(`wrong counts: ${JSON.stringify(counts)}`);
  say('muster copy', { ...ours, maxRssMiB }, { amount: listedKeys, unit: 'keys' });
  const check = ['check', '--size-only', '--quiet', 'SRC:source', 'DST:target'];
  const theirs = await rclone(check, server.endpoint).catch(() => undefined);
  if (theirs !== undefined) say('rclone check', theirs, { amount: listedKeys, unit: 'keys' });
  await server.stop();
  const word = maxRssMiB <= 120 ? 'aim met' : maxRssMiB <= 200 ? 'bound met' : 'MISSED';
  process.stdout.write(`  ${maxRssMiB.toFixed(0)} MiB: ${word} (bound 200, aim 120)\n`);
}

async function main(): Promise<void> {
  const [first, orders] = process.argv.slice(2);
  if (first === 'move') return move(JSON.parse(orders!) as Orders);
  const wanted = process.argv.slice(2);
  const all = wanted.length === 0 ? ['small', 'large', 'memory'] : wanted;
  if (toolAt('MUSTER_MINIO', 'minio') === undefined || toolAt('MUSTER_RCLONE', 'rclone') === undefined)
    throw new Error('needs minio and rclone: name them in MUSTER_MINIO and MUSTER_RCLONE');
  for (const one of all) {
    if (one === 'memory') await memory();
    else if (one === 'small' || one === 'large') await copies(one);
    else throw new Error(`no bench is called ${one}`);
  }
}

await main();
