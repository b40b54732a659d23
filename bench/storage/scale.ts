/**
 * `npm run bench:storage-scale [-- --objects 1000000] [--bytes 1024] [--home DIR] [--seconds 8] [--sample 2000] [--tls] [--dir PARENT] [--json]`
 *
 * Many small objects on four nodes (2+2): what the index of a drive takes, what a node holds in memory, and how soon all
 * four are ready again when they were killed under load; an empty cluster's start beside it. The objects are written by
 * the object layer over the four drives in this process (drive-filler.ts), several times faster than through the nodes.
 * With `--home DIR` the directory is kept: a run that was ended goes on where it was (what its last seconds had written
 * is written once more, which the log shows), and a full one is measured again.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Client, createClient, inLanes } from './client.ts';
import { fillDrives, indexSize, type IndexSize } from './drive-filler.ts';
import { ownHome, printTable, progress, runBench, whole } from './lifetime.ts';
import { allNodes, clusterId, type LocalNodes, prepareNodes } from './nodes.ts';
import { cpuSeconds } from './targets.ts';

const { values: args } = parseArgs({
  options: {
    objects: { type: 'string', default: '1000000' },
    bytes: { type: 'string', default: '1024' },
    home: { type: 'string' },
    seconds: { type: 'string', default: '8' },
    sample: { type: 'string', default: '2000' },
    tls: { type: 'boolean', default: false },
    dir: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const objects = whole('objects', args.objects);
const objectBytes = whole('bytes', args.bytes, 8);
const loadSeconds = whole('seconds', args.seconds);
const sampleSize = Math.min(objects, whole('sample', args.sample));
const bucket = 'bench-scale';
const million = 1_000_000;

interface Memory {
  residentMib: number;
  /** Its own, without the pages of files, such as the index, that are shared with the system's cache. */
  anonymousMib: number;
}

/** Of all four nodes at the same time. */
interface Start {
  /** Of each node, until it first said to be ready. */
  readyMs: number[];
  /** All of them together until the last was ready: says more than time does while others use the machine, too. */
  cpuSeconds: number;
}

interface Result {
  objects: number;
  objectBytes: number;
  /** Objects written in this run, and how fast. */
  filled: number;
  filledPerSecond: number;
  indexes: IndexSize[];
  emptyStart: Start;
  orderlyStart: Start;
  startAfterKill: Start;
  memoryAfterStart: Memory[];
  memoryUnderLoad: Memory[];
  memoryAfterKill: Memory[];
  /** Under load until the kill: requests answered a second. */
  loadPerSecond: number;
  sampleRead: number;
  sampleMs: number;
  acknowledgedUnderLoad: number;
  /** Keys of the sample, and of those acknowledged under load, that were not there as they had to be. */
  wrong: string[];
}

/** In an order of chance, as keys of many clients come: an index that is only ever appended to would be smaller. */
function nameOf(i: number): string {
  const spread = (i * 2_654_435_761) % 4_294_967_296;
  return `shop/receipts/2026/${String(spread).padStart(10, '0')}.json`;
}

const keyOf = (i: number): string => `/${bucket}/${nameOf(i)}`;
const chance = Buffer.alloc(objectBytes, 'Muster keeps what it was given. ');

/** Told apart by their first bytes. */
function bodyOf(i: number): Buffer {
  const body = Buffer.from(chance);
  body.writeDoubleBE(i, 0);
  return body;
}

interface Kept {
  objectBytes: number;
  done: number;
  emptyStart: Start;
}

async function fill(cluster: LocalNodes, home: string): Promise<{ filled: number; perSecond: number; kept: Kept }> {
  const file = path.join(home, 'filled.json');
  const kept = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as Kept)
    : { objectBytes, done: 0, emptyStart: await prepareEmpty(cluster) };
  if (kept.objectBytes !== objectBytes)
    throw new Error(`${home} holds objects of ${kept.objectBytes} bytes: give --bytes ${kept.objectBytes}`);
  if (kept.done > objects) throw new Error(`${home} holds ${kept.done} objects already: give --objects ${kept.done}`);
  const from = kept.done;
  writeFileSync(file, JSON.stringify(kept));
  if (from === objects) return { filled: 0, perSecond: 0, kept };
  const beganAt = performance.now();
  const perSecond = (done: number): number => ((done - from) / (performance.now() - beganAt)) * 1_000;
  await fillDrives({
    ...{ drives: allNodes.map(cluster.drive), clusterId, bucket, from, to: objects },
    keyOf: nameOf,
    bodyOf,
    onProgress(done) {
      const minutes = (objects - done) / perSecond(done) / 60;
      progress(`filled ${done} of ${objects}, ${Math.round(perSecond(done))}/s, ${minutes.toFixed(1)} minutes more`);
      writeFileSync(file, JSON.stringify({ ...kept, done }));
    },
  });
  return { filled: objects - from, perSecond: perSecond(objects), kept };
}

/** Makes the bucket, and sees how soon a cluster with nothing in it is ready after it was killed. */
async function prepareEmpty(cluster: LocalNodes): Promise<Start> {
  await cluster.start(allNodes);
  const client = createClient(cluster);
  // It may be there from a run that was ended.
  await client.must({ method: 'PUT', endpoint: 0, key: `/${bucket}` }, [200, 409]);
  client.close();
  await cluster.end(allNodes, 'SIGKILL');
  const start = await startAll(cluster);
  await cluster.end(allNodes, 'SIGTERM');
  return start;
}

async function startAll(cluster: LocalNodes): Promise<Start> {
  const readyMs = await cluster.start(allNodes);
  return { readyMs, cpuSeconds: cpuSeconds(cluster.pids) };
}

interface UnderLoad {
  perSecond: number;
  memory: Memory[];
  /** Bodies that were acknowledged before the kill, by key. */
  acknowledged: Map<string, Buffer>;
}

/** Clients read and write as fast as they can until all four nodes are killed. */
async function loadAndKill(cluster: LocalNodes, client: Client): Promise<UnderLoad> {
  const acknowledged = new Map<string, Buffer>();
  const round = randomBytes(4).toString('hex');
  const errors = new Map<string, number>();
  let answered = 0;
  let killed = false;
  const until = async (one: () => Promise<void>): Promise<void> => {
    while (!killed) {
      try {
        await one();
        answered += 1;
      } catch (error) {
        if (!killed) errors.set(String(error), (errors.get(String(error)) ?? 0) + 1);
      }
    }
  };
  const writers = Array.from({ length: 8 }, (_, w) => {
    let n = 0;
    return until(async () => {
      const key = `/${bucket}/load/${round}/${w}-${n++}`;
      const body = bodyOf(w * million + n);
      await client.must({ method: 'PUT', endpoint: w % 4, key, body });
      acknowledged.set(key, body);
    });
  });
  const readers = Array.from({ length: 4 }, (_, r) =>
    until(async () => {
      const i = Math.floor(Math.random() * objects);
      await client.must({ method: 'GET', endpoint: r, key: keyOf(i) });
    }),
  );
  await sleep(loadSeconds * 1_000);
  const memory = memoryOf(cluster.pids);
  killed = true;
  await cluster.end(allNodes, 'SIGKILL');
  await Promise.all([...writers, ...readers]);
  for (const [what, count] of errors) progress(`${count} requests failed before the kill: ${what}`);
  return { perSecond: answered / loadSeconds, memory, acknowledged };
}

/** @returns keys that do not hold what they must */
async function readBack(client: Client, wanted: readonly [string, Buffer][]): Promise<string[]> {
  const wrong: string[] = [];
  await inLanes(wanted.length, 16, async (n) => {
    const [key, body] = wanted[n]!;
    const what = await client.ask({ method: 'GET', endpoint: n % 4, key, keepBody: true }).then(
      (answer) =>
        answer.status !== 200 ? String(answer.status) : answer.body.equals(body) ? undefined : 'other bytes',
      (error: unknown) => String(error),
    );
    if (what !== undefined) wrong.push(`${key}: ${what}`);
  });
  return wrong;
}

function memoryOf(pids: readonly number[]): Memory[] {
  return pids.map((pid) => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const mib = (name: string): number =>
      Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024);
    return { residentMib: mib('VmRSS'), anonymousMib: mib('RssAnon') };
  });
}

await runBench(async () => {
  const home = args.home ?? ownHome('scale', args.dir);
  mkdirSync(home, { recursive: true });
  const cluster = await prepareNodes(path.join(home, 'cluster'), args.tls);
  const { filled, perSecond, kept } = await fill(cluster, home);
  const indexes = await Promise.all(allNodes.map((node) => indexSize(cluster.drive(node))));
  const orderlyStart = await startAll(cluster);
  progress(`started in ${Math.round(Math.max(...orderlyStart.readyMs))} ms`);
  await sleep(2_000);
  const memoryAfterStart = memoryOf(cluster.pids);
  const before = createClient(cluster);
  const load = await loadAndKill(cluster, before);
  before.close();
  const startAfterKill = await startAll(cluster);
  progress(
    `killed under ${Math.round(load.perSecond)} requests/s, ready again in ${Math.round(Math.max(...startAfterKill.readyMs))} ms`,
  );
  const client = createClient(cluster);
  const beganAt = performance.now();
  const sample = Array.from({ length: sampleSize }, (_, n): [string, Buffer] => {
    const i = Math.floor((n * objects) / sampleSize);
    return [keyOf(i), bodyOf(i)];
  });
  const wrong = await readBack(client, sample);
  const sampleMs = performance.now() - beganAt;
  wrong.push(...(await readBack(client, [...load.acknowledged])));
  const memoryAfterKill = memoryOf(cluster.pids);
  client.close();
  const result: Result = {
    ...{ objects, objectBytes, filled, filledPerSecond: perSecond, indexes },
    ...{ emptyStart: kept.emptyStart, orderlyStart, startAfterKill },
    ...{ memoryAfterStart, memoryUnderLoad: load.memory, memoryAfterKill },
    ...{ loadPerSecond: load.perSecond, sampleRead: sampleSize, sampleMs },
    ...{ acknowledgedUnderLoad: load.acknowledged.size, wrong },
  };
  if (args.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else print(result);
  if (wrong.length > 0)
    throw new Error(`${wrong.length} keys are not as they have to be: ${wrong.slice(0, 5).join('; ')}`);
});

function print(one: Result): void {
  const perObject = (bytes: number): string => (bytes / one.objects).toFixed(0);
  const byDrive = (title: string, pick: (index: IndexSize) => number): string[] => {
    const most = Math.max(...one.indexes.map(pick));
    const each = most / one.objects;
    return [
      ...[title, one.indexes.map((index) => (pick(index) / 1e6).toFixed(1)).join(' ')],
      ...[each.toFixed(0), ((each * million) / 1e6).toFixed(0)],
    ];
  };
  process.stdout.write(`\n${one.objects} objects of ${one.objectBytes} bytes on four drives (2+2)\n`);
  printTable(
    ['by drive', 'MB', 'bytes an object', 'MB a million'],
    [
      byDrive('index, allocated', ({ allocatedBytes }) => allocatedBytes),
      byDrive('index, used by LMDB', ({ usedBytes }) => usedBytes),
      ...['registers', 'data', 'log'].map((table) => byDrive(`  ${table}`, ({ tableBytes }) => tableBytes[table]!)),
      byDrive('segments', ({ segmentBytes }) => segmentBytes),
    ],
  );
  const total = one.indexes.reduce((sum, { allocatedBytes, segmentBytes }) => sum + allocatedBytes + segmentBytes, 0);
  process.stdout.write(`all four drives: ${perObject(total)} bytes an object of ${one.objectBytes}\n\n`);
  const starts = (title: string, { readyMs, cpuSeconds: used }: Start): string[] => [
    ...[title, String(Math.round(Math.max(...readyMs)))],
    ...[readyMs.map((ms) => String(Math.round(ms))).join(' '), used.toFixed(2)],
  ];
  printTable(
    ['start of all four to /health/ready, ms', 'last', 'each', 'CPU of all, s'],
    [
      starts('empty, after kill -9', one.emptyStart),
      starts('filled, after an orderly end', one.orderlyStart),
      starts(`filled, after kill -9 under ${Math.round(one.loadPerSecond)} requests/s`, one.startAfterKill),
    ],
  );
  const memory = (title: string, all: readonly Memory[]): string[] => [
    ...[title, all.map(({ residentMib }) => residentMib).join(' ')],
    all.map(({ anonymousMib }) => anonymousMib).join(' '),
  ];
  process.stdout.write('\n');
  printTable(
    ['memory of each node, MiB', 'resident', 'without files'],
    [
      memory('started, 2 s', one.memoryAfterStart),
      memory('under load', one.memoryUnderLoad),
      memory('after the restart and the reading', one.memoryAfterKill),
    ],
  );
  const wrong = one.wrong.length === 0 ? 'all right' : `${one.wrong.length} WRONG`;
  process.stdout.write(
    `\nread right after the restart: ${one.sampleRead} of a sample (in ${(one.sampleMs / 1_000).toFixed(1)} s), then ${one.acknowledgedUnderLoad} acknowledged under the load: ${wrong}\n`,
  );
  if (one.filled > 0) process.stdout.write(`filled at ${Math.round(one.filledPerSecond)} objects/s\n`);
}
