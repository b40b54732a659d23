import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A running cluster of four server processes to be measured. */
export interface Target {
  name: string;
  tls: boolean;
  endpoints: string[];
  accessKey: string;
  secretKey: string;
  /** Of the four servers. */
  pids: number[];
  stop(): Promise<void>;
}

const accessKey = 'bench-root';
const secretKey = 'bench-secret-0123456789';
/** MinIO refuses loopback addresses where it believes to be in a container: give it one of a network namespace. */
const minioHost = process.env['BENCH_MINIO_HOST'] ?? '127.0.0.1';
const root = path.join(import.meta.dirname, '..', '..');

/** Muster's own cluster, as `muster storage-node dev` starts it. */
export async function startMuster(dir: string, tls: boolean): Promise<Target> {
  mkdirSync(dir, { recursive: true });
  const port = await freePorts(8);
  const flags = ['--nodes', '4', '--port', String(port), '--dir', dir, ...(tls ? ['--tls'] : ['--plain-rpc'])];
  const child = spawn(process.execPath, [path.join(root, 'cli', 'main.ts'), 'storage-node', 'dev', ...flags], {
    env: { ...process.env, MUSTER_ROOT_USER: accessKey, MUSTER_ROOT_PASSWORD: secretKey },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ready = JSON.parse(await firstLine(child)) as { endpoints: string[]; pids: number[] };
  return {
    ...{ name: 'muster', tls, accessKey, secretKey, endpoints: ready.endpoints, pids: ready.pids },
    stop: () => end([child]),
  };
}

/** The peer, when its binary is given. */
export async function startMinio(binary: string, dir: string, tls: boolean): Promise<Target> {
  const port = await freePorts(4, minioHost);
  const scheme = tls ? 'https' : 'http';
  const certs = path.join(dir, 'certs');
  mkdirSync(path.join(certs, 'CAs'), { recursive: true });
  if (tls) makeCertificate(certs);
  const nodes = [0, 1, 2, 3].map((i) => `${scheme}://${minioHost}:${port + i}`);
  const drives = nodes.map((node, i) => {
    mkdirSync(path.join(dir, `drive${i}`), { recursive: true });
    return `${node}${path.join(dir, `drive${i}`)}`;
  });
  const children = nodes.map((_, i) =>
    spawn(binary, ['server', '--quiet', '--certs-dir', certs, '--address', `${minioHost}:${port + i}`, ...drives], {
      env: {
        ...process.env,
        MINIO_ROOT_USER: accessKey,
        MINIO_ROOT_PASSWORD: secretKey,
        MINIO_CI_CD: '1',
        MINIO_BROWSER: 'off',
        HOME: dir,
      },
      stdio: ['ignore', 'ignore', 'ignore'],
    }),
  );
  const target: Target = {
    ...{ name: 'minio', tls, accessKey, secretKey, endpoints: nodes, pids: children.map(({ pid }) => pid!) },
    stop: () => end(children),
  };
  try {
    await untilHealthy(nodes.map((node) => `${node}/minio/health/cluster`));
  } catch (error) {
    await target.stop();
    throw error;
  }
  return target;
}

async function untilHealthy(urls: string[]): Promise<void> {
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  for (const url of urls) {
    for (let tries = 0; ; tries++) {
      const ok = await fetch(url).then(
        (answer) => answer.ok,
        () => false,
      );
      if (ok) break;
      if (tries > 300) throw new Error(`${url} is not healthy after 60 s`);
      await sleep(200);
    }
  }
}

function makeCertificate(dir: string): void {
  const [key, crt] = [path.join(dir, 'private.key'), path.join(dir, 'public.crt')];
  const subject = ['-subj', '/CN=bench', '-addext', `subjectAltName=IP:${minioHost}`];
  const form = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', [...form, '-keyout', key, '-out', crt, ...subject], { stdio: 'ignore' });
  writeFileSync(path.join(dir, 'CAs', 'public.crt'), readFileSync(crt));
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    child.once('exit', (code) => reject(new Error(`the cluster ended with code ${code} before it was ready`)));
  });
}

async function end(children: ChildProcess[]): Promise<void> {
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await gone;
      clearTimeout(hard);
    }),
  );
}

/** The first of so many free ports in a row. */
async function freePorts(count: number, host = '127.0.0.1'): Promise<number> {
  for (let port = 19_000; port < 60_000; port += 100) {
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(port + i, host)));
    if (free.every(Boolean)) return port;
  }
  throw new Error('no free ports');
}

export function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** CPU seconds (user and system) that these processes and their threads have used. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100;
}

/** Resident memory of each process, MiB. */
export function residentMib(pids: readonly number[]): number[] {
  return pids.map((pid) => {
    const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Math.round(Number(line?.[1] ?? 0) / 1024);
  });
}
