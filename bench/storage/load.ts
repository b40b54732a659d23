import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { presign } from './presign.ts';
import { cpuSeconds, type Target } from './targets.ts';

/** A load of one kind of request, from one `wrk` for each endpoint at the same time. */
export interface Load {
  method: 'GET' | 'PUT';
  /** Path of the i-th request to the e-th endpoint. */
  pathOf: (i: number, endpoint: number) => string;
  query?: [string, string][];
  requests: number;
  body?: string;
  seconds: number;
  connections: number;
  /** Endpoints to use; all by default. */
  endpoints?: readonly number[];
}

export interface LoadResult {
  requests: number;
  bytes: number;
  seconds: number;
  failed: number;
  p50Ms: number;
  p99Ms: number;
  cpuSeconds: number;
}

export async function runLoad(target: Target, load: Load, dir: string): Promise<LoadResult> {
  const used = load.endpoints ?? target.endpoints.map((_, i) => i);
  const lists = used.map((e) => {
    const file = path.join(dir, `paths-${e}.txt`);
    const lines = Array.from({ length: load.requests }, (_, i) =>
      presign(target, {
        method: load.method,
        endpoint: target.endpoints[e]!,
        key: load.pathOf(i, e),
        query: load.query,
      }),
    );
    writeFileSync(file, lines.join('\n'));
    return { endpoint: target.endpoints[e]!, file };
  });
  const before = cpuSeconds(target.pids);
  const results = await Promise.all(lists.map(({ endpoint, file }) => wrk(endpoint, file, load)));
  const used_ = cpuSeconds(target.pids) - before;
  const sum = (pick: (result: WrkResult) => number): number => results.reduce((total, one) => total + pick(one), 0);
  return {
    requests: sum(({ requests }) => requests),
    bytes: sum(({ bytes }) => bytes),
    failed: sum(({ failed }) => failed),
    seconds: load.seconds,
    p50Ms: Math.max(...results.map(({ p50Ms }) => p50Ms)),
    p99Ms: Math.max(...results.map(({ p99Ms }) => p99Ms)),
    cpuSeconds: used_,
  };
}

interface WrkResult {
  requests: number;
  bytes: number;
  failed: number;
  p50Ms: number;
  p99Ms: number;
}

function wrk(endpoint: string, paths: string, load: Load): Promise<WrkResult> {
  const script = path.join(import.meta.dirname, 'requests.lua');
  const flags = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '--timeout', '30s', '-s', script, endpoint];
  const env = {
    ...process.env,
    BENCH_PATHS: paths,
    BENCH_METHOD: load.method,
    ...(load.body === undefined ? {} : { BENCH_BODY: load.body }),
  };
  return new Promise((resolve, reject) => {
    const child = spawn('wrk', flags, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.once('error', reject);
    // Not at its exit: its last words may still be in the pipe.
    child.once('close', () => {
      const line = /BENCH (\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)/.exec(text);
      if (line === null) return reject(new Error(`wrk said: ${text}`));
      const [requests, bytes, , status, sockets, p50, p99] = line.slice(1).map(Number) as [
        number,
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      resolve({ requests, bytes, failed: status + sockets, p50Ms: p50 / 1000, p99Ms: p99 / 1000 });
    });
  });
}

/** One request by hand, for setting up. @throws when it is refused. */
export async function send(
  target: Target,
  method: 'GET' | 'PUT' | 'DELETE',
  key: string,
  body?: Uint8Array,
): Promise<Buffer> {
  if (target.tls) process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  const endpoint = target.endpoints[0]!;
  const answer = await fetch(
    endpoint + presign(target, { method, endpoint, key }),
    body === undefined ? { method } : { method, body },
  );
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (!answer.ok) throw new Error(`${method} ${key}: ${answer.status} ${bytes.toString().slice(0, 200)}`);
  return bytes;
}
