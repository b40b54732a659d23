/** The programs that a bench of the mover runs and measures. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const account = { accessKeyId: 'benchuser', secretAccessKey: 'benchsecret123' };

export interface Measured {
  cpuSeconds: number;
  wallSeconds: number;
  maxRssMiB: number;
  stdout: string;
}

/** Runs a command; the CPU is that of its process alone, as bash counts it. */
export async function measure(command: readonly string[], env: Record<string, string> = {}): Promise<Measured> {
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

export function rclone(args: readonly string[], endpoint: string | readonly [string, string]): Promise<Measured> {
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

export function rcloneVersion(): string {
  const env = without(process.env, 'AWS_CA_BUNDLE');
  return execFileSync(toolAt('MUSTER_RCLONE', 'rclone')!, ['version'], { encoding: 'utf8', env }).split('\n')[0]!;
}

export function toolAt(variable: string, name: string): string | undefined {
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

export async function startMinio(dir: string): Promise<{ endpoint: string; stop: () => Promise<void> }> {
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
