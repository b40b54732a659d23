/**
 * `npm run bench:storage [-- --minio BINARY] [--seconds 8] [--only put-4k,get-10m] [--tls | --plain]`
 *
 * Four nodes on this machine, erasure code 2+2, durable, driven by `wrk` over presigned URLs; MinIO in the same run when
 * its binary is given, one after the other so that they do not disturb each other. Figures are per CPU-second of all
 * four server processes: wall time says little on a shared machine.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Load, type LoadResult, runLoad, send } from './load.ts';
import { residentMib, startMinio, startMuster, type Target } from './targets.ts';

const { values: args } = parseArgs({
  options: {
    minio: { type: 'string' },
    seconds: { type: 'string', default: '8' },
    only: { type: 'string' },
    plain: { type: 'boolean', default: false },
    tls: { type: 'boolean', default: false },
    dir: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = Number(args.seconds);
const home = mkdtempSync(path.join(args.dir ?? tmpdir(), 'muster-bench-storage-'));

interface Case {
  name: string;
  unit: 'MB' | 'requests' | 'keys';
  sizeBytes: number;
  load: (bodies: string) => Load;
}

const listKeys = 4_000;
const sizes = { '10 MiB': 10 * 1024 ** 2, '1 MiB': 1024 ** 2, '4 KiB': 4096 };

function putCase(label: keyof typeof sizes, connections: number): Case {
  const sizeBytes = sizes[label];
  const keys = label === '4 KiB' ? 20_000 : 24;
  return {
    name: `PUT ${label}`,
    unit: label === '4 KiB' ? 'requests' : 'MB',
    sizeBytes,
    load: (bodies) => ({
      method: 'PUT',
      // All of one length: wrk over TLS sends the head of one request with the rest of another when a write must wait.
      pathOf: (i, e) => `/bench/${sizeBytes}/${e}-${String(i).padStart(6, '0')}`,
      requests: keys,
      body: path.join(bodies, String(sizeBytes)),
      seconds,
      connections,
    }),
  };
}

function getCase(label: keyof typeof sizes, connections: number): Case {
  const sizeBytes = sizes[label];
  const keys = label === '4 KiB' ? 1_000 : 24;
  return {
    name: `GET ${label}`,
    unit: label === '4 KiB' ? 'requests' : 'MB',
    sizeBytes,
    // Each node is asked for what was written through another one.
    load: () => ({
      method: 'GET',
      pathOf: (i, e) => `/bench/get/${sizeBytes}/${(i + e) % keys}`,
      requests: keys,
      seconds,
      connections,
    }),
  };
}

const cases: Case[] = [
  putCase('4 KiB', 16),
  getCase('4 KiB', 8),
  putCase('1 MiB', 4),
  getCase('1 MiB', 4),
  putCase('10 MiB', 4),
  getCase('10 MiB', 4),
  {
    name: 'LIST of 1,000 keys',
    unit: 'keys',
    sizeBytes: 0,
    load: () => ({
      method: 'GET',
      pathOf: () => '/bench-list',
      query: [
        ['list-type', '2'],
        ['max-keys', '1000'],
        ['start-after', 'key/001000'],
      ],
      requests: 1,
      seconds,
      connections: 2,
    }),
  },
];

interface Row {
  target: string;
  figure: string;
  perCpuSecond: number;
  wallPerSecond: number;
  p99Ms: number;
  failed: number;
  residentMib: number[];
}

async function measure(target: Target): Promise<Row[]> {
  const chosen = cases.filter(
    ({ name }) => args.only === undefined || args.only.split(',').some((one) => matches(name, one)),
  );
  await sleep(2_000);
  const rows: Row[] = [{ ...blank(target, 'idle'), residentMib: residentMib(target.pids) }];
  await prepare(target, chosen);
  for (const one of chosen) {
    const load = one.load(home);
    // Long enough for both to be warm: compiled code on one side, connections and caches on the other.
    await runLoad(target, { ...load, seconds: 6 }, home);
    const result = await runLoad(target, load, home);
    rows.push({ ...rowOf(target, one, result), residentMib: residentMib(target.pids) });
    show(rows.at(-1)!, one.unit);
  }
  if (args.only === undefined || args.only.includes('memory')) rows.push(await memoryUnderLoad(target));
  return rows;
}

function matches(name: string, wanted: string): boolean {
  return name.toLowerCase().replace(/ib$/, '').replaceAll(' ', '-').startsWith(wanted.toLowerCase());
}

function blank(target: Target, figure: string): Row {
  const name = `${target.name} ${target.tls ? 'TLS' : 'plain'}`;
  return { target: name, figure, perCpuSecond: 0, wallPerSecond: 0, p99Ms: 0, failed: 0, residentMib: [] };
}

function rowOf(target: Target, one: Case, result: LoadResult): Row {
  const done = result.requests - result.failed;
  const amount = one.unit === 'MB' ? (done * one.sizeBytes) / 1e6 : one.unit === 'keys' ? done * 1_000 : done;
  return {
    ...blank(target, one.name),
    perCpuSecond: amount / result.cpuSeconds,
    wallPerSecond: amount / result.seconds,
    p99Ms: result.p99Ms,
    failed: result.failed,
  };
}

async function prepare(target: Target, chosen: readonly Case[]): Promise<void> {
  await send(target, 'PUT', '/bench');
  for (const size of Object.values(sizes)) writeFileSync(path.join(home, String(size)), randomBytes(size));
  for (const { name, sizeBytes } of chosen) {
    if (!name.startsWith('GET')) continue;
    const count = sizeBytes === 4096 ? 1_000 : 24;
    await fill(target, count, {
      keyOf: (i) => `/bench/get/${sizeBytes}/${i}`,
      body: path.join(home, String(sizeBytes)),
    });
  }
  if (chosen.some(({ unit }) => unit === 'keys')) {
    await send(target, 'PUT', '/bench-list');
    const keyOf = (i: number): string => `/bench-list/key/${String(i).padStart(6, '0')}`;
    await fill(target, listKeys, { keyOf, body: path.join(home, '4096') });
  }
}

/** Writes every one of so many keys: what is read later must be there. */
async function fill(
  target: Target,
  count: number,
  { keyOf, body }: { keyOf: (i: number) => string; body: string },
): Promise<void> {
  const bytes = readFileSync(body);
  const atOnce = bytes.length > 1e6 ? 2 : 32;
  let next = 0;
  const writer = async (): Promise<void> => {
    while (next < count) await send(target, 'PUT', keyOf(next++), bytes);
  };
  await Promise.all(Array.from({ length: atOnce }, writer));
}

/** 64 clients of 10 MiB, half of them writing, half reading. */
async function memoryUnderLoad(target: Target): Promise<Row> {
  const put = putCase('10 MiB', 8).load(home);
  const get = getCase('10 MiB', 8).load(home);
  let peak = residentMib(target.pids);
  const watch = setInterval(() => {
    const now = residentMib(target.pids);
    peak = peak.map((value, i) => Math.max(value, now[i]!));
  }, 100);
  await runLoad(target, put, home);
  await runLoad(target, get, home);
  clearInterval(watch);
  const row = { ...blank(target, 'peak under 64 clients of 10 MiB'), residentMib: peak };
  process.stderr.write(`${row.target}  ${row.figure}: ${peak.join(' ')} MiB\n`);
  return row;
}

function show(row: Row, unit: string): void {
  const figure = `${Math.round(row.perCpuSecond)} ${unit}/CPU-s, ${Math.round(row.wallPerSecond)} ${unit}/s`;
  const rest = `p99 ${row.p99Ms.toFixed(1)} ms, failed ${row.failed}, RSS ${row.residentMib.join(' ')} MiB`;
  process.stderr.write(`${row.target.padEnd(14)} ${row.figure.padEnd(20)} ${figure}, ${rest}\n`);
}

async function measureTarget(start: () => Promise<Target>): Promise<Row[]> {
  const target = await start();
  try {
    return await measure(target);
  } finally {
    await target.stop();
  }
}

const modes = args.plain === args.tls ? [false, true] : [args.tls];
const rows: Row[] = [];
try {
  for (const tls of modes) {
    const dir = (name: string): string => path.join(home, `${name}-${tls ? 'tls' : 'plain'}`);
    rows.push(...(await measureTarget(() => startMuster(dir('muster'), tls))));
    rmSync(dir('muster'), { recursive: true, force: true });
    if (args.minio === undefined) continue;
    const binary = args.minio;
    rows.push(...(await measureTarget(() => startMinio(binary, dir('minio'), tls))));
    rmSync(dir('minio'), { recursive: true, force: true });
  }
} finally {
  rmSync(home, { recursive: true, force: true });
}
if (args.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
else printTable(rows);

function printTable(all: readonly Row[]): void {
  for (const tls of modes) {
    const mode = tls ? 'TLS' : 'plain';
    process.stdout.write(`\n${mode}: per CPU-second of the four servers\n`);
    for (const row of all.filter(({ target }) => target === `muster ${mode}`)) {
      const peer = all.find(({ target, figure }) => target === `minio ${mode}` && figure === row.figure);
      const own =
        row.perCpuSecond > 0 ? Math.round(row.perCpuSecond).toString() : `${Math.max(...row.residentMib)} MiB`;
      const theirs =
        peer === undefined
          ? '-'
          : peer.perCpuSecond > 0
            ? Math.round(peer.perCpuSecond).toString()
            : `${Math.max(...peer.residentMib)} MiB`;
      const ratio =
        peer === undefined || peer.perCpuSecond === 0 ? '' : `${(row.perCpuSecond / peer.perCpuSecond).toFixed(2)}x`;
      process.stdout.write(`${row.figure.padEnd(34)} ${own.padStart(9)} ${theirs.padStart(9)} ${ratio}\n`);
    }
  }
}
