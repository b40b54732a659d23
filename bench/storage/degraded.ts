/**
 * `npm run bench:storage-degraded [-- --seconds 60] [--only get-4k,get-1m,get-10m] [--rates 100,10,3] [--tls] [--dir PARENT] [--json]`
 *
 * What readers notice of a dead node. Four nodes (2+2), GETs at a fixed rate well below what the machine can do, through
 * the same three nodes all the time; in the midst of it the fourth is killed. Each size has its own run: so many seconds
 * healthy, the first five seconds after the kill, so many seconds without the node. Then it is started again.
 */
import { randomBytes } from 'node:crypto';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  type Client,
  createClient,
  inLanes,
  type Latencies,
  latenciesOf,
  msText,
  openLoad,
  type Sample,
} from './client.ts';
import { ownHome, printTable, progress, runBench, whole } from './lifetime.ts';
import { allNodes, type LocalNodes, prepareNodes, untilWhole } from './nodes.ts';
import { cpuSeconds } from './targets.ts';

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    only: { type: 'string' },
    rates: { type: 'string', default: '100,10,3' },
    tls: { type: 'boolean', default: false },
    dir: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = whole('seconds', args.seconds);
const rates = args.rates.split(',').map((one) => whole('rates', one));

interface Size {
  name: string;
  short: string;
  bytes: number;
  objects: number;
  perSecond: number;
}

const sizes: Size[] = [
  { name: 'GET 4 KiB', short: 'get-4k', bytes: 4096, objects: 1_000, perSecond: rates[0] ?? 100 },
  { name: 'GET 1 MiB', short: 'get-1m', bytes: 1024 ** 2, objects: 48, perSecond: rates[1] ?? 10 },
  { name: 'GET 10 MiB', short: 'get-10m', bytes: 10 * 1024 ** 2, objects: 16, perSecond: rates[2] ?? 3 },
];
const victim = 3;
const survivors = allNodes.filter((node) => node !== victim);
const firstSeconds = 5;
/** Runs in before anything counts: connections, compiled code. */
const warmSeconds = 3;
const bound = 2;

interface Phase extends Latencies {
  /** Share of all cores of the machine that the three surviving servers used, and that was busy with whatever. */
  servers: number;
  machine: number;
}

interface Row {
  figure: string;
  perSecond: number;
  healthy: Phase;
  afterKill: Phase;
  degraded: Phase;
  /** p99 without the node to p99 with it. */
  ratio: number;
  bound: number;
}

const keyOf = (size: Size, i: number): string => `/bench/${size.short}/${i % size.objects}`;

async function measure(cluster: LocalNodes, client: Client, size: Size): Promise<Row> {
  const beforeMs = warmSeconds * 1_000;
  const killMs = beforeMs + seconds * 1_000;
  const settledMs = killMs + firstSeconds * 1_000;
  const busyAt = [beforeMs, killMs, settledMs, settledMs + seconds * 1_000].map(async (atMs) => {
    await sleep(atMs);
    return timesOf(survivors.map(cluster.pidOf));
  });
  const killed = sleep(killMs).then(() => cluster.end([victim], 'SIGKILL'));
  const samples = await openLoad({
    perSecond: size.perSecond,
    seconds: warmSeconds + 2 * seconds + firstSeconds,
    async one(i) {
      const endpoint = survivors[i % survivors.length]!;
      const { bytes } = await client.must({ method: 'GET', endpoint, key: keyOf(size, i) });
      return bytes === size.bytes ? undefined : `${bytes} bytes instead of ${size.bytes}`;
    },
  });
  await killed;
  const times = await Promise.all(busyAt);
  const phase = (n: number, from: number, to: number): Phase => ({
    ...latenciesOf(samples.filter(({ sentAtMs }) => sentAtMs >= from && sentAtMs < to)),
    ...busyBetween(times[n]!, times[n + 1]!),
  });
  const healthy = phase(0, beforeMs, killMs);
  const degraded = phase(2, settledMs, Number.POSITIVE_INFINITY);
  tellFailures(samples);
  return {
    ...{ figure: size.name, perSecond: size.perSecond, healthy, afterKill: phase(1, killMs, settledMs), degraded },
    ...{ ratio: degraded.p99Ms / healthy.p99Ms, bound },
  };
}

function tellFailures(samples: readonly Sample[]): void {
  for (const { sentAtMs, failed } of samples.filter((sample) => sample.failed !== undefined).slice(0, 5))
    progress(`failed ${(sentAtMs / 1_000).toFixed(1)} s after the load began: ${failed}`);
}

interface Times {
  atMs: number;
  serverSeconds: number;
  busy: number;
  all: number;
}

function timesOf(pids: readonly number[]): Times {
  const sum = { atMs: performance.now(), serverSeconds: cpuSeconds(pids), busy: 0, all: 0 };
  for (const { times } of cpus()) {
    const used = times.user + times.nice + times.sys + times.irq;
    sum.busy += used;
    sum.all += used + times.idle;
  }
  return sum;
}

function busyBetween(before: Times, after: Times): Pick<Phase, 'servers' | 'machine'> {
  const coreSeconds = ((after.atMs - before.atMs) / 1_000) * cpus().length;
  return {
    servers: (after.serverSeconds - before.serverSeconds) / coreSeconds,
    machine: (after.busy - before.busy) / (after.all - before.all),
  };
}

async function comeBack(cluster: LocalNodes): Promise<void> {
  const sinceMs = Date.now();
  const [readyMs] = await cluster.start([victim]);
  const { asked } = await untilWhole(cluster, sinceMs);
  progress(
    `the node is back, ready after ${Math.round(readyMs!)} ms, whole after ${Date.now() - sinceMs} ms (${asked} recounts asked for)`,
  );
}

await runBench(async () => {
  const chosen = sizes.filter(({ short }) => args.only === undefined || args.only.split(',').includes(short));
  const cluster = await prepareNodes(ownHome('degraded', args.dir), args.tls);
  await cluster.start(allNodes);
  const client = createClient(cluster);
  await client.must({ method: 'PUT', endpoint: 0, key: '/bench' });
  for (const size of chosen) {
    await inLanes(size.objects, size.bytes > 65_536 ? 2 : 32, (i) =>
      client.must({ method: 'PUT', endpoint: i % 4, key: keyOf(size, i), body: randomBytes(size.bytes) }),
    );
  }
  const rows: Row[] = [];
  for (const [i, size] of chosen.entries()) {
    if (i > 0) await comeBack(cluster);
    rows.push(await measure(cluster, client, size));
    progress(
      `${size.name}: p99 ${msText(rows.at(-1)!.healthy.p99Ms)} ms, without the node ${msText(rows.at(-1)!.degraded.p99Ms)} ms`,
    );
  }
  client.close();
  if (args.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  else print(rows);
});

function print(rows: readonly Row[]): void {
  const titles = ['ms', 'phase', 'requests', 'failed', 'p50', 'p99', 'worst', 'p99 ratio', 'servers', 'machine'];
  process.stdout.write(
    `\nGETs through three nodes before and after the fourth is killed; bound: p99 without it at most ${bound} times p99 with it; servers and machine: share of all cores in use\n`,
  );
  printTable(
    titles,
    rows.flatMap((row) =>
      (
        [
          ['healthy', row.healthy],
          [`first ${firstSeconds} s`, row.afterKill],
          ['without', row.degraded],
        ] as const
      ).map(([name, phase]) => [
        ...[`${row.figure}, ${row.perSecond}/s`, name, String(phase.requests), String(phase.failed)],
        ...[phase.p50Ms, phase.p99Ms, phase.worstMs].map(msText),
        name === 'healthy' ? '' : `${(phase.p99Ms / row.healthy.p99Ms).toFixed(2)}x`,
        `${Math.round(phase.servers * 100)}%`,
        `${Math.round(phase.machine * 100)}%`,
      ]),
    ),
  );
  for (const { figure, ratio, healthy, degraded } of rows) {
    const others = degraded.machine - degraded.servers - (healthy.machine - healthy.servers);
    const doubt = Math.abs(others) > 0.15 ? ' (others used the machine differently in the two: measure again)' : '';
    process.stdout.write(
      `${figure}: ${ratio.toFixed(2)}x, ${ratio <= bound ? 'within' : 'NOT within'} ${bound}x${doubt}\n`,
    );
  }
}
