/**
 * `npm run bench:storage-heal [-- --mib 2048] [--kib 1024] [--heal-rate 0] [--tls] [--dir PARENT] [--json]`
 *
 * What healing a replaced drive costs. Four nodes (2+2) are filled with so many MiB of objects of so many KiB; one node is
 * stopped, its drive's directory removed, and the node started again, over an empty drive. It ends when a recount that
 * heals nothing has found every shard of every object. Nodes heal at most 200 MiB/s by themselves (read and written
 * together: a third of it is what a drive of a set of four gets); here the limit is lifted, `--heal-rate` sets one.
 *
 * Afterwards two of the other nodes are killed and a sample is read: without the healed drive there would be no answer.
 */
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Client, createClient, inLanes } from './client.ts';
import { ownHome, printTable, progress, runBench, whole } from './lifetime.ts';
import { allNodes, type LocalNodes, prepareNodes, untilWhole } from './nodes.ts';
import { cpuSeconds, residentMib } from './targets.ts';

const { values: args } = parseArgs({
  options: {
    mib: { type: 'string', default: '2048' },
    kib: { type: 'string', default: '1024' },
    'heal-rate': { type: 'string', default: '0' },
    tls: { type: 'boolean', default: false },
    dir: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const objectBytes = whole('kib', args.kib) * 1024;
const objects = Math.ceil((whole('mib', args.mib) * 1024 ** 2) / objectBytes);
const healRate = whole('heal-rate', args['heal-rate'], 0);
const wiped = 2;
const [firstGone, secondGone, reader] = [0, 1, 3] as const;

interface Result {
  objects: number;
  objectBytes: number;
  /** Shards written to the empty drive. */
  shardsWritten: number;
  bytesHealed: number;
  /** From the start of the emptied node. */
  readySeconds: number;
  wholeSeconds: number;
  /** Of the recounts alone: the one that healed, and the one that proved it. */
  passSeconds: number;
  /** Of all four servers, from the emptied node being ready to the set being whole; and of its start before that. */
  cpuSeconds: number;
  startCpuSeconds: number;
  healedMbPerCpuSecond: number;
  healedMbPerSecond: number;
  cpuMsPerShard: number;
  healMibPerSecondAllowed: number;
  recountsAskedFor: number;
  peakMib: number[];
  sampleRead: number;
}

const keyOf = (i: number): string => `/bench/heal/${String(i).padStart(8, '0')}`;

/** @returns the sums of the bodies by number */
async function fill(client: Client): Promise<string[]> {
  const sums: string[] = [];
  const chance = randomBytes(objectBytes);
  let told = performance.now();
  await client.must({ method: 'PUT', endpoint: 0, key: '/bench' });
  await inLanes(objects, objectBytes > 131_072 ? 6 : 48, async (i) => {
    const body = Buffer.from(chance);
    body.writeUInt32BE(i, 0);
    sums[i] = sumOf(body);
    await client.must({ method: 'PUT', endpoint: i % 4, key: keyOf(i), body });
    if (performance.now() - told < 5_000) return;
    told = performance.now();
    progress(`filled ${i} of ${objects}`);
  });
  return sums;
}

function sumOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function measure(cluster: LocalNodes): Promise<Omit<Result, 'sampleRead'>> {
  await cluster.end([wiped], 'SIGTERM');
  rmSync(cluster.drive(wiped), { recursive: true });
  const before = await totalsOf(cluster);
  const sinceMs = Date.now();
  const others = cpuSeconds(cluster.pids);
  const [readyMs] = await cluster.start([wiped]);
  const atReady = cpuSeconds(cluster.pids);
  let peak = residentMib(cluster.pids);
  let told = performance.now();
  const { pass, asked } = await untilWhole(cluster, sinceMs, (looked) => {
    peak = residentMib(cluster.pids).map((now, i) => Math.max(now, peak[i]!));
    const soFar = looked.map(({ sets }) => sets[0]!.running?.soFar).find((one) => one !== undefined);
    if (soFar === undefined || performance.now() - told < 5_000) return;
    told = performance.now();
    progress(`recount: ${soFar.keys} keys, ${soFar.shardsWritten} shards healed`);
  });
  const wholeSeconds = (pass.endedAtMs - sinceMs) / 1_000;
  const used = cpuSeconds(cluster.pids) - atReady;
  const after = await totalsOf(cluster);
  const bytesHealed = after.bytesWritten - before.bytesWritten;
  const shardsWritten = after.shardsWritten - before.shardsWritten;
  if (shardsWritten < objects) throw new Error(`only ${shardsWritten} shards of ${objects} objects were healed`);
  return {
    ...{ objects, objectBytes, shardsWritten, bytesHealed, wholeSeconds },
    ...{ readySeconds: readyMs! / 1_000, passSeconds: (pass.endedAtMs - pass.startedAtMs) / 1_000 },
    ...{ cpuSeconds: used, startCpuSeconds: atReady - others },
    healedMbPerCpuSecond: bytesHealed / 1e6 / used,
    healedMbPerSecond: bytesHealed / 1e6 / wholeSeconds,
    cpuMsPerShard: (used * 1_000) / shardsWritten,
    ...{ healMibPerSecondAllowed: healRate, recountsAskedFor: asked, peakMib: peak },
  };
}

/** Of the nodes that run. The one started anew counts from nothing. */
async function totalsOf(cluster: LocalNodes): Promise<{ shardsWritten: number; bytesWritten: number }> {
  const sum = { shardsWritten: 0, bytesWritten: 0 };
  for (const node of allNodes) {
    if (!cluster.runs(node)) continue;
    const { totals } = await cluster.heal(node);
    sum.shardsWritten += totals.shardsWritten;
    sum.bytesWritten += totals.bytesWritten;
  }
  return sum;
}

/** Two others are gone: every answer has needed what was healed. */
async function readSample(cluster: LocalNodes, client: Client, sums: readonly string[]): Promise<number> {
  await cluster.end([firstGone, secondGone], 'SIGKILL');
  const count = Math.min(200, objects);
  await inLanes(count, 8, async (n) => {
    const i = Math.floor((n * objects) / count);
    const { body } = await client.must({ method: 'GET', endpoint: reader, key: keyOf(i), keepBody: true });
    if (sumOf(body) !== sums[i]) throw new Error(`${keyOf(i)} has other bytes after healing`);
  });
  return count;
}

await runBench(async () => {
  const settings = { MUSTER_HEAL_MIB_PER_SECOND: String(healRate) };
  const cluster = await prepareNodes(ownHome('heal', args.dir), args.tls, settings);
  await cluster.start(allNodes);
  const client = createClient(cluster);
  const sums = await fill(client);
  const measured = await measure(cluster);
  const result: Result = { ...measured, sampleRead: await readSample(cluster, client, sums) };
  client.close();
  if (args.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else print(result);
});

function print(one: Result): void {
  const limit = one.healMibPerSecondAllowed === 0 ? 'lifted' : `${one.healMibPerSecondAllowed} MiB/s read and written`;
  process.stdout.write(
    `\nA drive of four replaced: ${one.objects} objects of ${one.objectBytes / 1024} KiB; limit of healing: ${limit}\n`,
  );
  printTable(
    ['figure', 'value'],
    [
      ['healed, MB', (one.bytesHealed / 1e6).toFixed(1)],
      ['shards written', String(one.shardsWritten)],
      ['healed per CPU-second of the four servers, MB', one.healedMbPerCpuSecond.toFixed(1)],
      ['healed per second from start of the node to whole, MB', one.healedMbPerSecond.toFixed(1)],
      ['CPU a shard, ms', one.cpuMsPerShard.toFixed(2)],
      ['CPU from ready to whole, s', one.cpuSeconds.toFixed(2)],
      ['CPU of the start before that, s', one.startCpuSeconds.toFixed(2)],
      ['start of the node to ready, s', one.readySeconds.toFixed(2)],
      ['start of the node to whole, s', one.wholeSeconds.toFixed(2)],
      ['of that the recounts (healing, then proof), s', one.passSeconds.toFixed(2)],
      ['recounts that had to be asked for', String(one.recountsAskedFor)],
      ['peak resident memory of a node, MiB', one.peakMib.join(' ')],
      ['read with two other nodes gone', `${one.sampleRead} of ${one.sampleRead}`],
    ],
  );
}
