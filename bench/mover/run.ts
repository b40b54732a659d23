/**
 * The mover beside rclone, in one run: small objects and large ones per second of the mover's own CPU, and memory while a
 * million keys are compared. `node scripts/run.mjs bench/mover/run.ts [small|small-minio|large|memory]...`
 *
 * Small objects lie in a store in this process's memory (`small`), or in MinIO (`small-minio`, fewer of them, for it takes
 * the most of the machine); large ones in MinIO. Needs rclone and MinIO (MUSTER_RCLONE, MUSTER_MINIO, else in ~/go/bin or
 * on PATH). Both movers stream through themselves: rclone copies inside a server only between remotes of one name.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openLmdbLedger } from '../../activities/mover/ledger/lmdb-ledger.ts';
import { keepHeapLean } from '../../activities/mover/run/lean-heap.ts';
import { type PassRule, usualPassRule } from '../../activities/mover/run/pass.ts';
import { runPass } from '../../activities/mover/run/run-pass.ts';
import { openObjects } from '../../activities/objects/open.ts';
import { type ObjectPlace } from '../../activities/objects/place.ts';
import { listedKeys, listingServer } from './listing-server.ts';
import { startMemoryStore } from './memory-store.ts';
import { account, measure, type Measured, rclone, rcloneVersion, startMinio, toolAt } from './tools.ts';

/** A mover runs for hours; of few objects its start would be what is measured. */
const smallObjects = Number(process.env['BENCH_SMALL'] ?? 100_000);
const smallObjectsOfMinio = 20_000;
const smallBytes = 10 * 1024;
const largeObjects = 2;
const largeBytes = 1_000_000_000;

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

function mover(orders: Orders): Promise<Measured> {
  return measure([process.execPath, ...process.execArgv, import.meta.filename, 'move', JSON.stringify(orders)]);
}

async function fill(place: ObjectPlace, count: number, sizeBytes: number): Promise<void> {
  await using client = openObjects(place);
  let next = 0;
  const writer = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      const bytes = randomBytes(sizeBytes);
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

/** Where the objects of a bench lie. */
interface Store {
  endpoint: string;
  /** Makes a bucket that is empty. */
  makeEmpty(bucket: string): Promise<void>;
  /** @throws Error when a bucket has another number of objects: a mover that leaves some out is no faster */
  mustHave(bucket: string, objects: number): Promise<void>;
  stop(): Promise<void>;
}

async function inMemory(): Promise<Store> {
  const { endpoint, bucket, objects, stop } = await startMemoryStore();
  const mustHave = (name: string, wanted: number): Promise<void> =>
    Promise.resolve(mustBe(name, objects(name), wanted));
  return { endpoint, stop, makeEmpty: (name) => Promise.resolve(bucket(name)), mustHave };
}

async function inMinio(dir: string): Promise<Store> {
  const { endpoint, stop } = await startMinio(dir);
  const mustHave = async (bucket: string, wanted: number): Promise<void> => {
    await using client = openObjects(placeAt(endpoint, bucket));
    let found = 0;
    let continuation: string | undefined;
    do {
      const page = await client.list(continuation === undefined ? {} : { continuation });
      found += page.objects.length;
      ({ continuation } = page);
    } while (continuation !== undefined);
    mustBe(bucket, found, wanted);
  };
  return { endpoint, stop, makeEmpty: (bucket) => emptied(endpoint, bucket), mustHave };
}

function mustBe(bucket: string, found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`${bucket} has ${found} objects instead of ${wanted}`);
}

async function emptied(endpoint: string, bucket: string): Promise<void> {
  await using client = openObjects(placeAt(endpoint, bucket));
  await client.createBucket();
  for (;;) {
    const { objects } = await client.list();
    if (objects.length === 0) return;
    await client.deleteMany(objects.map(({ key }) => ({ key })));
  }
}

async function small(store: Store, name: string, count: number): Promise<void> {
  process.stdout.write(`small: ${count} objects of ${smallBytes} bytes, ${name}\n`);
  const per = { amount: count, unit: 'objects' };
  const { endpoint } = store;
  await store.makeEmpty('source');
  await fill(placeAt(endpoint, 'source'), count, smallBytes);
  await store.makeEmpty('target');
  const orders = ordersAt(endpoint);
  const ours = say('muster copy', await mover(orders), per);
  await store.makeEmpty('target');
  const state = mkdtempSync(path.join(os.tmpdir(), 'muster-bench-state-'));
  say('muster copy --state', await mover({ ...orders, state: path.join(state, 'ledger') }), per);
  rmSync(state, { recursive: true, force: true });
  await store.makeEmpty('target');
  const wide = ['--transfers', '32', '--checkers', '16'];
  const theirs = say('rclone sync', await rclone(['sync', 'SRC:source', 'DST:target', ...wide], endpoint), per);
  await store.mustHave('target', count);
  verdict(ours / theirs, 3, 6);
}

async function large(store: Store): Promise<void> {
  process.stdout.write(`large: ${largeObjects} objects of ${largeBytes} bytes, MinIO to MinIO\n`);
  const per = { amount: (largeObjects * largeBytes) / 1e6, unit: 'MB' };
  const { endpoint } = store;
  await store.makeEmpty('source');
  await fillLarge(placeAt(endpoint, 'source'));
  await store.makeEmpty('target');
  const ours = say('muster copy', await mover(ordersAt(endpoint)), per);
  await store.makeEmpty('target');
  const theirs = say('rclone sync', await rclone(['sync', 'SRC:source', 'DST:target'], endpoint), per);
  await store.mustHave('target', largeObjects);
  verdict(ours / theirs, 1.2, 2);
}

function ordersAt(endpoint: string): Orders {
  return { source: placeAt(endpoint, 'source'), target: placeAt(endpoint, 'target'), rule: {} };
}

/** Large sources are written as rclone would have: in parts. */
async function fillLarge(place: ObjectPlace): Promise<void> {
  await using client = openObjects(place);
  const part = randomBytes(50_000_000);
  for (let i = 0; i < largeObjects; i++) {
    const upload = await client.createUpload(`large-${i}`);
    const parts = [];
    for (let number = 1; number <= largeBytes / part.length; number++)
      parts.push(await client.uploadPart({ ...upload, partNumber: number }, part));
    await client.completeUpload(upload, parts);
  }
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

/** Runs with a store that is stopped and swept up however it ends. */
async function withStore(open: (dir: string) => Promise<Store>, bench: (store: Store) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-bench-'));
  try {
    const store = await open(dir);
    try {
      await bench(store);
    } finally {
      await store.stop();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const benches: Readonly<Record<string, () => Promise<void>>> = {
  small: () => withStore(inMemory, (store) => small(store, 'in memory', smallObjects)),
  'small-minio': () => withStore(inMinio, (store) => small(store, 'MinIO to MinIO', smallObjectsOfMinio)),
  large: () => withStore(inMinio, large),
  memory,
};

async function main(): Promise<void> {
  const [first, orders] = process.argv.slice(2);
  if (first === 'move') return move(JSON.parse(orders!) as Orders);
  const named = process.argv.slice(2);
  const wanted = named.length === 0 ? Object.keys(benches) : named;
  for (const one of wanted)
    if (!(one in benches)) throw new Error(`no bench is called ${one}; there are ${Object.keys(benches).join(', ')}`);
  for (const [tool, variable] of [
    ['rclone', 'MUSTER_RCLONE'],
    ['minio', 'MUSTER_MINIO'],
  ] as const)
    if (toolAt(variable, tool) === undefined) throw new Error(`needs ${tool}: name it in ${variable}`);
  process.stdout.write(`beside ${rcloneVersion()}\n`);
  for (const one of wanted) await benches[one]!();
}

await main();
