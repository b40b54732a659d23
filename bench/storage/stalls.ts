/**
 * `npm run bench:storage-stalls [-- --seconds 10] [--readers 16] [--only readers,if-match,if-none-match] [--minio BINARY] [--tls] [--dir PARENT] [--json]`
 *
 * What a client that stalls costs others on the same key: GETs (of the first 4 KiB) and PUTs (of 4 KiB) at a fixed rate,
 * through all four nodes, while nobody stalls; while readers have opened 10 MiB of the key and take nothing; and while a
 * conditional writer's body drips. Latency counts from the sending of each request, so one that waits for the end of the
 * stall shows it in full. MinIO in the same way where its binary is given (see BENCH_MINIO_HOST in targets.ts).
 */
import { randomBytes } from 'node:crypto';
import { type ClientRequest, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as secureConnect } from 'node:tls';
import { parseArgs } from 'node:util';
import { type Client, createClient, type Latencies, latenciesOf, msText, openLoad } from './client.ts';
import { atEnd, ownHome, printTable, progress, runBench, whole } from './lifetime.ts';
import { allNodes, prepareNodes } from './nodes.ts';
import { presign } from './presign.ts';
import { residentMib, startMinio, type Target } from './targets.ts';

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    readers: { type: 'string', default: '16' },
    only: { type: 'string' },
    minio: { type: 'string' },
    tls: { type: 'boolean', default: false },
    dir: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = whole('seconds', args.seconds);
const readers = whole('readers', args.readers);
const big = randomBytes(10 * 1024 ** 2);
const small = randomBytes(4096);
const rates = { get: 20, put: 4 };

/** A stall that has begun. */
interface Stall {
  /** Lets go. @returns what came of those who stalled, for people */
  release(): Promise<string>;
}

interface Scenario {
  name: string;
  short: string;
  /** What the key holds when it begins. */
  holds: 'big' | 'nothing';
  begin(target: Target, key: string, etag: string): Promise<Stall>;
}

const nobody: Scenario = {
  ...{ name: 'nobody stalls', short: 'none', holds: 'big' },
  begin: () => Promise.resolve({ release: () => Promise.resolve('') }),
};

const scenarios: Scenario[] = [
  nobody,
  { name: `${readers} readers take nothing`, short: 'readers', holds: 'big', begin: stallReaders },
  {
    ...{ name: 'If-Match, body drips', short: 'if-match', holds: 'big' },
    begin: (target, key, etag) => dripWriter(target, key, { 'if-match': etag }),
  },
  {
    ...{ name: 'If-None-Match: *, body drips', short: 'if-none-match', holds: 'nothing' },
    begin: (target, key) => dripWriter(target, key, { 'if-none-match': '*' }),
  },
];

/** Sockets of which nobody reads: what the system itself keeps for them is less than the object. */
async function stallReaders(target: Target, key: string): Promise<Stall> {
  const sockets = await Promise.all(
    Array.from({ length: readers }, (_, i) => openReader(target, i % target.endpoints.length, key)),
  );
  // Until the sending side, too, has filled all it was given.
  await sleep(500);
  return {
    async release() {
      const takenBefore = sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0) / sockets.length;
      const wholes = await Promise.all(sockets.map(takeRest));
      const right = wholes.filter(Boolean).length;
      return `${right} of ${readers} then got the 10 MiB they had opened (${Math.round(takenBefore / 1024)} KiB taken before)`;
    },
  };
}

function openReader(target: Target, node: number, key: string): Promise<Socket> {
  const endpoint = target.endpoints[node]!;
  const { hostname, port, host } = new URL(endpoint);
  const at = { host: hostname, port: Number(port) };
  const line = presign(target, { method: 'GET', endpoint, key });
  return new Promise((resolve, reject) => {
    const socket = target.tls ? secureConnect({ ...at, rejectUnauthorized: false }) : connect(at);
    socket.once('error', reject);
    socket.once(target.tls ? 'secureConnect' : 'connect', () => {
      socket.write(`GET ${line} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
      // The first bytes say that it was opened; then nothing more is taken.
      socket.once('readable', () => {
        socket.off('error', reject);
        socket.on('error', () => {});
        resolve(socket);
      });
    });
  });
}

/** @returns whether it was answered with exactly what the key held when it asked */
async function takeRest(socket: Socket): Promise<boolean> {
  const chunks: Buffer[] = [];
  const late = setTimeout(() => socket.destroy(), 30_000);
  await new Promise<void>((resolve) => {
    socket
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .once('end', resolve)
      .once('close', () => resolve());
  });
  clearTimeout(late);
  socket.destroy();
  const all = Buffer.concat(chunks);
  return all.subarray(all.indexOf('\r\n\r\n') + 4).equals(big);
}

/** 1 MiB in pieces, the last of which is sent when it is released. */
async function dripWriter(target: Target, key: string, headers: Record<string, string>): Promise<Stall> {
  const endpoint = target.endpoints[0]!;
  const body = randomBytes(1024 ** 2);
  const pieces = 40;
  const beganAt = performance.now();
  let answered = '';
  const request = (target.tls ? httpsRequest : httpRequest)(
    endpoint + presign(target, { method: 'PUT', endpoint, key }),
    {
      ...{ method: 'PUT', agent: false, rejectUnauthorized: false },
      headers: { ...headers, 'content-length': String(body.length) },
    },
  );
  const done = outcome(request).then((what) => {
    answered = `${what} after ${((performance.now() - beganAt) / 1_000).toFixed(1)} s`;
  });
  let sent = 0;
  const give = (): void => {
    if (sent < pieces - 1) request.write(piece(body, sent++, pieces));
  };
  give();
  const drip = setInterval(give, (seconds * 1_000) / pieces);
  await sleep(300);
  return {
    async release() {
      clearInterval(drip);
      const early = answered !== '';
      while (sent < pieces) request.write(piece(body, sent++, pieces));
      request.end();
      await done;
      return `the writer was answered ${answered}${early ? ', before its body was sent' : ''}`;
    },
  };
}

function piece(body: Buffer, i: number, of: number): Buffer {
  return body.subarray(Math.floor((i * body.length) / of), Math.floor(((i + 1) * body.length) / of));
}

function outcome(request: ClientRequest): Promise<string> {
  return new Promise((resolve) => {
    request.once('error', (error: Error) => resolve(`with ${error.message}`));
    request.once('response', (answer) => {
      answer.resume().once('end', () => resolve(`with ${answer.statusCode}`));
    });
  });
}

interface Row {
  target: string;
  scenario: string;
  get: Latencies;
  put: Latencies;
  /** What the median and the worst are longer than while nobody stalls. */
  delayMs: { getP50: number; getWorst: number; putP50: number; putWorst: number } | undefined;
  stalled: string;
  residentMib: number[];
}

async function measure(target: Target): Promise<Row[]> {
  const client = createClient(target);
  await client.must({ method: 'PUT', endpoint: 0, key: '/stalls' });
  // Once for nothing: connections, compiled code.
  await probe(client, '/stalls/warm', seconds);
  const rows: Row[] = [];
  for (const scenario of scenarios) {
    if (scenario !== nobody && args.only !== undefined && !args.only.split(',').includes(scenario.short)) continue;
    const key = `/stalls/${scenario.short}`;
    let etag = '';
    if (scenario.holds === 'big') {
      const { headers } = await client.must({ method: 'PUT', endpoint: 0, key, body: big });
      etag = headers.etag ?? '';
    }
    const stall = await scenario.begin(target, key, etag);
    const ended = sleep(seconds * 1_000).then(() => stall.release());
    const { get, put } = await probe(client, key, seconds);
    const resident = residentMib(target.pids);
    const stalled = await ended;
    const base = rows[0];
    const delayMs = base === undefined ? undefined : delayOf(base, { get, put });
    rows.push({ target: target.name, scenario: scenario.name, get, put, delayMs, stalled, residentMib: resident });
    progress(
      `${target.name}, ${scenario.name}: PUT p50 ${msText(put.p50Ms)}, worst ${msText(put.worstMs)} ms. ${stalled}`,
    );
    for (const { why } of [get, put]) if (why !== undefined) progress(`  a request failed: ${why}`);
  }
  client.close();
  return rows;
}

/** GETs and PUTs of the key through all nodes; one that is not there yet is an answer, too. */
async function probe(client: Client, key: string, forSeconds: number): Promise<{ get: Latencies; put: Latencies }> {
  const [put, get] = await Promise.all([
    openLoad({
      ...{ perSecond: rates.put, seconds: forSeconds },
      async one(i) {
        await client.must({ method: 'PUT', endpoint: i % 4, key, body: small });
        return undefined;
      },
    }),
    openLoad({
      ...{ perSecond: rates.get, seconds: forSeconds },
      async one(i) {
        const headers = { range: 'bytes=0-4095' };
        await client.must({ method: 'GET', endpoint: (i + 1) % 4, key, headers }, [200, 206, 404]);
        return undefined;
      },
    }),
  ]);
  return { get: latenciesOf(get), put: latenciesOf(put) };
}

function delayOf(base: Pick<Row, 'get' | 'put'>, now: Pick<Row, 'get' | 'put'>): NonNullable<Row['delayMs']> {
  return {
    getP50: now.get.p50Ms - base.get.p50Ms,
    getWorst: now.get.worstMs - base.get.worstMs,
    putP50: now.put.p50Ms - base.put.p50Ms,
    putWorst: now.put.worstMs - base.put.worstMs,
  };
}

async function measureTarget(start: () => Promise<Target>): Promise<Row[]> {
  const target = await start();
  atEnd(() => target.stop());
  const rows = await measure(target);
  await target.stop();
  return rows;
}

async function startOwn(dir: string): Promise<Target> {
  const nodes = await prepareNodes(dir, args.tls);
  await nodes.start(allNodes);
  return nodes;
}

await runBench(async () => {
  const home = ownHome('stalls', args.dir);
  const rows = await measureTarget(() => startOwn(path.join(home, 'muster')));
  const { minio } = args;
  if (minio !== undefined)
    rows.push(...(await measureTarget(() => startMinio(minio, path.join(home, 'minio'), args.tls))));
  if (args.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  else print(rows);
});

function print(rows: readonly Row[]): void {
  process.stdout.write(`\nRequests of others to the key for ${seconds} s: GET ${rates.get}/s, PUT ${rates.put}/s\n`);
  const titles = [
    'ms',
    'GET p50',
    'p99',
    'worst',
    'PUT p50',
    'p99',
    'worst',
    'delay GET p50',
    'PUT p50',
    'failed',
    'MiB',
  ];
  printTable(
    titles,
    rows.map((row) => [
      `${row.target}, ${row.scenario}`,
      ...[row.get, row.put].flatMap(({ p50Ms, p99Ms, worstMs }) => [p50Ms, p99Ms, worstMs].map(msText)),
      ...(row.delayMs === undefined ? ['', ''] : [row.delayMs.getP50, row.delayMs.putP50].map(msText)),
      String(row.get.failed + row.put.failed),
      String(Math.max(...row.residentMib)),
    ]),
  );
  for (const { target, scenario, stalled } of rows.filter((row) => row.stalled !== ''))
    process.stdout.write(`${target}, ${scenario}: ${stalled}\n`);
}
